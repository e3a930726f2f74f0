"""``x3 agreement``: how far the answers of two people, or of a person and a model, agree, with intervals.

Unlike a comparison, which asks who is right more often, it asks whether both give the same answer to the same
question, whatever the truth is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from x3spatial.arrays import Bool, Float64
from x3spatial.errors import UserError
from x3spatial.evaluation.paired import why_not
from x3spatial.evaluation.scoring.scores import Score
from x3spatial.evaluation.statistics.intervals import (
    FEWEST,
    RESAMPLES,
    Clusters,
    MedianBlocks,
    clusters_of,
    draw_counts,
    interval_of,
    wilson,
)
from x3spatial.evaluation.stored import score_of
from x3spatial.formats.results_file import Interval, ResultsFile, read_results
from x3spatial.tables import Table, Tabular, figure
from x3spatial.tasks.frames import Frame
from x3spatial.texts import counted

NEAR = 0.05
"""Distance of two points, in the unit square, up to which they count as the same place."""


@dataclass(frozen=True, slots=True)
class AgreementRow:
    """One measure of agreement."""

    name: str
    title: str
    value: float | None
    """Null without a sample, or for a kappa where chance agreement is complete."""
    samples: int
    """Number of samples that it is about."""
    ci95: Interval | None


@dataclass(frozen=True, slots=True, repr=False)
class Agreement(Tabular):
    """The agreement of two sets of answers to one task file."""

    name_a: str
    name_b: str
    samples: int
    """Number of samples that both answered."""
    left_out: int
    """Number of samples that are missing or unanswered in one of them."""
    ci_unit: str | None
    rows: tuple[AgreementRow, ...]

    def to_json(self) -> dict[str, Any]:
        """The agreement as JSON values."""
        return asdict(self)

    def table(self) -> Table:
        """One row per measure."""
        rows = tuple(
            (row.title, str(row.samples), figure(row.value), _interval(row.ci95))
            for row in self.rows
        )
        unit = f"95 % over {self.ci_unit}s" if self.ci_unit else "95 %"
        notes = [f"{counted(self.samples, 'sample')} answered by both, {self.left_out} left out"]
        if self.ci_unit is None:
            notes.append("no intervals: fewer than 10 objects")
        title = f"agreement of A: {self.name_a}\nand B: {self.name_b}"
        return Table(title, ("", "samples", "value", unit), rows, tuple(notes))


def _interval(interval: Interval | None) -> str:
    return "" if interval is None else f"[{interval[0]:.3f}, {interval[1]:.3f}]"


def agreement(run_a: str | Path, run_b: str | Path) -> Agreement:
    """The agreement of two results files on one task file, sample by sample.

    Measures: whether both say that there is nothing to point at (share and Cohen's kappa); on visible objects
    whether both hit (share and kappa); where both point, the median distance of the points in the query
    image, and the share within 0.05. Intervals are bootstrapped over scenes, as those of the metrics.

    Raises:
        UserError: a file is not a results file, the two differ in data or scoring, or share no answer.
    """
    run_a, run_b = Path(run_a), Path(run_b)
    file_a, file_b = read_results(run_a), read_results(run_b)
    reason = why_not(file_a, file_b)
    if reason is not None:
        raise UserError(f"{run_a} and {run_b}: {reason}")
    scores_a = {entry.id: score_of(entry) for entry in file_a.results}
    scores_b = {entry.id: score_of(entry) for entry in file_b.results}
    common = [
        id
        for id, score in scores_a.items()
        if id in scores_b and "error" not in (score.status, scores_b[id].status)
    ]
    if not common:
        raise UserError(f"{run_a} and {run_b}: no sample was answered in both")
    a, b = [scores_a[id] for id in common], [scores_b[id] for id in common]
    clusters = clusters_of(a)
    return Agreement(
        _name(run_a, file_a),
        _name(run_b, file_b),
        len(common),
        len(scores_a.keys() | scores_b.keys()) - len(common),
        clusters.unit,
        tuple(_rows(a, b, clusters, _frame([*a, *b]))),
    )


def _name(path: Path, file: ResultsFile) -> str:
    return f"{file.model.name} ({path})"


def _frame(scores: Sequence[Score]) -> Frame:
    """The frame of the points; only scores of side-by-side images have a distance in the whole image."""
    return Frame.CONCAT_RIGHT if any(s.l2_full is not None for s in scores) else Frame.IMAGE


def _rows(
    a: Sequence[Score], b: Sequence[Score], clusters: Clusters, frame: Frame
) -> list[AgreementRow]:
    absent = [np.array([score.said_not_visible for score in side]) for side in (a, b)]
    hit = [np.array([score.hit == 1.0 for score in side]) for side in (a, b)]
    both = np.ones(len(a), np.bool_)
    scored = np.array([x.hit is not None and y.hit is not None for x, y in zip(a, b, strict=True)])
    distance = np.array([_distance(x, y, frame) for x, y in zip(a, b, strict=True)])
    pointed = ~np.isnan(distance)
    near = np.nan_to_num(distance, nan=np.inf) <= NEAR
    row = _Sampler(clusters).row
    return [
        row("visibility", "same: visible or not", _share(absent[0] == absent[1], both), both),
        row("visibility_kappa", "kappa: visible or not", _kappa(absent[0], absent[1], both), both),
        row("hit", "same: hit or miss", _share(hit[0] == hit[1], scored), scored),
        row("hit_kappa", "kappa: hit or miss", _kappa(hit[0], hit[1], scored), scored),
        row("distance", "median distance of points", _Median(distance), pointed),
        row("within_005", f"points within {NEAR:g}", _share(near, pointed), pointed),
    ]


def _distance(a: Score, b: Score, frame: Frame) -> float:
    if a.pred_point is None or b.pred_point is None:
        return float("nan")
    one, other = frame.to_local(a.pred_point), frame.to_local(b.pred_point)
    return float(np.hypot(one.x - other.x, one.y - other.y))


class _Measure(Protocol):
    """A measure that is computed for any number of copies of each cluster."""

    shares: bool
    """Whether it is a share of the samples."""

    def drawn(self, clusters: Clusters, counts: Float64) -> Float64:
        """``[r]`` values for ``counts`` [r, clusters] copies; NaN where it is undefined."""


class _Sums:
    """A measure that is a function of sums over samples."""

    def __init__(
        self, columns: Sequence[Bool], of: Callable[[Float64], Float64], *, shares: bool
    ) -> None:
        self._columns, self._of, self.shares = columns, of, shares

    def drawn(self, clusters: Clusters, counts: Float64) -> Float64:
        sums = [
            np.bincount(clusters.index, column.astype(np.float64), minlength=clusters.count)
            for column in self._columns
        ]
        with np.errstate(invalid="ignore", divide="ignore"):
            return self._of(counts @ np.stack(sums, axis=1))


def _share(same: Bool, among: Bool) -> _Measure:
    """The share of ``same`` among the samples ``among``."""
    return _Sums([same & among, among], lambda sums: sums[:, 0] / sums[:, 1], shares=True)


def _kappa(a: Bool, b: Bool, among: Bool) -> _Measure:
    """Cohen's kappa of two yes-or-no answers; undefined where both always say the same one thing."""

    def kappa(sums: Float64) -> Float64:
        same, yes_a, yes_b, whole = sums.T
        observed = same / whole
        expected = (yes_a * yes_b + (whole - yes_a) * (whole - yes_b)) / whole**2
        return np.where(expected < 1.0, (observed - expected) / (1.0 - expected), np.nan)

    return _Sums([(a == b) & among, a & among, b & among, among], kappa, shares=False)


class _Median:
    """The median of the values that are not NaN."""

    shares = False

    def __init__(self, values: Float64) -> None:
        self._values = values

    def drawn(self, clusters: Clusters, counts: Float64) -> Float64:
        known = ~np.isnan(self._values)
        return MedianBlocks(self._values[known], clusters.index[known], clusters.count)(counts)


class _Sampler:
    """Values of measures, and their intervals over resampled clusters."""

    def __init__(self, clusters: Clusters) -> None:
        self._clusters = clusters
        size = len(clusters.index)
        self._whole = Clusters(None, np.zeros(size, np.int64), 1, clusters.objects)

    def row(self, name: str, title: str, measure: _Measure, among: Bool) -> AgreementRow:
        """The row of a measure over the samples ``among`` [N]."""
        samples = int(among.sum())
        if samples == 0:
            return AgreementRow(name, title, None, 0, None)
        value = float(measure.drawn(self._whole, np.ones((1, 1)))[0])
        if np.isnan(value):
            return AgreementRow(name, title, None, samples, None)
        return AgreementRow(name, title, value, samples, self._interval(measure, value, among))

    def _interval(self, measure: _Measure, value: float, among: Bool) -> Interval | None:
        clusters = self._clusters
        if clusters.unit is None or len(np.unique(clusters.objects[among])) < FEWEST:
            return None
        if measure.shares and value in (0.0, 1.0):
            return wilson(value == 1.0, len(np.unique(clusters.index[among])))
        drawn = [
            measure.drawn(clusters, counts) for counts in draw_counts(clusters.count, RESAMPLES, 0)
        ]
        found = interval_of(np.concatenate(drawn))
        # Without a difference in the sample resamples cannot differ either.
        return None if found is not None and found[0] == found[1] else found
