"""Where the images of an export are: left in place, named relatively, copied, or embedded."""

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
    """An image file and the path that is written for it."""

    file: Path
    written: str
    embed: bool = False
    """Whether its bytes belong into the data file."""


def joined(path: str, image_folder: Path | None) -> Path:
    """``path``, relative to ``image_folder`` if that is given, made absolute."""
    return Path(os.path.abspath(path if image_folder is None else image_folder / path))  # noqa: PTH100


class ImagePlacer:
    """Gives the images of a sample the paths that are written."""

    def __init__(self, paths: str, out_dir: Path) -> None:
        self._out_dir = out_dir
        self._embed = paths == "embed"
        place: dict[str, Callable[[Path], str]] = {
            "absolute": str,
            "embed": str,
            "relative": self._relative,
            "copy": self._copied,
        }
        # Neighbouring records share images; the bound keeps memory constant.
        self._place = lru_cache(maxsize=4096)(place[paths])
        self.copies: set[str] = set()

    def place(self, file: Path, where: str) -> PlacedImage:
        """Place one image; ``where`` names the record in errors.

        Raises:
            UserError: the file is missing, or could not be copied.
        """
        if not file.is_file():
            raise UserError(
                f"{where}: image {file} is missing; build again, or say with --image-folder what"
                " relative paths are relative to"
            )
        try:
            return PlacedImage(file, self._place(file), self._embed)
        except (ImageError, OSError) as error:
            raise UserError(f"{where}: image {file}: {error}") from None

    def _relative(self, file: Path) -> str:
        return Path(os.path.relpath(file, self._out_dir)).as_posix()

    def _copied(self, file: Path) -> str:
        # By content: files of one name from different folders stay apart, the same picture is kept
        # once, and the names do not depend on the machine.
        name = f"{file.stem}-{sha256_file(file)[:12]}{file.suffix}"
        if not self.copies:
            make_dir(self._out_dir / IMAGES, "--out")
        target = self._out_dir / IMAGES / name
        if not target.is_file() or target.stat().st_size != file.stat().st_size:
            write_bytes(target, read_bytes(file))
        self.copies.add(name)
        return f"{IMAGES}/{name}"
