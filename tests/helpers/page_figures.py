"""What is known of a set beside its samples: outcomes, metrics, strata, and the figures of a run on it."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

NONE = 0xFFFFFFFF
"""No name."""
OUTCOMES = [
    ("error", "no answer", None),
    ("unparsed", "unparsed", False),
    ("correct", "correct", True),
    ("incorrect", "incorrect", False),
    ("not-visible", "not visible", True),
    ("false-point", "false point", False),
    ("false-not-visible", "false NOT_VISIBLE", False),
    ("hit", "hit", True),
    ("miss", "miss", False),
    ("partial-hit", "some points hit", None),
    ("no-mask", "no mask to score", None),
]
CODE = {name: code for code, (name, _, _) in enumerate(OUTCOMES)}
METRICS = [
    ("total", "samples", False, None, True),
    ("hit_at_mask", "Hit@Mask", True, True, True),
    ("success_005", "Success@0.05", True, True, True),
    ("mean_l2_error", "mean L2", False, False, True),
    ("median_l2_error", "median L2", False, False, False),
    ("not_visible_accuracy", "NOT_VISIBLE accuracy", True, True, True),
    ("not_visible_precision", "NOT_VISIBLE precision", True, True, False),
    ("not_visible_recall", "NOT_VISIBLE recall", True, True, False),
    ("false_not_visible_rate", "false NOT_VISIBLE", True, False, False),
    ("balanced_accuracy", "balanced accuracy", True, True, True),
    ("parse_failures", "unparsed", False, None, False),
    ("errors", "errors", False, None, False),
]


def bins(*bounds: float) -> list[dict[str, float | None]]:
    """The bins between bounds."""
    return [{"from": a, "to": b, "name": None} for a, b in itertools.pairwise(bounds)]


STRATA: dict[str, dict[str, Any]] = {
    "angle_deg": {
        "title": "angle between the views",
        "unit": "°",
        "bins": bins(0, 20, 40, 60, 90, 180),
    },
    "mask_share": {
        "title": "share of the image",
        "unit": "",
        "bins": bins(0, 0.0025, 0.01, 0.04, 1),
    },
    "overlap": {
        "title": "share of A's surface in B's frame",
        "unit": "",
        "bins": bins(0, 0.25, 0.5, 0.75, 1),
    },
    "absence": {
        "title": "cause of absence",
        "unit": "",
        "names": ["framing", "occlusion", "other_scene"],
    },
}


def cell_of(
    run: int, number: int, answer: Any, absent: Any, strata: Any, why: Any, n: int
) -> dict[str, Any]:
    code, error = answer["outcome"], answer["error"]
    asked = (code != 255) & (code != CODE["error"])

    def figures(chosen: Any) -> dict[str, float | None]:
        def rate(part: Any, whole: Any) -> float | None:
            count = int((whole & chosen).sum())
            return int((part & whole & chosen).sum()) / count if count else None

        says = (code == CODE["not-visible"]) | (code == CODE["false-not-visible"])
        known = error[asked & chosen & ~np.isnan(error)]
        recall, seen = rate(says, asked & absent), rate(~says, asked & ~absent)
        return {
            "hit_at_mask": rate(code == CODE["hit"], asked & ~absent),
            "success_005": rate(error <= 0.05, asked & ~absent),
            "mean_l2_error": float(known.mean()) if len(known) else None,
            "median_l2_error": float(np.median(known)) if len(known) else None,
            "not_visible_accuracy": recall,
            "not_visible_recall": recall,
            "not_visible_precision": rate(absent, asked & says),
            "false_not_visible_rate": rate(says, asked & ~absent),
            "balanced_accuracy": None if recall is None or seen is None else (recall + seen) / 2,
        }

    everything = np.ones(n, dtype=bool)
    metrics: dict[str, Any] = {
        "total": int((code != 255).sum()),
        **figures(everything),
        "parse_failures": int((code == CODE["unparsed"]).sum()),
        "errors": int((code == CODE["error"]).sum()),
    }
    ci95 = {
        k: None if v is None or isinstance(v, int) else [max(0.0, v - 0.04), v + 0.04]
        for k, v in metrics.items()
    }
    percent = {key for key, _, is_percent, _, _ in METRICS if is_percent}
    text = {
        k: "–"
        if v is None
        else str(v)
        if isinstance(v, int)
        else f"{100 * v:.1f}"
        if k in percent
        else f"{v:.3f}"
        for k, v in metrics.items()
    }
    rows: dict[str, Any] = {}
    for name in ("angle_deg", "mask_share", "overlap"):
        rows[name] = []
        for bounds in STRATA[name]["bins"]:
            least, most = bounds["from"], bounds["to"]
            chosen = (strata[name] >= least) & (strata[name] < most)
            if chosen.any():
                values = figures(chosen)
                rows[name].append(
                    {
                        "from": least,
                        "to": most,
                        "name": None,
                        "samples": int(chosen.sum()),
                        "metrics": values,
                        "ci95": {
                            k: None if v is None else [max(0.0, v - 0.08), min(1.0, v + 0.08)]
                            for k, v in values.items()
                        },
                        "chance_uniform": 0.02,
                    }
                )
    rows["absence"] = [
        {
            "from": None,
            "to": None,
            "name": why_name,
            "samples": int((why == k).sum()),
            "metrics": figures(why == k),
            "ci95": {},
            "chance_uniform": None,
        }
        for k, why_name in enumerate(STRATA["absence"]["names"])
    ]
    radii = np.linspace(0, 0.25, 51)
    visible = int((asked & ~absent).sum())
    edges = np.linspace(0, 0.5, 26)
    x, y = answer["x"], answer["y"]
    inside = ~np.isnan(x) & (x >= 0) & (x <= 1) & (y >= 0) & (y <= 1)
    counts, _, _ = np.histogram2d(y[inside], x[inside], bins=32, range=[[0, 1], [0, 1]])
    return {
        "run": run,
        "set": number,
        "total": metrics["total"],
        "missing": int((code == 255).sum()),
        "errors": metrics["errors"],
        "metrics": metrics,
        "text": text,
        "ci95": ci95,
        "ci_method": {},
        "ci_unit": "scene",
        "chance": {
            "centre": {"hit_at_mask": 0.041, "success_005": 0.02, "mean_l2_error": 0.31},
            "uniform": {"hit_at_mask": 0.023, "success_005": 0.008},
            "always-not-visible": {
                "hit_at_mask": 0.0,
                "not_visible_accuracy": 1.0,
                "balanced_accuracy": 0.5,
            },
        },
        "by_stratum": rows,
        "consistency": {},
        "curve": {
            "r": radii.round(4).tolist(),
            "success": [
                float((error[asked & ~absent] <= r).sum()) / max(visible, 1) for r in radii
            ],
        },
        "errors_hist": {
            "edges": edges.round(4).tolist(),
            "counts": np.histogram(error[~np.isnan(error)], edges)[0].tolist(),
        },
        "map": {"size": 32, "counts": counts.astype(int).ravel().tolist()},
    }
