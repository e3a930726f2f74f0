"""``patchmatch``: fills a hole with patches of the rest of the image (PyPatchMatch, extra ``inpaint``)."""

from __future__ import annotations

import sys
from importlib.metadata import version
from typing import Any, Self

import numpy as np
import patchmatch

from x3spatial.arrays import Bool, UInt8
from x3spatial.inpainting.arguments import no_argument
from x3spatial.inpainting.base import Engine, EngineError, ImageName

RADIUS = 3
"""Radius of the compared patches in pixels. Larger ones take longer and have a larger error."""
SEED = 0
"""Every hole is filled from this seed, so the result depends on image and hole only."""


class PatchMatch(Engine):
    """Randomised search for patches that fit.

    Source of the method: C. Barnes et al., "PatchMatch: A Randomized Correspondence Algorithm for Structural
    Image Editing", SIGGRAPH 2009. It continues textures and straight edges; it may copy whole objects.
    """

    kind = "patchmatch"

    @classmethod
    def create(cls, argument: str | None, *, timeout: float) -> Self:
        """The engine; it takes no argument.

        Raises:
            EngineError: the package has no library for this platform.
        """
        no_argument(cls.kind, argument)
        if not patchmatch.patchmatch_available:
            raise EngineError(
                f"PyPatchMatch was installed without its library on {sys.platform}; see its README,"
                " or use telea"
            )
        return cls()

    def paint(self, image: UInt8, hole: Bool, name: ImageName | None) -> UInt8:
        """Fill a hole. The library restarts its search from the seed for every image, in every thread."""
        patchmatch.set_random_seed(SEED)
        return np.asarray(patchmatch.inpaint(image, hole, patch_size=RADIUS), np.uint8)

    def describe(self) -> dict[str, Any]:
        """The kind, the package's version, the radius and the seed."""
        found = {"kind": self.kind, "version": version("PyPatchMatch")}
        return {**found, "radius": RADIUS, "seed": SEED}
