"""Albedo of surface points: mipmapped bilinear look-ups in patterns and surface images."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from x3spatial.arrays import Float32, Int32, Int64
from x3spatial.synth.world import patterns, surface_images
from x3spatial.synth.world.materials import MaterialTable

_LEVELS = 5


@dataclass(frozen=True)
class Pyramid:
    """Mipmaps of a stack of square images, in one flat array."""

    texels: Float32  # [C, texels of all levels]
    start: Int64  # [levels] index of each level's first texel
    size: int  # side at level 0 in texels
    wrap: bool  # whether the images tile


def pyramid(stack: Float32, wrap: bool) -> Pyramid:
    """Create mipmaps of images [n, S, S, C]; each level has half the side of the previous one."""
    levels, level = [], stack
    for _ in range(_LEVELS):
        levels.append(level.reshape(-1, level.shape[-1]))
        if level.shape[1] < 2:
            break
        n, s, _, c = level.shape
        level = level.reshape(n, s // 2, 2, s // 2, 2, c).mean(axis=(2, 4), dtype=np.float32)
    counts = np.cumsum([0, *(len(part) for part in levels)])[:-1]
    return Pyramid(
        np.ascontiguousarray(np.concatenate(levels).T),
        counts.astype(np.int64),
        stack.shape[1],
        wrap,
    )


@cache
def pattern_pyramid() -> Pyramid:
    """Return the mipmaps of all patterns; they are the same for every scene."""
    return pyramid(patterns.tiles()[..., None], wrap=True)


def _lookup(p: Pyramid, item: Int32, u: Float32, v: Float32, footprint: Float32) -> Float32:
    """Return values [C, n] of images ``item`` [n] at (u, v) in tiles, filtered to ``footprint`` tiles."""
    texels = footprint * np.float32(p.size)
    level = np.zeros(len(u), np.int64)
    for k in range(len(p.start) - 1):
        level += texels > np.float32(1.5 * 2**k)
    side = np.int64(p.size) >> level
    scale = side.astype(np.float32)
    x, y = u * scale - np.float32(0.5), v * scale - np.float32(0.5)
    left, top = np.floor(x), np.floor(y)
    fx, fy = x - left, y - top
    x0, y0 = left.astype(np.int64), top.astype(np.int64)
    x1, y1 = x0 + 1, y0 + 1
    if p.wrap:  # sides are powers of two
        x0, x1, y0, y1 = (k & (side - 1) for k in (x0, x1, y0, y1))
    else:
        x0, x1, y0, y1 = (np.minimum(np.maximum(k, 0), side - 1) for k in (x0, x1, y0, y1))
    base = p.start[level] + item * side * side
    upper, lower = base + y0 * side, base + y1 * side
    a, b, c, d = upper + x0, upper + x1, lower + x0, lower + x1
    left, top = 1 - fx, 1 - fy
    return np.stack(
        [(t[a] * left + t[b] * fx) * top + (t[c] * left + t[d] * fx) * fy for t in p.texels]
    )


def image_pyramid(table: MaterialTable) -> Pyramid:
    """Return the mipmaps of a scene's surface images."""
    assert table.images.shape[1] in (1, surface_images.SIZE)
    return pyramid(table.images, wrap=False)


def albedo(
    table: MaterialTable, images: Pyramid, material: Int32, u: Float32, v: Float32, width: Float32
) -> Float32:
    """Return the linear RGB albedo [3, n] of surface points.

    Args:
        table: the scene's materials.
        images: mipmaps of the surface images.
        material: [n] indices into ``table``.
        u: [n] texture coordinates.
        v: [n] texture coordinates.
        width: [n] width of a sample's footprint on the surface in metres.
    """
    inverse = table.inverse_period[material]
    blend = _lookup(
        pattern_pyramid(), table.pattern[material], u * inverse, v * inverse, width * inverse
    )[0]
    colour = np.empty((3, len(material)), np.float32)
    for c in range(3):
        dark = table.dark[material, c]
        colour[c] = dark + (table.light[material, c] - dark) * blend
    drawn = np.flatnonzero(table.image[material] >= 0)
    if len(drawn):
        which = table.image[material[drawn]]
        colour[:, drawn] = _lookup(images, which, u[drawn], v[drawn], (width * inverse)[drawn])
    return colour
