"""``folder:DIR``: inpainted images that were made elsewhere, found by the name of their view."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Self

from x3spatial.arrays import Bool, UInt8
from x3spatial.inpainting.arguments import needed
from x3spatial.inpainting.base import Engine, EngineError, ImageName, InpaintingError
from x3spatial.io.images import ImageError, read_rgb, resize_rgb

ENDINGS = (".png", ".jpg", ".jpeg")


class Folder(Engine):
    """Reads images.

    An image is used as it is, also outside of the hole: a photograph of the scene without the object is a
    true counterfactual there too. Only its size is changed to that of the image.
    """

    kind = "folder"
    restores: ClassVar[bool] = False

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def create(cls, argument: str | None, *, timeout: float) -> Self:
        """The engine of a folder.

        Raises:
            EngineError: there is no such folder.
        """
        folder = Path(needed(cls.kind, argument, "DIR"))
        if not folder.is_dir():
            reason = "not a folder" if folder.exists() else "no such folder"
            raise EngineError(reason)
        return cls(folder)

    def paint(self, image: UInt8, hole: Bool, name: ImageName | None) -> UInt8:
        """Read the image of a view.

        Raises:
            InpaintingError: it is missing, ambiguous, damaged or of another aspect ratio.
            ValueError: the image has no name.
        """
        if name is None:
            raise ValueError("an image without a name cannot be found in a folder")
        path = self.find(name)
        try:
            found = read_rgb(path)
        except ImageError as error:
            raise InpaintingError(path, error.reason) from None
        height, width = image.shape[:2]
        # Made from the photograph before it was reduced: the same shape, rounded to pixels.
        if abs(found.shape[1] * height / found.shape[0] - width) > 1:
            size, expected = f"{found.shape[1]}x{found.shape[0]}", f"{width}x{height}"
            raise InpaintingError(path, f"inpainted image is {size}, the original is {expected}")
        return resize_rgb(found, width, height)

    def find(self, name: ImageName) -> Path:
        """The image of a view: the first place at which there is one.

        Raises:
            InpaintingError: there is none, or several with different endings at one place.
        """
        for place in places(name):
            found = _files(self.folder / place)
            if len(found) > 1:
                others = ", ".join(path.name for path in found[1:])
                raise InpaintingError(found[0], f"ambiguous: there is also {others}; keep one")
            if found:
                return found[0]
        first, *rest = places(name)
        also = " or ".join(map(str, rest))
        raise InpaintingError(
            self.folder / f"{first}.png", f"file is missing (nor is there {also}, with any ending)"
        )

    def describe(self) -> dict[str, Any]:
        """The kind and the folder. A changed image in it is not noticed; ``--fresh`` reads all again."""
        return {"kind": self.kind, "folder": str(self.folder.absolute())}


def places(name: ImageName) -> tuple[Path, ...]:
    """Where the image of a view may lie, without the ending; the first is its path in a data root."""
    return (
        name.path,
        Path(name.scene, name.uid, name.frame),
        Path(name.uid, name.frame),
    )


def _files(place: Path) -> list[Path]:
    """The images at ``place``, with any ending; one that a file system finds by two spellings is one."""
    found: list[Path] = []
    for ending in ENDINGS:
        for spelling in (ending, ending.upper()):
            path = place.with_name(place.name + spelling)
            if path.is_file() and not any(path.samefile(other) for other in found):
                found.append(path)
    return found
