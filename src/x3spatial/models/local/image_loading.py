"""The image loader of models that run in this process, and a check of how they scale pixels."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PIL import Image

from x3spatial.errors import UserError
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


def check_pixel_rule(settings: Mapping[str, Any], named: object) -> None:
    """Check the numbers by which an image processor scales pixels: (pixel * factor - mean) / std.

    Args:
        settings: its settings; those that are absent are not checked.
        named: the file or model that they are from, for the message.

    Raises:
        UserError: a number is not finite, or a factor or std is not above 0.
    """
    for name, low in (
        ("image_mean", -math.inf),
        ("image_std", 0),
        ("rescale_factor", 0),
    ):
        value = settings.get(name)
        if value is None:
            continue
        for number in value if isinstance(value, (list, tuple)) else [value]:
            valid = isinstance(number, (int, float)) and not isinstance(number, bool)
            if not valid or not math.isfinite(number) or number <= low:
                expected = "finite numbers" + (" above 0" if low == 0 else "")
                raise UserError(f"{named}: {name} is {value}; expected {expected}")
