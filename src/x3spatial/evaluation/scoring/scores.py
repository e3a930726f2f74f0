"""Scoring of one answer: parsed answer, distance and hit.

Answers and ground truth are in the frame of the answer (for t1_concat the whole side-by-side image).
Distances and hits are computed in the frame of the query image, so that multi and concat are comparable.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from x3spatial.arrays import Bool
from x3spatial.errors import UserError
from x3spatial.evaluation.scoring.masks import Masks
from x3spatial.evaluation.scoring.roborefer import is_dropped, point_fraction, text_fraction
from x3spatial.formats.results_entry import BoxScore, Status
from x3spatial.formats.results_file import ScoringRule
from x3spatial.formats.task_file import TaskRecord
from x3spatial.tasks.answers import POINT, Answer, AnswerKind
from x3spatial.tasks.boxes import Box, intersection_over_union, mask_box
from x3spatial.tasks.frames import Frame
from x3spatial.tasks.geometry import Point, hits
from x3spatial.tasks.question import Size
from x3spatial.tasks.spec import TaskSpec
from x3spatial.texts import quoted

SUCCESS_RADII = {"success_002": 0.02, "success_005": 0.05, "success_010": 0.10}
"""Metric name → radius in normalised units of the query image."""


@dataclass(frozen=True, slots=True)
class Truth:
    """The ground truth of a record, parsed from its text."""

    text: str
    answer: Answer
    frame: Frame

    @property
    def point(self) -> Point | None:
        """The point in the frame of the answer; None if not visible or for another answer type."""
        return self.answer.point

    @property
    def visible(self) -> bool:
        """Whether the object is visible: the ground truth is not the task's absent token."""
        return self.answer.kind is not AnswerKind.NOT_VISIBLE


@lru_cache(4096)
def read_text(spec: TaskSpec, text: str) -> Answer:
    """``spec.read``, once for equal texts: the samples that ask for one view have the same ground truth."""
    return spec.read(text)


def truth_of(record: TaskRecord) -> Truth:
    """Parse the ground truth of ``record``.

    Raises:
        UserError: the text is neither of the task's answer type nor its absent token, or it is both.
    """
    spec = record.spec
    answer = read_text(spec, record.answer)
    if answer.kind is AnswerKind.UNPARSED or answer.contradictory:
        form = "[(x, y)]" if spec.answer is POINT else f"of the kind {spec.answer.name!r}"
        raise UserError(
            f"record {record.id}: its answer {quoted(record.answer)} is neither {form} nor"
            f" {spec.absent_token}"
        )
    if answer.point is not None and not spec.frame.contains(answer.point):
        where = "the right half" if spec.side_by_side else "the image"
        raise UserError(
            f"record {record.id}: its answer {quoted(record.answer)} lies outside of {where}; points are"
            " fractions of width and height, 0 to 1"
        )
    return Truth(record.answer, answer, spec.frame)


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """The score of one sample, from which metrics are computed."""

    id: str
    scene: str | None
    uid: str | None
    status: Status
    gt_text: str
    gt_point: Point | None
    """Ground-truth point in the frame of the answer; None if not visible or for another answer type."""
    gt_absent: bool
    """Whether the ground truth is the task's absent token."""
    pred_text: str | None
    """None without an answer."""
    pred_point: Point | None
    """Point of the answer, normalised in its frame; None if the answer is not a point."""
    said_not_visible: bool
    contradictory: bool = False
    out_of_range: bool = False
    l2: float | None = None
    """Distance in normalised units of the query image, for visible samples answered with a point."""
    l2_full: float | None = None
    """The same in the side-by-side image; t1_concat only."""
    hit: float | None = None
    """0 or 1 (or RoboRefer's mean over points); None without a visible object or a mask."""
    hit_tight: float | None = None
    """The same for the tight mask."""
    at_removed: bool | None = None
    """Whether the answer is a point where the object was before it was removed; None for other tasks, without
    an answer and without a mask."""
    missing_mask: bool = False
    roborefer_dropped: bool | None = None
    """Whether RoboRefer's own code gives no score; None under another rule, or if it has no mask."""
    pred_box: Box | None = None
    """Box of the answer, normalised in its frame; None if the answer is not a box."""
    box: BoxScore | None = None
    """The score of a sample that was asked for a box; None in conventions of points and without an answer."""
    pred_value: Any = None
    """The parsed value, for tasks that are not answered with a point; likewise below."""
    gt_value: Any = None
    correct: bool | None = None
    """Whether the answer is correct by the criterion of its type; None for points and unanswered samples."""
    place: str | None = None
    """The place that the scene declares (``roots.places``); None: it follows from the scene's name."""
    error: str | None = None
    images_seen: str | None = None
    """State of the image files at the time of the answer (size and modification time)."""
    pixel_sizes: tuple[Size, ...] = ()
    """(W, H) of each image in the pixels of the model's convention; empty if it does not use pixels."""
    details: Mapping[str, Any] = field(default_factory=dict)
    """Further information from the adapter."""


_NO_DETAILS: Mapping[str, Any] = MappingProxyType({})


