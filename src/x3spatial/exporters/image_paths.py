"""Images of an export: absolute paths, relative paths, copies, or embedded data."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from x3spatial.errors import UserError
from x3spatial.io.files import make_dir, sha256_file, write_bytes
from x3spatial.io.images import ImageError, read_bytes

PATHS = {
    "absolute": "absolute paths to the images where they are",
    "relative": "paths relative to the output folder, to the images where they are",
    "copy": "images copied into the output folder, paths relative to it",
    "embed": "images inside the data files",
}
IMAGES = "images"


@dataclass(frozen=True, slots=True)
class PlacedImage:
    """An image file and its path in the export."""

    file: Path
    written: str
    embed: bool = False
    """Whether the image is embedded in the data file."""


class ImagePlacer:
    """Assigns the paths of images in the export, and copies images if required."""

    def __init__(self, paths: str, out_dir: Path) -> None:
        self._out_dir = out_dir
        self._embed = paths == "embed"
        place: dict[str, Callable[[Path], str]] = {
            "absolute": str,
            "embed": str,
            "relative": self._relative,
            "copy": self._copied,
        }
        # Consecutive records share images; the cache is bounded.
        self._place = lru_cache(maxsize=4096)(place[paths])
        self.copies: set[str] = set()

    def place(self, file: Path, where: str) -> PlacedImage:
        """Assign a path to one image; ``where`` names the record in errors.

        Raises:
            UserError: the file is missing or cannot be copied.
        """
        if not file.is_file():
            raise UserError(
                f"{where}: image {file} is missing; build again, or say where the data root is now with"
                " --image-root, or what relative paths are relative to with --image-folder"
            )
        try:
            return PlacedImage(file, self._place(file), self._embed)
        except (ImageError, OSError) as error:
            raise UserError(f"{where}: image {file}: {error}") from None

    def _relative(self, file: Path) -> str:
        return Path(os.path.relpath(file, self._out_dir)).as_posix()

    def _copied(self, file: Path) -> str:
        # Named by content: files of the same name from different folders do not collide, duplicates are
        # stored once, and the names do not depend on the machine.
        name = f"{file.stem}-{sha256_file(file)[:12]}{file.suffix}"
        if not self.copies:
            make_dir(self._out_dir / IMAGES, "--out")
        target = self._out_dir / IMAGES / name
        if not target.is_file() or target.stat().st_size != file.stat().st_size:
            write_bytes(target, read_bytes(file))
        self.copies.add(name)
        return f"{IMAGES}/{name}"
