"""The class of inpainting engines, and what they raise."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np

from x3spatial.arrays import Bool, UInt8
from x3spatial.errors import UserError
from x3spatial.texts import shortened

TIMEOUT = 600.0
"""Seconds that an external program has for one image."""
TIMEOUT_MAX = 1e6
"""Eleven days; the clocks of some systems take no more than a few weeks."""
FAILURES = 3
"""Failures of an engine, from its first image on, that end the run: it would fail for all others too."""


class EngineError(Exception):
    """An engine that cannot be opened; the message names neither the option nor the engine."""


class InpaintingError(Exception):
    """One image that an engine could not make; its view has no inpainted image."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path
        self.reason = reason


class ImageName(NamedTuple):
    """The image that is filled, as a data root names it; ``folder:`` finds images by it."""

    split: str
    scene: str
    uid: str
    rank: str
    frame: str

    @property
    def path(self) -> Path:
        """The inpainted image's path in a data root, without the ending."""
        return Path(
            self.split, self.scene, f"uid_{self.uid}", f"{self.rank}_{self.frame}_inpainted"
        )


@dataclass(slots=True)
class _Record:
    """How the images of this process went."""

    made: int = 0
    failed: int = 0


class Engine(ABC):
    """Fills holes. An engine is created by ``open_engine``; its result depends on image and hole only."""

    kind: ClassVar[str]
    restores: ClassVar[bool] = True
    """Whether pixels outside of the hole are set back to the original's."""

    spec: str = ""
    """``KIND[:ARG]`` that created it."""

    @classmethod
    @abstractmethod
    def create(cls, argument: str | None, *, timeout: float) -> Self:
        """The engine of ``KIND:argument``.

        Raises:
            EngineError: the argument is missing or wrong.
        """

    @abstractmethod
    def paint(self, image: UInt8, hole: Bool, name: ImageName | None) -> UInt8:
        """Fill a hole, which is neither empty nor the whole image; pixels outside of it may change.

        Args:
            image: RGB, ``[H, W, 3]``, contiguous.
            hole: ``[H, W]``.
            name: which image it is; None if it is not one of a data root.

        Returns:
            ``[H, W, 3]``.

        Raises:
            InpaintingError: this image could not be made.
        """

    def describe(self) -> dict[str, Any]:
        """Everything that decides the results besides image and hole, as JSON values."""
        return {"kind": self.kind}

    def fill(self, image: UInt8, hole: Bool, name: ImageName | None = None) -> UInt8:
        """Fill a hole; outside of it all pixels stay, unless the engine does not restore them.

        This is ``painted`` and then ``restored``.

        Args:
            image: RGB, ``[H, W, 3]``.
            hole: ``[H, W]``, true where the image is to be filled.
            name: which image it is; only ``folder:`` needs it.

        Returns:
            A new image ``[H, W, 3]``.

        Raises:
            InpaintingError: this image could not be made; others may.
            UserError: none of the first ``FAILURES`` images could be made.
            ValueError: image and hole differ in size, or the hole leaves nothing of the image.
        """
        return self.restored(self.painted(image, hole, name), image, hole)

    def painted(self, image: UInt8, hole: Bool, name: ImageName | None = None) -> UInt8:
        """What the engine makes of an image, also outside of the hole; see ``fill``."""
        if image.shape[:2] != hole.shape:
            raise ValueError(f"an image of {image.shape[:2]} and a hole of {hole.shape}")
        if not hole.any():
            return image.copy()
        if hole.all():
            raise ValueError("the hole leaves nothing of the image")
        return self._counted(np.ascontiguousarray(image), hole, name)

    def restored(self, painted: UInt8, image: UInt8, hole: Bool) -> UInt8:
        """``painted`` with the pixels outside of the hole set back, if the engine restores them."""
        if not self.restores:
            return painted
        return np.asarray(np.where(hole[:, :, None], painted, image), np.uint8)

    def _counted(self, image: UInt8, hole: Bool, name: ImageName | None) -> UInt8:
        record = self.__dict__.setdefault("_record", _Record())
        try:
            filled = self.paint(image, hole, name)
        except InpaintingError as error:
            record.failed += 1
            if record.made == 0 and record.failed >= FAILURES:
                raise UserError(
                    f"inpainting engine {self.spec or self.kind}: failed for the first {FAILURES} images:"
                    f" {shortened(str(error), 500)}"
                ) from None
            raise
        record.made += 1
        return filled
