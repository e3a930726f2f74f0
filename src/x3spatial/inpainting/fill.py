"""The function that takes something out of an image."""

from __future__ import annotations

from x3spatial.arrays import Bool, UInt8
from x3spatial.errors import UserError
from x3spatial.inpainting.base import Engine, ImageName
from x3spatial.inpainting.registry import DEFAULT, open_engine


def inpaint(
    image: UInt8, hole: Bool, engine: str | Engine = DEFAULT, *, name: ImageName | None = None
) -> UInt8:
    """Fill a hole in an image; all pixels outside of the hole stay as they are (but see ``folder:``).

    Args:
        image: RGB, ``[H, W, 3]``.
        hole: ``[H, W]``, true where the image is to be filled.
        engine: ``KIND[:ARG]`` of ``ENGINES``, or an engine of ``open_engine``.
        name: which image of a data root it is; the engine ``folder:`` finds its images by it.

    Returns:
        A new image ``[H, W, 3]``.

    Raises:
        UserError: there is no such engine, it is ``none``, or what it needs is missing.
        InpaintingError: this image could not be made.
        ValueError: image and hole differ in size, or the hole leaves nothing of the image.
    """
    found = engine if isinstance(engine, Engine) else open_engine(engine)
    if found is None:
        raise UserError(f"inpainting engine {engine}: makes no image; name one that does")
    return found.fill(image, hole, name)
