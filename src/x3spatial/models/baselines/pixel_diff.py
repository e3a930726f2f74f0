"""Task2B from the two images alone: what changed between them, and where is the middle of it.

Taking an object away also takes its shadow and its light on the walls away. A shadow darkens all colours
by one factor, so a pixel whose change looks like that counts for less, and of the connected changes the one
with the largest sum is taken.
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
from x3spatial.models.baselines.common import LruCache, asks_for_point, load_rgb, say
from x3spatial.tasks.geometry import Pixel, Point, centre_of
from x3spatial.tasks.question import Question
from x3spatial.tasks.spec import Views

_SHADOW_WEIGHT = 0.15
"""What a change that is exactly a shadow's still counts."""
_CHROMA_TOLERANCE = 0.06
"""Spread of the colours' log ratios at which a change is half a shadow's."""
_SHADOW_STEP = 2.0
"""How much stronger an object's change must be than that of what hangs on it, to be told apart."""
_NOISE_FLOOR = 6.0
"""Smallest change, of 255, that counts (lossy files differ by less everywhere)."""


class PixelDiff(Model):
    """Points at the middle of the largest change from the first image to the last."""

    name = "pixel-diff"
    concurrent = True

    def __init__(self) -> None:
        self._image = LruCache[Path, UInt8](load_rgb, capacity=16)

    def can_answer(self, task: str) -> bool:
        """Tasks with one view before and after a removal."""
        return asks_for_point(task, Views.TWICE)

    def answer(self, questions: Sequence[Question], prepared: Any) -> list[str]:
        """One point for each; the centre where nothing changed."""
        return [self._answer(question) for question in questions]

    def _answer(self, question: Question) -> str:
        before, after = self._image(question.images[0]), self._image(question.images[-1])
        height, width = after.shape[:2]
        return say(changed_point(resize_rgb(before, width, height), after), question)


def changed_point(before: UInt8, after: UInt8) -> Point:
    """The middle of the largest change between two images ``[H, W, 3]``; their centre without one."""
    height, width = after.shape[:2]
    change = weighted_change(before, after)
    region = largest_region(change)
    if region is None:
        return Point(0.5, 0.5)
    # The innermost pixel: farthest from the region's edge, image borders being edges too.
    inside = cv2.distanceTransform(
        np.pad(region, 1).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE
    )[1:-1, 1:-1]
    row, column = divmod(int(np.argmax(inside)), width)
    return centre_of(Pixel(column, row), width, height)


def weighted_change(before: UInt8, after: UInt8) -> Float32:
    """``[H, W]`` colour change of 0..255 or so, less where it is what a shadow does."""
    sigma = max(0.8, after.shape[1] / 400)
    a = cv2.GaussianBlur(before.astype(np.float32), (0, 0), sigma)
    b = cv2.GaussianBlur(after.astype(np.float32), (0, 0), sigma)
    change = np.sqrt(((a - b) ** 2).mean(axis=2))
    ratio = np.log((b + 8.0) / (a + 8.0))  # 8: dark pixels have no reliable colour
    spread = ratio.max(axis=2) - ratio.min(axis=2)
    brighter = ratio.mean(axis=2) > 0  # taking a shadow away only brightens
    like_shadow = np.where(brighter, 1.0 / (1.0 + (spread / _CHROMA_TOLERANCE) ** 2), 0.0)
    return np.asarray(change * (1.0 - (1.0 - _SHADOW_WEIGHT) * like_shadow), dtype=np.float32)


def largest_region(change: Float32) -> Bool | None:
    """The connected region ``[H, W]`` of clear change with the largest sum; None without any."""
    noise = float(np.median(change))
    spread = float(np.median(np.abs(change - noise)))
    floor = max(_NOISE_FLOOR, noise + 6.0 * spread)
    above = change[change > floor]
    if above.size == 0:
        return None
    threshold = max(floor, 0.25 * float(np.percentile(above, 90)))
    size = max(3, round(change.shape[1] / 160)) | 1
    region = _heaviest_part(change, change > threshold, size)
    # A shadow hangs on its object: where the region falls into a strong and a clearly weaker part, the
    # strong one is the object.
    levels = np.clip(change * (255.0 / float(change[region].max())), 0, 255).astype(np.uint8)
    cut, _ = cv2.threshold(levels[region], 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    strong, weak = region & (levels > cut), region & (levels <= cut)
    if weak.any() and change[strong].mean() > _SHADOW_STEP * change[weak].mean():
        return _heaviest_part(change, strong, size)
    return region


def _heaviest_part(change: Float32, clear: Bool, size: int) -> Bool:
    """The connected part of ``clear`` (not empty) with the largest sum of ``change``, small gaps closed."""
    # Closing joins the parts of an object that happen to have the background's colour.
    closed = cv2.morphologyEx(
        clear.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((size, size), np.uint8)
    )
    count, labels = cv2.connectedComponents(closed, connectivity=8)
    sums = np.bincount(labels.ravel(), change.ravel(), minlength=count)
    sums[0] = 0.0
    return np.asarray(labels == int(np.argmax(sums)))
