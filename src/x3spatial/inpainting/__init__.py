"""Taking something out of an image: one function, several engines."""

from x3spatial.inpainting.engines import ENGINES, Engine, inpaint

__all__ = ["ENGINES", "Engine", "inpaint"]
