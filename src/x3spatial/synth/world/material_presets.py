"""Material presets: wood, cloth, glaze, metal and paint in the palette's colours."""

from __future__ import annotations

import numpy as np

from x3spatial.synth.world.materials import Material
from x3spatial.synth.world.palette import COLOURS, LEAF_GREENS, METAL_DARK, METAL_LIGHT, WOODS
from x3spatial.synth.world.surface_images import SurfaceImage

# Approximate width of surface images in metres, for mipmapping.
_WIDE = {"art": 0.5, "rug": 2.0, "spines": 0.5, "screen": 0.6, "sky": 1.4, "dial": 0.3}
CLOTHS = ("weave", "weave", "stripes", "checks", "dots", "zigzag")


def wood(rng: np.random.Generator, name: str | None = None) -> Material:
    """Lacquered wood; a random kind unless ``name`` is given."""
    name = name or str(rng.choice(list(WOODS)))
    dark, light = WOODS[name]
    return Material(dark, light, "grain", 0.9, gloss=0.05)


def painted(colour: str, gloss: float = 0.06) -> Material:
    """Paint with faint brush marks."""
    dark, light = COLOURS[colour]
    return Material(dark, light, "plain", 0.8, gloss=gloss)


def cloth(rng: np.random.Generator, colour: str, pattern: str | None = None) -> Material:
    """Woven or printed cloth; prints range from the colour to a pale tone of it."""
    pattern = pattern or str(rng.choice(CLOTHS))
    dark, light = COLOURS[colour]
    if pattern in ("weave", "carpet"):
        return Material(dark, light, pattern, 0.35)
    pale = 0.62 if colour != "white" else 0.18
    other = tuple(0.25 * v + pale * 0.75 for v in light)
    period = float(rng.uniform(0.3, 0.55))
    return Material(dark, (other[0], other[1], other[2]), pattern, period)


def glaze(rng: np.random.Generator, colour: str) -> Material:
    """Glazed pottery, plain, veined or striped."""
    dark, light = COLOURS[colour]
    pattern = str(rng.choice(["plain", "plain", "marble", "stripes", "zigzag"]))
    period = 0.5 if pattern == "marble" else 0.32
    return Material(dark, light, pattern, period, gloss=0.35)


def plastic(colour: str) -> Material:
    """Smooth, slightly glossy plastic."""
    dark, light = COLOURS[colour]
    return Material(dark, light, "flat", 1.0, gloss=0.2)


def metal(dark: bool = True) -> Material:
    """Brushed metal."""
    low, high = METAL_DARK if dark else METAL_LIGHT
    return Material(low, high, "plain", 0.4, gloss=0.3)


def leaves(rng: np.random.Generator) -> Material:
    """A house plant's green."""
    dark, light = LEAF_GREENS[int(rng.integers(len(LEAF_GREENS)))]
    return Material(dark, light, "carpet", 0.5, gloss=0.08)


def surface_image(
    rng: np.random.Generator, kind: str, emission: float = 0.0, gloss: float = 0.0
) -> Material:
    """A material that shows a surface image of ``kind``."""
    image = SurfaceImage(kind, int(rng.integers(2**31)))
    return Material(image=image, period=_WIDE[kind], emission=emission, gloss=gloss)
