"""Recolouring and decoys of pairs that may be unchanged."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from x3spatial.builder.pair_images import GAIN, SHIFT, decoy_hole, recolour


@given(st.integers(0, 2**32))
def test_recolouring_is_slight_and_repeats(seed: int) -> None:
    image = np.random.default_rng(1).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    after = recolour(image, seed)
    difference = np.abs(after.astype(int) - image.astype(int)).max()
    assert difference <= 255 * GAIN + SHIFT + 1
    assert np.array_equal(after, recolour(image, seed))
    # The same value of one channel always becomes the same value: places do not matter.
    for channel in range(3):
        for value in np.unique(image[:, :, channel]):
            assert len(np.unique(after[:, :, channel][image[:, :, channel] == value])) == 1


@given(st.integers(0, 2**32), st.integers(0, 30), st.integers(0, 40), st.integers(1, 25))
def test_a_decoy_has_the_objects_shape_elsewhere(seed: int, top: int, left: int, size: int) -> None:
    mask = np.zeros((48, 64), bool)
    mask[top : top + size, left : left + size] = True
    hole = decoy_hole(mask, seed)
    if hole is None:
        assert size > 10  # small objects always leave room
        return
    assert not (hole & mask).any()
    assert mask.sum() <= hole.sum() <= (size + 2) ** 2
    again = decoy_hole(mask, seed)
    assert again is not None and np.array_equal(hole, again)


def test_an_object_that_fills_the_image_has_no_decoy() -> None:
    assert decoy_hole(np.ones((20, 30), bool), 0) is None
