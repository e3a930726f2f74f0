"""Frames: from an image's own coordinates to those of the side-by-side (concat) image and back.

The concat image holds reference A in its left half and query B in its right half, each exactly half
the width and the full height, so only x changes.
"""

from __future__ import annotations

from enum import Enum

from x3spatial.tasks.geometry import Point


class Frame(Enum):
    """In which image's coordinates a point is written."""

    IMAGE = "image"
    CONCAT_LEFT = "concat_left"
    CONCAT_RIGHT = "concat_right"

    def to_full(self, point: Point) -> Point:
        """From the half's own coordinates to the frame that answers are written in."""
        if self is Frame.IMAGE:
            return point
        offset = 0.0 if self is Frame.CONCAT_LEFT else 0.5
        return Point(offset + point.x * 0.5, point.y)

    def to_local(self, point: Point) -> Point:
        """From the frame that answers are written in to the half's own; unclamped."""
        if self is Frame.IMAGE:
            return point
        offset = 0.0 if self is Frame.CONCAT_LEFT else 0.5
        return Point((point.x - offset) * 2.0, point.y)

    def contains(self, point: Point) -> bool:
        """Whether a full-frame point lies in the image and in this half.

        The seam x = 0.5 belongs to the right half.
        """
        if not point.in_image:
            return False
        if self is Frame.CONCAT_LEFT:
            return point.x < 0.5
        return self is Frame.IMAGE or point.x >= 0.5
