"""Ground-truth points from masks: the ``mask_bbox_center`` rule and its seeded random choice."""

from __future__ import annotations

import hashlib
import math
from typing import NamedTuple

import numpy as np

from x3spatial.arrays import Bool
from x3spatial.tasks.geometry import Pixel, Point, centre_of


class Target(NamedTuple):
    """A ground-truth point and the mask pixel that contains it."""

    point: Point
    pixel: Pixel


def sample_seed(seed: int, *key: str) -> int:
    """A 64-bit seed for one sample, from the run's seed and the sample's key.

    A separate seed per sample makes the result independent of order, batches and number of workers.
    """
    text = "\x1f".join([str(seed), *key])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


def mask_target(mask: Bool, draw_seed: int) -> Target | None:
    """The ground-truth point of an object by the ``mask_bbox_center`` rule.

    The centre of the bounding box of ``mask`` [H, W] if that pixel lies in the mask, otherwise the centre of
    a mask pixel drawn uniformly with ``draw_seed``. None for an empty mask (the object is not visible).

    >>> ring = np.ones((3, 3), dtype=bool)
    >>> mask_target(ring, 0).point
    Point(x=0.5, y=0.5)
    """
    height, width = mask.shape
    rows = np.flatnonzero(mask.any(axis=1))
    if rows.size == 0:
        return None
    y0, y1 = int(rows[0]), int(rows[-1])
    columns = np.flatnonzero(mask[y0 : y1 + 1].any(axis=0))
    x0, x1 = int(columns[0]), int(columns[-1])
    x, y = (x0 + x1 + 1) / 2, (y0 + y1 + 1) / 2
    pixel = Pixel(math.floor(x), math.floor(y))
    if mask[pixel.row, pixel.column]:
        return Target(Point(x / width, y / height), pixel)
    inside = np.flatnonzero(mask)
    chosen = int(inside[np.random.default_rng(draw_seed).integers(inside.size)])
    row, column = divmod(chosen, width)
    pixel = Pixel(column, row)
    return Target(centre_of(pixel, width, height), pixel)
