"""Procedural surface images, where a two-colour pattern is not enough: art, rugs, book spines, screens."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from x3spatial.arrays import Float32, Float64
from x3spatial.synth.world.palette import COLOURS, linear
from x3spatial.synth.world.patterns import fbm

SIZE = 256  # texels along a side


@dataclass(frozen=True)
class SurfaceImage:
    """A surface image to draw; ``kind`` is art, rug, spines, screen, sky or dial."""

    kind: str
    seed: int


def _tones(rng: np.random.Generator, count: int) -> Float64:
    """Draw muted linear RGB colours [count, 3], no two of the same name."""
    names = rng.permutation([n for n in COLOURS if n not in ("black", "white")])[:count]
    return np.array([COLOURS[str(n)][int(rng.integers(2))] for n in names])


def _grid() -> tuple[Float64, Float64]:
    at = (np.arange(SIZE) + 0.5) / SIZE
    return at[None, :], at[:, None]


def _paint(image: Float64, where: Float64, colour: Float64) -> None:
    """Blend ``colour`` [3] into ``image`` [S, S, 3] in place; ``where`` [S, S] is its opacity."""
    alpha = np.clip(where, 0, 1)[..., None]
    image += alpha * (colour - image)


def _art(rng: np.random.Generator) -> Float64:
    u, v = _grid()
    tones = _tones(rng, 6)
    image = np.tile(tones[0] * 0.4 + 0.45, (SIZE, SIZE, 1))
    style = int(rng.integers(3))
    if style == 0:  # layered hills under a sky
        _paint(image, 1 - v + 0 * u, tones[1] * 0.5 + 0.4)
        sun_u, sun_v = rng.uniform(0.2, 0.8), rng.uniform(0.15, 0.4)
        disc = (0.09 - np.hypot(u - sun_u, v - sun_v)) * 60
        _paint(image, disc, np.array(linear("e3c98a")))
        for k in range(4):
            height = 0.35 + 0.15 * k + 0.12 * (fbm(rng, 1, 3, 4, SIZE)[k * 7] - 0.5) * 2
            _paint(image, (v - height[None, :]) * 80, tones[2 + k % 4] * (1 - 0.15 * k))
    elif style == 1:  # discs and bars
        for k in range(9):
            cu, cv = rng.uniform(0, 1, 2)
            tone = tones[k % 6]
            if rng.random() < 0.6:
                radius = rng.uniform(0.06, 0.24)
                _paint(image, (radius - np.hypot(u - cu, v - cv)) * 90, tone)
            else:
                angle, half = rng.uniform(0, np.pi), rng.uniform(0.02, 0.09)
                across = np.abs((u - cu) * np.cos(angle) + (v - cv) * np.sin(angle))
                _paint(image, (half - across) * 90, tone)
    else:  # washes of colour
        for k in range(5):
            wash = fbm(rng, 2 + k, 2 + k, 4, SIZE)
            _paint(image, (wash - 0.55) * 6, tones[k + 1])
    mat = np.minimum(np.minimum(u, 1 - u), np.minimum(v, 1 - v))
    _paint(image, (0.07 - mat) * 200, np.array(linear("e6e3db")))
    return image


def _rug(rng: np.random.Generator) -> Float64:
    u, v = _grid()
    tones = _tones(rng, 5)
    image = np.tile(tones[0], (SIZE, SIZE, 1))
    edge = np.minimum(np.minimum(u, 1 - u), np.minimum(v, 1 - v))
    x, y = np.abs(u - 0.5), np.abs(v - 0.5)
    style = int(rng.integers(3))
    if style == 0:  # medallion
        angle = np.arctan2(v - 0.5, u - 0.5)
        radius = np.hypot(x, y) * (1 + 0.14 * np.cos(int(rng.choice([6, 8, 10])) * angle))
        for k, limit in enumerate((0.38, 0.28, 0.17, 0.08)):
            _paint(image, (limit - radius) * 120, tones[1 + k % 4])
    elif style == 1:  # lozenges
        cells = int(rng.integers(4, 7))
        lozenge = np.abs((u * cells) % 1 - 0.5) + np.abs((v * cells) % 1 - 0.5)
        _paint(image, (0.44 - lozenge) * 40, tones[1])
        _paint(image, (0.25 - lozenge) * 40, tones[2])
    else:  # bands
        for at in rng.uniform(0.1, 0.9, 7):
            _paint(image, (rng.uniform(0.01, 0.05) - np.abs(v - at)) * 150 + 0 * u, tones[1])
    _paint(image, (0.10 - edge) * 120, tones[3])
    _paint(image, (0.035 - edge) * 120, tones[4])
    pile = 0.8 + 0.4 * fbm(rng, 64, 64, 2, SIZE)
    return image * pile[..., None]


def _spines(rng: np.random.Generator) -> Float64:
    """A row of book spines."""
    image = np.zeros((SIZE, SIZE, 3))
    v = ((np.arange(SIZE) + 0.5) / SIZE)[:, None]
    names = list(COLOURS)
    left = 0
    while left < SIZE:
        width = int(rng.integers(9, 22))
        tone = np.array(COLOURS[names[int(rng.integers(len(names)))]][int(rng.integers(2))]) * 0.85
        book = np.tile(tone, (SIZE, min(width, SIZE - left), 1))
        band = np.abs(v - rng.uniform(0.2, 0.8)) < rng.uniform(0.02, 0.06)
        book[band[:, 0]] = book[band[:, 0]] * 0.5 + 0.25
        book[:, :1] *= 0.4
        book[:, -1:] *= 0.6
        book[v[:, 0] < rng.uniform(0.0, 0.16)] = 0.012
        image[:, left : left + width] = book
        left += width
    return image


def _screen(rng: np.random.Generator) -> Float64:
    u, v = _grid()
    image = np.tile(np.array(linear("1d2a38")), (SIZE, SIZE, 1))
    tones = _tones(rng, 3)
    _paint(image, (fbm(rng, 2, 2, 3, SIZE) - 0.45) * 3, tones[0] * 0.6)
    _paint(image, (0.2 - np.hypot(u - rng.uniform(0.3, 0.7), (v - 0.5))) * 12, tones[1] * 0.7)
    _paint(image, (np.abs(v - 0.92) < 0.035) * np.ones_like(u), np.array(linear("3a4654")))
    return image


def _sky(rng: np.random.Generator) -> Float64:
    """The view from a window: sky over distant trees."""
    _, v = _grid()
    image = np.array(linear("b9cfe2")) * (0.75 + 0.35 * v[..., None]) * np.ones((SIZE, SIZE, 1))
    _paint(image, (fbm(rng, 2, 3, 5, SIZE) - 0.5) * 2.5, np.array(linear("f2f3f2")))
    tops = 0.78 + 0.1 * fbm(rng, 1, 5, 4, SIZE)[0]
    _paint(image, (v - tops[None, :]) * 60, np.array(linear("7f9a80")))
    return image


def _dial(rng: np.random.Generator) -> Float64:
    """A clock face centred in the image."""
    u, v = _grid()
    image = np.tile(np.array(linear("e8e5dc")), (SIZE, SIZE, 1))
    ink = np.array(linear("2b2c2e"))
    angle = np.arctan2(u - 0.5, 0.5 - v)
    radius = np.hypot(u - 0.5, v - 0.5)
    hour = np.abs((angle / (2 * np.pi) * 12 + 0.5) % 1 - 0.5) * radius
    marks = (hour < 0.06 * 12 / (2 * np.pi) * 0.16) & (np.abs(radius - 0.4) < 0.035)
    _paint(image, marks.astype(np.float64), ink)
    for length, half in ((0.22, 0.018), (0.34, 0.011)):
        hand_angle = rng.uniform(0, 2 * np.pi)
        along = (u - 0.5) * np.sin(hand_angle) + (0.5 - v) * np.cos(hand_angle)
        across = np.abs((u - 0.5) * np.cos(hand_angle) - (0.5 - v) * np.sin(hand_angle))
        hand = (across < half) & (along > -0.04) & (along < length)
        _paint(image, hand.astype(np.float64), ink)
    return image


_MAKERS = {
    "art": _art,
    "rug": _rug,
    "spines": _spines,
    "screen": _screen,
    "sky": _sky,
    "dial": _dial,
}


def draw(surface_image: SurfaceImage) -> Float32:
    """Draw a surface image: linear RGB [SIZE, SIZE, 3]; row 0 is the top (v = 0)."""
    rng = np.random.default_rng([11, surface_image.seed])
    image = _MAKERS[surface_image.kind](rng)
    return np.asarray(np.clip(image, 0, 1), np.float32)
