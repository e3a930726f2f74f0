"""One sample of a contact sheet: its images with marks, its question, truth and answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw

from x3spatial.arrays import Bool
from x3spatial.errors import UserError
from x3spatial.evaluation.scoring.masks import MaskFinder
from x3spatial.formats.results_entry import SampleResult
from x3spatial.formats.task_file import TaskRecord
from x3spatial.io.images import ImageError, read_rgb
from x3spatial.io.members import file_at
from x3spatial.reports.lettering import (
    INK,
    MUTED,
    TRUTH_INK,
    Colour,
    clean,
    cut,
    font,
    line_height,
    wrap,
)
from x3spatial.reports.marks import (
    ANSWERS,
    REFERENCE,
    TRUTH,
    cross,
    frame,
    inside,
    label,
    outline,
    ring,
    to_pixels,
)
from x3spatial.reports.outcomes import outcome_of
from x3spatial.tasks.answers import NO_CHANGE, parse_unit
from x3spatial.tasks.boxes import Box
from x3spatial.tasks.geometry import Point
from x3spatial.tasks.spec import Views

IMAGE_HEIGHT = 260
LEAST_WIDTH = 420
_GAP = 4
_SIZE = 14
_BORDER = 4
_QUESTION_LINES = 8
_ANSWER_LINES = 3
_NAMES = {
    Views.ONE: ("",),
    Views.TWO: ("A: marked", "B: query"),
    Views.TWICE: ("A: before", "B: after"),
}
_SIDE_BY_SIDE = ("A: reference", "B: query")


@dataclass(frozen=True, slots=True)
class ShownAnswer:
    """The answer of one model to a sample."""

    model: str
    entry: SampleResult | None
    """None: the results do not have the sample."""
    number: int
    """Number of the model, from 0: its colour."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """The images of one sample with their marks."""

    images: tuple[Image.Image, ...]
    marks: frozenset[str]
    """Which marks occur: ``truth``, ``mask``, ``removed``, ``reference``, ``answer``."""

    @property
    def width(self) -> int:
        """The width of all images and the gaps between them."""
        return sum(image.width for image in self.images) + _GAP * (len(self.images) - 1)


def draw_images(
    record: TaskRecord,
    answers: Sequence[ShownAnswer],
    masks: MaskFinder,
) -> Drawn:
    """Read and mark the images of a sample, whose record holds the paths of its files.

    Raises:
        UserError: an image or the mask cannot be read; the message names the file.
    """
    drawn = []
    for path in record.images:
        try:
            drawn.append(_scaled(Image.fromarray(read_rgb(file_at(path)))))
        except ImageError as error:
            raise _unreadable(record, path, error.reason) from None
    marks = set()
    mask = _mask(record, masks)
    image = drawn[-1]
    truth = parse_unit(record.answer).point
    # Where nothing was removed, an outline would look like that of something that was.
    nothing_removed = record.answer == NO_CHANGE
    if mask is not None and mask.any() and not nothing_removed:
        outline(image, mask, right_half=record.is_concat)
        gone = truth is None and record.spec.mask_of_removed
        marks.add("removed" if gone else "mask")
    draw = ImageDraw.Draw(image)
    if record.reference_point is not None:
        ring(draw, *to_pixels(image.size, Point(*record.reference_point)), REFERENCE)
        marks.add("reference")
    if truth is not None:
        ring(draw, *to_pixels(image.size, truth), TRUTH)
        marks.add("truth")
    for answer in answers:
        if answer.entry is None:
            continue
        said = answer.entry.pred_parsed
        number = str(answer.number + 1) if len(answers) > 1 else ""
        if said.coord is not None:
            place_xy = inside(image.size, *to_pixels(image.size, Point(*said.coord)))
            cross(draw, *place_xy, ANSWERS[answer.number], number)
            marks.add("answer")
        if said.box is not None:
            frame(draw, image.size, Box(*said.box), ANSWERS[answer.number], number)
            marks.add("answer")
    _name_images(record, drawn)
    return Drawn(tuple(drawn), frozenset(marks))


def question_text(record: TaskRecord) -> str:
    """What is asked, without the paragraph on the output format where the record has it apart."""
    return record.question or record.prompt


def _mask(record: TaskRecord, masks: MaskFinder) -> Bool | None:
    if record.query_mask is None and record.query_original is None:
        return None
    found = masks.masks(record)
    if found.problem is not None and record.query_mask is not None:
        raise _unreadable(record, *found.problem)
    return found.chosen


def _unreadable(record: TaskRecord, path: str, reason: str) -> UserError:
    return UserError(
        f"sample {record.id}: cannot read {path}: {reason}; if folders were moved, name the data root with"
        " --image-root"
    )


def _scaled(image: Image.Image) -> Image.Image:
    width = max(1, round(image.width * IMAGE_HEIGHT / image.height))
    shrinking = image.height >= IMAGE_HEIGHT
    how = Image.Resampling.BOX if shrinking else Image.Resampling.NEAREST
    return image.resize((width, IMAGE_HEIGHT), how)


def _name_images(record: TaskRecord, drawn: Sequence[Image.Image]) -> None:
    if record.is_concat:
        for text, part in zip(_SIDE_BY_SIDE, (0, 1), strict=True):
            label(drawn[0], text, part * (drawn[0].width // 2))
        return
    for image, text in zip(drawn, _NAMES[record.spec.views], strict=True):
        if text:
            label(image, text, 0)


@dataclass(frozen=True, slots=True)
class _Line:
    text: str
    colour: Colour
    box: Colour | None = None
    """Background of a verdict."""
    chip: Colour | None = None
    """Colour of the model's cross, drawn before the text."""


