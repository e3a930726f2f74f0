"""Image styles: colour by day, or the monochrome image of a night camera."""

from __future__ import annotations

import numpy as np

from x3spatial.arrays import UInt8

_LUMA = np.array([0.299, 0.587, 0.114])  # Rec. 601
_GAIN, _TINT = 0.55, np.array([0.55, 1.0, 0.7])


def apply_style(image: UInt8, style: str) -> UInt8:
    """Apply a style of ``options.STYLES`` to an sRGB image [H, W, 3].

    ``night`` is dark, monochrome and of low contrast, so hue no longer distinguishes objects. The style
    acts on each pixel separately, so removing an object changes no other pixels than in ``day``.
    """
    if style == "day":
        return image
    grey = 255 * _GAIN * (image @ _LUMA / 255) ** 1.5
    return np.asarray(np.rint(grey[..., None] * _TINT), np.uint8)
