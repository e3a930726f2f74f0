"""Taking something out of an image: one function, several engines, by name."""

from x3spatial.inpainting.base import TIMEOUT, Engine, ImageName, InpaintingError
from x3spatial.inpainting.fill import inpaint
from x3spatial.inpainting.registry import ENGINE_HELP, ENGINES, check_engine, open_engine

__all__ = [
    "ENGINES",
    "ENGINE_HELP",
    "TIMEOUT",
    "Engine",
    "ImageName",
    "InpaintingError",
    "check_engine",
    "inpaint",
    "open_engine",
]
