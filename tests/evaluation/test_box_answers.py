"""Boxes as answers: what they are worth, beside Hit@Mask and never mixed with it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from helpers.task_sets import box_mask, make_record, make_set, write_set
from x3spatial.cli import run as x3
from x3spatial.conventions.registry import CONVENTIONS
from x3spatial.evaluation.answers import score_answers, score_text
from x3spatial.evaluation.compare import compare
from x3spatial.evaluation.rescore import score
from x3spatial.evaluation.run import evaluate
from x3spatial.evaluation.statistics.metrics import OF_BOXES
from x3spatial.formats.results_file import read_results
from x3spatial.formats.task_file import TaskRecord

BOXES = "qwen3-box-1000"
BOX_FAMILIES = [name for name, one in CONVENTIONS.items() if one.answers == "box"]


def box(*corners: float) -> str:
    return json.dumps([{"bbox_2d": list(corners)}])


@pytest.fixture
def record(tmp_path: Path) -> TaskRecord:
    """A square object: columns 200 to 399 and rows 500 to 699 of 1000 x 1000, a quarter of it not its own."""
    mask = box_mask(1000, 1000, 200, 500, 399, 699)
    mask[500:600, 300:400] = False
    return make_record(tmp_path, "00", mask)


@pytest.mark.parametrize(
    ("text", "iou", "centre", "flags"),
    [
        (box(200, 500, 400, 700), 1.0, True, ""),  # the centre lies beside what is cut out
        (box(200, 500, 400, 600), 0.5, False, ""),
        (box(200, 600, 400, 700), 0.5, True, ""),
        (box(400, 700, 200, 600), 0.5, True, "swapped"),
        (box(300, 650, 300, 650), 0.0, True, "degenerate"),
        (box(-200, 500, 400, 700), 1 / 3, False, "out_of_range"),
        (box(2000, 2000, 3000, 3000), 0.0, False, "out_of_range"),
        (box(0, 0, 1000, 1000), 0.04, False, ""),
        ("NOT_VISIBLE", 0.0, False, ""),
        ("[]", 0.0, False, ""),
        (
            '[{"point_2d": [250, 650]}]',
            0.0,
            False,
            "unparsed",
        ),  # a point is no box, even if it hits
        (box(200, 500, 400, 700) + " NOT_VISIBLE", 0.0, False, "contradictory"),
    ],
)
def test_a_box_by_itself(
    record: TaskRecord, text: str, iou: float, centre: bool, flags: str
) -> None:
    entry = score_text(record, text, convention=BOXES)
    assert entry.box is not None
    assert entry.box.iou == pytest.approx(iou)
    assert entry.box.centre_in_mask is centre
    assert entry.box.truth == pytest.approx((0.2, 0.5, 0.4, 0.7))
    told = {
        "swapped": entry.box.swapped,
        "degenerate": entry.box.degenerate,
        "out_of_range": entry.out_of_range,
        "contradictory": entry.contradictory,
        "unparsed": entry.status == "unparsed",
    }
    assert [name for name, value in told.items() if value] == flags.split()
    # Nothing of it is a point.
    assert entry.pred_parsed.coord is entry.l2_error is entry.hit_mask is None
    assert entry.success_l2_010 is None
    assert (entry.pred_parsed.box is None) == (
        entry.status == "unparsed" or bool(entry.pred_parsed.is_not_visible)
    )


def test_side_by_side_boxes_are_mapped_to_the_right_half(tmp_path: Path) -> None:
    record = make_record(tmp_path, "00", box_mask(100, 100, 20, 50, 39, 69), task="t1_concat")
    for corners, iou, centre in (
        ((600, 500, 700, 700), 1.0, True),
        ((500, 500, 700, 700), 0.5, False),
        ((100, 500, 200, 700), 0.0, False),  # the same place in the left half
        ((500, 500, 800, 700), 1 / 3, True),
    ):
        entry = score_text(record, box(*corners), convention=BOXES)
        assert entry.box is not None and entry.box.iou == pytest.approx(iou)
        assert entry.box.centre_in_mask is centre and not entry.out_of_range
        assert entry.box.truth == pytest.approx((0.6, 0.5, 0.7, 0.7))
        assert entry.l2_error_full is None


def texts_of(data: Path) -> dict[str, str]:
    """For each sample of ``make_set``: right, half right, wrong or absent, in turn."""
    found = {}
    for number, record in enumerate(json.loads(data.read_text())):
        left = (4 + number % 10) / 32 * 1000
        whole = box(left, 5 / 24 * 1000, left + 7 / 32 * 1000, 12 / 24 * 1000)
        half = box(left, 5 / 24 * 1000, left + 3.5 / 32 * 1000, 12 / 24 * 1000)
        found[record["id"]] = (whole, half, box(900, 900, 1000, 1000), "NOT_VISIBLE")[number % 4]
    return found


def test_metrics_of_boxes_stand_beside_those_of_points(tmp_path: Path) -> None:
    data = make_set(tmp_path, count=24, scenes=24)
    out = tmp_path / "boxes.json"
    scored = score_answers(data, texts_of(data), out, convention=BOXES)
    metrics = scored.metrics
    assert metrics["mean_iou"] == pytest.approx(0.5)
    assert metrics["iou_050"] == pytest.approx(2 / 3)  # 0.5 counts
    assert metrics["centre_in_mask"] == pytest.approx(2 / 3)
    assert (metrics["boxes_swapped"], metrics["boxes_degenerate"]) == (0, 0)
    assert metrics["not_visible_accuracy"] == metrics["balanced_accuracy"] == 1.0
    # The metrics of points have nothing to count: null, never 0.
    assert metrics["hit_at_mask_total"] == metrics["hit_at_mask_count"] == 0
    for name in ("hit_at_mask", "hit_at_mask_tight", "mean_l2_error", "success_010"):
        assert metrics[name] is None, name
    stored = read_results(out)
    interval = stored.ci95["mean_iou"]
    assert interval is not None and interval[0] < 0.5 < interval[1]
    # What is read is what was written, and scored again it is the same.
    assert stored.metrics == metrics
    score(out, data, tmp_path / "again.json")
    assert read_results(tmp_path / "again.json").results == stored.results
    # Points have no metrics of boxes.
    texts = dict.fromkeys(texts_of(data), "(300, 300)")
    points = score_answers(data, texts, tmp_path / "points.json", convention="thousand")
    assert not set(OF_BOXES) & points.metrics.keys()
    assert '"box' not in (tmp_path / "points.json").read_text()


def test_boxes_are_compared_and_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = make_set(tmp_path, count=24, scenes=24)
    texts = texts_of(data)
    a, b = tmp_path / "a.json", tmp_path / "b.json"
    score_answers(data, texts, a, convention=BOXES)
    worse = {id: "[]" if number % 2 else text for number, (id, text) in enumerate(texts.items())}
    score_answers(data, worse, b, convention=BOXES)
    rows = {row.metric: row for row in compare(a, b).differences}
    assert rows["mean_iou"].difference == pytest.approx(-1 / 6)
    assert rows["hit_at_mask"].a is None
    assert x3(["score", str(a), str(data), "-o", str(tmp_path / "c.json")]) == 0
    assert "mean_iou" in capsys.readouterr().out


@pytest.mark.parametrize("family", BOX_FAMILIES)
@pytest.mark.parametrize("task", ["t1_multi", "t1_concat", "t2b_multi"])
def test_the_oracle_is_perfect_in_every_convention_of_boxes(
    tmp_path: Path, family: str, task: str
) -> None:
    masks = [
        box_mask(31, 23, 3, 4, 9, 8),
        box_mask(31, 23, 30, 0, 30, 0),
        box_mask(31, 23, 0, 0, 30, 22),
    ]
    width = 62 if task == "t1_concat" else 31
    records = []
    for number, mask in enumerate(masks):
        made = make_record(tmp_path, f"{number:02d}", mask, task=task, scene=f"s{number}")
        sizes = ((width, 23),) * len(made.images)
        records.append(replace(made, image_sizes=sizes))
    data = write_set(tmp_path / "t1_val_multi.json", records)
    done = evaluate(data, tmp_path / "oracle.json", model=f"oracle:{family}", workers=1)
    assert done.metrics["mean_iou"] == pytest.approx(1.0, abs=1e-8)
    assert done.metrics["iou_050"] == done.metrics["centre_in_mask"] == 1.0
    assert done.metrics["parse_failures"] == done.metrics["boxes_degenerate"] == 0
    assert done.metrics["out_of_range"] == 0


def test_the_oracle_is_perfect_in_every_convention_of_points(tmp_path: Path) -> None:
    mask = box_mask(31, 23, 3, 4, 9, 8)
    made = make_record(tmp_path, "00", mask)
    record = replace(made, image_sizes=((31, 23),) * 2)
    data = write_set(tmp_path / "t1_val_multi.json", [record])
    for name, convention in CONVENTIONS.items():
        if convention.answers == "point":
            out = tmp_path / f"{name}.json"
            done = evaluate(data, out, model=f"oracle:{name}", workers=1)
            assert done.metrics["hit_at_mask"] == 1.0, name
            assert done.metrics["mean_l2_error"] == pytest.approx(0, abs=1e-6), name
