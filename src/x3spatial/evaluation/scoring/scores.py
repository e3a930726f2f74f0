"""One answer against one record: what was said, how far off, and whether it hit.

Coordinates: answers and ground truth stand in the frame they are written in (for t1_concat the whole
side-by-side image). Distances and hits are taken in the query image's own frame, so that multi and
concat compare.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from x3spatial.arrays import Bool
from x3spatial.errors import UserError
from x3spatial.evaluation.scoring.masks import Masks
from x3spatial.evaluation.scoring.roborefer import point_fraction, text_fraction
from x3spatial.formats.results_entry import Status
from x3spatial.formats.results_file import ScoringRule
from x3spatial.formats.task_file import TaskRecord
from x3spatial.tasks.answers import POINT, UNIT_READER, Answer, AnswerKind
from x3spatial.tasks.frames import Frame
from x3spatial.tasks.geometry import Point, hits
from x3spatial.tasks.question import Size

SUCCESS_RADII = {"success_002": 0.02, "success_005": 0.05, "success_010": 0.10}
"""Metric name → radius in normalised units of the query image."""


@dataclass(frozen=True, slots=True)
class Truth:
    """The right answer of a record, read back from its text."""

    text: str
    answer: Answer
    frame: Frame

    @property
    def point(self) -> Point | None:
        """The point, in the frame it is written in; None: not visible, or another kind of answer."""
        return self.answer.point

    @property
    def visible(self) -> bool:
        """Whether there is something to find: the right answer is not the task's absent token."""
        return self.answer.kind is not AnswerKind.NOT_VISIBLE


def truth_of(record: TaskRecord) -> Truth:
    """The right answer of ``record``.

    Raises:
        UserError: its answer is neither of the task's kind nor its absent token, or both.
    """
    spec = record.spec
    answer = spec.answer.read(record.answer, UNIT_READER, spec.absent_token)
    if answer.kind is AnswerKind.UNPARSED or answer.contradictory:
        form = "[(x, y)]" if spec.answer is POINT else f"of the kind {spec.answer.name!r}"
        raise UserError(
            f"record {record.id}: its answer {record.answer!r} is neither {form} nor"
            f" {spec.absent_token}"
        )
    if answer.point is not None and not spec.frame.contains(answer.point):
        where = "the right half" if spec.side_by_side else "the image"
        raise UserError(
            f"record {record.id}: its answer {record.answer!r} lies outside of {where}; points are"
            " fractions of width and height, 0 to 1"
        )
    return Truth(record.answer, answer, spec.frame)


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """One sample's outcome: all that metrics are computed from."""

    id: str
    scene: str | None
    uid: str | None
    status: Status
    gt_text: str
    gt_point: Point | None
    """As written; None: not visible, or another kind of answer than a point."""
    gt_absent: bool
    """Whether the right answer is the task's absent token."""
    pred_text: str | None
    """None if the sample stayed without an answer."""
    pred_point: Point | None
    """As written, normalised; None unless the answer is a point."""
    said_not_visible: bool
    contradictory: bool = False
    out_of_range: bool = False
    l2: float | None = None
    """Distance in normalised units of the query image: visible samples answered by a point."""
    l2_full: float | None = None
    """The same in the side-by-side image; t1_concat only."""
    hit: float | None = None
    """0 or 1 (or RoboRefer's mean over points); None without a visible object or a mask."""
    hit_tight: float | None = None
    """Likewise on the tight mask."""
    missing_mask: bool = False
    pred_value: Any = None
    """What the answer says, of a task that is not answered by a point; likewise below."""
    gt_value: Any = None
    correct: bool | None = None
    """Whether the answer is right by its kind's own rule; None for points and for samples in error."""
    error: str | None = None
    images_seen: str | None = None
    """State of the images that the answer was given from (size and time of change)."""
    pixel_sizes: tuple[Size, ...] = ()
    """(W, H) of each image in the pixels that the model's convention counts; empty where it counts none."""
    details: Mapping[str, Any] = field(default_factory=dict)
    """What else the adapter says of this answer."""


def score_answer(
    record: TaskRecord,
    truth: Truth,
    text: str,
    answer: Answer,
    masks: Masks,
    *,
    rule: ScoringRule = "x3",
    reads_text: bool = True,
) -> Score:
    """Score one answer.

    ``masks`` are those of the query image; they matter only where the object is visible.
    ``reads_text`` says whether RoboRefer's rule may read ``text`` itself: only the unit convention
    writes points as it expects them, for others it is applied to the parsed point.
    """
    point = answer.point if answer.kind is AnswerKind.POINT else None
    l2 = l2_full = None
    if truth.point is not None and point is not None:
        l2 = _distance(truth.frame.to_local(truth.point), truth.frame.to_local(point))
        l2_full = _distance(truth.point, point) if record.is_concat else None

    def hit(mask: Bool | None) -> float | None:
        if mask is None or truth.point is None:
            return None
        if rule == "x3":
            return float(point is not None and _hits(truth.frame, mask, point))
        if reads_text:
            return text_fraction(text, mask, is_concat=record.is_concat)
        return point_fraction(point, mask, is_concat=record.is_concat)

    judge = record.spec.answer.is_right
    scene, uid = cluster_of(record)
    return Score(
        id=record.id,
        scene=scene,
        uid=uid,
        status="unparsed" if answer.kind is AnswerKind.UNPARSED else "answered",
        gt_text=truth.text,
        gt_point=truth.point,
        gt_absent=not truth.visible,
        pred_text=text,
        pred_point=point,
        said_not_visible=answer.kind is AnswerKind.NOT_VISIBLE,
        contradictory=answer.contradictory,
        out_of_range=point is not None and not point.in_image,
        l2=l2,
        l2_full=l2_full,
        hit=hit(masks.chosen),
        hit_tight=hit(masks.tight),
        missing_mask=truth.visible and masks.chosen is None and judge is None,
        pred_value=answer.value,
        gt_value=truth.answer.value,
        correct=None if judge is None else judge(answer, truth.answer, masks.chosen),
    )


def _distance(a: Point, b: Point) -> float:
    # An answer may hold any number, 1e300 too; a bound far off any image keeps sums of squares finite.
    return min(math.dist(a, b), 1e100)


def _hits(frame: Frame, mask: Bool, point: Point) -> bool:
    """The left half is a miss and so is anything off the image; nothing is clamped."""
    return frame.contains(point) and hits(mask, frame.to_local(point))


def failed(record: TaskRecord, truth: Truth, message: str) -> Score:
    """The outcome of a sample that stayed without an answer."""
    scene, uid = cluster_of(record)
    return Score(
        id=record.id,
        scene=scene,
        uid=uid,
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
    """(scene, uid); a record that does not name them has them in its query image's folders.

    (None, None) where neither says so.
    """
    if record.scene is not None and record.uid is not None:
        return record.scene, record.uid
    path = record.query_original or record.images[-1]
    parts = path.replace("\\", "/").split("/")
    if len(parts) >= 3 and parts[-2].startswith("uid_"):
        return parts[-3], parts[-2].removeprefix("uid_")
    return None, None
