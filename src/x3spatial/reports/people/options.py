"""Options of ``x3 ask`` with their defaults and checks."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from x3spatial.errors import UserError


@dataclass(frozen=True, kw_only=True)
class AskPageOptions:
    """Options of a page of questions.

    Raises:
        UserError: a value is out of range; the message names the option.
    """

    limit: int | None = None
    """Ask only this many questions, drawn at random."""
    seed: int = 0
    """Seed of the order: same seed, same questions in the same order."""
    quality: int | None = None
    """Lossy WebP of quality 1 to 100 for large photographs (default: exactly the pixels)."""
    title: str = "Questions about images"
    """Title of the page. Do not name the set, which may tell the answers."""
    image_folder: Path | None = None
    """Base folder for relative image paths."""
    image_root: Path | None = None
    """Where the data root is now, if it was moved after the build."""

    def __post_init__(self) -> None:
        if self.limit is not None and self.limit < 1:
            raise UserError(f"--limit {self.limit}: must be at least 1")
        if self.quality is not None and not 1 <= self.quality <= 100:
            raise UserError(f"--quality {self.quality}: must be between 1 and 100")
        if not self.title.strip():
            raise UserError("--title: is empty")
        for name in ("image_folder", "image_root"):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, Path(getattr(self, name)))
