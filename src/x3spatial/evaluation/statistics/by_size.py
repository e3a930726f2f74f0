"""How figures depend on apparent size: the visible samples, by the share of the image that the object covers.

One number over all sizes hides what a model cannot see: patches of a vision tower are of one size, objects
are not. Detection benchmarks split by area for the same reason (COCO's small, medium, large); their bounds
are pixels of photographs, ours are shares of the image, so that views of any resolution compare.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from x3spatial.evaluation.scoring.scores import Score
from x3spatial.evaluation.statistics.intervals import Interval, clusters_of, intervals
from x3spatial.evaluation.statistics.intervals import from_json as intervals_from_json
from x3spatial.evaluation.statistics.metrics import table_of, value_of

BOUNDS = (0.0025, 0.01, 0.04)
"""Shares of the image: squares of 5, 10 and 20 % of its width and height."""
METRICS = ("hit_at_mask", "median_l2_error", "success_005", "false_not_visible_rate")


@dataclass(frozen=True, slots=True)
class SizeRow:
    """The visible samples whose mask covers at least ``least`` and less than ``most`` of the query image."""

    least: float
    most: float | None
    """None: no bound."""
    samples: int
    """Answered ones."""
    metrics: dict[str, float | None]
    ci95: dict[str, Interval | None]
    ci_unit: str | None
    """Of this row's intervals: fewer samples come from fewer scenes."""
    chance: float | None
    """Hit@Mask of a uniform point: the mean share that the masks cover."""

    @classmethod
    def from_json(cls, row: dict[str, Any]) -> SizeRow:
        """The row that ``to_json`` wrote."""
        return cls(
            least=row["area_from"],
            most=row["area_to"],
            samples=row["samples"],
            metrics={name: row["metrics"][name] for name in METRICS},
            ci95=intervals_from_json(row["ci95"]),
            ci_unit=row["ci_unit"],
            chance=row["chance_uniform"],
        )

    def to_json(self) -> dict[str, Any]:
        """Its entry in a results file."""
        return {
            "area_from": self.least,
            "area_to": self.most,
            "samples": self.samples,
            "metrics": self.metrics,
            "ci95": self.ci95,
            "ci_unit": self.ci_unit,
            "chance_uniform": self.chance,
        }


def size_rows(scores: Sequence[Score], areas: Sequence[float | None]) -> tuple[SizeRow, ...]:
    """One row for each range of sizes, the smallest first; empty ranges too.

    Args:
        scores: one per sample.
        areas: ``[N]``: the share of the query image that each sample's mask covers; None where the object
            cannot be seen or has no mask. Such samples are in no row, and neither are those in error.
    """
    rows = []
    for least, most in pairwise((0.0, *BOUNDS, math.inf)):
        chosen = [
            (score, area)
            for score, area in zip(scores, areas, strict=True)
            if area is not None and least <= area < most and score.status != "error"
        ]
        part = [score for score, _ in chosen]
        table, clusters = table_of(part), clusters_of(part)
        found = intervals(table, clusters)
        rows.append(
            SizeRow(
                least=least,
                most=most if math.isfinite(most) else None,
                samples=len(part),
                metrics={name: value_of(name, table) for name in METRICS},
                ci95={name: found[name] for name in METRICS},
                ci_unit=clusters.unit,
                chance=float(np.mean([area for _, area in chosen])) if chosen else None,
            )
        )
    return tuple(rows)
