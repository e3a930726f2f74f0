"""Points and pixels: the coordinate convention of the project.

Pixel (i, j), column i and row j, covers [i, i+1) x [j, j+1) of an image of W x H pixels. A *point* (x, y) is
normalised: x points right and is divided by W, y points down and is divided by H. The centre of pixel (i, j)
is ((i + 0.5)/W, (j + 0.5)/H).
"""

from __future__ import annotations

import math
from typing import NamedTuple

from x3spatial.arrays import Bool


class Point(NamedTuple):
    """A normalised point. The image is [0, 1] x [0, 1]; points outside are valid and lie off the image."""

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
    """The pixel that contains a point; None if the point is outside the image (it is not clamped).

    A coordinate of exactly 1.0 belongs to the last pixel.
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
    """Whether the point lies in a True pixel of ``mask`` [H, W], which may differ from the image in size."""
    height, width = mask.shape
    pixel = pixel_of(point, width, height)
    return pixel is not None and bool(mask[pixel.row, pixel.column])
