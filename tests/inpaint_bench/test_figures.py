"""Errors of images and means with intervals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from x3spatial.inpaint_bench.image_errors import image_errors, outside_difference
from x3spatial.inpaint_bench.statistics import Sample, difference, estimate
from x3spatial.roots.layout import ObjectKey


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 40))
def test_a_shift_of_all_levels(seed: int, shift: int) -> None:
    rng = np.random.default_rng(seed)
    true = rng.integers(0, 200, (30, 40, 3), dtype=np.uint8)
    hole = np.zeros((30, 40), bool)
    top, left = rng.integers(0, 20), rng.integers(0, 30)
    hole[top : top + 5, left : left + 7] = True
    same = image_errors(true, true, hole)
    assert (same.mae, same.gradient) == (0, 0) and same.ssim == pytest.approx(1)
    brighter = image_errors(true + np.uint8(shift), true, hole)
    assert brighter.mae == pytest.approx(shift) and brighter.gradient == pytest.approx(0, abs=1e-9)
    assert 0 < brighter.ssim < 1
    assert outside_difference(true + np.uint8(shift), true, hole) == pytest.approx(shift)


def test_only_the_hole_counts() -> None:
    true = np.full((40, 40, 3), 100, np.uint8)
    hole = np.zeros((40, 40), bool)
    hole[18:22, 18:22] = True
    far = true.copy()
    far[:4] = 0
    assert image_errors(far, true, hole).mae == 0
    assert outside_difference(far, true, hole) > 0
    edge = true.copy()
    edge[hole] = 0
    edge[18:22, 18:20] = 100  # half of the hole is right, and there is an edge where none is
    found = image_errors(edge, true, hole)
    assert found.mae == pytest.approx(50) and found.gradient > 20 and found.ssim < 0.7


def samples(scenes: int, views: int = 3) -> dict[str, Sample]:
    return {
        f"{scene}/{view}": Sample(f"place{scene}", ObjectKey("val", f"s{scene}", "1"))
        for scene in range(scenes)
        for view in range(views)
    }


def test_intervals_are_over_scenes() -> None:
    """Views of one scene are alike: the interval is that of the scenes' means."""
    found = samples(40, 5)
    rng = np.random.default_rng(0)
    level = rng.normal(10, 2, 40)
    values = {name: float(level[int(name.split("/")[0])]) for name in found}
    got = estimate(values, found)
    assert got.mean == pytest.approx(level.mean()) and got.ci95 is not None
    width = got.ci95[1] - got.ci95[0]
    assert width == pytest.approx(2 * 1.96 * level.std() / np.sqrt(40), rel=0.15)
    # Paired: both engines suffer from the same scenes.
    better = {name: value - 1 for name, value in values.items()}
    less = difference(values, better, found)
    assert less is not None and less.ci95 == pytest.approx((-1, -1))


def test_few_clusters() -> None:
    few = samples(9)
    assert estimate(dict.fromkeys(few, 1.0), few).ci95 is None
    objects = {
        str(n): Sample(f"place{n % 2}", ObjectKey("val", f"s{n % 2}", str(n))) for n in range(10)
    }
    assert estimate(dict.fromkeys(objects, 1.0), objects).ci95 == (1.0, 1.0)
    assert difference({"a": 1.0}, {"b": 1.0}, few) is None
