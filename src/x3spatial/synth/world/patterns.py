"""Tileable scalar patterns in [0, 1], generated from value noise once per process.

A material combines a pattern with a size and two colours, so a new scene needs no new noise.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from itertools import pairwise

import numpy as np

from x3spatial.arrays import Float32, Float64

SIZE = 512  # texels along a tile's side


def value_noise(rng: np.random.Generator, cells_v: int, cells_u: int, size: int = SIZE) -> Float64:
    """Return tileable value noise [size, size] in [0, 1]: a smoothly interpolated random lattice."""
    lattice = rng.random((cells_v, cells_u))

    def blend(values: Float64, cells: int) -> Float64:
        at = np.arange(size) * (cells / size)
        low = np.floor(at).astype(np.int64)
        t = at - low
        t = (t * t * (3 - 2 * t))[:, None]
        mixed = values[low % cells] * (1 - t) + values[(low + 1) % cells] * t
        return np.asarray(mixed, np.float64)

    return blend(blend(lattice, cells_v).T, cells_u).T


def fbm(
    rng: np.random.Generator, cells_v: int, cells_u: int, octaves: int, size: int = SIZE
) -> Float64:
    """Return a fractal sum of value noise, [size, size], scaled to [0, 1]."""
    total = np.zeros((size, size))
    for octave in range(octaves):
        scale = 2**octave
        noise = value_noise(rng, min(size, cells_v * scale), min(size, cells_u * scale), size)
        total += noise / scale
    return np.asarray((total - total.min()) / (total.max() - total.min()), np.float64)


def _plain(rng: np.random.Generator) -> Float64:
    return 0.38 + 0.2 * fbm(rng, 4, 4, 4) + 0.04 * fbm(rng, 128, 128, 2)


def _grain(rng: np.random.Generator) -> Float64:
    """Wood with its grain along u."""
    v = np.arange(SIZE)[:, None] / SIZE
    bend = fbm(rng, 3, 2, 3)
    rings = 0.5 + 0.5 * np.sin(2 * np.pi * (7 * v + 2.2 * bend))
    fibres = fbm(rng, 96, 3, 3)
    pores = np.clip(fbm(rng, 170, 10, 1) * 3.2 - 2.3, 0, 1)
    return 0.15 + 0.3 * rings**1.5 + 0.5 * fibres - 0.25 * pores


def _planks(rng: np.random.Generator) -> Float64:
    """Floor boards along u; each board has its own tone, grain offset and joints."""
    rows = 14
    grain, out = _grain(rng), np.zeros((SIZE, SIZE))
    edges = np.round(np.linspace(0, SIZE, rows + 1)).astype(int)
    for top, bottom in pairwise(edges):
        start = int(rng.integers(SIZE))
        joints = [0, int(SIZE * rng.uniform(0.42, 0.58)), SIZE]
        row = np.zeros((bottom - top, SIZE))
        for left, right in pairwise(joints):
            shifted = np.roll(grain, rng.integers(SIZE, size=2), axis=(0, 1))
            board = shifted[: bottom - top, : right - left]
            row[:, left:right] = 0.62 * board + rng.uniform(0.08, 0.42)
            row[:, left : left + 1] *= 0.3
        row[:1] *= 0.3
        out[top:bottom] = np.roll(row, start, axis=1)
    return out


def _parquet(rng: np.random.Generator) -> Float64:
    """Basket-weave parquet: square blocks of four strips, alternately rotated."""
    blocks, grain = 8, _grain(rng)
    side = SIZE // blocks
    out = np.zeros((SIZE, SIZE))
    for i in range(blocks):
        for j in range(blocks):
            block = np.zeros((side, side))
            for strip in range(4):
                y = strip * side // 4
                shifted = np.roll(grain, rng.integers(SIZE, size=2), axis=(0, 1))
                block[y : y + side // 4] = 0.6 * shifted[: side // 4, :side] + rng.uniform(0.1, 0.4)
                block[y] *= 0.45
            block[:, 0] *= 0.45
            out[i * side : (i + 1) * side, j * side : (j + 1) * side] = (
                block.T if (i + j) % 2 else block
            )
    return out


def _tiles(rng: np.random.Generator) -> Float64:
    """Square stone tiles with joints."""
    count, out = 4, 0.35 + 0.3 * fbm(rng, 6, 6, 5)
    side = SIZE // count
    tones = rng.uniform(-0.12, 0.12, (count, count))
    out += np.kron(tones, np.ones((side, side)))
    for at in range(0, SIZE, side):
        out[at : at + 4] = 0.08
        out[:, at : at + 4] = 0.08
    return out


def _weave(rng: np.random.Generator) -> Float64:
    """Cloth: crossing threads over low-frequency changes of tone."""
    thread: Float64 = np.sin(np.arange(SIZE) * (2 * np.pi * 64 / SIZE))
    threads = 0.5 + 0.25 * (thread[None, :] + thread[:, None])
    return 0.2 + 0.3 * threads + 0.25 * fbm(rng, 6, 6, 3) + 0.25 * fbm(rng, 200, 200, 1)


def _carpet(rng: np.random.Generator) -> Float64:
    return 0.15 + 0.35 * fbm(rng, 5, 5, 4) + 0.5 * fbm(rng, 128, 128, 2)


def _marble(rng: np.random.Generator) -> Float64:
    bend = fbm(rng, 3, 3, 6)
    v = np.arange(SIZE)[:, None] / SIZE
    u = np.arange(SIZE)[None, :] / SIZE
    veins = np.abs(np.sin(np.pi * (2 * u + 2 * v + 3.5 * bend)))
    return 1.0 - 0.75 * (1 - veins) ** 5 - 0.2 * bend


def _stripes(rng: np.random.Generator) -> Float64:
    """Six soft-edged stripes across u."""
    u = np.arange(SIZE)[None, :] / SIZE
    band = np.clip(0.5 + 4 * np.sin(2 * np.pi * 6 * u), 0, 1)
    return 0.8 * band + 0.2 * _weave(rng)


def _checks(rng: np.random.Generator) -> Float64:
    """Gingham: two crossing half-tone stripes."""
    at = np.arange(SIZE) / SIZE
    band = np.clip(0.5 + 5 * np.sin(2 * np.pi * 5 * at), 0, 1)
    return 0.42 * (band[None, :] + band[:, None]) + 0.16 * _weave(rng)


def _dots(rng: np.random.Generator) -> Float64:
    at = (np.arange(SIZE) / SIZE * 6) % 1 - 0.5
    shifted = (np.arange(SIZE) / SIZE * 6 + 0.5) % 1 - 0.5
    straight = np.hypot(at[:, None], at[None, :])
    offset = np.hypot(shifted[:, None], shifted[None, :])
    dots = np.clip((0.2 - np.minimum(straight, offset)) * 30 + 0.5, 0, 1)
    return 0.1 + 0.75 * dots + 0.15 * _weave(rng)


def _zigzag(rng: np.random.Generator) -> Float64:
    v = np.arange(SIZE)[:, None] / SIZE
    u = np.arange(SIZE)[None, :] / SIZE
    fold = np.abs((u * 8) % 1 - 0.5)
    band = np.clip(0.5 + 4 * np.sin(2 * np.pi * (8 * v + fold * 1.6)), 0, 1)
    return 0.8 * band + 0.2 * _weave(rng)


def _wicker(rng: np.random.Generator) -> Float64:
    v = np.arange(SIZE)[:, None] * (np.pi * 32 / SIZE)
    u = np.arange(SIZE)[None, :] * (np.pi * 16 / SIZE)
    phase = (np.floor(v / np.pi) % 2) * (np.pi / 2)
    strand: Float64 = np.abs(np.sin(u + phase)) * np.abs(np.sin(v)) ** 0.5
    return 0.75 * strand + 0.25 * fbm(rng, 40, 40, 2)


def _card(rng: np.random.Generator) -> Float64:
    """Cardboard: faint corrugation."""
    ribs: Float64 = np.sin(np.arange(SIZE)[None, :] * (2 * np.pi * 64 / SIZE))
    return 0.35 + 0.06 * ribs + 0.3 * fbm(rng, 4, 8, 4) + 0.12 * fbm(rng, 150, 150, 1)


def _flat(_rng: np.random.Generator) -> Float64:
    return np.full((SIZE, SIZE), 0.5)


_MAKERS: dict[str, Callable[[np.random.Generator], Float64]] = {
    "flat": _flat,
    "plain": _plain,
    "grain": _grain,
    "planks": _planks,
    "parquet": _parquet,
    "tiles": _tiles,
    "weave": _weave,
    "carpet": _carpet,
    "marble": _marble,
    "stripes": _stripes,
    "checks": _checks,
    "dots": _dots,
    "zigzag": _zigzag,
    "wicker": _wicker,
    "card": _card,
}
PATTERNS = tuple(_MAKERS)


@cache
def tiles() -> Float32:
    """Return all patterns [P, SIZE, SIZE] in the order of ``PATTERNS``; rows are v, columns are u."""
    made = [make(np.random.default_rng([7, i])) for i, make in enumerate(_MAKERS.values())]
    return np.clip(np.stack(made), 0, 1).astype(np.float32)
