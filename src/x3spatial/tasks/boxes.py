"""Boxes: corners in normalised coordinates, the tight box of a mask, and how much two boxes overlap.

Boxes are half-open like pixels: the tight box of a mask reaches from the left edge of its first column to the
right edge of its last one, so a mask of one pixel has a box of one pixel.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from x3spatial.arrays import Bool
from x3spatial.tasks.frames import Frame
from x3spatial.tasks.geometry import Point

HALF = 0.5 - 1e-9
"""The IoU from which a box counts as right: half, whatever the last bit of its corners."""


class Box(NamedTuple):
    """A box by two opposite corners, normalised; x points right, y points down.

    The corners are kept as they were written: the first may lie right of or below the second, and both may
    lie outside the image.
    """

    x1: float
    y1: float
    x2: float
    y2: float

    @property
    def corners(self) -> tuple[float, float, float, float]:
        """The four numbers as a plain tuple."""
        return self.x1, self.y1, self.x2, self.y2

    @property
    def centre(self) -> Point:
        """The centre; halved first, so that large numbers stay finite."""
        return Point(self.x1 / 2 + self.x2 / 2, self.y1 / 2 + self.y2 / 2)

    @property
    def swapped(self) -> bool:
        """Whether the first corner lies right of or below the second."""
        return self.x1 > self.x2 or self.y1 > self.y2

    @property
    def degenerate(self) -> bool:
        """Whether the box has no area."""
        return self.x1 == self.x2 or self.y1 == self.y2

    @property
    def in_image(self) -> bool:
        """Whether both corners lie in the closed unit square."""
        return all(0.0 <= value <= 1.0 for value in self)

    @property
    def ordered(self) -> Box:
        """The same box with the upper left corner first."""
        return Box(
            min(self.x1, self.x2),
            min(self.y1, self.y2),
            max(self.x1, self.x2),
            max(self.y1, self.y2),
        )

    def mapped(self, frame: Frame, *, to_full: bool) -> Box:
        """The box in the coordinates of the answer (``to_full``), or of the half of ``frame``."""
        move = frame.to_full if to_full else frame.to_local
        return Box(*move(Point(self.x1, self.y1)), *move(Point(self.x2, self.y2)))


def mask_box(mask: Bool) -> Box | None:
    """The tight box of ``mask`` [H, W], normalised in its image; None for an empty mask."""
    height, width = mask.shape
    rows = np.flatnonzero(mask.any(axis=1))
    if rows.size == 0:
        return None
    y0, y1 = int(rows[0]), int(rows[-1]) + 1
    columns = np.flatnonzero(mask[y0:y1].any(axis=0))
    x0, x1 = int(columns[0]), int(columns[-1]) + 1
    return Box(x0 / width, y0 / height, x1 / width, y1 / height)


def intersection_over_union(a: Box, b: Box) -> float:
    """Area of the intersection by that of the union, from 0 to 1; 0 if one of the boxes has no area.

    Corners may be swapped. Nothing is cut off at the edge of the image: what a box holds outside of it counts
    as part of the union.
    """
    a, b = a.ordered, b.ordered
    width = min(a.x2, b.x2) - max(a.x1, b.x1)
    height = min(a.y2, b.y2) - max(a.y1, b.y1)
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    # Answers may contain any number, even 1e300: areas may be infinite, and the share is then 0.
    area = (a.x2 - a.x1) * (a.y2 - a.y1) + (b.x2 - b.x1) * (b.y2 - b.y1) - shared
    return min(shared / area, 1.0) if math.isfinite(area) and area > 0 else 0.0
