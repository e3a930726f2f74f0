"""Contact sheets: samples as a model sees them, with ground truth and stored answers."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont, PngImagePlugin

from x3spatial.arrays import Bool
from x3spatial.errors import UserError
from x3spatial.formats.image_paths import ImagePaths, check_present
from x3spatial.formats.results_entry import SampleResult
from x3spatial.formats.results_file import read_results
from x3spatial.formats.task_file import TaskRecord, read_records
from x3spatial.io.files import check_output, write_bytes
from x3spatial.io.images import ImageError, read_mask, read_rgb
from x3spatial.tasks.answers import AnswerKind, parse_unit
from x3spatial.tasks.geometry import Point

TRUTH = (40, 220, 60)
OUTLINE = (255, 230, 0)
ANSWER = (255, 0, 255)
REFERENCE = (0, 220, 255)

_PANEL_HEIGHT = 240
_MARGIN = 12
_LINE = 16
_TEXT_LINES = 5
_TAG, _TAGGED = "Software", "x3spatial contact sheet"
"""Text chunk of every contact sheet: how an earlier one is told from a user's image."""


_Pixels = TypeVar("_Pixels")


@dataclass(frozen=True, slots=True)
class _Answer:
    """One sample's stored answer."""

    text: str
    point: Point | None
    verdict: str


def preview(
    data_json: str | Path,
    output: str | Path = "preview.png",
    *,
    results: str | Path | None = None,
    limit: int = 12,
    ids: Sequence[str] = (),
    image_folder: str | Path | None = None,
    image_root: str | Path | None = None,
) -> Path:
    """Draw samples of a task file into one PNG.

    Each panel shows the images of one sample in order. Green: ground-truth point; yellow: outline of the
    query mask; cyan: reference point of the side-by-side form; magenta: the model's answer.

    Args:
        data_json: a task file.
        output: the PNG to write; only an earlier contact sheet is replaced.
        results: a results file of ``x3 eval`` on that task file.
        limit: number of samples, spread evenly over the file.
        ids: ids of samples to draw instead.
        image_folder: base folder for relative image paths.
        image_root: where the data root is now, if it was moved after the build.

    Returns:
        ``output``.

    Raises:
        UserError: a file is missing or malformed, an id is unknown, the task file is empty, no result
            belongs to a sample of the task file, or ``output`` cannot be written.
    """
    data_json, output = Path(data_json), Path(output)
    results = None if results is None else Path(results)
    images = ImagePaths(
        data_json,
        None if image_folder is None else Path(image_folder),
        None if image_root is None else Path(image_root),
    )
    everything = images.records(read_records(data_json))
    records = _choose(everything, data_json, limit, ids)
    check_present(data_json, (record.images for record in everything))
    answers: dict[str, _Answer] = {}
    if results is not None:
        answers = {entry.id: _parse_answer(entry) for entry in read_results(results).results}
    if results is not None and answers.keys().isdisjoint(record.id for record in everything):
        raise UserError(
            f"--results {results}: has no answer to a sample of {data_json}; choose its task file"
        )
    _check_output(output, [data_json, *([] if results is None else [results])])
    panels = [_panel(record, answers.get(record.id)) for record in records]
    tag = PngImagePlugin.PngInfo()
    tag.add_text(_TAG, _TAGGED)
    buffer = io.BytesIO()
    _sheet(panels).save(buffer, "PNG", pnginfo=tag)
    write_bytes(output, buffer.getvalue())
    return output


def _choose(
    records: list[TaskRecord], source: Path, limit: int, ids: Sequence[str]
) -> list[TaskRecord]:
    if limit < 1:
        raise UserError(f"--limit {limit}: must be at least 1")
    if not records:
        raise UserError(f"{source}: has no samples")
    if ids:
        by_id = {record.id: record for record in records}
        unknown = [name for name in ids if name not in by_id]
        if unknown:
            raise UserError(f"--id {unknown[0]}: no such sample in {source}")
        return [by_id[name] for name in ids]
    chosen = np.unique(np.linspace(0, len(records) - 1, min(limit, len(records))).round())
    return [records[int(index)] for index in chosen]


def _check_output(output: Path, sources: Sequence[Path]) -> None:
    """Refuse to replace anything but an earlier contact sheet, whatever it is.

    Raises:
        UserError: ``output`` is not named as a PNG, cannot be written, or exists and was not written here.
    """
    check_output(output, "--out", sources)
    if output.suffix.lower() != ".png":
        raise UserError(f"--out {output}: a contact sheet is a PNG; name a file that ends in .png")
    if output.exists() and not _is_contact_sheet(output):
        raise UserError(
            f"--out {output}: exists and was not written by x3 preview; remove it or choose another"
            " path"
        )


def _is_contact_sheet(path: Path) -> bool:
    try:
        with Image.open(path) as image:
            return image.format == "PNG" and image.info.get(_TAG) == _TAGGED
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return False


def _parse_answer(entry: SampleResult) -> _Answer:
    coord = entry.pred_parsed.coord
    verdict: str = entry.status
    if entry.hit_mask is not None:
        verdict = "hit" if entry.hit_mask else "miss"
    return _Answer(
        text=str(entry.pred_text),
        point=None if coord is None else Point(*coord),
        verdict=verdict,
    )


