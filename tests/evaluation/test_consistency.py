"""Consistency: which related answers are right together, and what independent answers would give."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

from x3spatial.cli.tables import consistency_table
from x3spatial.evaluation.scoring.scores import Score
from x3spatial.evaluation.statistics.consistency import consistency, follows_object
from x3spatial.formats.results_file import ConsistencyRow
from x3spatial.formats.task_file import TaskRecord
from x3spatial.tasks.geometry import Point

HIT, MISS = Point(0.5, 0.5), Point(0.1, 0.1)


def record(
    scene: str, a: int, b: int, *, task: str = "t1_multi", absent: bool = False
) -> TaskRecord:
    answer = "NOT_VISIBLE" if absent else "[(0.5, 0.5)]"
    return TaskRecord(
        id=f"{task}_{scene}_{a}_{b}", task=task, image=("a.png", "b.png"), prompt="?", answer=answer,
        scene=scene, uid="1", ref_rank=f"{a:02d}", ref_frame="0", query_rank=f"{b:02d}",
        query_frame="0",
    )  # fmt: skip


def score(asked: TaskRecord, right: bool, *, answered: bool = True) -> Score:
    absent = asked.answer == "NOT_VISIBLE"
    said = absent == right
    return Score(
        id=asked.id, scene=asked.scene, uid=asked.uid, status="answered" if answered else "error",
        gt_text=asked.answer, gt_point=None if absent else HIT, gt_absent=absent,
        pred_text="" if answered else None, pred_point=None if said else (HIT if right else MISS),
        said_not_visible=said, hit=None if absent else float(right),
    )  # fmt: skip


def test_both_directions_of_a_pair_count_once() -> None:
    records = [
        record("s", 1, 2),
        record("s", 2, 1),
        record("s", 1, 3),
        record("s", 3, 1, absent=True),
    ]
    rows = consistency(records, [score(r, True) for r in records])
    assert (rows["cycle"].units, rows["cycle"].value) == (1, 1.0)
    assert (rows["object_all_right"].units, rows["object_all_right"].value) == (1, 1.0)
    one_wrong = [score(r, r is not records[1]) for r in records]
    rows = consistency(records, one_wrong)
    assert rows["cycle"].value == 0.0 and rows["object_all_right"].value == 0.0
    # Both samples of the pair are visible, one is hit: independent answers hit both in a quarter.
    assert rows["cycle"].independent == pytest.approx(0.25)


def test_an_unanswered_sample_takes_its_unit_out() -> None:
    records = [record("s", 1, 2), record("s", 2, 1), record("t", 1, 2), record("t", 2, 1)]
    scores = [score(r, True, answered=r is not records[0]) for r in records]
    rows = consistency(records, scores)
    assert rows["cycle"].units == 1 and rows["object_all_right"].units == 1


def test_only_sets_with_two_views() -> None:
    removed = record("s", 1, 2, task="t1_counterfactual", absent=True)
    changed = record("s", 1, 1, task="t2b_multi")
    assert consistency([removed, changed], [score(removed, True), score(changed, True)]) == {}


def test_a_model_that_knows_beats_independent_answers() -> None:
    """Right on half of the objects throughout, against right on half of the samples at random."""
    records = [
        record(f"s{n}", a, b) for n in range(40) for a, b in itertools.permutations((1, 2, 3), 2)
    ]
    knows = consistency(records, [score(r, int((r.scene or "")[1:]) % 2 == 0) for r in records])
    rng = np.random.default_rng(0)
    guesses = consistency(records, [score(r, bool(rng.random() < 0.5)) for r in records])
    assert knows["cycle"].value == 0.5 and knows["cycle"].independent == pytest.approx(0.25)
    assert knows["object_all_right"].value == 0.5
    assert knows["object_all_right"].independent == pytest.approx(0.5**6)
    low, high = knows["cycle"].ci95 or (0, 0)
    assert 0.25 < low < 0.5 < high and knows["cycle"].ci_unit == "scene"
    low, high = guesses["cycle"].ci95 or (0, 0)
    assert low <= 0.25 <= high


def test_follows_object_needs_both_answers() -> None:
    plain = [record(f"s{n}", 1, 2) for n in range(4)]
    without = [record(f"s{n}", 1, 2, task="t1_counterfactual", absent=True) for n in range(4)]
    twins = {b.id: a.id for a, b in zip(plain, without, strict=True)}

    def row(seen: list[bool], gone: list[bool]) -> tuple[float | None, float | None, int]:
        found = follows_object(
            [score(r, ok) for r, ok in zip(plain, seen, strict=True)],
            [score(r, ok) for r, ok in zip(without, gone, strict=True)],
            twins,
        )
        return found.value, found.independent, found.units

    yes, no = [True] * 4, [False] * 4
    assert row(yes, yes) == (1.0, 1.0, 4)
    assert row(no, yes) == (0.0, 0.0, 4)  # always NOT_VISIBLE
    assert row(yes, no) == (0.0, 0.0, 4)  # always points
    assert row([True, True, False, False], [True, False, True, False]) == (0.25, 0.25, 4)
    assert follows_object([], [], twins).value is None


def test_a_table_without_related_samples_is_not_shown() -> None:
    none = ConsistencyRow(
        value=None, units=0, ci95=None, ci_method=None, ci_unit=None, independent=None
    )
    some = replace(none, value=0.5, units=4, independent=0.25)
    assert consistency_table({"sift": {"cycle": none}}, "tight masks") is None
    table = consistency_table({"sift": {"cycle": none, "object_all_right": some}}, "tight masks")
    assert table is not None and [row[:3] for row in table.rows] == [
        ("sift", "object_all_right", "4")
    ]
