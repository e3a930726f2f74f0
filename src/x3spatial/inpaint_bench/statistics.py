"""Means over views with intervals over scenes, and paired differences of two engines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from x3spatial.arrays import Float64, Int64
from x3spatial.evaluation.statistics.intervals import (
    FEWEST,
    RESAMPLES,
    draw_counts,
    interval_of,
)
from x3spatial.formats.results_file import CiUnit, Interval
from x3spatial.roots.layout import ObjectKey


@dataclass(frozen=True, slots=True)
class Sample:
    """The place and the object of a view, which the bootstrap draws as a whole."""

    place: str
    key: ObjectKey


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean and its 95 % interval; None with too few clusters."""

    mean: float
    ci95: Interval | None


def unit_of(samples: Sequence[Sample]) -> CiUnit | None:
    """What is drawn: scenes, objects if there are fewer than ten scenes, else nothing."""
    if len({sample.place for sample in samples}) >= FEWEST:
        return "scene"
    return "object" if len({sample.key for sample in samples}) >= FEWEST else None


def estimate(values: Mapping[str, float], samples: Mapping[str, Sample]) -> Estimate:
    """The mean of ``values`` (view → value, not empty), resampled by cluster."""
    names = sorted(values)
    column = np.array([values[name] for name in names], np.float64)
    index, count = _clusters([samples[name] for name in names])
    mean = float(column.mean())
    if index is None:
        return Estimate(mean, None)
    sums = np.bincount(index, column, minlength=count)
    sizes = np.bincount(index, minlength=count).astype(np.float64)
    drawn: list[Float64] = [
        (counts @ sums) / (counts @ sizes) for counts in draw_counts(count, RESAMPLES, 0)
    ]
    return Estimate(mean, interval_of(np.concatenate(drawn)))


def difference(
    a: Mapping[str, float], b: Mapping[str, float], samples: Mapping[str, Sample]
) -> Estimate | None:
    """The mean of b - a over the views that both have; None without any."""
    both = {name: b[name] - a[name] for name in a if name in b}
    return estimate(both, samples) if both else None


def _clusters(samples: Sequence[Sample]) -> tuple[Int64 | None, int]:
    """Each sample's cluster ``[N]`` and the number of clusters; None where there are too few."""
    unit = unit_of(samples)
    if unit is None:
        return None, 0
    keys = [sample.place if unit == "scene" else str(sample.key) for sample in samples]
    numbers = {key: number for number, key in enumerate(sorted(set(keys)))}
    return np.array([numbers[key] for key in keys], np.int64), len(numbers)
