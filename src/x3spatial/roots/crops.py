"""Parts of pictures around an object: how large, and where."""

from __future__ import annotations

import math

import numpy as np

from x3spatial.arrays import Bool, IntP
from x3spatial.errors import UserError


def check_times(option: str, times: tuple[float, float]) -> None:
    """Refuse a range of sizes that ``draw_part`` cannot draw from.

    Raises:
        UserError: it names ``option``.
    """
    least, most = times
    if not 1 <= least <= most < math.inf:
        raise UserError(f"{option} {least:g} {most:g}: expected the least and the most, from 1 on")


def draw_part(
    mask: Bool,
    times: tuple[float, float],
    rng: np.random.Generator,
    *,
    usual: float = 1.0,
    least_side: int = 1,
) -> tuple[slice, slice]:
    """The rows and the columns of a part of the picture's proportions that holds all of the object.

    How many times the object's extent it measures is drawn between ``times`` on a logarithmic scale, and
    where in it the object lies is drawn as well; it never leaves the picture.

    Args:
        mask: [H, W]; empty where the object is not seen, and then the part may lie anywhere.
        times: least and most, from 1 on.
        rng: of the draws: the size, the first row, the first column.
        usual: the extent, as a share of the picture's side, to use where the mask is empty.
        least_side: pixels of the picture's shorter side that are kept at least.
    """
    height, width = mask.shape
    seen = bool(mask.any())
    share = (extent(mask) if seen else usual) * float(np.exp(rng.uniform(*np.log(times))))
    share = min(1.0, max(share, least_side / min(height, width)))

    def along(size: int, filled: IntP) -> slice:
        first, end = (int(filled[0]), int(filled[-1]) + 1) if seen else (size, 0)
        length = min(size, max(round(share * size), end - first))
        start = int(rng.integers(max(0, end - length), min(first, size - length) + 1))
        return slice(start, start + length)

    rows = along(height, np.flatnonzero(mask.any(axis=1)))
    return rows, along(width, np.flatnonzero(mask.any(axis=0)))


def extent(mask: Bool) -> float:
    """The larger side of the box around a mask [H, W], as a share of the picture's side."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    height, width = mask.shape
    return float(max((rows[-1] - rows[0] + 1) / height, (columns[-1] - columns[0] + 1) / width))
