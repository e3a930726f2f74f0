"""SIFT matching with OpenCV: the classical answer to "where is this object in the other view"."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from x3spatial.data.images import UInt8Array
from x3spatial.models.baselines.matching import Features, MatchingAnswerer

_RATIO = 0.8
"""Lowe's: the best match must be this much nearer than the second best."""


class Sift(MatchingAnswerer):
    """RootSIFT, Lowe's ratio test, one affine map."""

    name = "sift"
    concurrent = True

    def extract(self, image: UInt8Array) -> Features:
        """Keypoints and RootSIFT descriptors ``float32 [N, 128]``."""
        grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        # A low contrast threshold: small plain objects have few strong corners.
        detector = cv2.SIFT_create(nfeatures=4000, contrastThreshold=0.01)  # type: ignore[attr-defined]
        keypoints, found = detector.detectAndCompute(grey, None)
        size = (image.shape[1], image.shape[0])
        if found is None:
            return Features(size, np.zeros((0, 2)), np.zeros((0, 128), np.float32))
        points = np.array([keypoint.pt for keypoint in keypoints], dtype=np.float64) + 0.5
        rooted = np.sqrt(found / np.maximum(found.sum(axis=1, keepdims=True), 1e-9))
        return Features(size, points, rooted.astype(np.float32))

    def match(self, a: Features, b: Features) -> npt.NDArray[np.intp]:
        """Nearest neighbours that pass the ratio test."""
        if len(a.points) == 0 or len(b.points) < 2:
            return np.zeros((0, 2), np.intp)
        similarity = a.data @ b.data.T  # of unit vectors
        best = np.argpartition(-similarity, 1, axis=1)[:, :2]
        values = np.take_along_axis(similarity, best, axis=1)
        swap = values[:, 0] < values[:, 1]
        best[swap], values[swap] = best[swap][:, ::-1], values[swap][:, ::-1]
        distances = np.sqrt(np.maximum(2.0 - 2.0 * values, 0.0))
        passed = np.flatnonzero(distances[:, 0] < _RATIO * distances[:, 1])
        return np.stack([passed, best[passed, 0]], axis=1)

    def describe(self) -> dict[str, Any]:
        """Its settings."""
        return {"ratio": _RATIO}
