"""A Task2B baseline on the two images alone: the centre of the largest change between them.

Removing an object also removes its shadow and its indirect light on the walls. A shadow darkens all colours
by the same factor, so pixels with such a change get a lower weight. The connected region with the largest sum
of weighted changes is selected.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from x3spatial.arrays import Bool, Float32, UInt8
from x3spatial.io.images import resize_rgb
from x3spatial.models.base import Model
from x3spatial.models.baselines.common import LruCache, asks_for_point, format_point, load_rgb
from x3spatial.tasks.answers import NO_CHANGE
from x3spatial.tasks.geometry import Pixel, Point, centre_of
from x3spatial.tasks.question import Question
from x3spatial.tasks.spec import TASKS, Views

_SHADOW_WEIGHT = 0.15
"""Weight of a change that is exactly that of a shadow."""
_CHROMA_TOLERANCE = 0.06
"""Spread of the log ratios of the colours at which a change counts as half a shadow."""
_SHADOW_STEP = 2.0
"""Minimum ratio between the change of an object and that of its shadow for separating them."""
_NOISE_FLOOR = 6.0
"""Minimum change on a scale of 0 to 255; lossy compression causes smaller changes everywhere."""


class PixelDiff(Model):
    """Answers with the centre of the largest change between the first and the last image."""

    name = "pixel-diff"
    concurrent = True

    def __init__(self) -> None:
        self._image = LruCache[Path, UInt8](load_rgb, capacity=16)

    def can_answer(self, task: str) -> bool:
        """Whether the task shows one view before and after a removal."""
        return asks_for_point(task, Views.TWICE)

    def answer(self, questions: Sequence[Question], prepared: Any) -> list[str]:
        """One point per question. If nothing changed: the task's word for it, or the centre of the image
        where the task says that something did."""
        return [self._answer(question) for question in questions]

    def _answer(self, question: Question) -> str:
        before, after = self._image(question.images[0]), self._image(question.images[-1])
        height, width = after.shape[:2]
        point = changed_point(resize_rgb(before, width, height), after)
        if point is None and TASKS[question.task].absent_token == NO_CHANGE:
            return NO_CHANGE
        return format_point(point or Point(0.5, 0.5), question)


def changed_point(before: UInt8, after: UInt8) -> Point | None:
    """The normalised centre of the largest change between two images ``[H, W, 3]``; None without a change."""
    height, width = after.shape[:2]
    change = weighted_change(before, after)
    region = largest_region(change)
    if region is None:
        return None
    # The pixel with the largest distance to the edge of the region; image borders count as edges.
    inside = cv2.distanceTransform(
        np.pad(region, 1).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE
    )[1:-1, 1:-1]
    row, column = divmod(int(np.argmax(inside)), width)
    return centre_of(Pixel(column, row), width, height)


def weighted_change(before: UInt8, after: UInt8) -> Float32:
    """``[H, W]`` colour change, about 0 to 255, with a lower weight for changes like those of a shadow."""
    sigma = max(0.8, after.shape[1] / 400)
    a = cv2.GaussianBlur(before.astype(np.float32), (0, 0), sigma)
    b = cv2.GaussianBlur(after.astype(np.float32), (0, 0), sigma)
    change = np.sqrt(((a - b) ** 2).mean(axis=2))
    ratio = np.log((b + 8.0) / (a + 8.0))  # + 8: the colour of dark pixels is not reliable
    spread = ratio.max(axis=2) - ratio.min(axis=2)
    brighter = ratio.mean(axis=2) > 0  # removing a shadow only brightens
    like_shadow = np.where(brighter, 1.0 / (1.0 + (spread / _CHROMA_TOLERANCE) ** 2), 0.0)
    return np.asarray(change * (1.0 - (1.0 - _SHADOW_WEIGHT) * like_shadow), dtype=np.float32)


def largest_region(change: Float32) -> Bool | None:
    """The connected region ``[H, W]`` of clear changes with the largest sum; None without a clear change."""
    noise = float(np.median(change))
    spread = float(np.median(np.abs(change - noise)))
    floor = max(_NOISE_FLOOR, noise + 6.0 * spread)
    above = change[change > floor]
    if above.size == 0:
        return None
    threshold = max(floor, 0.25 * float(np.percentile(above, 90)))
    size = max(3, round(change.shape[1] / 160)) | 1
    region = _heaviest_part(change, change > threshold, size)
    # A shadow is connected to its object: if the region has a strong part and a clearly weaker one, the
    # strong part is the object.
    levels = np.clip(change * (255.0 / float(change[region].max())), 0, 255).astype(np.uint8)
    cut, _ = cv2.threshold(levels[region], 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    strong, weak = region & (levels > cut), region & (levels <= cut)
    if weak.any() and change[strong].mean() > _SHADOW_STEP * change[weak].mean():
        return _heaviest_part(change, strong, size)
    return region


def _heaviest_part(change: Float32, clear: Bool, size: int) -> Bool:
    """The connected part of ``clear`` (not empty) with the largest sum of ``change``, after closing small
    gaps.
    """
    # Closing joins parts of an object that are separated by regions in the colour of the background.
    closed = cv2.morphologyEx(
        clear.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((size, size), np.uint8)
    )
    count, labels = cv2.connectedComponents(closed, connectivity=8)
    sums = np.bincount(labels.ravel(), change.ravel(), minlength=count)
    sums[0] = 0.0
    return np.asarray(labels == int(np.argmax(sums)))
