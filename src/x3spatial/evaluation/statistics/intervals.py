"""Bootstrap intervals over clusters of samples, vectorised.

Pairs of one scene are not independent, so whole scenes are drawn with replacement; scans of one place
(``roots.places``) count as one scene. With fewer than ten scenes objects, (scene, uid), are drawn; with fewer
than ten objects there is no interval. Intervals are the 2.5th and 97.5th percentiles of 2,000 resamples.
Where every cluster has the same rate, 0 or 1, resamples cannot differ, and the interval is Wilson's, with the
number of clusters as the number of trials.

A rate is a ratio of two sums, so a resample only needs the sums of each cluster; the median is computed from
cluster-by-block counts of the sorted distances.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from x3spatial.arrays import Bool, Float64, Int64, IntP
from x3spatial.evaluation.scoring.scores import Score
from x3spatial.evaluation.statistics.metrics import DISTANCES, MEANS_OF, RATES, Table, estimated
from x3spatial.formats.results_file import CiMethod, CiUnit, Interval
from x3spatial.roots.places import place_of

RESAMPLES = 2_000
FEWEST = 10
"""Minimum number of clusters for an interval."""
_PERCENTILES = (2.5, 97.5)
_Z = 1.959963984540054
"""The 97.5th percentile of the normal distribution."""
_CHUNK_CELLS = 4_000_000


@dataclass(frozen=True, slots=True)
class Clusters:
    """The assignment of samples to clusters, which are drawn as a whole."""

    unit: CiUnit | None
    """``scene``, ``object``, or None with too few clusters for intervals."""
    index: Int64
    """``[N]``: index of each sample's cluster, 0 .. count - 1."""
    count: int
    objects: Int64
    """``[N]``: index of each sample's object, (scene, uid), from 0."""


Sample = tuple[str | None, str | None, str | None]
"""(scene, uid, declared place) of a sample."""


@dataclass(frozen=True, slots=True)
class Groups:
    """Which samples belong together, for clusters of all of them or of some. Each is ``[N]``."""

    objects: Int64
    """The number of the sample's object, (scene, uid), in a fixed order of all objects."""
    places: Int64
    """The same of its place: scans of one place are one scene."""
    known: Bool
    """Whether its scene is known."""
    answered: Bool

    @classmethod
    def of(cls, samples: Sequence[Sample], answered: Sequence[bool] | Bool) -> Groups:
        """Those of samples, some of which were answered."""
        places: dict[tuple[str | None, str | None], str] = {}
        for scene, _, place in samples:
            if (scene, place) not in places:
                places[scene, place] = place_of(scene or "", place)
        return cls(
            _numbered([(scene, uid) for scene, uid, _ in samples]),
            _numbered([places[scene, place] for scene, _, place in samples]),
            np.array([scene is not None for scene, _, _ in samples], np.bool_),
            np.asarray(answered, np.bool_),
        )

    def clusters(self, rows: IntP | None = None) -> Clusters:
        """Clusters are scenes if there are at least ten, else objects if there are at least ten, else none.

        Unanswered samples are not counted. There are no clusters if a sample's scene or object is unknown.

        Args:
            rows: the samples; None for all.
        """
        chosen = slice(None) if rows is None else rows
        answered = self.answered[chosen]
        objects, count = _among(self.objects[chosen], answered)
        none = Clusters(None, np.zeros(len(objects), np.int64), 0, objects)
        if not self.known[chosen].all():
            return none
        places, scenes = _among(self.places[chosen], answered)
        if scenes >= FEWEST:
            return Clusters("scene", places, scenes, objects)
        if count >= FEWEST:
            return Clusters("object", objects, count, objects)
        return none


def clusters_of(scores: Sequence[Score]) -> Clusters:
    """The clusters of ``scores``, see ``Groups.clusters``."""
    return groups_of(scores).clusters()


def groups_of(scores: Sequence[Score]) -> Groups:
    """The groups of ``scores``."""
    return Groups.of(
        [(score.scene, score.uid, score.place) for score in scores],
        [score.status != "error" for score in scores],
    )


def _numbered(keys: Sequence[Hashable]) -> Int64:
    """``[N]``: the place of each key in the sorted order of all.

    Sorting makes resamples independent of the order of samples.
    """
    numbers = {key: number for number, key in enumerate(sorted(set(keys), key=repr))}
    return np.array([numbers[key] for key in keys], np.int64)


