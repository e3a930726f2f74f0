"""Materials of surfaces, and the table of a scene's materials that shading reads."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from x3spatial.arrays import Float32, Int32
from x3spatial.synth.world.palette import Rgb
from x3spatial.synth.world.patterns import PATTERNS
from x3spatial.synth.world.surface_images import SurfaceImage, draw


@dataclass(frozen=True)
class Material:
    """A material: a pattern between two linear RGB colours, or a surface image.

    ``period`` is the size in metres of one tile of the pattern, or the width of the surface image, whose
    texture coordinates run over [0, 1]. ``gloss`` is the strength of highlights. ``emission`` is radiance
    added to the reflected light, as a multiple of the albedo.
    """

    dark: Rgb = (0.5, 0.5, 0.5)
    light: Rgb = (0.5, 0.5, 0.5)
    pattern: str = "plain"
    period: float = 1.0
    gloss: float = 0.0
    emission: float = 0.0
    image: SurfaceImage | None = None


@dataclass(frozen=True)
class MaterialTable:
    """The materials of a scene as arrays, indexed by material number; colours are linear RGB."""

    dark: Float32  # [M, 3]
    light: Float32  # [M, 3]
    pattern: Int32  # [M] index into patterns.tiles()
    inverse_period: Float32  # [M] 1 / metres
    gloss: Float32  # [M]
    emission: Float32  # [M]
    image: Int32  # [M] index into images, -1 for none
    images: Float32  # [P, S, S, 3]
    mean: Float32  # [M, 3] mean albedo, for light reflected onto other surfaces


def tabulate(materials: list[Material]) -> MaterialTable:
    """Tabulate ``materials`` in their order; each surface image is drawn once."""
    names = {name: i for i, name in enumerate(PATTERNS)}
    numbers: dict[SurfaceImage, int] = {}
    for material in materials:
        if material.image is not None:
            numbers.setdefault(material.image, len(numbers))
    drawn = [draw(surface_image) for surface_image in numbers]
    images = np.stack(drawn) if drawn else np.zeros((1, 1, 1, 3), np.float32)
    dark = np.array([m.dark for m in materials], np.float32)
    light = np.array([m.light for m in materials], np.float32)
    image = [-1 if m.image is None else numbers[m.image] for m in materials]
    mean = ((dark + light) / 2).astype(np.float32)
    for i, number in enumerate(image):
        if number >= 0:
            mean[i] = images[number].mean(axis=(0, 1))
    return MaterialTable(
        dark=dark,
        light=light,
        pattern=np.array([names[m.pattern] for m in materials], np.int32),
        inverse_period=np.array([1.0 / m.period for m in materials], np.float32),
        gloss=np.array([m.gloss for m in materials], np.float32),
        emission=np.array([m.emission for m in materials], np.float32),
        image=np.array(image, np.int32),
        images=images,
        mean=mean,
    )
