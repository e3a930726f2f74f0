"""Filling of holes: what is outside stays, what is inside continues its surroundings."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from x3spatial.arrays import Bool, UInt8
from x3spatial.errors import UserError
from x3spatial.inpainting import ENGINES, inpaint


def scene(seed: int, height: int = 40, width: int = 50) -> tuple[UInt8, Bool]:
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    hole = np.zeros((height, width), bool)
    top, left = rng.integers(0, height - 8), rng.integers(0, width - 8)
    hole[top : top + 8, left : left + 8] = True
    return image, hole


@given(st.integers(0, 2**32), st.sampled_from(sorted(ENGINES)))
def test_pixels_outside_of_the_hole_stay(seed: int, engine: str) -> None:
    image, hole = scene(seed)
    before = image.copy()
    filled = inpaint(image, hole, engine)
    assert filled.dtype == np.uint8 and filled.shape == image.shape
    assert np.array_equal(filled[~hole], image[~hole]) and np.array_equal(image, before)
    assert np.array_equal(filled, inpaint(image, hole, engine))


@pytest.mark.parametrize("engine", sorted(ENGINES))
def test_a_patch_on_a_plain_wall_vanishes(engine: str) -> None:
    wall = np.full((60, 80, 3), (90, 140, 200), np.uint8)
    hole = np.zeros((60, 80), bool)
    hole[20:40, 30:50] = True
    painted = wall.copy()
    painted[hole] = (255, 0, 0)
    filled = inpaint(painted, hole, engine)
    assert np.abs(filled.astype(int) - wall).max() <= 4
    assert np.array_equal(
        filled, inpaint(wall, hole, engine)
    )  # what was in the hole does not matter


def test_limits() -> None:
    image, hole = scene(0)
    assert np.array_equal(inpaint(image, np.zeros_like(hole)), image)
    with pytest.raises(ValueError, match="nothing of the image"):
        inpaint(image, np.ones_like(hole))
    with pytest.raises(ValueError, match="hole of"):
        inpaint(image, hole[:-1])
    with pytest.raises(UserError, match="known are telea"):
        inpaint(image, hole, "none")