def _among(numbers: Int64, answered: Bool) -> tuple[Int64, int]:
    """``[N]``: the index of each number among those of answered samples, from 0; and how many these are.

    Clusters without an answered sample are not drawn; their samples contribute to no sum, so their index is
    arbitrary.
    """
    drawn = np.unique(numbers[answered])
    if not drawn.size:
        return np.zeros(len(numbers), np.int64), 0
    index = np.minimum(np.searchsorted(drawn, numbers), drawn.size - 1)
    return np.where(drawn[index] == numbers, index, 0).astype(np.int64), int(drawn.size)


def draw_counts(clusters: int, resamples: int, seed: int) -> Iterator[Float64]:
    """The number of times that each resample draws each cluster: chunks ``[r, clusters]``, ``resamples`` rows
    in total.
    """
    for counts in _drawn(clusters, resamples, seed):
        yield counts.astype(np.float64)


@lru_cache(maxsize=2)  # most bins of a large file have samples of every scene
def _drawn(clusters: int, resamples: int, seed: int) -> list[npt.NDArray[Any]]:
    rng = np.random.default_rng(seed)
    step = max(1, min(resamples, _CHUNK_CELLS // clusters))
    kind = np.uint16 if clusters < 1 << 16 else np.uint32  # nothing is drawn more often than that
    chunks = []
    for start in range(0, resamples, step):
        rows = min(step, resamples - start)
        drawn = rng.integers(0, clusters, size=(rows, clusters))
        drawn += np.arange(rows)[:, None] * clusters
        counts = np.bincount(drawn.ravel(), minlength=rows * clusters).reshape(rows, clusters)
        chunks.append(counts.astype(kind))
    return chunks


class Resampler:
    """Computes all estimated metrics of one table for given cluster counts."""

    def __init__(self, table: Table, clusters: Clusters) -> None:
        self._clusters = clusters
        self._estimated = estimated(table)
        # Rates that do not apply have no column: the number of columns affects the last bits of the sums.
        self._rates = [name for name in RATES if name in self._estimated]
        columns = [column for name in self._rates for column in RATES[name](table)]
        self._sums = self._by_cluster(columns)
        self.support = {
            name: int(np.count_nonzero(np.bincount(clusters.objects[columns[2 * i + 1] > 0])))
            for i, name in enumerate(self._rates)
        }
        """Metric → number of objects that contribute to its denominator."""
        self.support |= {
            name: min(self.support[rate] for rate in rates) for name, rates in MEANS_OF.items()
        }
        known = ~np.isnan(table.l2)
        self.support["std_l2_error"] = self.support["median_l2_error"] = self.support[
            "mean_l2_error"
        ]
        self._median = MedianBlocks(table.l2[known], clusters.index[known], clusters.count)
        # Relative to the overall mean: rounding of the plain sum of squares would lose small deviations.
        offset = float(table.l2[known].mean()) if known.any() else 0.0
        centred = np.where(known, table.l2 - offset, 0.0)
        self._moments = self._by_cluster([known.astype(np.float64), centred, centred**2])

    def constant(self, name: str) -> Interval | None:
        """Wilson's interval of a rate that is 0 in every cluster, or 1 in every one; None for other metrics.

        That of a mean of rates is the mean of their intervals, if each of them is such a rate.
        """
        if name in MEANS_OF:
            found = [self.constant(rate) for rate in MEANS_OF[name]]
            known = [interval for interval in found if interval is not None]
            if len(known) < len(found):
                return None
            low, high = np.mean(known, axis=0)
            return float(low), float(high)
        if name not in self._rates or name in DISTANCES:
            return None
        place = 2 * self._rates.index(name)
        part, whole = self._sums[:, place], self._sums[:, place + 1]
        part, whole = part[whole > 0], whole[whole > 0]
        if whole.size == 0 or not (np.all(part == 0) or np.all(part == whole)):
            return None
        return wilson(bool(part[0] > 0), len(whole))

    def _by_cluster(self, columns: Sequence[Float64]) -> Float64:
        """``[clusters, len(columns)]``: the sum of each column in each cluster."""
        index, count = self._clusters.index, self._clusters.count
        return np.stack([np.bincount(index, column, minlength=count) for column in columns], axis=1)

    def __call__(self, counts: Float64) -> dict[str, Float64]:
        """Metric → ``[r]`` values for ``counts`` [r, clusters]; NaN if the denominator is zero."""
        sums = counts @ self._sums
        values = {
            name: _divide(sums[:, 2 * i], sums[:, 2 * i + 1]) for i, name in enumerate(self._rates)
        }
        for name, rates in MEANS_OF.items():
            values[name] = np.mean([values[rate] for rate in rates], axis=0)
        moments = counts @ self._moments
        mean = _divide(moments[:, 1], moments[:, 0])
        variance = _divide(moments[:, 2], moments[:, 0]) - mean**2
        values["std_l2_error"] = np.sqrt(np.maximum(variance, 0.0))
        values["median_l2_error"] = self._median(counts)
        return {name: values[name] for name in self._estimated}


def _divide(part: Float64, whole: Float64) -> Float64:
    result = np.full(part.shape, np.nan)
    np.divide(part, whole, out=result, where=whole > 0)
    return result


class MedianBlocks:
    """Medians of resampled values without sorting each resample.

    The values are sorted once and divided into about sqrt(N) blocks. ``counts @ blocks`` is the number of
    drawn values per block, which identifies the block with the median; only that block is searched.
    """

    def __init__(self, values: Float64, index: Int64, clusters: int) -> None:
        order = np.argsort(values, kind="stable")
        self._values = values[order]
        self._index = index[order]
        self._size = max(1, int(np.sqrt(len(values))))
        blocks = -(-len(values) // self._size)
        block = np.arange(len(values)) // self._size
        cells = np.bincount(self._index * blocks + block, minlength=clusters * blocks)
        # Whole numbers, so that single precision is exact up to 2 ** 24, and half the work.
        kind = np.float32 if self._size * clusters < 1 << 24 else np.float64
        self._blocks = cells.reshape(clusters, blocks).astype(kind)

    def __call__(self, counts: Float64) -> Float64:
        """``[r]`` medians for ``counts`` [r, clusters]; NaN if no value was drawn."""
        if self._values.size == 0:
            return np.full(len(counts), np.nan)
        drawn = counts.astype(self._blocks.dtype) @ self._blocks
        cumulative = np.cumsum(drawn, axis=1, dtype=np.float64)
        total = cumulative[:, -1]
        low = self._at(np.floor((total - 1) / 2), cumulative, counts)
        high = self._at(np.floor(total / 2), cumulative, counts)
        return np.where(total > 0, (low + high) / 2, np.nan)

    def _at(self, rank: Float64, cumulative: Float64, counts: Float64) -> Float64:
        """The value at 0-based ``rank`` [r] among the drawn ones."""
        block = np.minimum((cumulative <= rank[:, None]).sum(axis=1), cumulative.shape[1] - 1)
        before = np.where(block > 0, cumulative[np.arange(len(rank)), block - 1], 0.0)
        members = block[:, None] * self._size + np.arange(self._size)
        inside = members < len(self._values)
        members = np.minimum(members, len(self._values) - 1)
        drawn = np.take_along_axis(counts, self._index[members], axis=1) * inside
        seen = before[:, None] + np.cumsum(drawn, axis=1)
        place = np.minimum((seen <= rank[:, None]).sum(axis=1), self._size - 1)
        found: Float64 = self._values[members[np.arange(len(rank)), place]]
        return found


@dataclass(frozen=True, slots=True)
class Intervals:
    """Metric → its 95 % interval and how it was computed; both are None without an interval."""

    ci95: dict[str, Interval | None]
    method: dict[str, CiMethod | None]


def intervals(
    table: Table, clusters: Clusters, *, resamples: int = RESAMPLES, seed: int = 0
) -> Intervals:
    """The 95 % intervals of all metrics; None with too few clusters.

    The interval is also None if fewer than ten objects contribute to the denominator of the metric.
    """
    names = estimated(table)
    found = Intervals(dict.fromkeys(names), dict.fromkeys(names))
    if clusters.unit is None:
        return found
    resampler = Resampler(table, clusters)
    chunks = [resampler(counts) for counts in draw_counts(clusters.count, resamples, seed)]
    for name in names:
        if resampler.support[name] < FEWEST:
            continue
        constant = resampler.constant(name)
        drawn = np.concatenate([chunk[name] for chunk in chunks])
        found.ci95[name] = interval_of(drawn) if constant is None else constant
        if found.ci95[name] is not None:
            found.method[name] = "bootstrap" if constant is None else "wilson"
    return found


def wilson(always: bool, trials: int) -> Interval:
    """Wilson's 95 % interval of a rate that was 1 (``always``) or 0 in each of ``trials`` trials."""
    reach = _Z**2 / (trials + _Z**2)
    return (1.0 - reach, 1.0) if always else (0.0, reach)


def interval_of(values: Float64) -> Interval | None:
    """The middle 95 % of ``values`` [resamples] without NaN."""
    known = values[~np.isnan(values)]
    if known.size == 0:
        return None
    low, high = np.percentile(known, _PERCENTILES)
    return float(low), float(high)
