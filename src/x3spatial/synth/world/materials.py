"""What a surface looks like, and the table of all surfaces of a scene that shading reads."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from x3spatial.arrays import Float32, Int32
from x3spatial.synth.world.palette import Rgb
from x3spatial.synth.world.patterns import PATTERNS
from x3spatial.synth.world.surface_images import Picture, draw


@dataclass(frozen=True)
class Material:
    """One surface: a pattern between two linear-light colours, or a picture.

    ``period``: metres of surface that one tile of the pattern covers, or that a picture, whose uv
    run over [0, 1], is wide. ``gloss``: strength of the
    highlight. ``emission``: radiance added whatever the light.
    """

    dark: Rgb = (0.5, 0.5, 0.5)
    light: Rgb = (0.5, 0.5, 0.5)
    pattern: str = "plain"
    period: float = 1.0
    gloss: float = 0.0
    emission: float = 0.0
    picture: Picture | None = None


@dataclass(frozen=True)
class MaterialTable:
    """The materials of a scene as arrays, indexed by material number."""

    dark: Float32  # [M, 3]
    light: Float32  # [M, 3]
    pattern: Int32  # [M] index into patterns.tiles()
    inverse_period: Float32  # [M] 1 / metres
    gloss: Float32  # [M]
    emission: Float32  # [M]
    picture: Int32  # [M] index into pictures, -1 for none
    pictures: Float32  # [P, S, S, 3] linear light
    mean: Float32  # [M, 3] mean albedo, for light bounced off the surface


def tabulate(materials: list[Material]) -> MaterialTable:
    """Arrays for ``materials``, in their order; each picture is drawn once."""
    names = {name: i for i, name in enumerate(PATTERNS)}
    pictures: dict[Picture, int] = {}
    for material in materials:
        if material.picture is not None:
            pictures.setdefault(material.picture, len(pictures))
    images = [draw(picture) for picture in pictures]
    stack = np.stack(images) if images else np.zeros((1, 1, 1, 3), np.float32)
    dark = np.array([m.dark for m in materials], np.float32)
    light = np.array([m.light for m in materials], np.float32)
    picture = [-1 if m.picture is None else pictures[m.picture] for m in materials]
    mean = ((dark + light) / 2).astype(np.float32)
    for i, number in enumerate(picture):
        if number >= 0:
            mean[i] = stack[number].mean(axis=(0, 1))
    return MaterialTable(
        dark=dark,
        light=light,
        pattern=np.array([names[m.pattern] for m in materials], np.int32),
        inverse_period=np.array([1.0 / m.period for m in materials], np.float32),
        gloss=np.array([m.gloss for m in materials], np.float32),
        emission=np.array([m.emission for m in materials], np.float32),
        picture=np.array(picture, np.int32),
        pictures=stack,
        mean=mean,
    )
