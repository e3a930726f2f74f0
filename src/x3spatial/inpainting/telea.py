"""``telea``: fills a hole from its edge inwards."""

from __future__ import annotations

from typing import Any, Self

import cv2
import numpy as np

from x3spatial.arrays import Bool, UInt8
from x3spatial.inpainting.arguments import no_argument
from x3spatial.inpainting.base import Engine, ImageName

RADIUS = 5.0
"""Neighbourhood in pixels from which a pixel of the hole is computed."""


class Telea(Engine):
    """The fast marching method.

    Source of the method: A. Telea, "An Image Inpainting Technique Based on the Fast Marching Method",
    Journal of Graphics Tools 9 (2004); OpenCV's implementation. It continues colours and edges, not
    textures, so large holes look smeared.
    """

    kind = "telea"

    @classmethod
    def create(cls, argument: str | None, *, timeout: float) -> Self:
        """The engine; it takes no argument."""
        no_argument(cls.kind, argument)
        return cls()

    def paint(self, image: UInt8, hole: Bool, name: ImageName | None) -> UInt8:
        """Fill a hole."""
        filled = cv2.inpaint(image, hole.astype(np.uint8), RADIUS, cv2.INPAINT_TELEA)
        return np.asarray(filled, np.uint8)

    def describe(self) -> dict[str, Any]:
        """The kind and the radius."""
        return {"kind": self.kind, "radius": RADIUS}