def _read(reader: Callable[[Path], _Pixels], path: str, record: TaskRecord) -> _Pixels:
    try:
        return reader(Path(path))
    except ImageError as error:
        raise UserError(
            f"sample {record.id}: cannot read {path}: {error.reason}; if folders were moved, name the data"
            " root with --image-root"
        ) from None


def _panel(record: TaskRecord, answer: _Answer | None) -> Image.Image:
    """Draw one sample: its images side by side, captions below."""
    images = [_read(read_rgb, path, record) for path in record.images]
    mask = _read(read_mask, record.query_mask, record) if record.query_mask else None
    drawn = [_scaled(Image.fromarray(image)) for image in images]
    if mask is not None:
        _outline(drawn[-1], mask, right_half=record.is_concat)
    truth = parse_unit(record.answer)
    draw = ImageDraw.Draw(drawn[-1])
    if record.reference_point is not None:
        _ring(draw, drawn[-1].size, Point(*record.reference_point), REFERENCE)
    if truth.kind is AnswerKind.POINT and truth.point is not None:
        _ring(draw, drawn[-1].size, truth.point, TRUTH)
    if answer is not None and answer.point is not None:
        _cross(draw, drawn[-1].size, answer.point)
    width = sum(image.width for image in drawn) + 4 * (len(drawn) - 1)
    panel = Image.new("RGB", (width, _PANEL_HEIGHT + _LINE * _TEXT_LINES), "white")
    x = 0
    for image in drawn:
        panel.paste(image, (x, 0))
        x += image.width + 4
    _caption(panel, record, answer)
    return panel


def _scaled(image: Image.Image) -> Image.Image:
    width = max(1, round(image.width * _PANEL_HEIGHT / image.height))
    shrinking = image.height >= _PANEL_HEIGHT
    how = Image.Resampling.BOX if shrinking else Image.Resampling.NEAREST
    return image.resize((width, _PANEL_HEIGHT), how)


def _outline(image: Image.Image, mask: Bool, *, right_half: bool) -> None:
    """Draw the outline of ``mask`` [H, W], stretched over the image or its right half."""
    width = image.width // 2 if right_half else image.width
    left = image.width - width if right_half else 0
    shown = cv2.resize(
        mask.astype(np.uint8), (width, image.height), interpolation=cv2.INTER_NEAREST
    )
    contours, _ = cv2.findContours(shown, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    draw = ImageDraw.Draw(image)
    for contour in contours:
        points = [(int(x) + left, int(y)) for x, y in contour[:, 0]]
        draw.line([*points, points[0]], fill=OUTLINE, width=1)


def _to_pixels(size: tuple[int, int], point: Point) -> tuple[float, float]:
    return point.x * size[0], point.y * size[1]


def _ring(
    draw: ImageDraw.ImageDraw, size: tuple[int, int], point: Point, colour: tuple[int, int, int]
) -> None:
    x, y = _to_pixels(size, point)
    draw.ellipse((x - 5, y - 5, x + 5, y + 5), outline="black", width=3)
    draw.ellipse((x - 4, y - 4, x + 4, y + 4), outline=colour, width=2)
    draw.point((x, y), fill=colour)


def _cross(draw: ImageDraw.ImageDraw, size: tuple[int, int], point: Point) -> None:
    x, y = _to_pixels(size, point)
    # A point outside the image is drawn at its border.
    x, y = min(max(x, 4.0), size[0] - 5.0), min(max(y, 4.0), size[1] - 5.0)
    for colour, width in (("black", 4), (ANSWER, 2)):
        draw.line((x - 5, y - 5, x + 5, y + 5), fill=colour, width=width)
        draw.line((x - 5, y + 5, x + 5, y - 5), fill=colour, width=width)


def _caption(panel: Image.Image, record: TaskRecord, answer: _Answer | None) -> None:
    font = ImageFont.load_default(size=12)
    draw = ImageDraw.Draw(panel)
    columns = max(20, int(panel.width / 6.3))
    question = textwrap.wrap(record.question or record.prompt, columns)[: _TEXT_LINES - 3]
    label = "" if record.label is None else f" ({record.label})"
    lines = [
        (textwrap.shorten(record.id + label, columns, placeholder="..."), "black"),
        *((line, "gray") for line in question),
        (f"truth: {record.answer}", "green"),
    ]
    if answer is not None:
        text = textwrap.shorten(answer.text, max(10, columns - 20), placeholder="...")
        lines.append((f"answered: {text}  [{answer.verdict}]", "purple"))
    for number, (line, colour) in enumerate(lines):
        draw.text((2, _PANEL_HEIGHT + 2 + number * _LINE), line, fill=colour, font=font)


def _sheet(panels: list[Image.Image]) -> Image.Image:
    columns = 2 if len(panels) > 1 else 1
    width = max(panel.width for panel in panels) + _MARGIN
    height = _PANEL_HEIGHT + _LINE * _TEXT_LINES + _MARGIN
    rows = (len(panels) + columns - 1) // columns
    sheet = Image.new("RGB", (columns * width + _MARGIN, rows * height + _MARGIN), "white")
    for number, panel in enumerate(panels):
        row, column = divmod(number, columns)
        sheet.paste(panel, (_MARGIN + column * width, _MARGIN + row * height))
    return sheet
