"""Metrics by stratum: samples grouped by what is known of them (``tasks.strata``) or why an object is absent.

A mean over all samples hides what makes them hard: wide angles, or small objects, because the patches of a
vision tower have a fixed size. Detection benchmarks split by area for the same reason (small, medium and
large in COCO); here sizes are shares of the image, so that views of different resolutions are comparable.
Bins are fixed, so that results of different runs and roots can be compared.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from x3spatial.arrays import Float64, IntP
from x3spatial.evaluation.scoring.scores import Score
from x3spatial.evaluation.statistics.intervals import Groups, groups_of, intervals
from x3spatial.evaluation.statistics.metrics import Table, table_of, value_of
from x3spatial.formats.results_file import SizeRow, StratumRow
from x3spatial.formats.task_file import TaskRecord
from x3spatial.tasks.strata import STRATA, Bin, Stratum, Value

SIZE = STRATA["mask_share"]
SIZE_METRICS = ("hit_at_mask", "median_l2_error", "success_005", "false_not_visible_rate")
METRICS = (*SIZE_METRICS, "not_visible_accuracy", "balanced_accuracy")
BOX_METRICS = ("mean_iou", "iou_050", "centre_in_mask")
"""Beside both where the model was asked for boxes."""


@dataclass(frozen=True, slots=True)
class Samples:
    """Scored samples as columns; unanswered ones are in no row."""

    table: Table
    groups: Groups
    areas: Float64
    """``[N]``, the share of the query image that each sample's mask covers; NaN if the object is not visible
    or has no mask."""

    @classmethod
    def of(cls, scores: Sequence[Score], areas: Sequence[float | None]) -> Samples:
        """Those of ``scores`` and the areas of their masks, None for NaN."""
        return cls(table_of(scores), groups_of(scores), np.array(areas, np.float64))


def size_rows(samples: Samples) -> tuple[SizeRow, ...]:
    """One row per bin of the stratum ``mask_share``, empty bins included, by the masks that were scored."""
    return tuple(
        SizeRow(
            least=part.least or 0.0,
            most=_bound(part.most),
            **_figures(samples, chosen, _with_boxes(SIZE_METRICS, samples.table)),
        )
        for part, chosen in grouped(SIZE, samples.areas, samples.table)
    )


def stratum_rows(
    records: Sequence[TaskRecord], samples: Samples
) -> dict[str, tuple[StratumRow, ...]]:
    """Rows per bin of every stratum of which something is known; bins without samples are left out.

    Args:
        records: the questions.
        samples: one per record.
    """
    found = {}
    for stratum in STRATA.values():
        values = [value_in(record, stratum) for record in records]
        rows = tuple(
            StratumRow(
                least=part.least,
                most=_bound(part.most),
                name=name_of(part),
                **_figures(samples, chosen, _with_boxes(METRICS, samples.table)),
            )
            for part, chosen in grouped(stratum, values, samples.table)
            if chosen.size
        )
        if rows:
            found[stratum.name] = rows
    return found


def _with_boxes(names: tuple[str, ...], table: Table) -> tuple[str, ...]:
    """``names``, with those of boxes where the model was asked for boxes."""
    return (*names, *BOX_METRICS) if table.asked_box.any() else names


def value_in(record: TaskRecord, stratum: Stratum) -> Value:
    """The value of a record in a stratum; None if unknown."""
    return stratum.value(record.strata, record.absence)


def grouped(
    stratum: Stratum, values: Sequence[Value] | Float64, table: Table
) -> Iterator[tuple[Bin, IntP]]:
    """The bins of a stratum and the indices of the answered samples in each.

    Args:
        stratum: the stratum.
        values: ``[N]``, the value of each sample; None or NaN if unknown.
        table: ``[N]``; unanswered samples are in no bin.
    """
    known: npt.NDArray[Any] = np.array(values, np.float64 if stratum.bounds else np.object_)
    for part in stratum.bins(values):
        yield part, np.flatnonzero(part.contains(known) & ~table.error)


def name_of(part: Bin) -> str | None:
    """The name of a bin of names; None for a range."""
    return part.names[0] if part.names else None


def _bound(most: float | None) -> float | None:
    """An upper bound as results have it: None if there is none."""
    return most if most is not None and math.isfinite(most) else None


def _figures(samples: Samples, chosen: IntP, names: Sequence[str]) -> dict[str, Any]:
    """The fields of a row about some of the samples: their number, metrics, intervals and chance."""
    areas = samples.areas[chosen]
    known = areas[~np.isnan(areas)]
    table, clusters = samples.table.take(chosen), samples.groups.clusters(chosen)
    found = intervals(table, clusters)
    return {
        "samples": len(table),
        "metrics": {name: value_of(name, table) for name in names},
        "ci95": {name: found.ci95.get(name) for name in names},
        "ci_method": {name: found.method.get(name) for name in names},
        "ci_unit": clusters.unit,
        "chance": float(np.mean(known)) if known.size else None,
    }
