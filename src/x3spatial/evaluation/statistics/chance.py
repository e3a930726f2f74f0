"""Chance baselines on the scored samples, in the frame of the query image.

Each row except ``uniform`` is the baseline model of that name, asked and scored like any model; ``uniform``
is the exact expectation for a uniformly drawn point. Runs in a convention of boxes have the rows of
``chance_boxes`` instead: a point is no answer there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from x3spatial.arrays import Bool, Float64
from x3spatial.evaluation.questions import question_of
from x3spatial.evaluation.scoring.masks import Masks
from x3spatial.evaluation.scoring.scores import (
    SUCCESS_RADII,
    Score,
    Truth,
    failed,
    read_text,
    score_answer,
)
from x3spatial.evaluation.statistics.chance_boxes import (
    BOX_METRICS,
    CENTRE_BOX,
    COPY_REFERENCE_BOX,
    WHOLE_IMAGE,
    BoxGuesses,
    centre_box_row,
)
from x3spatial.evaluation.statistics.metrics import Table, applies, table_of, value_of
from x3spatial.formats.task_file import TaskRecord
from x3spatial.models import registry
from x3spatial.models.base import Model, as_output
from x3spatial.models.baselines.common import LruCache, load_mask
from x3spatial.models.baselines.copy_reference import CopyReference
from x3spatial.tasks.answers import Answer, AnswerKind
from x3spatial.tasks.boxes import Box, mask_box
from x3spatial.tasks.geometry import Point
from x3spatial.tasks.question import Question

NOTHING = "always-not-visible"
ASKED = ("centre", "copy-reference", NOTHING)
_BLIND = ("centre", NOTHING)
"""Those that answer every question of a task alike: samples of one query view share their scores."""
ASKED_FOR_BOXES = (WHOLE_IMAGE, COPY_REFERENCE_BOX, NOTHING)
"""In place of ``ASKED`` where the model was asked for boxes."""
METRICS = (
    "hit_at_mask",
    "hit_at_mask_tight",
    "mean_l2_error",
    "median_l2_error",
    *SUCCESS_RADII,
    "not_visible_accuracy",
    "false_not_visible_rate",
    "balanced_accuracy",
    "points_at_removed",
)
_NODES = (np.arange(128) + 0.5) / 128
"""Midpoints for the one-dimensional integrals below."""
_ROWS = 4096
"""Targets that are integrated at once."""


@dataclass(frozen=True, slots=True)
class ChanceSample:
    """The data of one sample that the chance baselines need."""

    scores: dict[str, Score]
    """Scores by baseline model, without models that cannot answer the task."""
    target: Point | None
    """The ground-truth point in the frame of the query image; None if not visible."""
    area: float | None
    area_tight: float | None
    """Share of the query image that is covered by the mask; None if the object is not visible."""
    area_removed: float | None = None
    """The same of the mask of an object that was removed."""
    true_box: Box | None = None
    """The tight box of the mask in the query image; only for runs that ask for boxes."""


@dataclass(frozen=True, slots=True)
class ChanceTable:
    """The same of many samples, as columns: the scores of three models take more memory than a sample."""

    scores: dict[str, Table]
    """Baseline model → the samples that it can answer."""
    targets: Float64
    """``[N, 2]``, of the visible samples."""
    areas: dict[str, Float64]
    """``area``, ``area_tight``, ``area_removed`` of the samples that have one."""
    true_boxes: Float64
    """``[N, 4]``, of the samples that have one."""

    @classmethod
    def of(cls, samples: Sequence[ChanceSample]) -> ChanceTable:
        """The columns of ``samples``."""
        return cls(
            {
                kind: table_of([s.scores[kind] for s in samples if kind in s.scores])
                for kind in _KINDS
            },
            np.array([s.target for s in samples if s.target is not None], np.float64).reshape(
                -1, 2
            ),
            {
                name: np.array(
                    [area for s in samples if (area := getattr(s, name)) is not None], np.float64
                )
                for name in _AREAS
            },
            np.array([s.true_box for s in samples if s.true_box is not None], np.float64).reshape(
                -1, 4
            ),
        )

    @classmethod
    def joined(cls, parts: Sequence[ChanceTable]) -> ChanceTable:
        """The samples of several tables, in order."""
        parts = parts or [cls.of([])]
        return cls(
            {kind: Table.joined([part.scores[kind] for part in parts]) for kind in _KINDS},
            np.concatenate([part.targets for part in parts]),
            {name: np.concatenate([part.areas[name] for part in parts]) for name in _AREAS},
            np.concatenate([part.true_boxes for part in parts]),
        )


_AREAS = ("area", "area_tight", "area_removed")
_KINDS = tuple(dict.fromkeys((*ASKED, *ASKED_FOR_BOXES)))


@dataclass(frozen=True, slots=True)
class _View:
    """What the score of an answer that is the same for every question of a task depends on.

    A query view is asked from several references, with one object for its masks (``MaskFinder``).
    """

    task: str
    truth_text: str
    masks_id: int
    """Valid as long as ``masks``, which this holds."""
    record: TaskRecord = field(compare=False)
    truth: Truth = field(compare=False)
    masks: Masks = field(compare=False)
    question: Question = field(compare=False)

    @classmethod
    def of(cls, record: TaskRecord, truth: Truth, masks: Masks, question: Question) -> _View:
        """That of one sample."""
        return cls(record.task, truth.text, id(masks), record, truth, masks, question)


class Chance:
    """Scores the chance baselines sample by sample. Thread-safe.

    Args:
        image_folder: base folder for relative paths, or None.
        read_mask: reads a reference mask; the cached reader of the query masks, because a view is both.
        boxes: whether the model of the run is asked for boxes; the baselines then answer with boxes too.
    """

    def __init__(
        self,
        image_folder: Path | None,
        read_mask: Callable[[Path], Bool] = load_mask,
        *,
        boxes: bool = False,
    ) -> None:
        self._folder = image_folder
        kinds = (NOTHING,) if boxes else ASKED
        self._models: dict[str, Model] = {kind: registry.create(kind) for kind in kinds}
        self._guesses = BoxGuesses(read_mask) if boxes else None
        if not boxes:
            self._models["copy-reference"] = CopyReference(read_mask=read_mask)
        self._blind = LruCache(self._scores_of_blind, capacity=256)

    def sample(
        self, record: TaskRecord, truth: Truth, masks: Masks, question: Question | None = None
    ) -> ChanceSample:
        """The data of one sample; always scored by rule ``x3``.

        ``question``: that of ``record``, with the record; None to make it.
        """
        if question is None:
            question = question_of(record, self._folder, privileged=True)
        blind = self._blind(_View.of(record, truth, masks, question))
        scores = {
            kind: blind[kind]
            if kind in blind
            else self._score(model, question, record, truth, masks)
            for kind, model in self._models.items()
            if model.can_answer(record.task)
        }
        if self._guesses is not None:
            for kind, guess in self._guesses.of(question).items():
                scores[kind] = _box_score(guess, record, truth, masks)
        if not truth.visible:
            return ChanceSample(scores, None, None, None, area_removed=masks.area)
        point = None if truth.point is None else truth.frame.to_local(truth.point)
        box = None
        if self._guesses is not None and point is not None and masks.chosen is not None:
            box = mask_box(masks.chosen)
        return ChanceSample(scores, point, masks.area, masks.area_tight, true_box=box)

    def _scores_of_blind(self, view: _View) -> dict[str, Score]:
        return {
            kind: self._score(
                self._models[kind], view.question, view.record, view.truth, view.masks
            )
            for kind in _BLIND
            if kind in self._models
        }

    def _score(
        self, model: Model, question: Question, record: TaskRecord, truth: Truth, masks: Masks
    ) -> Score:
        try:
            (said,) = model.answer([question], None)
        except Exception as error:  # a missing reference mask only affects one sample of this row
            return failed(record, truth, str(error))
        text = as_output(said).text
        return score_answer(
            record,
            truth,
            text,
            read_text(record.spec, text),
            masks,
            boxes=self._guesses is not None,
        )


def _box_score(guess: Callable[[], Box], record: TaskRecord, truth: Truth, masks: Masks) -> Score:
    try:
        box = guess()
    except Exception as error:  # as for points
        return failed(record, truth, str(error))
    answer = Answer(AnswerKind.BOX, box=box.mapped(truth.frame, to_full=True))
    return score_answer(record, truth, "", answer, masks, boxes=True)


def chance_rows(
    samples: ChanceTable, *, boxes: bool = False
) -> dict[str, dict[str, float | None] | None]:
    """Row → metric → value; None for a baseline that could not answer any sample.

    ``boxes``: whether the model was asked for boxes.
    """
    if boxes:
        rows = {kind: _row(samples.scores[kind], BOX_METRICS) for kind in ASKED_FOR_BOXES}
        rows[CENTRE_BOX] = centre_box_row(rows[WHOLE_IMAGE], samples.true_boxes)
        return rows
    rows = {kind: _row(samples.scores[kind], METRICS) for kind in ASKED}
    rows["uniform"] = _uniform_row(samples)
    return rows


def _row(table: Table, metrics: Sequence[str]) -> dict[str, float | None] | None:
    if not len(table) or table.error.all():
        return None
    return {name: value_of(name, table) for name in metrics if applies(name, table)}


def joined_chance(
    found: Iterable[Mapping[str, Mapping[str, float | None] | None]],
) -> dict[str, dict[str, float | None] | None]:
    """The chance rows of several runs on one set: runs that were asked for boxes have others than the rest.

    What two runs have, the first says.
    """
    rows: dict[str, dict[str, float | None] | None] = {}
    for one in found:
        for name, row in one.items():
            known = rows.setdefault(name, None)
            if row is not None:
                known = known or {}
                more = {metric: row[metric] for metric in row if metric not in known}
                rows[name] = {**known, **more}
    return rows


def knows_truth(row: str) -> bool:
    """Whether a chance row reads masks or right answers, so that it is marked as a privileged model is."""
    return row in (CENTRE_BOX, COPY_REFERENCE_BOX) or (
        row in registry.KINDS and registry.is_privileged(row)
    )


def _uniform_row(samples: ChanceTable) -> dict[str, float | None] | None:
    # The metrics of visibility do not depend on the point.
    table = samples.scores["centre"]
    if not len(table):
        return None
    row: dict[str, float | None] = {
        "hit_at_mask": _mean(samples.areas["area"]),
        "hit_at_mask_tight": _mean(samples.areas["area_tight"]),
    }
    targets = samples.targets
    row["mean_l2_error"] = _mean(_in_parts(mean_distance, targets))
    for name, radius in SUCCESS_RADII.items():
        row[name] = _mean(_in_parts(partial(disc_area, radius=radius), targets))
    for name in ("not_visible_accuracy", "false_not_visible_rate", "balanced_accuracy"):
        row[name] = value_of(name, table)
    if applies("points_at_removed", table):
        row["points_at_removed"] = _mean(samples.areas["area_removed"])
    return row


def _mean(values: Float64) -> float | None:
    return float(np.mean(values)) if len(values) else None


def _in_parts(function: Callable[[Float64], Float64], targets: Float64) -> Float64:
    """``[N]`` values of ``targets`` [N, 2], each different one computed once, in bounded memory.

    The views of an object are asked from several others, so many targets are equal.
    """
    different, back = np.unique(targets, axis=0, return_inverse=True)
    parts = [
        function(different[start : start + _ROWS]) for start in range(0, len(different), _ROWS)
    ]
    values: Float64 = np.concatenate([np.empty(0), *parts])[back.ravel()]
    return values


def mean_distance(targets: Float64) -> Float64:
    """``[N]`` mean distance from each of ``targets`` [N, 2] to a uniform point of the unit square.

    The integral over y is in closed form, that over x by the midpoint rule; the error is below 1e-4.
    """
    across = np.abs(_NODES[None, :] - targets[:, :1]) + 1e-12  # [N, nodes]

    def along(reach: Float64) -> Float64:
        """The integral of the distance from 0 to ``reach`` [N, 1] beside the target."""
        distance = np.hypot(across, reach)
        return (reach * distance + across**2 * np.arcsinh(reach / across)) / 2

    y = targets[:, 1:]
    return np.asarray((along(1.0 - y) + along(y)).mean(axis=1))


def disc_area(targets: Float64, radius: float) -> Float64:
    """``[N]`` area of the disc around each of ``targets`` [N, 2] that lies in the unit square."""
    x, y = targets[:, :1], targets[:, 1:]
    left = np.clip(x - radius, 0.0, 1.0)
    right = np.clip(x + radius, 0.0, 1.0)
    nodes = left + (right - left) * _NODES[None, :]
    half = np.sqrt(np.maximum(radius**2 - (nodes - x) ** 2, 0.0))
    height = np.clip(y + half, 0.0, 1.0) - np.clip(y - half, 0.0, 1.0)
    return np.asarray((right - left)[:, 0] * height.mean(axis=1))
