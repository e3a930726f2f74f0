"""Metrics by stratum: samples grouped by what is known of them (``tasks.strata``) or why an object is absent.

Bins are fixed, so that results of different runs and roots can be compared. A bin contains its lower bound
but not its upper one, except for the last, which contains both.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from x3spatial.evaluation.scoring.scores import Score
from x3spatial.evaluation.statistics.by_size import figures
from x3spatial.formats.results_file import StratumRow
from x3spatial.formats.task_file import TaskRecord
from x3spatial.tasks.strata import STRATA, Stratum

METRICS = (
    "hit_at_mask", "median_l2_error", "success_005", "false_not_visible_rate",
    "not_visible_accuracy", "balanced_accuracy",
)  # fmt: skip


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
        rows = []
        for least, most, name in _bins(stratum, values):
            chosen = [
                (score, area)
                for score, area, value in zip(scores, areas, values, strict=True)
                if score.status != "error" and _is_in(value, least, most, name, stratum)
            ]
            if chosen:
                rows.append(_row(chosen, least, most, name))
        if rows:
            found[stratum.name] = tuple(rows)
    return found


def value_in(record: TaskRecord, stratum: Stratum) -> float | str | None:
    """The value of a record in a stratum; None if unknown."""
    if stratum.name == "absence":
        return record.absence
    if record.strata is None:
        return None
    value: float | None = getattr(record.strata, stratum.name)
    return value


def _bins(
    stratum: Stratum, values: Sequence[float | str | None]
) -> list[tuple[float | None, float | None, str | None]]:
    if stratum.bounds:
        return [(least, most, None) for least, most in pairwise(stratum.bounds)]
    return [(None, None, name) for name in sorted({v for v in values if isinstance(v, str)})]


def _is_in(
    value: float | str | None,
    least: float | None,
    most: float | None,
    name: str | None,
    stratum: Stratum,
) -> bool:
    if isinstance(value, str) or value is None or least is None or most is None:
        return value is not None and value == name
    return least <= value < most or value == most == stratum.bounds[-1]


def _row(
    chosen: Sequence[tuple[Score, float | None]],
    least: float | None,
    most: float | None,
    name: str | None,
) -> StratumRow:
    known = [area for _, area in chosen if area is not None]
    return StratumRow(
        least=least,
        most=most if most is not None and math.isfinite(most) else None,
        name=name,
        **figures([score for score, _ in chosen], METRICS),
        chance=float(np.mean(known)) if known else None,
    )
