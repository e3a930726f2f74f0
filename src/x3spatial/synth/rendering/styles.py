"""How a camera sees the light: in colour by day, or as a night camera does."""

from __future__ import annotations

import numpy as np

from x3spatial.arrays import UInt8

_LUMA = np.array([0.299, 0.587, 0.114])  # Rec. 601
_GAIN, _TINT = 0.55, np.array([0.55, 1.0, 0.7])


def seen(picture: UInt8, style: str) -> UInt8:
    """``picture [h, w, 3]`` in a style of ``options.STYLES``.

    ``night`` is dark, of one colour, and has lost contrast: what distinguished things by hue is gone. Each
    pixel depends on itself alone, so that a removal changes the same pixels in every style.
    """
    if style == "day":
        return picture
    grey = 255 * _GAIN * (picture @ _LUMA / 255) ** 1.5
    return np.asarray(np.rint(grey[..., None] * _TINT), np.uint8)
