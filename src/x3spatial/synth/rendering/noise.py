"""Random numbers for lighting: a fixed table, tiled over the samples of an image.

In every window of 4 x 4 samples each pair of numbers takes each of 16 strata once, so the 4 x 4
filter of ``denoise`` averages a stratified set. A sample's numbers depend on its position only, so a
counterfactual that traces a few samples again uses the same numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from x3spatial.arrays import Float32, Float64, Int64

TILE = 128
LIGHTS = 2  # most lights in a scene


@dataclass(frozen=True)
class Noise:
    """Random directions per position in the tile (row by row) and per light."""

    square: Float32  # [LIGHTS, 2, TILE * TILE] uniform on [-1, 1] x [-1, 1]
    sphere: Float32  # [LIGHTS, 3, TILE * TILE] uniform on the unit sphere
    hemisphere: Float32  # [3, TILE * TILE] cosine-weighted on the hemisphere around z


@cache
def noise() -> Noise:
    """Return the table; it is the same in every run."""
    rng = np.random.default_rng(20240229)

    def pair() -> Float64:
        order = rng.permutation(16).reshape(4, 4)
        cell = np.tile(order, (TILE // 4, TILE // 4)).reshape(-1)
        jitter = rng.random((TILE * TILE, 2))
        return (np.stack([cell % 4, cell // 4], axis=1) + jitter) / 4

    squares, spheres = [], []
    for _ in range(LIGHTS):
        numbers = pair()
        squares.append(2 * numbers.T - 1)
        z, angle = 1 - 2 * numbers[:, 0], 2 * np.pi * numbers[:, 1]
        r = np.sqrt(1 - z * z)
        spheres.append(np.stack([r * np.cos(angle), r * np.sin(angle), z]))
    numbers = pair()
    r, angle = np.sqrt(numbers[:, 0]), 2 * np.pi * numbers[:, 1]
    hemisphere = np.stack([r * np.cos(angle), r * np.sin(angle), np.sqrt(1 - numbers[:, 0])])
    return Noise(
        np.stack(squares).astype(np.float32),
        np.stack(spheres).astype(np.float32),
        hemisphere.astype(np.float32),
    )


def noise_index(column: Int64, row: Int64) -> Int64:
    """Return the table indices [n] of samples at (column, row) [n] of an image's sample grid."""
    return np.asarray((row % TILE) * TILE + column % TILE)
