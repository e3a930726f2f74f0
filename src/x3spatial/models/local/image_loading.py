"""The image loader of models that run in this process."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from x3spatial.io.png import open_plain_png


def load_rgb(source: Path | str | Image.Image) -> Image.Image:
    """Open an image as 8-bit RGB: alpha is dropped, not blended; grey is repeated."""
    if isinstance(source, Image.Image):
        return source.convert("RGB")
    plain = open_plain_png(source)
    if plain is not None:
        return plain if plain.mode == "RGB" else plain.convert("RGB")
    with Image.open(source) as image:
        return image.convert("RGB")
