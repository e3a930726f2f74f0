"""Intervals against a bootstrap that resamples scores one by one."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from x3spatial.evaluation.scoring.scores import Score
from x3spatial.evaluation.statistics.intervals import (
    Clusters,
    Resampler,
    clusters_of,
    draw_counts,
    intervals,
)
from x3spatial.evaluation.statistics.metrics import Table, estimated, table_of, value_of
from x3spatial.tasks.geometry import Point


def random_scores(count: int, scenes: int, seed: int = 0) -> list[Score]:
    rng = np.random.default_rng(seed)
    scores = []
    for number in range(count):
        scene = int(rng.integers(scenes))
        visible = rng.random() < 0.7
        said = rng.choice(["point", "nv", "unparsed"], p=[0.6, 0.3, 0.1])
        point = Point(0.5, 0.5) if said == "point" else None
        l2 = round(float(rng.random() * (1 + scene % 3)), 2) if point and visible else None
        scores.append(
            Score(
                id=str(number),
                scene=f"s{scene}",
                uid=str(rng.integers(3)),
                status="unparsed" if said == "unparsed" else "answered",
                gt_text="",
                gt_point=Point(0.5, 0.5) if visible else None,
                gt_absent=not visible,
                pred_text="",
                pred_point=point,
                said_not_visible=said == "nv",
                l2=l2,
                hit=float(l2 is not None and l2 < 0.3) if visible else None,
                hit_tight=float(l2 is not None and l2 < 0.1) if visible else None,
            )
        )
    return scores


def resampled(table: Table, clusters: Clusters, counts: np.ndarray) -> Table:
    """The table with every sample repeated as often as its cluster was drawn."""
    return table.take(np.repeat(np.arange(len(table)), counts[clusters.index].astype(int)))


@pytest.mark.parametrize("count", [0, 1, 2, 37, 400])
def test_every_resample_equals_a_recomputation(count: int) -> None:
    scores = random_scores(count, 12)
    table = table_of(scores)
    index = np.array([int((s.scene or "s")[1:]) for s in scores], int)
    clusters = Clusters("scene", index, 12, index)
    (counts,) = draw_counts(12, 60, seed=3)
    values = Resampler(table, clusters)(counts)
    for row in range(len(counts)):
        repeated = resampled(table, clusters, counts[row])
        for name in estimated(table):
            expected = value_of(name, repeated)
            assert values[name][row] == pytest.approx(
                np.nan if expected is None else expected, nan_ok=True, abs=1e-12
            ), name


def test_intervals_equal_a_brute_force_bootstrap() -> None:
    scores = random_scores(500, 15)
    table, clusters = table_of(scores), clusters_of(scores)
    assert (clusters.unit, clusters.count) == ("scene", 15)
    found = intervals(table, clusters, resamples=200, seed=5).ci95
    (counts,) = draw_counts(15, 200, seed=5)
    for name in ("hit_at_mask", "median_l2_error", "std_l2_error", "balanced_accuracy"):
        values = [value_of(name, resampled(table, clusters, row)) for row in counts]
        expected = np.percentile([value for value in values if value is not None], [2.5, 97.5])
        assert found[name] == pytest.approx(tuple(expected)), name
        assert found[name] is not None
        assert found[name][0] <= value_of(name, table) <= found[name][1]  # type: ignore[operator,index]


def test_draws_are_whole_bootstrap_samples() -> None:
    chunks = list(draw_counts(3_000_000, 3, seed=0))
    assert [chunk.shape for chunk in chunks] == [(1, 3_000_000)] * 3
    assert all(chunk.sum() == 3_000_000 for chunk in chunks)


def test_units() -> None:
    assert clusters_of(random_scores(300, 10)).unit == "scene"
    few = random_scores(300, 4)
    assert clusters_of(few).unit == "object"
    assert clusters_of(few).count == 12
    assert clusters_of(random_scores(300, 3)).unit is None  # nine objects
    assert clusters_of([]).unit is None
    assert set(intervals(table_of(few), clusters_of([])).ci95.values()) == {None}
    unknown = [*random_scores(300, 10), replace(few[0], scene=None, uid=None)]
    assert clusters_of(unknown).unit is None


def test_errors_are_no_clusters() -> None:
    scores = random_scores(100, 9)
    extra = replace(scores[0], scene="s99", status="error", said_not_visible=False, pred_point=None)
    assert (
        clusters_of([*scores, replace(extra, l2=None, hit=None, hit_tight=None)]).unit == "object"
    )


def test_a_metric_seen_in_few_objects_has_no_interval() -> None:
    scores = [
        replace(score, gt_point=Point(0.5, 0.5), gt_absent=False) if score.scene != "s3" else score
        for score in random_scores(400, 12)
    ]
    found = intervals(table_of(scores), clusters_of(scores), resamples=50).ci95
    assert found["not_visible_accuracy"] is None
    assert found["false_not_visible_rate"] is not None


def test_order_of_samples_does_not_matter() -> None:
    scores = random_scores(200, 12)
    shuffled = scores[::-1]
    a = intervals(table_of(scores), clusters_of(scores), resamples=50).ci95
    b = intervals(table_of(shuffled), clusters_of(shuffled), resamples=50).ci95
    assert {k: v and pytest.approx(v) for k, v in a.items()} == b


def test_a_hundred_thousand_samples_take_seconds() -> None:
    base = random_scores(1000, 300)
    table = table_of(base).take(np.tile(np.arange(1000), 100))
    index = np.random.default_rng(0).integers(0, 1000, 100_000)
    start = time.perf_counter()
    found = intervals(table, Clusters("scene", index, 1000, index)).ci95
    assert time.perf_counter() - start < 15  # about 1 s; the bound is for a busy machine
    assert found["median_l2_error"] is not None


def score(
    id: str,
    *,
    scene: str,
    hit: float | None = None,
    absent: bool = False,
    said_not_visible: bool = False,
) -> Score:
    return Score(
        id=id,
        scene=scene,
        uid="1",
        status="answered",
        gt_text="",
        gt_point=None if absent else Point(0.5, 0.5),
        gt_absent=absent,
        pred_text="",
        pred_point=None if said_not_visible else Point(0.5, 0.5),
        said_not_visible=said_not_visible,
        hit=hit,
    )


def always(hits: list[float], scenes: int) -> dict[str, Any]:
    """The intervals of ``scenes`` scenes with these hits each."""
    scores = [
        score(f"{scene}-{number}", scene=f"s{scene}", hit=hit)
        for scene in range(scenes)
        for number, hit in enumerate(hits)
    ]
    found = intervals(table_of(scores), clusters_of(scores))
    return {"ci95": found.ci95, "method": found.method}


@pytest.mark.parametrize(
    ("hits", "scenes", "low", "high"),
    [
        # Wilson: z^2 / (n + z^2) with z = 1.959964; by hand 3.841459 / 15.841459 for n = 12.
        ([0.0], 12, 0.0, 0.242494),
        ([1.0], 12, 0.757506, 1.0),
        ([0.0, 0.0, 0.0], 12, 0.0, 0.242494),  # samples of one scene are no further trials
        ([1.0, 1.0], 34, 0.898486, 1.0),
    ],
)
def test_a_constant_rate_has_wilsons_interval(
    hits: list[float], scenes: int, low: float, high: float
) -> None:
    found = always(hits, scenes)
    assert found["ci95"]["hit_at_mask"] == pytest.approx((low, high), abs=1e-6)
    assert found["method"]["hit_at_mask"] == "wilson"


def test_a_rate_that_is_the_same_but_not_0_or_1_is_resampled() -> None:
    found = always([0.0, 1.0], 12)
    assert found["ci95"]["hit_at_mask"] == (0.5, 0.5)
    assert found["method"]["hit_at_mask"] == "bootstrap"
    assert found["method"]["mean_l2_error"] in ("bootstrap", None)


def test_a_mean_of_constant_rates_has_the_mean_of_their_intervals() -> None:
    """Always NOT_VISIBLE: recall 1 where nothing is visible, 0 where something is; balanced 0.5."""
    scores = [
        score(f"{scene}-{absent}", scene=f"s{scene}", absent=absent, said_not_visible=True)
        for scene in range(12)
        for absent in (True, False)
    ]
    found = intervals(table_of(scores), clusters_of(scores))
    assert found.ci95["balanced_accuracy"] == pytest.approx((0.378753, 0.621247), abs=1e-6)
    assert found.method["balanced_accuracy"] == "wilson"
    assert value_of("balanced_accuracy", table_of(scores)) == 0.5


def test_too_few_clusters_have_neither_interval_nor_method() -> None:
    found = always([1.0], 9)
    assert found["ci95"]["hit_at_mask"] is None and found["method"]["hit_at_mask"] is None
