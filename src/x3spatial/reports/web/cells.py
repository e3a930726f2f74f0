"""What the overview and the plots show of one run on one set: the figures of its results file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from x3spatial.arrays import Float64
from x3spatial.formats.results_file import ResultsFile
from x3spatial.formats.results_table import conditions
from x3spatial.formats.typed_json import encode
from x3spatial.reports.curves import (
    EDGES,
    MAP_SIZE,
    answer_map,
    error_histogram,
    success_curve,
)
from x3spatial.reports.figures import DEFAULT_METRICS, interval_texts, metric_of, metric_text


def cell_of(
    run: int, set_number: int, task: str | None, results: ResultsFile, *, finished: bool
) -> dict[str, Any]:
    """The cell of a results file with its samples; ``missing`` is added when the set is complete."""
    metrics = results.metrics
    curve = success_curve(results.results, with_interval=True)
    counts, outside = answer_map(results.results, task)
    return {
        "run": run,
        "set": set_number,
        "state": "complete" if finished else "unfinished",
        "total": metrics["total"],
        "errors": metrics.get("errors", 0),
        "metrics": metrics,
        "text": {key: metric_text(key, value) for key, value in metrics.items()},
        "ci95": encode(results.ci95),
        "ci_text": {key: interval_texts(key, interval) for key, interval in results.ci95.items()},
        "ci_method": results.ci_method,
        "ci_unit": results.ci_unit,
        "conditions": conditions(results.scoring, results.data.build_seed),
        "chance": results.chance,
        "chance_text": {
            name: {key: metric_text(key, value) for key, value in row.items()}
            for name, row in results.chance.items()
            if row is not None
        },
        "by_stratum": {
            name: [encode(row) for row in rows] for name, rows in results.by_stratum.items()
        },
        "by_mask_area": [encode(row) for row in results.by_mask_area],
        "consistency": {name: encode(row) for name, row in results.consistency.items()},
        "unparsed_reasons": results.unparsed_reasons,
        "curve": {
            "r": curve.radii.tolist(),
            "success": _numbers(curve.success),
            "low": _numbers(curve.low),
            "high": _numbers(curve.high),
        },
        "errors_hist": {
            "edges": EDGES.tolist(),
            "counts": error_histogram(results.results).tolist(),
        },
        "map": {"size": MAP_SIZE, "counts": counts.ravel().tolist(), "outside": outside},
    }


def _numbers(values: Float64 | None) -> list[float | None] | None:
    """Numbers of JSON: null for NaN."""
    if values is None:
        return None
    return [None if np.isnan(value) else round(float(value), 5) for value in values]


def columns_of(keys: Iterable[str]) -> list[dict[str, Any]]:
    """The columns of the overview."""
    found = []
    for metric in map(metric_of, keys):
        found.append(
            {
                "key": metric.key,
                "title": metric.title,
                "percent": metric.kind == "share",
                "count": metric.kind == "count",
                "higher_is_better": metric.higher_is_better,
                "default": metric.default,
            }
        )
    return found


def metric_keys(cells: list[dict[str, Any]]) -> list[str]:
    """The metrics that occur: first those that tables show by themselves, then the others as in the files."""
    found: dict[str, None] = {}
    for cell in cells:
        metrics: Mapping[str, Any] = cell["metrics"]
        found.update(dict.fromkeys(metrics))
    return [key for key in dict.fromkeys((*DEFAULT_METRICS, *found)) if key in found]
