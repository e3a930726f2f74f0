"""SIFT matching with OpenCV, the classical method for finding an object in another view.

Views of a room differ by 20 to 100 degrees, more than SIFT tolerates. Therefore both images are also matched
under simulated tilts, as in ASIFT (Morel and Yu, 2009): the image is rotated and compressed by a tilt t in
directions 72/t degrees apart, and the keypoints are mapped back.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np

from x3spatial.arrays import Bool, Float32, Float64, IntP, UInt8
from x3spatial.models.baselines.matching import Features, MatchingModel, on_mask

_RATIO = 0.8
"""Lowe's ratio: bound on the distance of the best match relative to the second best."""
_SAME_PLACE = 5.0
"""Distance in pixels within which the second best match is the same point under another tilt."""
_CANDIDATES = 8
_OBJECT_TILTS = (1.0, 2**0.5, 2.0, 2**1.5)
_QUERY_TILTS = (1.0, 2.0)
"""Tilts of the query image; fewer, to save time, because the object is only a small part of A."""
_MARGIN = 16
"""Margin in pixels around the object for the descriptors of its keypoints."""
_ROWS = 512
"""Number of descriptors matched at a time; the complete similarity matrix may have 100 million entries."""


class Sift(MatchingModel):
    """RootSIFT under simulated tilts, Lowe's ratio test and one affine map."""

    name = "sift"
    concurrent = True
    object_only = True

    def extract(self, image: UInt8, mask: Bool | None) -> Features:
        """Keypoints and RootSIFT descriptors ``float32 [N, 128]``; with a mask, those on the object."""
        height, width = image.shape[:2]
        grey = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), dtype=np.uint8)
        if mask is None:
            return Features((width, height), *_tilted_features(grey, _QUERY_TILTS))
        rows, columns = _box(mask, width, height)
        points, descriptors = _tilted_features(grey[rows, columns], _OBJECT_TILTS)
        points += np.array([columns.start, rows.start])
        inside = on_mask(points, (width, height), mask)
        return Features((width, height), points[inside], descriptors[inside])

    def match(self, a: Features, b: Features) -> IntP:
        """Nearest neighbours that pass the ratio test."""
        if len(b.points) < _CANDIDATES:
            return np.zeros((0, 2), np.intp)
        parts = [
            _match(a.data[start : start + _ROWS], b.data, b.points, start)
            for start in range(0, len(a.points), _ROWS)
        ]
        return np.concatenate([np.zeros((0, 2), np.intp), *parts])

    def describe(self) -> dict[str, Any]:
        """The settings."""
        return {
            "ratio": _RATIO,
            "object_tilts": list(_OBJECT_TILTS),
            "query_tilts": list(_QUERY_TILTS),
        }


def _box(mask: Bool, width: int, height: int) -> tuple[slice, slice]:
    """Rows and columns of the object in an image of width x height, with a margin."""
    found_rows, found_columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if found_rows.size == 0:
        raise ValueError("the reference mask is empty")

    def span(found: IntP, size: int, mask_size: int) -> slice:
        low, high = int(found[0]) * size // mask_size, -(-(int(found[-1]) + 1) * size // mask_size)
        return slice(max(low - _MARGIN, 0), min(high + _MARGIN, size))

    return span(found_rows, height, mask.shape[0]), span(found_columns, width, mask.shape[1])


def _match(some: Float32, descriptors: Float32, points: Float64, start: int) -> IntP:
    """Matches of the descriptors ``some``, whose first index is ``start``, with all of the query."""
    similarity = some @ descriptors.T  # cosine, for unit vectors
    best = np.argpartition(-similarity, _CANDIDATES - 1, axis=1)[:, :_CANDIDATES]
    values = np.take_along_axis(similarity, best, axis=1)
    order = np.argsort(-values, axis=1, kind="stable")
    best, values = np.take_along_axis(best, order, 1), np.take_along_axis(values, order, 1)
    elsewhere = ((points[best] - points[best[:, :1]]) ** 2).sum(axis=2) > _SAME_PLACE**2
    second = np.where(elsewhere, values, -1.0).max(axis=1)
    nearest = np.sqrt(np.maximum(2.0 - 2.0 * values[:, 0], 0.0))
    next_nearest = np.sqrt(np.maximum(2.0 - 2.0 * second, 0.0))
    passed = np.flatnonzero(nearest < _RATIO * next_nearest)
    return np.stack([passed + start, best[passed, 0]], axis=1)


def _tilted_features(grey: UInt8, tilts: tuple[float, ...]) -> tuple[Float64, Float32]:
    """Keypoints ``[N, 2]`` in pixels of ``grey`` and descriptors ``[N, 128]`` of all tilted views."""
    found = [_keypoints(view, back) for view, back in _tilted_views(grey, tilts)]
    points, descriptors = zip(*found, strict=True)
    return np.concatenate(points), np.concatenate(descriptors)


def _keypoints(view: UInt8, back: Float64) -> tuple[Float64, Float32]:
    # A low contrast threshold, because small objects without texture have few strong corners.
    detector = cv2.SIFT_create(nfeatures=4000, contrastThreshold=0.01)  # type: ignore[attr-defined]
    keypoints, found = detector.detectAndCompute(view, None)
    if found is None:
        return np.zeros((0, 2)), np.zeros((0, 128), np.float32)
    points = np.array([keypoint.pt for keypoint in keypoints], dtype=np.float64) + 0.5
    rooted = np.sqrt(found / np.maximum(found.sum(axis=1, keepdims=True), 1e-9))
    return points @ back[:, :2].T + back[:, 2], rooted.astype(np.float32)


def _tilted_views(grey: UInt8, tilts: tuple[float, ...]) -> Iterator[tuple[UInt8, Float64]]:
    """(view, the affine map ``[2, 3]`` from its pixels back to those of ``grey``)."""
    height, width = grey.shape
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], dtype=np.float64)
    for tilt in tilts:
        for degrees in [0.0] if tilt == 1.0 else np.arange(0.0, 180.0, 72.0 / tilt):
            cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
            turn = np.array([[cosine, -sine], [sine, cosine]])
            turned = corners @ turn.T
            low = turned.min(axis=0)
            # Rounded first, because rounding errors of cos and sin would add a column.
            wide, high = np.ceil(np.round(turned.max(axis=0) - low, 6)).astype(int).tolist()
            there = np.column_stack([turn, -low])
            view = cv2.warpAffine(
                grey, there, (wide, high), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
            )
            if tilt != 1.0:
                # ASIFT's anti-aliasing along the compressed axis.
                view = cv2.GaussianBlur(
                    view, (0, 0), sigmaX=0.8 * float(np.sqrt(tilt**2 - 1)), sigmaY=0.01
                )
                squeezed = max(8, round(wide / tilt))
                view = cv2.resize(view, (squeezed, high), interpolation=cv2.INTER_NEAREST)
                there = np.diag([squeezed / wide, 1.0]) @ there
            yield np.asarray(view, dtype=np.uint8), np.asarray(cv2.invertAffineTransform(there))
