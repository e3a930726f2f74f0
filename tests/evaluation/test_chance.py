"""Chance rows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.task_sets import box_mask, make_record
from x3spatial.evaluation.scoring.masks import NO_MASKS, MaskFinder
from x3spatial.evaluation.scoring.scores import truth_of
from x3spatial.evaluation.statistics.chance import (
    Chance,
    ChanceTable,
    chance_rows,
    disc_area,
    joined_chance,
    mean_distance,
)
from x3spatial.evaluation.statistics.chance_boxes import centre_box_row
from x3spatial.formats.task_file import TaskRecord
from x3spatial.tasks.boxes import Box, intersection_over_union


def test_expectations_over_uniform_points_match_draws() -> None:
    targets = np.array([[0.5, 0.5], [0.0, 0.0], [0.01, 0.7], [1.0, 0.3]])
    drawn = np.random.default_rng(0).random((200_000, 1, 2))
    distances = np.sqrt(((drawn - targets) ** 2).sum(axis=2))
    assert mean_distance(targets) == pytest.approx(distances.mean(axis=0), abs=2e-3)
    for radius in (0.02, 0.1):
        assert disc_area(targets, radius) == pytest.approx(
            (distances <= radius).mean(axis=0), abs=2e-3
        )
    assert mean_distance(targets[:1])[0] == pytest.approx(0.3826, abs=1e-4)
    assert disc_area(targets[:2], 0.1) == pytest.approx([0.031416, 0.031416 / 4], rel=2e-3)


@pytest.mark.parametrize("task", ["t1_multi", "t1_concat"])
def test_rows_are_in_the_query_frame(tmp_path: Path, task: str) -> None:
    middle = box_mask(20, 20, 8, 8, 11, 11)
    corner = box_mask(20, 20, 0, 0, 3, 3)
    empty = np.zeros((20, 20), dtype=bool)
    records = [
        make_record(tmp_path, "01", middle, ref_mask=corner, task=task),
        make_record(tmp_path, "02", corner, ref_mask=corner, task=task),
        make_record(tmp_path, "03", empty, ref_mask=corner, task=task),
    ]
    chance, finder = Chance(None), MaskFinder("auto", None)
    samples = []
    for record in records:
        truth = truth_of(record)
        masks = finder.masks(record) if truth.visible else NO_MASKS
        samples.append(chance.sample(record, truth, masks))
    rows = chance_rows(ChanceTable.of(samples))
    assert rows["centre"]["hit_at_mask"] == 0.5  # type: ignore[index]
    assert rows["copy-reference"]["hit_at_mask"] == 0.5  # type: ignore[index]
    assert rows["copy-reference"]["mean_l2_error"] == pytest.approx(0.4 * 2**0.5 / 2)  # type: ignore[index]
    assert rows["uniform"]["hit_at_mask"] == pytest.approx(16 / 400)  # type: ignore[index]
    assert rows["always-not-visible"]["not_visible_accuracy"] == 1.0  # type: ignore[index]
    assert rows["always-not-visible"]["balanced_accuracy"] == 0.5  # type: ignore[index]
    assert rows["always-not-visible"]["mean_l2_error"] is None  # type: ignore[index]


def test_no_reference_no_copy(tmp_path: Path) -> None:
    record = make_record(tmp_path, "01", box_mask(8, 8, 2, 2, 4, 4), task="t2b_multi")
    truth = truth_of(record)
    sample = Chance(None).sample(record, truth, MaskFinder("auto", None).masks(record))
    assert chance_rows(ChanceTable.of([sample]))["copy-reference"] is None
    assert set(chance_rows(ChanceTable.of([])).values()) == {None}


def box_rows(records: list[TaskRecord]) -> dict[str, dict[str, float | None] | None]:
    """The chance rows of a run that asks for boxes."""
    chance, finder = Chance(None, boxes=True), MaskFinder("auto", None)
    samples = []
    for record in records:
        truth = truth_of(record)
        masks = finder.masks(record) if truth.visible else NO_MASKS
        samples.append(chance.sample(record, truth, masks))
    halves = [ChanceTable.of(samples[:1]), ChanceTable.of(samples[1:])]
    rows = chance_rows(ChanceTable.joined(halves), boxes=True)
    assert rows == chance_rows(ChanceTable.of(samples), boxes=True)
    return rows


@pytest.mark.parametrize("task", ["t1_multi", "t1_concat"])
def test_rows_of_boxes_are_in_the_query_frame(tmp_path: Path, task: str) -> None:
    middle = box_mask(20, 20, 8, 8, 11, 11)  # a square of a fifth of the sides
    corner = box_mask(20, 20, 0, 0, 3, 3)
    empty = np.zeros((20, 20), dtype=bool)
    rows = box_rows(
        [
            make_record(tmp_path, "01", middle, ref_mask=corner, task=task),
            make_record(tmp_path, "02", corner, ref_mask=corner, task=task),
            make_record(tmp_path, "03", empty, ref_mask=corner, task=task),
        ]
    )
    figures = {
        name: (row["mean_iou"], row["iou_050"], row["centre_in_mask"], row["balanced_accuracy"])
        for name, row in rows.items()
        if row is not None
    }
    assert figures == {
        "whole-image": (pytest.approx(1 / 25), 0.0, 0.5, 0.5),
        "copy-reference-box": (pytest.approx(0.5), 0.5, 0.5, 0.5),
        "always-not-visible": (0.0, 0.0, 0.0, 0.5),
        "centre-box": (pytest.approx(0.5), 0.5, 0.5, 0.5),
    }
    # Points are no answers there.
    assert not {"hit_at_mask", "mean_l2_error"} & {
        key for row in rows.values() for key in row or ()
    }


def test_the_middle_box_has_the_median_size(tmp_path: Path) -> None:
    masks = [box_mask(20, 20, 10 - n, 10, 9 + n, 10) for n in (1, 2, 5)]  # 2, 4 and 10 by 1 pixel
    rows = box_rows([make_record(tmp_path, f"{n:02}", mask) for n, mask in enumerate(masks)])
    # 4 by 1 pixels in the middle; its lower half is in the row of the masks.
    overlaps = [1 / 5, 2 / 6, 2 / 12]
    assert rows["centre-box"] is not None
    assert rows["centre-box"]["mean_iou"] == pytest.approx(sum(overlaps) / 3)
    assert rows["centre-box"]["centre_in_mask"] == 1.0


_SPAN = st.tuples(st.integers(0, 30), st.integers(1, 9)).map(lambda at: (at[0] / 40, sum(at) / 40))


@given(st.lists(st.tuples(_SPAN, _SPAN), min_size=1, max_size=8))
def test_overlaps_with_the_middle_box_are_those_of_single_boxes(
    spans: list[tuple[tuple[float, float], tuple[float, float]]],
) -> None:
    boxes = [Box(x[0], y[0], x[1], y[1]) for x, y in spans]
    wide = float(np.median([box.x2 - box.x1 for box in boxes])) / 2
    high = float(np.median([box.y2 - box.y1 for box in boxes])) / 2
    middle = Box(0.5 - wide, 0.5 - high, 0.5 + wide, 0.5 + high)
    single = [intersection_over_union(middle, box) for box in boxes]
    row = centre_box_row({"mean_iou": 0.1, "centre_in_mask": 0.3}, np.array(boxes))
    assert row is not None and row["mean_iou"] == pytest.approx(np.mean(single), abs=1e-12)
    assert row["centre_in_mask"] == 0.3  # it has the centre of the whole image


def test_no_reference_no_copied_box_and_nothing_visible_no_overlap(tmp_path: Path) -> None:
    single = [make_record(tmp_path, "01", box_mask(8, 8, 2, 2, 4, 4), task="t2b_multi")]
    assert box_rows(single)["copy-reference-box"] is None
    hidden = [make_record(tmp_path, "02", np.zeros((8, 8), dtype=bool), task="t2a_multi")]
    row = box_rows(hidden)["centre-box"]
    assert row is not None and row["mean_iou"] is None and row["not_visible_accuracy"] == 0.0
    assert set(chance_rows(ChanceTable.of([]), boxes=True).values()) == {None}


def test_rows_of_points_and_boxes_are_joined() -> None:
    points = {"centre": {"hit_at_mask": 0.1}, "always-not-visible": {"hit_at_mask": 0.0}}
    boxes = {"whole-image": None, "always-not-visible": {"mean_iou": 0.0, "hit_at_mask": 0.5}}
    assert joined_chance((points, boxes)) == {
        "centre": {"hit_at_mask": 0.1},
        "always-not-visible": {"hit_at_mask": 0.0, "mean_iou": 0.0},
        "whole-image": None,
    }
