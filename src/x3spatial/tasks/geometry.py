"""Points, pixels and the ground-truth rule: the one coordinate convention of the project.

Pixel (i, j), column i and row j, covers [i, i+1) x [j, j+1) of an image of W x H pixels. A *point*
(x, y) is normalised, x to the right and y down, each divided by the image's own width or height, so
the centre of pixel (i, j) is ((i + 0.5)/W, (j + 0.5)/H).
"""

from __future__ import annotations

import hashlib
import math
from typing import NamedTuple

import numpy as np

from x3spatial.arrays import Bool


class Point(NamedTuple):
    """A normalised point; [0, 1] x [0, 1] is the image, values outside are legal and off it."""

    x: float
    y: float

    @property
    def in_image(self) -> bool:
        """Whether the point lies in the closed unit square."""
        return 0.0 <= self.x <= 1.0 and 0.0 <= self.y <= 1.0


class Pixel(NamedTuple):
    """Column and row of a pixel."""

    column: int
    row: int


def pixel_of(point: Point, width: int, height: int) -> Pixel | None:
    """The pixel that a point falls in, or None outside the image: never clamped into it.

    Only 1.0 itself, the closed edge, belongs to the last pixel.
    """
    if not point.in_image:
        return None
    column = min(math.floor(point.x * width), width - 1)
    row = min(math.floor(point.y * height), height - 1)
    return Pixel(column, row)


def centre_of(pixel: Pixel, width: int, height: int) -> Point:
    """The normalised centre of a pixel."""
    return Point((pixel.column + 0.5) / width, (pixel.row + 0.5) / height)


def hits(mask: Bool, point: Point) -> bool:
    """Whether the point falls in a True pixel of ``mask`` [H, W], looked up in the mask's own grid."""
    height, width = mask.shape
    pixel = pixel_of(point, width, height)
    return pixel is not None and bool(mask[pixel.row, pixel.column])


class Target(NamedTuple):
    """A ground-truth point and the mask pixel it stands for."""

    point: Point
    pixel: Pixel


def sample_seed(seed: int, *key: str) -> int:
    """A 64-bit seed for one sample, from the run's seed and the sample's identity.

    Drawing from it makes a result independent of order, batch and number of workers.
    """
    text = "\x1f".join([str(seed), *key])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


def mask_target(mask: Bool, draw_seed: int) -> Target | None:
    """The ``mask_bbox_center`` rule: where an object is, given its mask.

    The centre of the tight box of ``mask`` [H, W] if the pixel it falls in belongs to the mask, else
    the centre of a mask pixel drawn uniformly with ``draw_seed``. None for an empty mask (the object
    is not visible).

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
