"""Rewriting of prompts and answers in the point format of an export."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib import resources

from x3spatial.arrays import Bool
from x3spatial.conventions.base import Convention
from x3spatial.conventions.prompt_template import PromptTemplate, parse_prompt_template
from x3spatial.conventions.registry import find_convention
from x3spatial.errors import UserError
from x3spatial.exporters.image_paths import PlacedImage
from x3spatial.exporters.points import (
    AS_RECORDED,
    PLACEHOLDER,
    ResizeLimits,
    box_of,
    counted_sizes,
)
from x3spatial.exporters.samples import BOX_TAG, Box, Sample
from x3spatial.formats.task_file import TaskRecord
from x3spatial.io.images import ImageError, read_mask, read_rgb
from x3spatial.io.members import file_at
from x3spatial.tasks.answers import (
    NOT_VISIBLE,
    POINT,
    AnswerKind,
    ground_truth_box_text,
    ground_truth_text,
)
from x3spatial.tasks.frames import Frame
from x3spatial.tasks.geometry import Point, hits, pixel_of
from x3spatial.tasks.ground_truth import Target
from x3spatial.tasks.question import Question, Size
from x3spatial.tasks.spec import TASKS
from x3spatial.texts import quoted

_mask = lru_cache(maxsize=16)(read_mask)  # consecutive records share the reference mask


@dataclass(slots=True)
class Rewriter:
    """Rewrites the points of records in one format, and counts points that needed special treatment."""

    points: str
    limits: ResizeLimits
    longer: int = 0
    """Number of points with more decimals than usual in their format, needed to hit the mask."""
    unsafe: int = 0
    """Number of placeholders that the trainer's rounding may move off a thin mask."""

    def sample(self, record: TaskRecord, images: tuple[PlacedImage, ...], where: str) -> Sample:
        """The sample of a record; ``where`` names it in errors.

        Raises:
            UserError: the record lacks a field that rewriting needs, a mask or image cannot be read, or the
                point misses its mask.
        """
        answer_type = TASKS[record.task].answer
        if self.points == AS_RECORDED or not answer_type.in_family_format:
            return Sample(record, images, record.prompt, record.answer)
        if answer_type is not POINT:
            raise UserError(
                f"{where}: answers of the kind {answer_type.name!r} cannot be rewritten; use --points"
                f" {AS_RECORDED}"
            )
        if record.question is None:
            raise UserError(
                f"{where}: has no field 'question' (not made by x3 build), so its points cannot be"
                f" rewritten; use --points {AS_RECORDED}"
            )
        said = record.spec.read(record.answer)
        if said.kind is AnswerKind.UNPARSED:
            raise UserError(
                f"{where}: the answer {quoted(record.answer)} holds no point to rewrite"
            )
        sizes = self._sizes(record, images, where)
        answer = None
        if said.kind is AnswerKind.POINT:
            assert said.point is not None
            frame = record.spec.frame
            answer = self._located(said.point, record.query_mask, frame, "query_mask", where)
        reference = None
        if record.reference_point is not None:
            point = Point(*record.reference_point)
            reference = self._located(point, record.ref_mask, Frame.CONCAT_LEFT, "ref_mask", where)
        if self.points == PLACEHOLDER:
            return self._with_placeholders(record, images, sizes, reference, answer)
        return self._rewritten(record, images, sizes, reference, answer)

    def _sizes(
        self, record: TaskRecord, images: tuple[PlacedImage, ...], where: str
    ) -> tuple[Size, ...]:
        """(W, H) of each image on disk."""
        if len(record.image_sizes) == len(images):
            return record.image_sizes
        sizes = []
        for image in images:
            try:
                height, width = read_rgb(image.file).shape[:2]
            except ImageError as error:
                raise UserError(f"{where}: image {image.file}: {error.reason}") from None
            sizes.append((width, height))
        return tuple(sizes)

    def _located(
        self, point: Point, path: str | None, frame: Frame, field: str, where: str
    ) -> _Located:
        """A recorded point with the mask that the rewritten point must hit."""
        if path is None:
            raise UserError(f"{where}: has no {field!r}, which rewriting points needs")
        file = file_at(path)
        try:
            mask = _mask(file)
        except ImageError as error:
            raise UserError(f"{where}: {field} {file}: {error.reason}") from None
        height, width = mask.shape
        local = frame.to_local(point)
        pixel = pixel_of(local, width, height)
        if pixel is None or not frame.contains(point) or not hits(mask, local):
            raise UserError(
                f"{where}: its point {tuple(point)} misses {field} {file}; build the data again"
            )
        return _Located(Target(local, pixel), mask, frame)

    def _rewritten(
        self,
        record: TaskRecord,
        images: tuple[PlacedImage, ...],
        sizes: Sequence[Size],
        reference: _Located | None,
        answer: _Located | None,
    ) -> Sample:
        convention = find_convention(self.points)
        question = _question(record, images)
        sizes = counted_sizes(convention, sizes, self.limits)

        def fitted(located: _Located | None, write: Callable[..., tuple[str, Point]]) -> str | None:
            if located is None:
                return None
            written = ground_truth_text(
                located.target,
                located.mask,
                located.frame,
                lambda point, decimals: write(point, question, sizes, decimals),
                fewest=convention.decimals,
            )
            self.longer += written.decimals > convention.decimals
            return written.text

        prompt = convention.prompt(
            question, sizes, reference=fitted(reference, convention.format_inline)
        )
        if convention.answers == "box":
            text = None if answer is None else self._box(convention, answer, question, sizes)
        else:
            text = fitted(answer, convention.format_answer)
        if text is None:
            # A family's own phrase means that something is not visible.
            token = record.spec.absent_token
            text = convention.absent if token == NOT_VISIBLE else token
        return Sample(
            record,
            images,
            prompt,
            text,
            sizes=sizes if convention.pixels else (),
            names=convention.picture_names(len(images)),
        )

    def _box(
        self, convention: Convention, answer: _Located, question: Question, sizes: Sequence[Size]
    ) -> str:
        """The tight box of the answer's mask."""
        written = ground_truth_box_text(
            answer.mask,
            answer.frame,
            lambda box, decimals: convention.format_box(box, question, sizes, decimals),
            fewest=convention.decimals,
        )
        self.longer += written.decimals > convention.decimals
        return written.text

    def _with_placeholders(
        self,
        record: TaskRecord,
        images: tuple[PlacedImage, ...],
        sizes: Sequence[Size],
        reference: _Located | None,
        answer: _Located | None,
    ) -> Sample:
        assert record.question is not None
        boxes = []
        for located in (reference, answer):
            if located is not None:
                (x, y), safe = box_of(
                    located.target, located.mask, located.frame, sizes[-1], self.limits
                )
                boxes.append(Box(x, y, len(images) - 1))
                self.unsafe += not safe
        prompt = _placeholder_template().render(
            _question(record, images), reference=None if reference is None else BOX_TAG
        )
        text = record.spec.absent_token if answer is None else BOX_TAG
        return Sample(record, images, prompt, text, tuple(boxes))


def _question(record: TaskRecord, images: tuple[PlacedImage, ...]) -> Question:
    assert record.question is not None
    return Question(
        id=record.id,
        task=record.task,
        images=tuple(image.file for image in images),
        prompt=record.prompt,
        question=record.question,
        reference_point=record.reference_point,
    )


@cache
def _placeholder_template() -> PromptTemplate:
    return parse_prompt_template(
        (resources.files(__package__) / "placeholder.txt").read_text(encoding="utf-8")
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Located:
    """A recorded point in the coordinates of its half, and the mask that it must hit."""

    target: Target
    mask: Bool
    frame: Frame
