"""Metrics by apparent size: visible samples grouped by the share of the image that the object covers.

A mean over all sizes hides that small objects are harder, because the patches of a vision tower have a fixed
size. Detection benchmarks split by area for the same reason (small, medium and large in COCO). Their bounds
are in pixels; here they are shares of the image, so that views of different resolutions are comparable.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from x3spatial.evaluation.scoring.scores import Score
from x3spatial.evaluation.statistics.intervals import clusters_of, intervals
from x3spatial.evaluation.statistics.metrics import table_of, value_of
from x3spatial.formats.results_file import SizeRow

BOUNDS = (0.0025, 0.01, 0.04)
"""Bounds as shares of the image: squares of 5, 10 and 20 % of its width and height."""
METRICS = ("hit_at_mask", "median_l2_error", "success_005", "false_not_visible_rate")


def size_rows(scores: Sequence[Score], areas: Sequence[float | None]) -> tuple[SizeRow, ...]:
    """One row per range of sizes, the smallest first, including empty ranges.

    Args:
        scores: one per sample.
        areas: ``[N]``, the share of the query image that each sample's mask covers; None if the object is not
            visible or has no mask. Such samples and unanswered ones are in no row.
    """
    rows = []
    for least, most in pairwise((0.0, *BOUNDS, math.inf)):
        chosen = [
            (score, area)
            for score, area in zip(scores, areas, strict=True)
            if area is not None and least <= area < most and score.status != "error"
        ]
        rows.append(
            SizeRow(
                least=least,
                most=most if math.isfinite(most) else None,
                **figures([score for score, _ in chosen], METRICS),
                chance=float(np.mean([area for _, area in chosen])) if chosen else None,
            )
        )
    return tuple(rows)


def figures(part: Sequence[Score], names: Sequence[str]) -> dict[str, Any]:
    """The fields of a row about a part of the samples: their number, metrics and intervals."""
    table, clusters = table_of(part), clusters_of(part)
    found = intervals(table, clusters)
    return {
        "samples": len(part),
        "metrics": {name: value_of(name, table) for name in names},
        "ci95": {name: found.ci95[name] for name in names},
        "ci_method": {name: found.method[name] for name in names},
        "ci_unit": clusters.unit,
    }
