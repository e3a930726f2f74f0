"""Recolouring of pairs that may be unchanged."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from x3spatial.builder.pair_images import GAIN, SHIFT, recolour


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
