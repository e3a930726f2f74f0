"""Frames: conversion between the coordinates of an image and those of the side-by-side (concat) image.

The concat image shows reference A in its left half and query B in its right half. Each takes exactly half
the width and the full height, so only x changes.
"""

from __future__ import annotations

from enum import Enum

from x3spatial.tasks.geometry import Point


class Frame(Enum):
    """The image that the coordinates of a point refer to."""

    IMAGE = "image"
    CONCAT_LEFT = "concat_left"
    CONCAT_RIGHT = "concat_right"

    def to_full(self, point: Point) -> Point:
        """Convert a point from the coordinates of the half to those of the answer."""
        if self is Frame.IMAGE:
            return point
        offset = 0.0 if self is Frame.CONCAT_LEFT else 0.5
        return Point(offset + point.x * 0.5, point.y)

    def to_local(self, point: Point) -> Point:
        """Convert a point from the coordinates of the answer to those of the half; not clamped."""
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
