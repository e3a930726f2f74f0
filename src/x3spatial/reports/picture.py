"""Written pictures that notebooks show."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


class Inline:
    """Base class of results whose ``path`` is a picture: as the last line of a cell they show it.

    A picture that is no longer there, and formats that notebooks do not show, appear as text.
    """

    __slots__ = ()

    path: Path

    def _repr_png_(self) -> bytes | None:
        return _content(self.path, ".png")

    def _repr_jpeg_(self) -> bytes | None:
        return _content(self.path, ".jpg", ".jpeg")

    def _repr_svg_(self) -> str | None:
        content = _content(self.path, ".svg")
        return None if content is None else content.decode("utf-8")


@dataclass(frozen=True, slots=True, repr=False)
class Picture(Inline):
    """A written picture. Functions that take a path take it, too."""

    path: Path

    def __fspath__(self) -> str:
        return str(self.path)

    def __str__(self) -> str:
        return str(self.path)

    def __repr__(self) -> str:
        return f"Picture({str(self.path)!r})"


def _content(path: Path, *suffixes: str) -> bytes | None:
    if path.suffix.lower() not in suffixes:
        return None
    try:
        return path.read_bytes()
    except OSError:
        return None