def score_answer(
    record: TaskRecord,
    truth: Truth,
    text: str,
    answer: Answer,
    masks: Masks,
    *,
    rule: ScoringRule = "x3",
    reads_text: bool = True,
    boxes: bool = False,
    images_seen: str | None = None,
    pixel_sizes: tuple[Size, ...] = (),
    details: Mapping[str, Any] = _NO_DETAILS,
) -> Score:
    """Score one answer.

    ``masks`` are those of the query image; they are only used if the object is visible, or was before it was
    removed. ``reads_text``:
    whether RoboRefer's rule is applied to ``text``. That requires the unit convention; otherwise the rule is
    applied to the parsed point. ``boxes``: whether the model was asked for a box; only the box is then
    scored, whatever the answer, and there are no hits and distances of points. ``images_seen``,
    ``pixel_sizes`` and ``details`` are kept.
    """
    boxes = boxes and record.spec.answer is POINT
    point = answer.point if answer.kind is AnswerKind.POINT else None
    l2 = l2_full = None
    if truth.point is not None and point is not None:
        l2 = _distance(truth.frame.to_local(truth.point), truth.frame.to_local(point))
        l2_full = _distance(truth.point, point) if record.is_concat else None

    def hit(mask: Bool | None) -> float | None:
        if mask is None or truth.point is None or boxes:
            return None
        if rule == "x3":
            return float(point is not None and _hits(truth.frame, mask, point))
        if reads_text:
            return text_fraction(text, mask, is_concat=record.is_concat)
        return point_fraction(point, mask, is_concat=record.is_concat)

    at_removed = None
    if record.spec.mask_of_removed and not truth.visible and masks.chosen is not None and not boxes:
        at_removed = point is not None and _hits(truth.frame, masks.chosen, point)
    dropped = None
    if rule == "roborefer" and masks.chosen is not None and truth.point is not None and not boxes:
        height, width = masks.chosen.shape
        shown = 2 * width if record.is_concat else width
        dropped = reads_text and is_dropped(text, shown, height)
    judge = record.spec.answer.is_right
    scene, uid = cluster_of(record)
    return Score(
        id=record.id,
        scene=scene,
        uid=uid,
        place=record.place,
        status="unparsed" if answer.kind is AnswerKind.UNPARSED else "answered",
        gt_text=truth.text,
        gt_point=truth.point,
        gt_absent=not truth.visible,
        pred_text=text,
        pred_point=point,
        said_not_visible=answer.kind is AnswerKind.NOT_VISIBLE,
        contradictory=answer.contradictory,
        out_of_range=(point is not None and not point.in_image)
        or (answer.box is not None and not answer.box.in_image),
        l2=l2,
        l2_full=l2_full,
        hit=hit(masks.chosen),
        hit_tight=hit(masks.tight),
        at_removed=at_removed,
        roborefer_dropped=dropped,
        missing_mask=truth.visible and masks.chosen is None and judge is None,
        pred_box=answer.box,
        box=_box_score(truth, answer.box, masks.chosen) if boxes else None,
        pred_value=answer.value,
        gt_value=truth.answer.value,
        correct=None if judge is None else judge(answer, truth.answer, masks.chosen),
        images_seen=images_seen,
        pixel_sizes=pixel_sizes,
        details=details,
    )


def _distance(a: Point, b: Point) -> float:
    # Answers may contain any number, even 1e300; the bound keeps sums of squares finite.
    return min(math.dist(a, b), 1e100)


def _hits(frame: Frame, mask: Bool, point: Point) -> bool:
    """Whether the point hits the mask; points in the left half or outside the image miss (no clamping)."""
    return frame.contains(point) and hits(mask, frame.to_local(point))


def _box_score(truth: Truth, box: Box | None, mask: Bool | None) -> BoxScore:
    """The score of a box; of an answer that is none, if ``box`` is None.

    Boxes are compared in the query image: those of a side-by-side image are mapped to its right half, and
    what they hold of the left half or outside of the image counts against them. Nothing is cut off.
    """
    shape = (False, False) if box is None else (box.swapped, box.degenerate)
    tight = None if mask is None or truth.point is None else mask_box(mask)
    if mask is None or tight is None:
        return BoxScore(None, None, None, *shape)
    true_box = tight.mapped(truth.frame, to_full=True).corners
    if box is None:
        return BoxScore(0.0, False, true_box, *shape)
    iou = intersection_over_union(box.mapped(truth.frame, to_full=False), tight)
    return BoxScore(iou, _hits(truth.frame, mask, box.centre), true_box, *shape)


def failed(record: TaskRecord, truth: Truth, message: str) -> Score:
    """The score of a sample without an answer."""
    scene, uid = cluster_of(record)
    return Score(
        id=record.id,
        scene=scene,
        uid=uid,
        place=record.place,
        status="error",
        gt_text=truth.text,
        gt_point=truth.point,
        gt_absent=not truth.visible,
        pred_text=None,
        pred_point=None,
        said_not_visible=False,
        gt_value=truth.answer.value,
        error=message,
    )


def cluster_of(record: TaskRecord) -> tuple[str | None, str | None]:
    """(scene, uid), from the record or from the folders of its query image; (None, None) if unknown."""
    if record.scene is not None and record.uid is not None:
        return record.scene, record.uid
    path = record.query_original or record.images[-1]
    parts = path.replace("\\", "/").split("/")
    if len(parts) >= 3 and parts[-2].startswith("uid_"):
        return parts[-3], parts[-2].removeprefix("uid_")
    return None, None
