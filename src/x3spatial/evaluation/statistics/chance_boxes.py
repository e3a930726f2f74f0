"""Chance baselines for answers that are boxes, in the frame of the query image.

What a model of boxes scores that does not look: the whole image has every object in it, a box of the usual
size in the middle has the right size, and the box of A's mask copied into B has the shape of the object and
often its place. ``always-not-visible`` is the same model as for points.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import numpy as np

from x3spatial.arrays import Bool, Float64
from x3spatial.io.members import file_at
from x3spatial.models.baselines.common import LruCache, asks_for_point, needed_field
from x3spatial.tasks.boxes import HALF, Box, mask_box
from x3spatial.tasks.question import Question
from x3spatial.tasks.spec import Views

WHOLE_IMAGE = "whole-image"
CENTRE_BOX = "centre-box"
COPY_REFERENCE_BOX = "copy-reference-box"
BOX_METRICS = (
    "mean_iou",
    "iou_050",
    "centre_in_mask",
    "not_visible_accuracy",
    "false_not_visible_rate",
    "balanced_accuracy",
)
"""What these rows have: no metric of points, just as a run of boxes has none."""
_WHOLE = Box(0.0, 0.0, 1.0, 1.0)


class BoxGuesses:
    """The boxes that are asked and scored sample by sample. Thread-safe.

    Args:
        read_mask: reads a reference mask.
    """

    def __init__(self, read_mask: Callable[[Path], Bool]) -> None:
        self._of_mask = LruCache(partial(_tight_box, read_mask), capacity=4096)

    def of(self, question: Question) -> dict[str, Callable[[], Box]]:
        """Row → its box in the query image, for the rows that can answer ``question``.

        A box that needs a mask raises ``ValueError`` or ``ImageError`` without a usable one.
        """
        guesses: dict[str, Callable[[], Box]] = {}
        if asks_for_point(question.task):
            guesses[WHOLE_IMAGE] = lambda: _WHOLE
        if asks_for_point(question.task, Views.TWO):
            guesses[COPY_REFERENCE_BOX] = lambda: self._of_mask(needed_field(question, "ref_mask"))
        return guesses


def _tight_box(read_mask: Callable[[Path], Bool], name: str) -> Box:
    path = file_at(name)
    box = mask_box(read_mask(path))
    if box is None:
        raise ValueError(f"{path}: the reference mask is empty")
    return box


def centre_box_row(
    whole_image: Mapping[str, float | None] | None, true_boxes: Float64
) -> dict[str, float | None] | None:
    """The row of one box in the middle of each image, as wide and as high as the true boxes in the median.

    Args:
        whole_image: the row of the whole image, whose box has the same centre; None: nothing was scored.
        true_boxes: ``[N, 4]`` x1, y1, x2, y2, normalised in the query images.
    """
    if whole_image is None or "mean_iou" not in whole_image:
        return None
    overlaps = _overlaps(true_boxes)
    return {
        **whole_image,
        "mean_iou": float(overlaps.mean()) if overlaps.size else None,
        "iou_050": float((overlaps >= HALF).mean()) if overlaps.size else None,
    }


def _overlaps(true_boxes: Float64) -> Float64:
    """``[N]`` IoU of the middle box of median size with each of ``true_boxes`` [N, 4]."""
    if not len(true_boxes):
        return np.empty(0)
    low, high = true_boxes[:, :2], true_boxes[:, 2:]
    size = np.median(high - low, axis=0)
    shared = np.minimum(high, 0.5 + size / 2) - np.maximum(low, 0.5 - size / 2)
    inside = np.maximum(shared, 0.0).prod(axis=1)
    overlaps: Float64 = inside / ((high - low).prod(axis=1) + size.prod() - inside)
    return overlaps
