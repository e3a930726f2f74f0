"""One text per figure: shares in percent, distances, counts, intervals and differences."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.task_sets import Scripted, make_set
from x3spatial.errors import UserError
from x3spatial.evaluation.run import evaluate
from x3spatial.evaluation.scoring.scores import SUCCESS_RADII
from x3spatial.evaluation.statistics.metrics import COUNTS, ESTIMATED
from x3spatial.formats.results_file import ResultsFile, read_results
from x3spatial.reports.curves import (
    EDGES,
    RADII,
    answer_map,
    error_histogram,
    success_curve,
    truth_map,
)
from x3spatial.reports.figures import (
    all_metrics,
    choose_metrics,
    difference_text,
    interval_text,
    metric_of,
    metric_text,
)


@pytest.mark.parametrize(
    ("key", "value", "text"),
    [
        ("hit_at_mask", 0.46349, "46.3"),
        ("hit_at_mask", 1.0, "100.0"),
        ("hit_at_mask", None, "–"),
        ("median_l2_error", 0.0874, "0.087"),
        ("total", 1200, "1200"),
        ("hit_at_mask_count", 3.5, "3.5"),  # by RoboRefer's rule
        ("a_metric_of_another_package", 0.5, "0.500"),
    ],
)
def test_the_text_of_a_metric(key: str, value: float | None, text: str) -> None:
    assert metric_text(key, value) == text


def test_intervals_and_differences() -> None:
    assert interval_text("hit_at_mask", (0.394, 0.5321)) == "[39.4, 53.2]"
    assert interval_text("hit_at_mask", None) == ""
    assert difference_text("hit_at_mask", 0.031) == "+3.1"
    assert difference_text("mean_l2_error", -0.0121) == "−0.012"
    assert difference_text("hit_at_mask", None) == "–"


@given(st.floats(-1, 1))
def test_a_difference_of_nothing_has_no_minus(value: float) -> None:
    text = difference_text("hit_at_mask", value)
    assert text[0] in "+−"
    assert (text[0] == "−") == (round(100 * value, 1) < 0)
    assert abs(float(text.replace("−", "-")) - 100 * value) <= 0.05 + 1e-9


def test_every_metric_has_a_column() -> None:
    keys = [metric.key for metric in all_metrics()]
    assert len(keys) == len(set(keys)) and set(keys) == {*ESTIMATED, *COUNTS}
    better = {m.key: m.higher_is_better for m in all_metrics()}
    assert better["hit_at_mask"] is True and better["mean_l2_error"] is False
    assert better["false_not_visible_rate"] is False and better["std_l2_error"] is None
    assert metric_of("hit_at_mask").head == "Hit@Mask (%)" and metric_of("total").head == "samples"


def test_the_choice_of_metrics() -> None:
    assert [m.key for m in choose_metrics(["success_005", "total"])] == ["success_005", "total"]
    assert choose_metrics(["all"]) == all_metrics()
    with pytest.raises(UserError, match=r"--metrics hits: known are all, hit_at_mask"):
        choose_metrics(["hits"])
    with pytest.raises(UserError, match="--metrics: name at least one"):
        choose_metrics([])


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> ResultsFile:
    folder = tmp_path_factory.mktemp("curves")
    tasks = make_set(folder, count=48, scenes=16)
    ids = [f"T1_MULTI_s{n % 16}_uid1_{n:02d}" for n in range(48)]
    answers: dict[str, str | Exception] = {
        id: f"[({0.2 + 0.015 * n:.3f}, 0.35)]" for n, id in enumerate(ids)
    }
    answers |= {ids[0]: "NOT_VISIBLE", ids[1]: "nothing", ids[2]: "[(1.5, 0.3)]"}
    answers |= {ids[5]: RuntimeError("down")}
    evaluate(tasks, folder / "r.json", Scripted(answers), workers=1)
    return read_results(folder / "r.json")


def test_the_success_curve_is_the_metric_at_every_radius(results: ResultsFile) -> None:
    curve = success_curve(results.results, with_interval=True)
    assert curve.low is not None and curve.high is not None
    for name, radius in SUCCESS_RADII.items():
        (place,) = np.flatnonzero(np.isclose(RADII, radius))
        assert curve.success[place] == results.metrics[name]
        interval = results.ci95[name]
        if interval is not None and results.ci_method[name] == "bootstrap":
            assert (curve.low[place], curve.high[place]) == pytest.approx(interval)
    assert (np.diff(curve.success) >= 0).all()
    empty = success_curve([])
    assert np.isnan(empty.success).all() and empty.low is None


def test_the_histogram_has_every_error_once(results: ResultsFile) -> None:
    errors = [e.l2_error for e in results.results if e.l2_error is not None]
    counts = error_histogram(results.results)
    assert counts.sum() == len(errors) and len(counts) == len(EDGES) - 1
    assert counts[-1] == sum(error >= 0.5 for error in errors) > 0
    assert counts[0] == sum(error < 0.02 for error in errors)


def test_the_map_counts_points_by_cell_and_those_outside(results: ResultsFile) -> None:
    points = [e.pred_parsed.coord for e in results.results if e.pred_parsed.coord is not None]
    counts, outside = answer_map(results.results, "t1_multi", 10)
    assert outside == sum(x > 1 for x, _ in points) > 0
    assert counts.sum() + outside == len(points)
    assert counts[3].sum() == counts.sum()  # every point has y = 0.35
    assert counts[3, 2] == sum(0.2 <= x < 0.3 for x, _ in points)
    # Side by side, the right half is the query image; points in the left half are outside of it.
    halves, left = answer_map(results.results, "t1_concat", 10)
    assert left == sum(x < 0.5 for x, _ in points) + outside
    assert halves.sum() == len(points) - left
    asked = [e for e in results.results if e.gt.coord is not None]
    assert truth_map(results.results, "t1_multi").sum() == len(asked)
