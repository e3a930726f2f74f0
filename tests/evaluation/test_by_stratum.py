"""Results by stratum: a partition of the known samples, with the metrics of each part."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from x3spatial.errors import UserError
from x3spatial.evaluation.scoring.scores import Score
from x3spatial.evaluation.statistics.by_stratum import Samples, stratum_rows, value_in
from x3spatial.evaluation.statistics.metrics import table_of, value_of
from x3spatial.formats.task_file import TaskRecord
from x3spatial.tasks.geometry import Point
from x3spatial.tasks.strata import STRATA, Strata, choose_strata


def sample(
    number: int, strata: Strata | None, *, hit: bool, absence: str | None = None
) -> tuple[TaskRecord, Score]:
    absent = absence is not None
    record = TaskRecord(
        id=str(number), task="t1_multi", image=("a.png", "b.png"), prompt="?",
        answer="NOT_VISIBLE" if absent else "[(0.5, 0.5)]", scene=f"s{number % 12}", uid="1",
        strata=strata, absence=absence,
    )  # fmt: skip
    score = Score(
        id=str(number), scene=record.scene, uid="1", status="answered", gt_text=record.answer,
        gt_point=None if absent else Point(0.5, 0.5), gt_absent=absent, pred_text="",
        pred_point=None if absent and hit else Point(0.5, 0.5), said_not_visible=absent and hit,
        hit=None if absent else float(hit), l2=None if absent else 0.0,
    )  # fmt: skip
    return record, score


facts = st.builds(
    Strata,
    angle_deg=st.none() | st.floats(0, 180),
    overlap=st.none() | st.sampled_from([0.0, 0.25, 0.5, 0.999, 1.0]),
    lookalikes=st.none() | st.integers(0, 9),
    baseline_m=st.none() | st.floats(0, 50),
)


@given(st.lists(st.tuples(st.none() | facts, st.booleans()), min_size=1, max_size=60))
def test_rows_are_a_partition(cases: list[tuple[Strata | None, bool]]) -> None:
    pairs = [sample(number, strata, hit=hit) for number, (strata, hit) in enumerate(cases)]
    records, scores = [record for record, _ in pairs], [score for _, score in pairs]
    rows = stratum_rows(records, Samples.of(scores, [0.1] * len(records)))
    for name, stratum in STRATA.items():
        known = [record for record in records if value_in(record, stratum) is not None]
        assert sum(row.samples for row in rows.get(name, ())) == len(known)
        for row in rows.get(name, ()):
            assert row.least is not None
            most = math.inf if row.most is None else row.most
            part = [
                score
                for record, score in pairs
                if (value := value_in(record, stratum)) is not None
                and not isinstance(value, str)
                and (row.least <= value < most or value == most == stratum.bounds[-1])
            ]
            assert len(part) == row.samples > 0
            assert row.metrics["hit_at_mask"] == value_of("hit_at_mask", table_of(part))
            assert row.chance == pytest.approx(0.1)


def test_absence_is_grouped_by_name() -> None:
    pairs = [
        sample(number, None, hit=number % 3 == 0, absence=("framing", "other_scene")[number % 2])
        for number in range(24)
    ]
    rows = stratum_rows([r for r, _ in pairs], Samples.of([s for _, s in pairs], [None] * 24))
    assert set(rows) == {"absence"}
    assert [(row.name, row.samples) for row in rows["absence"]] == [
        ("framing", 12),
        ("other_scene", 12),
    ]
    assert rows["absence"][0].metrics["not_visible_accuracy"] == pytest.approx(1 / 3)
    assert rows["absence"][0].chance is None and rows["absence"][0].ci95["hit_at_mask"] is None


def test_the_option() -> None:
    assert [s.name for s in choose_strata(["overlap", "angle"])] == ["angle_deg", "overlap"]
    assert [s.name for s in choose_strata(["mask_share"])] == ["mask_share"]
    with pytest.raises(UserError, match="--by colour: known are angle"):
        choose_strata(["colour"])
