"""The overlay of marked images, on any mask."""

from __future__ import annotations

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from helpers.roots import photo
from x3spatial.builder.render import mark, side_by_side

masks = hnp.arrays(bool, hnp.array_shapes(min_dims=2, max_dims=2, max_side=9))


@given(masks, st.floats(0.01, 1.0))
@example(np.zeros((4, 3), dtype=bool), 0.5)
@example(np.eye(4, 3, dtype=bool)[:1], 1.0)
def test_red_on_the_mask_and_nothing_else(mask: np.ndarray, alpha: float) -> None:
    height, width = mask.shape
    image = photo(height, width, height)
    before = image.copy()
    marked = mark(image, mask, alpha)
    blended = np.rint(before * (1 - alpha) + alpha * np.array([255, 0, 0]))
    assert (marked == np.where(mask[..., None], blended, before)).all()
    assert (image == before).all()


@given(st.integers(1, 9), st.integers(1, 9))
def test_side_by_side(width: int, height: int) -> None:
    reference, query = photo(1, width, height), photo(2, width, height)
    both = side_by_side(reference, query)
    assert (both[:, :width] == reference).all() and (both[:, width:] == query).all()
    assert side_by_side(reference, photo(2, 5, 7)).shape == (height, 2 * width, 3)
