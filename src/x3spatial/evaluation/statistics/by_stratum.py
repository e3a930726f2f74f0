"""Metrics by stratum: samples grouped by what is known of them (``tasks.strata``) or why an object is absent.

A mean over all samples hides what makes them hard: wide angles, or small objects, because the patches of a
vision tower have a fixed size. Detection benchmarks split by area for the same reason (small, medium and
large in COCO); here sizes are shares of the image, so that views of different resolutions are comparable.
Bins are fixed, so that results of different runs and roots can be compared.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from x3spatial.evaluation.scoring.scores import Score
from x3spatial.evaluation.statistics.intervals import clusters_of, intervals
from x3spatial.evaluation.statistics.metrics import table_of, value_of
from x3spatial.formats.results_file import SizeRow, StratumRow
from x3spatial.formats.task_file import TaskRecord
from x3spatial.tasks.strata import STRATA, Bin, Stratum, Value

SIZE = STRATA["mask_share"]
SIZE_METRICS = ("hit_at_mask", "median_l2_error", "success_005", "false_not_visible_rate")
METRICS = (*SIZE_METRICS, "not_visible_accuracy", "balanced_accuracy")
BOX_METRICS = ("mean_iou", "iou_050", "centre_in_mask")
"""Beside both where the model was asked for boxes."""


def size_rows(scores: Sequence[Score], areas: Sequence[float | None]) -> tuple[SizeRow, ...]:
    """One row per bin of the stratum ``mask_share``, empty bins included, by the masks that were scored.

    Args:
        scores: one per sample.
        areas: ``[N]``, the share of the query image that each sample's mask covers; None if the object is not
            visible or has no mask. Such samples and unanswered ones are in no row.
    """
    return tuple(
        SizeRow(
            least=part.least or 0.0,
            most=_bound(part.most),
            **_figures(scores, areas, chosen, _with_boxes(SIZE_METRICS, scores)),
        )
        for part, chosen in grouped(SIZE, areas, scores)
    )


def stratum_rows(
    records: Sequence[TaskRecord], scores: Sequence[Score], areas: Sequence[float | None]
) -> dict[str, tuple[StratumRow, ...]]:
    """Rows per bin of every stratum of which something is known; bins without samples are left out.

    Args:
        records: the questions.
        scores: one per record; unanswered ones are in no row.
        areas: ``[N]``, the share of the query image that each sample's mask covers, for chance; None if the
            object is not visible or has no mask.
    """
    found = {}
    for stratum in STRATA.values():
        values = [value_in(record, stratum) for record in records]
        rows = tuple(
            StratumRow(
                least=part.least,
                most=_bound(part.most),
                name=name_of(part),
                **_figures(scores, areas, chosen, _with_boxes(METRICS, scores)),
            )
            for part, chosen in grouped(stratum, values, scores)
            if chosen
        )
        if rows:
            found[stratum.name] = rows
    return found


def _with_boxes(names: tuple[str, ...], scores: Sequence[Score]) -> tuple[str, ...]:
    """``names``, with those of boxes where the model was asked for boxes."""
    return (*names, *BOX_METRICS) if any(score.box is not None for score in scores) else names


def value_in(record: TaskRecord, stratum: Stratum) -> Value:
    """The value of a record in a stratum; None if unknown."""
    return stratum.value(record.strata, record.absence)


def grouped(
    stratum: Stratum, values: Sequence[Value], scores: Sequence[Score]
) -> Iterator[tuple[Bin, list[int]]]:
    """The bins of a stratum and the indices of the answered samples in each.

    Args:
        stratum: the stratum.
        values: ``[N]``, the value of each sample; None if unknown.
        scores: ``[N]``; unanswered samples are in no bin.
    """
    answered = [index for index, score in enumerate(scores) if score.status != "error"]
    for part in stratum.bins(values):
        yield part, [index for index in answered if values[index] in part]


def name_of(part: Bin) -> str | None:
    """The name of a bin of names; None for a range."""
    return part.names[0] if part.names else None


def _bound(most: float | None) -> float | None:
    """An upper bound as results have it: None if there is none."""
    return most if most is not None and math.isfinite(most) else None


def _figures(
    scores: Sequence[Score],
    areas: Sequence[float | None],
    chosen: Sequence[int],
    names: Sequence[str],
) -> dict[str, Any]:
    """The fields of a row about some of the samples: their number, metrics, intervals and chance."""
    part = [scores[index] for index in chosen]
    known = [area for index in chosen if (area := areas[index]) is not None]
    table, clusters = table_of(part), clusters_of(part)
    found = intervals(table, clusters)
    return {
        "samples": len(part),
        "metrics": {name: value_of(name, table) for name in names},
        "ci95": {name: found.ci95.get(name) for name in names},
        "ci_method": {name: found.method.get(name) for name in names},
        "ci_unit": clusters.unit,
        "chance": float(np.mean(known)) if known else None,
    }
