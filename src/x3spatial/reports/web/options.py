"""Options of the web report, with their defaults and checks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from x3spatial.errors import UserError
from x3spatial.reports.gather import GatherOptions

ImageMode = Literal["copy", "thumbs", "link"]
IMAGE_MODES: tuple[ImageMode, ...] = get_args(ImageMode)


@dataclass(frozen=True, kw_only=True)
class PageOptions(GatherOptions):
    """Options of the page, in a folder or served."""

    title: str | None = None
    """Title of the page (default: how many runs and sets it has, or the name of the root)."""


@dataclass(frozen=True, kw_only=True)
class ReportOptions(PageOptions):
    """Options of a report.

    Raises:
        UserError: a value is out of range; the message names the option.
    """

    images: str = "copy"
    """Pictures: copy (full size, WebP: points are judged by the pixel, and the folder can be moved), thumbs
    (smaller), or link (to the originals: nothing is copied, but the folder cannot be moved)."""
    thumb_side: int = 384
    """Longest side of a picture with --images thumbs."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.images not in IMAGE_MODES:
            raise UserError(f"--images {self.images}: must be one of {', '.join(IMAGE_MODES)}")
        if not 32 <= self.thumb_side <= 4096:
            raise UserError(f"--thumb-side {self.thumb_side}: must be 32 to 4096")

    @property
    def mode(self) -> ImageMode:
        """``images``, checked."""
        return self.images  # type: ignore[return-value]
