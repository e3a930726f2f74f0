"""Pictures as models are shown them: one loader for every model that runs in this process."""

from __future__ import annotations

from pathlib import Path

from PIL import Image


def load_rgb(source: Path | str | Image.Image) -> Image.Image:
    """Open as 8-bit RGB: alpha is dropped, not blended; grey is repeated."""
    if isinstance(source, Image.Image):
        return source.convert("RGB")
    with Image.open(source) as image:
        return image.convert("RGB")