def panel(
    record: TaskRecord,
    drawn: Drawn,
    answers: Sequence[ShownAnswer],
    width: int,
    *,
    with_question: bool = True,
) -> Image.Image:
    """The images of a sample with its texts below, framed in the colour of the verdict.

    Args:
        record: the sample.
        drawn: its images.
        answers: the answers of each model.
        width: width of the panel in pixels; at least that of the images.
        with_question: whether the question is written; False if it stands elsewhere.
    """
    inner = width - 2 * _BORDER
    name = record.id + ("" if record.label is None else f" ({record.label})")
    lines = [_Line(cut(clean(name), inner, _SIZE), INK)]
    if with_question:
        question = wrap(clean(question_text(record)), inner, _SIZE, _QUESTION_LINES)
        lines += [_Line(text, MUTED) for text in question]
    why = "" if record.absence is None else f" ({clean(record.absence)})"
    lines.append(_Line(cut(f"truth: {clean(record.answer)}{why}", inner, _SIZE), TRUTH_INK))
    frame: Colour = (200, 200, 200)
    for answer in answers:
        verdict, colour, texts = _answer(answer, inner, several=len(answers) > 1)
        if len(answers) == 1:
            frame = colour
        chip = ANSWERS[answer.number] if len(answers) > 1 else None
        lines.append(_Line(cut(verdict, inner - 30, _SIZE), (255, 255, 255), colour, chip))
        lines += [_Line(text, INK) for text in texts]
    step = line_height(_SIZE)
    height = (
        2 * _BORDER + IMAGE_HEIGHT + sum(step + 4 * (line.box is not None) for line in lines) + 8
    )
    image = Image.new("RGB", (width, height), "white")
    x = _BORDER
    for one in drawn.images:
        image.paste(one, (x, _BORDER))
        x += one.width + _GAP
    draw = ImageDraw.Draw(image)
    y = float(_BORDER + IMAGE_HEIGHT + 4)
    for line in lines:
        y += _write(draw, line, _BORDER + 2, y, step)
    draw.rectangle((0, 0, width - 1, height - 1), outline=frame, width=_BORDER - 1)
    return image


def _write(draw: ImageDraw.ImageDraw, line: _Line, x: float, y: float, step: int) -> int:
    """Write a line; returns its height."""
    written = font(_SIZE)
    if line.box is None:
        draw.text((x, y), line.text, fill=line.colour, font=written)
        return step
    if line.chip is not None:
        draw.rectangle((x, y + 3, x + 14, y + step - 1), fill=line.chip, outline="black")
        x += 20
    right = x + written.getlength(line.text) + 10
    draw.rectangle((x, y, right, y + step), fill=line.box)
    draw.text((x + 5, y + 1), line.text, fill=line.colour, font=written)
    return step + 4


def _answer(answer: ShownAnswer, width: int, *, several: bool) -> tuple[str, Colour, list[str]]:
    """Verdict, its colour, and the lines of the answer's text."""
    who = f"{answer.number + 1} {clean(answer.model)}: " if several else ""
    entry = answer.entry
    if entry is None:
        return f"{who}not in these results", (95, 95, 95), []
    outcome = outcome_of(entry)
    notes = [] if entry.l2_error is None else [f"L2 {entry.l2_error:.3f}"]
    verdict = f"{who}{outcome.verdict}"
    if entry.box is not None and entry.box.iou is not None and entry.pred_parsed.box is not None:
        verdict += f" ({entry.box.iou:.2f})"
        notes += [f"centre {'in' if entry.box.centre_in_mask else 'beside'} the mask"]
    notes += ["out of range"] if entry.out_of_range else []
    notes += ["contradictory"] if entry.contradictory else []
    said = f"error: {entry.error}" if entry.status == "error" else f"answer: {entry.pred_text}"
    if entry.pred_text is not None and not entry.pred_text.strip():
        said = "answer: (empty)"
    return (
        ", ".join([verdict, *notes]),
        outcome.colour,
        wrap(clean(said), width, _SIZE, _ANSWER_LINES),
    )
