"""Metrics over hand-made scores."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from x3spatial.evaluation.scoring.scores import Score
from x3spatial.evaluation.statistics.metrics import compute, estimated, table_of
from x3spatial.tasks.geometry import Point

HERE = Point(0.5, 0.5)


def score(said: str, *, visible: bool = True, **fields: Any) -> Score:
    """``said``: nv, point, unparsed or error."""
    return Score(
        **{
            "id": "i",
            "scene": "s",
            "uid": "u",
            "status": said if said in ("unparsed", "error") else "answered",
            "gt_text": "",
            "gt_point": HERE if visible else None,
            "gt_absent": not visible,
            "pred_text": None if said == "error" else "",
            "pred_point": HERE if said == "point" else None,
            "said_not_visible": said == "nv",
            **fields,
        }
    )


SCORES = [
    score("point", l2=0.0, hit=1.0, hit_tight=1.0, details={"finish": "stop"}),
    score("point", l2=0.05, hit=1.0, hit_tight=0.0),
    score("point", l2=0.40, hit=0.0, hit_tight=0.0, out_of_range=True),
    score("nv", hit=0.0, hit_tight=0.0, contradictory=True),
    score("unparsed", hit=0.0, hit_tight=0.0, details={"finish": "max_new_tokens"}),
    score("point", l2=0.11, missing_mask=True),
    score("nv", visible=False, details={"finish": "length"}),
    score("nv", visible=False),
    score("point", visible=False),
    score("error"),
    score("error", visible=False),
]


def test_every_metric_by_hand() -> None:
    expected = {
        "total": 11,
        "gt_not_visible": 3,
        "visible_gt": 6,
        "not_visible_accuracy": 2 / 3,
        "mean_l2_error": 0.14,
        "std_l2_error": float(np.std([0.0, 0.05, 0.4, 0.11])),
        "median_l2_error": 0.08,
        "success_002": 1 / 6,
        "success_005": 2 / 6,
        "success_010": 2 / 6,
        "hit_at_mask": 2 / 5,
        "hit_at_mask_count": 2,
        "hit_at_mask_total": 5,
        "hit_at_mask_answered": 2 / 3,
        "hit_at_mask_tight": 1 / 5,
        "hit_at_mask_tight_total": 5,
        "parse_failures": 1,
        "out_of_range": 1,
        "contradictory": 1,
        "missing_mask": 1,
        "cut_off": 2,
        "errors": 2,
        "not_visible_precision": 2 / 3,
        "not_visible_recall": 2 / 3,
        "not_visible_f1": 2 / 3,
        "false_not_visible_rate": 1 / 6,
        "visible_recall": 4 / 6,
        "balanced_accuracy": (2 / 3 + 4 / 6) / 2,
        "mean_l2_error_full": None,
    }
    found = compute(table_of(SCORES))
    assert found.keys() == expected.keys()
    assert list(found)[:13] == list(expected)[:13]
    for name, value in expected.items():
        assert found[name] == (value if value is None else pytest.approx(value)), name


def test_nothing_to_divide_by_is_null() -> None:
    for scores in ([], [score("error")]):
        table = table_of(scores)
        found = compute(table)
        names = estimated(table)
        assert len(names) > 10
        assert {name: found[name] for name in names} == dict.fromkeys(names)
        assert found["total"] == len(scores)
        assert found["hit_at_mask_count"] == 0


def test_always_not_visible_is_perfect_on_hidden_objects_only() -> None:
    hidden = compute(table_of([score("nv", visible=False)] * 3))
    assert (hidden["not_visible_accuracy"], hidden["balanced_accuracy"]) == (1.0, None)
    both = compute(table_of([score("nv", visible=False), score("nv", hit=0.0)]))
    assert (both["not_visible_accuracy"], both["balanced_accuracy"]) == (1.0, 0.5)
    assert both["false_not_visible_rate"] == 1.0
    assert both["hit_at_mask"] == 0.0
    assert both["hit_at_mask_answered"] is None


def test_precision_and_recall_differ() -> None:
    found = compute(
        table_of(
            [score("nv", visible=False), score("nv"), score("nv"), score("point", visible=False)]
        )
    )
    assert found["not_visible_precision"] == pytest.approx(1 / 3)
    assert found["not_visible_recall"] == pytest.approx(1 / 2)
    assert found["not_visible_f1"] == pytest.approx(2 / 5)


def test_fractions_of_hits_are_kept() -> None:
    found = compute(table_of([score("point", hit=0.5, l2=0.1), score("point", hit=1.0, l2=0.1)]))
    assert (found["hit_at_mask_count"], found["hit_at_mask"]) == (1.5, 0.75)
