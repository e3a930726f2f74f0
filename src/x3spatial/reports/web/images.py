"""The pictures of a report: each distinct file once, as a WebP copy, a thumbnail, or a link."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from x3spatial.arrays import UInt8
from x3spatial.errors import UserError
from x3spatial.io.images import (
    WEBP_SIDE,
    ImageError,
    decode_rgb,
    encode_webp,
    probe,
    read_bytes,
    resize_rgb,
)
from x3spatial.io.members import MemberPath, file_at
from x3spatial.reports.web.options import ImageMode

QUALITY = 90
_PROBES = 8
_VERSION = "1"
"""Part of every name; changed when the same source gives other bytes."""


@dataclass(frozen=True, slots=True)
class Picture:
    """An entry of the page's table of images."""

    src: str | None
    """Relative to the page, or a ``file:`` URL; None if the file cannot be shown."""
    width: int | None = None
    """Of the original, in pixels; likewise the height."""
    height: int | None = None
    reason: str | None = None
    """Why it cannot be shown."""

    def to_json(self) -> dict[str, object]:
        """The entry as JSON values."""
        value: dict[str, object] = {"src": self.src, "w": self.width, "h": self.height}
        return value if self.reason is None else {**value, "reason": self.reason}


class Pictures:
    """The files to show, numbered, and how they are turned into pictures."""

    def __init__(self, mode: ImageMode, thumb_side: int) -> None:
        self.mode = mode
        self._side = thumb_side
        self.paths: list[str] = []
        self._numbers: dict[str, int] = {}
        self._sizes: dict[int, tuple[int, int]] = {}

    def number(self, path: str, size: tuple[int, int] | None = None) -> int:
        """The number of a file; ``size`` (W, H) if a record states it."""
        found = self._numbers.setdefault(path, len(self.paths))
        if found == len(self.paths):
            self.paths.append(path)
            if size is not None:
                self._sizes[found] = size
        return found

    def make(self, number: int) -> tuple[Picture, bytes | None]:
        """A picture and the bytes of its file, which do not depend on anything but the source's bytes.

        The name is that of the content, so equal files in several places become one.
        """
        path = file_at(self.paths[number])
        try:
            data = read_bytes(path)
            if self.mode == "link":
                if isinstance(path, MemberPath):
                    raise UserError(
                        "--images link: the images lie inside of a pack; choose another --images"
                    )
                width, height = probe(data)
                return Picture(path.absolute().as_uri(), width, height), None
            image = decode_rgb(data)
        except ImageError as error:
            return Picture(None, reason=error.reason), None
        height, width = image.shape[:2]
        name = self._name(data)
        return Picture(name, width, height), self.encode(image)

    def name_of(self, number: int) -> tuple[str, Picture] | None:
        """Name and picture without encoding, to find out whether the file is there; None if unreadable."""
        try:
            data = read_bytes(file_at(self.paths[number]))
            width, height = probe(data)
        except ImageError:
            return None
        name = self._name(data)
        return name, Picture(name, width, height)

    def stated(self, number: int, src: str) -> Picture:
        """A picture whose file is made when it is asked for."""
        path = file_at(self.paths[number])
        size = self._sizes.get(number)
        try:
            if size is None:
                size = probe(read_bytes(path))
            elif not path.is_file():
                raise ImageError("file is missing")
        except (ImageError, OSError) as error:
            reason = error.reason if isinstance(error, ImageError) else str(error.strerror)
            return Picture(None, reason=reason)
        return Picture(src, *size)

    def encode(self, image: UInt8) -> bytes:
        """The WebP of an image."""
        height, width = image.shape[:2]
        most = self._side if self.mode == "thumbs" else WEBP_SIDE
        scale = min(1.0, most / max(width, height))
        if scale < 1.0:
            image = resize_rgb(image, max(1, round(width * scale)), max(1, round(height * scale)))
        return encode_webp(image, QUALITY)

    def estimate(self) -> int:
        """The bytes of all pictures, from a few of them."""
        if self.mode == "link" or not self.paths:
            return 0
        sizes = []
        for number in np.unique(np.linspace(0, len(self.paths) - 1, _PROBES).round().astype(int)):
            _, data = self.make(int(number))
            if data is not None:
                sizes.append(len(data))
        return round(sum(sizes) / len(sizes) * len(self.paths)) if sizes else 0

    def _name(self, data: bytes) -> str:
        side = self._side if self.mode == "thumbs" else WEBP_SIDE
        key = f"{_VERSION} {self.mode} {side} {QUALITY} ".encode()
        digest = hashlib.sha256(key + data).hexdigest()
        return f"images/{digest[:2]}/{digest[2:34]}.webp"


def missing_summary(paths: Sequence[str], pictures: Sequence[Picture]) -> tuple[str, str] | None:
    """(path, reason) that says how many pictures cannot be shown; None if all can."""
    lost = [(path, p) for path, p in zip(paths, pictures, strict=True) if p.src is None]
    if not lost:
        return None
    path, first = lost[0]
    more = f"; {len(lost):,} of {len(paths):,} images cannot be shown" if len(lost) > 1 else ""
    return path, f"image: {first.reason}{more}; if folders were moved, use --image-root"
