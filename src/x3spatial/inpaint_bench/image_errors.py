"""How far a filled image is from the true one: arithmetic on pixels, no learned measure."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from x3spatial.arrays import Bool, Float32, Float64, UInt8

_SSIM_SIGMA = 1.5
_SSIM_C1, _SSIM_C2 = (0.01 * 255.0) ** 2, (0.03 * 255.0) ** 2
_MARGIN = 8
"""Pixels around the hole that the windows of SSIM and the gradients reach."""


@dataclass(frozen=True, slots=True)
class ImageErrors:
    """The errors of one image; levels are 0 to 255."""

    mae: float
    """Mean absolute difference to the true image in the hole, over pixels and colours."""
    ssim: float
    """Mean structural similarity to the true image in the hole, over pixels and colours; 1 is equal."""
    gradient: float
    """Mean absolute difference of the brightness gradients in the hole: lost or invented edges."""


def image_errors(filled: UInt8, true: UInt8, hole: Bool) -> ImageErrors:
    """Compare a filled image with the true one in the hole.

    Args:
        filled, true: RGB, ``[H, W, 3]``.
        hole: ``[H, W]``, neither empty nor everything.

    SSIM: Z. Wang et al., "Image Quality Assessment: From Error Visibility to Structural Similarity", IEEE
    Transactions on Image Processing 13 (2004), with its Gaussian windows and constants.
    """
    box = _around(hole)
    inside = hole[box]
    a, b = filled[box].astype(np.float32), true[box].astype(np.float32)
    return ImageErrors(
        mae=float(np.abs(a - b)[inside].mean(dtype=np.float64)),
        ssim=float(_ssim(a, b)[inside].mean(dtype=np.float64)),
        gradient=float(_gradient_difference(a, b)[inside].mean(dtype=np.float64)),
    )


def outside_difference(one: UInt8, other: UInt8, hole: Bool) -> float:
    """The mean absolute difference of two images ``[H, W, 3]`` outside of a hole, 0 to 255."""
    return float(cv2.absdiff(one, other)[~hole].mean(dtype=np.float64))


def _around(hole: Bool) -> tuple[slice, slice]:
    """The hole's box with a margin, as rows and columns."""
    rows, columns = np.flatnonzero(hole.any(axis=1)), np.flatnonzero(hole.any(axis=0))
    return (
        slice(max(0, int(rows[0]) - _MARGIN), int(rows[-1]) + 1 + _MARGIN),
        slice(max(0, int(columns[0]) - _MARGIN), int(columns[-1]) + 1 + _MARGIN),
    )


def _ssim(a: Float32, b: Float32) -> Float64:
    """``[H, W, 3]``: structural similarity at each pixel and colour."""
    mean_a, mean_b = _blurred(a), _blurred(b)
    variance_a = _blurred(a * a) - mean_a**2
    variance_b = _blurred(b * b) - mean_b**2
    covariance = _blurred(a * b) - mean_a * mean_b
    likeness = (2 * mean_a * mean_b + _SSIM_C1) / (mean_a**2 + mean_b**2 + _SSIM_C1)
    structure = (2 * covariance + _SSIM_C2) / (variance_a + variance_b + _SSIM_C2)
    return np.asarray(likeness * structure, np.float64)


def _blurred(image: Float32) -> Float64:
    blurred = cv2.GaussianBlur(image.astype(np.float64), (11, 11), _SSIM_SIGMA)
    return np.asarray(blurred, np.float64)


def _gradient_difference(a: Float32, b: Float32) -> Float64:
    """``[H, W]``: the length of the difference of the brightness gradients, per pixel."""
    difference = a.mean(axis=2, dtype=np.float64) - b.mean(axis=2, dtype=np.float64)
    down, right = np.gradient(difference)
    return np.asarray(np.hypot(down, right), np.float64)
