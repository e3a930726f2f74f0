"""The image loader of models that run in this process."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from x3spatial.io.images import ImageError, read_rgb
from x3spatial.io.png import open_plain_png


def load_rgb(source: Path | str | Image.Image) -> Image.Image:
    """Open an image as 8-bit RGB, with the pixels that builds and servers use (``io.images.decode_rgb``).

    Raises:
        OSError: the file is missing or cannot be read.
        ImageError: it is not an image, or damaged; the message names it.
    """
    if isinstance(source, Image.Image):
        return source.convert("RGB")
    plain = open_plain_png(source)
    if plain is not None:
        return plain if plain.mode == "RGB" else plain.convert("RGB")
    try:
        return Image.fromarray(read_rgb(Path(source)))
    except ImageError as error:
        raise ImageError(f"{source}: {error.reason}") from None
