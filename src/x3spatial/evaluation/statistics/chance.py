"""Chance baselines on the scored samples, in the frame of the query image.

Each row except ``uniform`` is the baseline model of that name, asked and scored like any model; ``uniform``
is the exact expectation for a uniformly drawn point.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from x3spatial.arrays import Float64
from x3spatial.evaluation.questions import question_of
from x3spatial.evaluation.scoring.masks import Masks
from x3spatial.evaluation.scoring.scores import (
    SUCCESS_RADII,
    Score,
    Truth,
    failed,
    score_answer,
)
from x3spatial.evaluation.statistics.metrics import Table, applies, table_of, value_of
from x3spatial.formats.task_file import TaskRecord
from x3spatial.models import registry
from x3spatial.models.base import Model, as_output
from x3spatial.tasks.geometry import Point

ASKED = ("centre", "copy-reference", "always-not-visible")
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


class Chance:
    """Scores the chance baselines sample by sample. Thread-safe."""

    def __init__(self, image_folder: Path | None) -> None:
        self._folder = image_folder
        self._models = {kind: registry.create(kind) for kind in ASKED}

    def sample(self, record: TaskRecord, truth: Truth, masks: Masks) -> ChanceSample:
        """The data of one sample; always scored by rule ``x3``."""
        scores = {
            kind: self._score(model, record, truth, masks)
            for kind, model in self._models.items()
            if model.can_answer(record.task)
        }
        area = None if masks.chosen is None else float(masks.chosen.mean())
        area_tight = None if masks.tight is None else float(masks.tight.mean())
        if not truth.visible:
            return ChanceSample(scores, None, None, None, area_removed=area)
        point = None if truth.point is None else truth.frame.to_local(truth.point)
        return ChanceSample(scores, point, area, area_tight)

    def _score(self, model: Model, record: TaskRecord, truth: Truth, masks: Masks) -> Score:
        question = question_of(record, self._folder, privileged=model.privileged)
        try:
            (said,) = model.answer([question], None)
        except Exception as error:  # a missing reference mask only affects one sample of this row
            return failed(record, truth, str(error))
        text = as_output(said).text
        return score_answer(record, truth, text, record.spec.read(text), masks)


def chance_rows(samples: Sequence[ChanceSample]) -> dict[str, dict[str, float | None] | None]:
    """Row → metric → value; None for a baseline that could not answer any sample."""
    rows: dict[str, dict[str, float | None] | None] = {}
    for kind in ASKED:
        table = table_of([sample.scores[kind] for sample in samples if kind in sample.scores])
        scored = len(table) > 0 and not table.error.all()
        rows[kind] = (
            {name: value_of(name, table) for name in METRICS if applies(name, table)}
            if scored
            else None
        )
    rows["uniform"] = _uniform_row(samples)
    return rows


def _uniform_row(samples: Sequence[ChanceSample]) -> dict[str, float | None] | None:
    # The metrics of visibility do not depend on the point.
    points = [sample.scores["centre"] for sample in samples if "centre" in sample.scores]
    if not points:
        return None
    table: Table = table_of(points)
    row: dict[str, float | None] = {
        "hit_at_mask": _mean([s.area for s in samples if s.area is not None]),
        "hit_at_mask_tight": _mean([s.area_tight for s in samples if s.area_tight is not None]),
    }
    targets = np.array([s.target for s in samples if s.target is not None]).reshape(-1, 2)
    row["mean_l2_error"] = _mean(mean_distance(targets))
    for name, radius in SUCCESS_RADII.items():
        row[name] = _mean(disc_area(targets, radius))
    for name in ("not_visible_accuracy", "false_not_visible_rate", "balanced_accuracy"):
        row[name] = value_of(name, table)
    if applies("points_at_removed", table):
        areas = [s.area_removed for s in samples if s.area_removed is not None]
        row["points_at_removed"] = _mean(areas)
    return row


def _mean(values: Sequence[float] | Float64) -> float | None:
    return float(np.mean(values)) if len(values) else None


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
