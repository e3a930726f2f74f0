"""Figures by the share of the image that an object covers."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.task_sets import box_mask, make_record, write_set
from x3spatial.evaluation.run import evaluate
from x3spatial.evaluation.scoring.scores import Score
from x3spatial.evaluation.statistics.by_stratum import SIZE, Samples, size_rows
from x3spatial.formats.results_file import SizeRow
from x3spatial.formats.typed_json import decode, encode
from x3spatial.tasks.geometry import Point

HERE = Point(0.5, 0.5)
HIT = Score(
    id="i",
    scene="s",
    uid="u",
    status="answered",
    gt_text="",
    gt_point=HERE,
    gt_absent=False,
    pred_text="",
    pred_point=HERE,
    said_not_visible=False,
    l2=0.01,
    hit=1.0,
    hit_tight=1.0,
)
MISS = replace(HIT, l2=0.3, hit=0.0, hit_tight=0.0)
HIDDEN = replace(HIT, gt_point=None, gt_absent=True, l2=None, hit=None, hit_tight=None)


def test_each_sample_is_in_the_row_of_its_size() -> None:
    scores = [MISS, HIT, HIT, MISS, HIT, HIDDEN, replace(HIT, status="error")]
    areas = [0.001, 0.002, 0.0025, 0.02, 0.5, None, 0.5]
    rows = size_rows(Samples.of(scores, areas))
    assert [(row.least, row.most) for row in rows] == [
        (0.0, 0.0025), (0.0025, 0.01), (0.01, 0.04), (0.04, None),
    ]  # fmt: skip
    assert [row.samples for row in rows] == [2, 1, 1, 1]
    assert [row.metrics["hit_at_mask"] for row in rows] == [0.5, 1.0, 0.0, 1.0]
    assert [row.metrics["median_l2_error"] for row in rows] == [0.155, 0.01, 0.3, 0.01]
    assert rows[0].chance == pytest.approx(0.0015)
    assert rows[0].ci95["hit_at_mask"] is None  # one scene says nothing about others


def test_an_empty_row_has_no_figures() -> None:
    (first, *_) = size_rows(Samples.of([HIDDEN], [None]))
    assert (first.samples, first.chance) == (0, None)
    assert set(first.metrics.values()) == {None}


@given(st.lists(st.tuples(st.floats(1e-6, 1.0), st.booleans(), st.integers(0, 30)), max_size=80))
def test_rows_are_a_partition(samples: list[tuple[float, bool, int]]) -> None:
    scores = [replace(HIT if hit else MISS, scene=f"s{n}") for _, hit, n in samples]
    rows = size_rows(Samples.of(scores, [area for area, _, _ in samples]))
    assert sum(row.samples for row in rows) == len(samples)
    hits = sum(row.samples * (row.metrics["hit_at_mask"] or 0.0) for row in rows)
    assert hits == pytest.approx(sum(hit for _, hit, _ in samples))
    for row in rows:
        interval = row.ci95["hit_at_mask"]
        if interval is not None:
            assert 0.0 <= interval[0] <= interval[1] <= 1.0
        assert decode(SizeRow, json.loads(json.dumps(encode(row)))) == row


def test_in_a_results_file(tmp_path: Path) -> None:
    # 40 x 40: the smallest box covers 0.0006 of it, the largest 0.25; the centre lies in the largest alone.
    masks = [
        box_mask(40, 40, 1, 1, 1, 1),
        box_mask(40, 40, 2, 2, 4, 4),
        box_mask(40, 40, 10, 10, 29, 29),
        np.zeros((40, 40), dtype=bool),
    ]
    records = [
        make_record(tmp_path, f"{n:02}", mask, ref_mask=masks[2]) for n, mask in enumerate(masks, 1)
    ]
    write_set(tmp_path / "t1.json", records)
    result = evaluate(
        data_json=tmp_path / "t1.json", output_json=tmp_path / "out.json", model="centre"
    )
    rows = json.loads((tmp_path / "out.json").read_text())["by_mask_area"]
    assert [row["samples"] for row in rows] == [1, 1, 0, 1]
    assert [row["metrics"]["hit_at_mask"] for row in rows] == [0.0, 0.0, None, 1.0]
    assert [row["area_to"] for row in rows] == [*SIZE.bounds[1:-1], None]
    assert result.by_mask_area == tuple(decode(SizeRow, row) for row in rows)
