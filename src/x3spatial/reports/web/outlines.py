"""Outlines of masks as polygons."""

from __future__ import annotations

import threading
from collections import OrderedDict

import cv2
import numpy as np

from x3spatial.arrays import Bool
from x3spatial.evaluation.scoring.masks import MaskFinder
from x3spatial.formats.results_file import MaskChoice
from x3spatial.formats.task_file import TaskRecord
from x3spatial.tasks.frames import Frame
from x3spatial.tasks.geometry import Point

_TOLERANCE = 0.5
"""Most that a polygon may be off, in pixels of the mask, before rounding."""
_DECIMALS = 4
_MOST = 400
"""Most polygons of a mask, the largest ones: noise may have thousands."""
_CACHED = 20_000

Polygons = list[list[float]]


def outline(mask: Bool) -> Polygons:
    """The borders of ``mask`` [H, W], holes included, as polygons ``[x0, y0, x1, y1, ...]`` in 0..1.

    They run along the edges of pixels, so that a mask of one pixel has an area too, and are at most one
    pixel off.
    """
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if rows.size == 0:
        return []
    height, width = mask.shape
    top, left = int(rows[0]), int(columns[0])
    part = mask[top : rows[-1] + 1, left : columns[-1] + 1].astype(np.uint8)
    # Twice the size: a border through pixel centres is then a quarter of a pixel from the edges.
    doubled = np.pad(np.repeat(np.repeat(part, 2, axis=0), 2, axis=1), 1)
    contours, _ = cv2.findContours(doubled, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    contours = sorted(contours, key=cv2.contourArea, reverse=True)[:_MOST]
    found = []
    for contour in contours:
        points = cv2.approxPolyDP(contour, 2 * _TOLERANCE, True)[:, 0].astype(np.float64)
        x = ((points[:, 0] - 1 + 0.5) / 2 + left) / width
        y = ((points[:, 1] - 1 + 0.5) / 2 + top) / height
        found.append(np.round(np.column_stack((x, y)), _DECIMALS).ravel().tolist())
    return found


def in_frame(polygons: Polygons, frame: Frame) -> Polygons:
    """Polygons of the query image in the frame of the answers."""
    if frame is Frame.IMAGE:
        return polygons
    found = []
    for polygon in polygons:
        flat: list[float] = []
        for x, y in zip(polygon[::2], polygon[1::2], strict=True):
            point = frame.to_full(Point(x, y))
            flat += [round(point.x, _DECIMALS + 1), point.y]
        found.append(flat)
    return found


class Outlines:
    """The outlines of the masks that samples were scored with, each made once. Thread-safe.

    Args:
        choice: the choice of masks of the scoring.
    """

    def __init__(self, choice: MaskChoice) -> None:
        self._finder = MaskFinder(choice, None)
        self._lock = threading.Lock()
        self._made: OrderedDict[tuple[str | None, ...], Polygons] = OrderedDict()

    def of(self, record: TaskRecord) -> Polygons:
        """The outline of a sample's mask in the frame of its answers; empty if it has no mask.

        The record holds the paths of its files.
        """
        if record.query_mask is None and record.query_original is None:
            return []
        key = (record.query_mask, record.query_original, record.task)
        with self._lock:
            if key in self._made:
                self._made.move_to_end(key)
                return self._made[key]
        mask = self._finder.masks(record).chosen
        polygons = [] if mask is None else in_frame(outline(mask), record.spec.frame)
        with self._lock:
            self._made[key] = polygons
            while len(self._made) > _CACHED:
                self._made.popitem(last=False)
        return polygons
