"""Images of an export: absolute paths, relative paths, copies, or embedded data."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from x3spatial.errors import UserError
from x3spatial.io.files import make_dir, write_bytes
from x3spatial.io.images import ImageError, encode_mask_png, read_bytes, read_mask
from x3spatial.io.members import MemberPath
from x3spatial.io.orientation import without_orientation

PATHS = {
    "absolute": "absolute paths to the images where they are",
    "relative": "paths relative to the output folder, to the images where they are",
    "copy": "images copied into the output folder, paths relative to it",
    "embed": "images inside the data files",
}
IMAGES = "images"
HASH_DIGITS = 12
"""Of the SHA-256 of a copy, in its name."""
_MAX_STEM = 160
"""Bytes of a file's name that the name of its copy keeps, of the 255 that file systems allow."""


@dataclass(frozen=True, slots=True)
class PlacedImage:
    """An image file and its path in the export."""

    file: Path
    written: str
    embedded: tuple[bytes, str] | None = None
    """The bytes and the file name to embed in the data file; None: the path is written."""


class ImagePlacer:
    """Assigns the paths of images in the export, and copies images if required.

    Every file is read and checked: nothing but images is copied or embedded. Readers of an export apply
    orientation tags, but points refer to the stored pixels, so an image with a tag is exported without it, if
    need be as a copy. So are images inside of a pack, which have no path.
    """

    def __init__(self, paths: str, out_dir: Path, copies_dir: Path | None = None) -> None:
        """Assign paths.

        Args:
            paths: a key of ``PATHS``.
            out_dir: the folder of the export.
            copies_dir: where copies are written now, if they are moved to ``out_dir`` later; None: there.
        """
        self._out_dir = out_dir
        self._copies_dir = copies_dir or out_dir
        self._embed = paths == "embed"
        place: dict[str, Callable[[Path], str]] = {
            "absolute": self._absolute,
            "relative": self._relative,
            "copy": self._copied,
            "embed": str,
        }
        # Consecutive records share images; the cache is bounded.
        self._place = lru_cache(maxsize=4096)(place[paths])
        self.copies: set[str] = set()
        """Names of the copies in the folder ``IMAGES``."""
        self.turned: set[Path] = set()
        """The files that have an orientation tag."""

    def place(self, file: Path, where: str) -> PlacedImage:
        """Assign a path to one image; ``where`` names the record in errors.

        Raises:
            UserError: the file is missing, not an image, or cannot be copied.
        """
        with _named(file, f"{where}: image"):
            embedded = self._read(file) if self._embed else None
            return PlacedImage(file, self._place(file), embedded)

    def place_mask(self, file: Path, where: str) -> PlacedImage:
        """Assign a path to one mask; ``where`` names the record in errors.

        An embedded mask is 8-bit grey of 0 and 255: readers of an export may know no palettes and no 16 bits.

        Raises:
            UserError: the file is missing, not an image, or cannot be copied.
        """
        with _named(file, f"{where}: mask"):
            if not self._embed:
                return PlacedImage(file, self._place(file))
            name = f"{file.stem}.png"
            return PlacedImage(file, str(file), (encode_mask_png(read_mask(file)), name))

    def placed_before(self, file: Path, written: str, where: str) -> PlacedImage:
        """An image that has the path ``written`` already; its bytes are read if they are embedded.

        Raises:
            UserError: as for ``place``.
        """
        if not self._embed:
            return PlacedImage(file, written)
        return self.place(file, where)

    def mask_placed_before(self, file: Path, written: str, where: str) -> PlacedImage:
        """A mask that has the path ``written`` already; its bytes are read if they are embedded.

        Raises:
            UserError: as for ``place_mask``.
        """
        return self.place_mask(file, where) if self._embed else PlacedImage(file, written)

    def _read(self, file: Path) -> tuple[bytes, str]:
        """The bytes to export, and the file name that fits them.

        Raises:
            ImageError: it is not a readable image.
        """
        stored = read_bytes(file)
        data, name = without_orientation(stored, file.name)
        if data is not stored:
            self.turned.add(file)
        return data, name

    def _absolute(self, file: Path) -> str:
        data, name = self._read(file)
        return str(self._out_dir / self._copy(data, name)) if self._needs_copy(file) else str(file)

    def _relative(self, file: Path) -> str:
        data, name = self._read(file)
        if self._needs_copy(file):
            return self._copy(data, name)
        return Path(os.path.relpath(file, self._out_dir)).as_posix()

    def _needs_copy(self, file: Path) -> bool:
        """Whether no path can be written to the file itself."""
        return file in self.turned or isinstance(file, MemberPath)

    def _copied(self, file: Path) -> str:
        return self._copy(*self._read(file))

    def _copy(self, data: bytes, name: str) -> str:
        name = content_name(data, name)
        if not self.copies:
            make_dir(self._copies_dir / IMAGES, "--out")
        target = self._copies_dir / IMAGES / name
        if target.is_symlink() or not target.is_file() or target.stat().st_size != len(data):
            write_bytes(target, data)
        self.copies.add(name)
        return f"{IMAGES}/{name}"


def content_name(data: bytes, name: str) -> str:
    """The name of a copy of a file ``name`` with the bytes ``data``.

    It depends on the content: files of the same name from different folders do not collide, duplicates are
    stored once, and the names do not depend on the machine.
    """
    digest = hashlib.sha256(data).hexdigest()[:HASH_DIGITS]
    stem = Path(name).stem.encode()[:_MAX_STEM].decode(errors="ignore")
    return f"{stem}-{digest}{Path(name).suffix}"


@contextmanager
def _named(file: Path, what: str) -> Iterator[None]:
    """Check that ``file`` exists, and name it in errors of the block."""
    try:
        if not file.is_file():
            raise UserError(
                f"{what} {file} is missing; build again, or say where the data root is now with"
                " --image-root, or what relative paths are relative to with --image-folder"
            )
        yield
    except ImageError as error:
        raise UserError(f"{what} {file}: {error.reason}") from None
    except OSError as error:
        raise UserError(f"{what} {file}: {error.strerror or error}") from None
