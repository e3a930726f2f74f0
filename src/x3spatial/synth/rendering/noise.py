"""The random numbers of lighting: a fixed table, tiled over the samples of an image.

Within every window of 4 x 4 samples each pair of numbers takes each of 16 strata once, so that
the 4 x 4 filter of ``resolve`` sees an even spread. A sample's numbers depend on its place only:
the counterfactual that retraces a few samples draws the same ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from x3spatial.arrays import Float32, Float64, Int64

TILE = 128
LIGHTS = 2  # most lights that a scene may have


@dataclass(frozen=True)
class Noise:
    """Per place in the tile (row by row), per light."""

    square: Float32  # [LIGHTS, 2, TILE * TILE] even on [-1, 1] x [-1, 1]
    sphere: Float32  # [LIGHTS, 3, TILE * TILE] even on the unit sphere
    dome: Float32  # [3, TILE * TILE] on the hemisphere around z, by the cosine


@cache
def noise() -> Noise:
    """The table; the same in every run."""
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
        z, turn = 1 - 2 * numbers[:, 0], 2 * np.pi * numbers[:, 1]
        r = np.sqrt(1 - z * z)
        spheres.append(np.stack([r * np.cos(turn), r * np.sin(turn), z]))
    numbers = pair()
    r, turn = np.sqrt(numbers[:, 0]), 2 * np.pi * numbers[:, 1]
    dome = np.stack([r * np.cos(turn), r * np.sin(turn), np.sqrt(1 - numbers[:, 0])])
    return Noise(
        np.stack(squares).astype(np.float32),
        np.stack(spheres).astype(np.float32),
        dome.astype(np.float32),
    )


def place(column: Int64, row: Int64) -> Int64:
    """Index into the table of the samples at (column, row) of an image's sample grid."""
    return np.asarray((row % TILE) * TILE + column % TILE)
