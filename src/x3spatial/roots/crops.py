"""Crop windows around an object: drawing their size and position."""

from __future__ import annotations

import math

import numpy as np

from x3spatial.arrays import Bool, IntP
from x3spatial.errors import UserError


def check_times(option: str, times: tuple[float, float]) -> None:
    """Check a range of crop sizes for ``draw_crop``.

    Raises:
        UserError: not 1 <= least <= most; the message names ``option``.
    """
    least, most = times
    if not 1 <= least <= most < math.inf:
        raise UserError(f"{option} {least:g} {most:g}: expected MIN MAX with 1 <= MIN <= MAX")


def draw_crop(
    mask: Bool,
    times: tuple[float, float],
    rng: np.random.Generator,
    *,
    default_extent: float = 1.0,
    min_side: int = 1,
) -> tuple[slice, slice]:
    """Draw a crop with the image's aspect ratio that contains the whole object.

    The ratio of the crop's side to the object's extent is drawn log-uniformly between ``times``; the
    position is drawn uniformly. The crop lies inside the image.

    Args:
        mask: [H, W]; if it is empty the crop may lie anywhere.
        times: smallest and largest ratio, each at least 1.
        rng: draws the size, the first row and the first column, in this order.
        default_extent: the object's extent as a share of the image's side, used if the mask is empty.
        min_side: smallest length in pixels of the crop along the image's shorter side.

    Returns:
        The rows and the columns of the crop.
    """
    height, width = mask.shape
    visible = bool(mask.any())
    share = (extent(mask) if visible else default_extent) * float(
        np.exp(rng.uniform(*np.log(times)))
    )
    share = min(1.0, max(share, min_side / min(height, width)))

    def span(size: int, filled: IntP) -> slice:
        first, end = (int(filled[0]), int(filled[-1]) + 1) if visible else (size, 0)
        length = min(size, max(round(share * size), end - first))
        start = int(rng.integers(max(0, end - length), min(first, size - length) + 1))
        return slice(start, start + length)

    rows = span(height, np.flatnonzero(mask.any(axis=1)))
    return rows, span(width, np.flatnonzero(mask.any(axis=0)))


def extent(mask: Bool) -> float:
    """Return the larger side of the bounding box of a mask [H, W], as a share of the image's side."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    height, width = mask.shape
    return float(max((rows[-1] - rows[0] + 1) / height, (columns[-1] - columns[0] + 1) / width))
