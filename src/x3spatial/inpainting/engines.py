"""The engines that fill a hole in an image, by name, and the function that uses them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import cv2
import numpy as np

from x3spatial.arrays import Bool, UInt8
from x3spatial.errors import UserError

Engine = Callable[[UInt8, Bool], UInt8]
"""Takes an RGB image ``[H, W, 3]`` and a hole ``[H, W]``, and returns an image of the same size. Pixels
outside of the hole may change; ``inpaint`` restores them."""

TELEA_RADIUS = 5.0
"""Neighbourhood in pixels from which a pixel of the hole is computed."""


def telea(image: UInt8, hole: Bool) -> UInt8:
    """Fill the hole from its edge inwards by the fast marching method.

    Source of the method: A. Telea, "An Image Inpainting Technique Based on the Fast Marching Method",
    Journal of Graphics Tools 9 (2004); OpenCV's implementation. It continues colours and edges, not textures,
    so large holes look smeared.
    """
    return np.asarray(
        cv2.inpaint(image, hole.astype(np.uint8), TELEA_RADIUS, cv2.INPAINT_TELEA), np.uint8
    )


_ENGINES: dict[str, Engine] = {"telea": telea}

ENGINES: Mapping[str, Engine] = MappingProxyType(_ENGINES)
"""All engines by name."""


def inpaint(image: UInt8, hole: Bool, engine: str = "telea") -> UInt8:
    """Fill a hole in an image; all pixels outside of the hole stay as they are.

    Args:
        image: RGB, ``[H, W, 3]``.
        hole: ``[H, W]``, true where the image is to be filled.
        engine: a name in ``ENGINES``.

    Returns:
        A new image ``[H, W, 3]``.

    Raises:
        UserError: there is no such engine.
        ValueError: image and hole differ in size, or the hole leaves nothing of the image.
    """
    if engine not in ENGINES:
        raise UserError(f"inpainting engine {engine!r}: known are {', '.join(ENGINES)}")
    if image.shape[:2] != hole.shape:
        raise ValueError(f"an image of {image.shape[:2]} and a hole of {hole.shape}")
    if not hole.any():
        return image.copy()
    if hole.all():
        raise ValueError("the hole leaves nothing of the image")
    filled = ENGINES[engine](np.ascontiguousarray(image), hole)
    return np.asarray(np.where(hole[:, :, None], filled, image), np.uint8)
