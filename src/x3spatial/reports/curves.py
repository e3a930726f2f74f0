"""Distributions of one run's answers: success against threshold, errors, and where the points fall."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from x3spatial.arrays import Float64, Int64
from x3spatial.evaluation.scoring.scores import Score
from x3spatial.evaluation.statistics.intervals import (
    FEWEST,
    RESAMPLES,
    clusters_of,
    draw_counts,
)
from x3spatial.evaluation.stored import score_of
from x3spatial.formats.results_entry import Coordinate, SampleResult
from x3spatial.tasks.frames import Frame
from x3spatial.tasks.geometry import Point
from x3spatial.tasks.spec import TASKS

RADII = np.round(np.arange(0.0, 0.3005, 0.005), 3)
"""Thresholds of the success curve, as L2 in the unit square."""
EDGES = np.concatenate([np.round(np.arange(0.0, 0.5005, 0.02), 2), [np.sqrt(2.0)]])
"""Bounds of the error histogram; the last bin holds everything from 0.5 on."""
MAP_SIZE = 32
"""Cells of the answer map in each direction."""
_PERCENTILES = (2.5, 97.5)


@dataclass(frozen=True, slots=True)
class SuccessCurve:
    """Success@r for each radius: the share of the visible samples whose point is at most r away."""

    radii: Float64
    """``[R]``, L2 in the unit square of the query image."""
    success: Float64
    """``[R]``, NaN without a visible sample."""
    low: Float64 | None
    """``[R]``: lower bound of the 95 % interval at each radius; None with too few clusters."""
    high: Float64 | None


def success_curve(
    results: Sequence[SampleResult], radii: Float64 = RADII, *, with_interval: bool = False
) -> SuccessCurve:
    """Success against threshold over all answered samples whose object is visible.

    Unparsed answers, NOT_VISIBLE and points outside the radius are failures, as in ``success_005``.

    Args:
        results: the samples of a results file.
        radii: ``[R]`` thresholds.
        with_interval: whether to bootstrap over scenes, as the intervals of the metrics are.
    """
    scores = [score_of(entry) for entry in results]
    visible = [
        score
        for score in scores
        if score.status != "error" and not score.gt_absent and score.correct is None
    ]
    if not visible:
        return SuccessCurve(radii, np.full(len(radii), np.nan), None, None)
    errors = _errors(visible)
    inside = errors[:, None] <= radii  # [N, R]
    success = inside.sum(axis=0) / len(visible)  # as value_of divides, to the last bit
    clusters = clusters_of(scores)
    chosen = np.array(
        [s.status != "error" and not s.gt_absent and s.correct is None for s in scores]
    )
    index = clusters.index[chosen]
    if (
        not with_interval
        or clusters.unit is None
        or len(np.unique(clusters.objects[chosen])) < FEWEST
    ):
        return SuccessCurve(radii, success, None, None)
    part = np.zeros((clusters.count, len(radii)))
    np.add.at(part, index, inside.astype(np.float64))
    whole = np.bincount(index, minlength=clusters.count).astype(np.float64)
    drawn = []
    for counts in draw_counts(clusters.count, RESAMPLES, 0):
        total = counts @ whole
        with np.errstate(invalid="ignore", divide="ignore"):
            drawn.append((counts @ part) / total[:, None])
    low, high = np.nanpercentile(np.concatenate(drawn), _PERCENTILES, axis=0)
    return SuccessCurve(radii, success, low, high)


def _errors(scores: Sequence[Score]) -> Float64:
    """``[N]``: L2 of each answer; infinite without a point."""
    return np.array([np.inf if s.l2 is None else s.l2 for s in scores], np.float64)


def error_values(results: Sequence[SampleResult]) -> Float64:
    """``[N]``: the L2 errors that a results file has, in the order of its samples."""
    return np.array([e.l2_error for e in results if e.l2_error is not None], np.float64)


def error_histogram(results: Sequence[SampleResult], edges: Float64 = EDGES) -> Int64:
    """``[len(edges) - 1]``: number of L2 errors per bin; errors beyond the last bound are in the last bin."""
    values = np.minimum(error_values(results), edges[-1])
    counts, _ = np.histogram(values, edges)
    return counts.astype(np.int64)


def answer_points(results: Sequence[SampleResult], task: str | None) -> Float64:
    """``[N, 2]``: the points that were answered, normalised in the query image.

    Points of side-by-side images are mapped to the right half; a point in the left half then has x < 0.
    """
    return _local([entry.pred_parsed.coord for entry in results], task)


def _local(coordinates: Iterable[Coordinate | None], task: str | None) -> Float64:
    """``[N, 2]``: points of answers in the frame of the query image."""
    spec = None if task is None else TASKS.get(task)
    frame = Frame.IMAGE if spec is None else spec.frame
    points = [frame.to_local(Point(*one)) for one in coordinates if one is not None]
    return np.array([(p.x, p.y) for p in points], np.float64).reshape(-1, 2)


def answer_map(
    results: Sequence[SampleResult], task: str | None, size: int = MAP_SIZE
) -> tuple[Int64, int]:
    """Where answers fall in the query image.

    Returns:
        ``[size, size]`` number of points per cell, row 0 at the top, and the number of points outside.
    """
    return _cells(answer_points(results, task), size)


def truth_map(results: Sequence[SampleResult], task: str | None, size: int = MAP_SIZE) -> Int64:
    """``[size, size]``: where the right points lie in the query image, row 0 at the top."""
    return _cells(_local([entry.gt.coord for entry in results], task), size)[0]


def _cells(points: Float64, size: int) -> tuple[Int64, int]:
    """Number of points per cell, and of points outside."""
    inside = ((points >= 0.0) & (points <= 1.0)).all(axis=1)
    cells = np.minimum((points[inside] * size).astype(np.int64), size - 1)
    counts = np.zeros((size, size), np.int64)
    np.add.at(counts, (cells[:, 1], cells[:, 0]), 1)
    return counts, int((~inside).sum())
