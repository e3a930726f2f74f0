"""Makers of small props that stand or lie on the floor."""

from __future__ import annotations

import numpy as np

from x3spatial.synth.world.material_presets import leaves, metal, painted, plastic
from x3spatial.synth.world.materials import Material
from x3spatial.synth.world.mesh import Parts
from x3spatial.synth.world.model import Model
from x3spatial.synth.world.palette import COLOURS, linear

Rng = np.random.Generator


def plant(rng: Rng, colour: str) -> Model:
    """A leafy plant in a coloured pot."""
    r, h, parts = rng.uniform(0.13, 0.18), rng.uniform(0.24, 0.32), Parts()
    pot, green = painted(colour, 0.15), leaves(rng)
    parts.lathe(
        [(0, 0), (r * 0.72, 0), (r, h), (r - 0.02, h), (r - 0.03, h - 0.04), (0, h - 0.04)],
        (0, 0, 0), pot, 32, smooth=False,
    )  # fmt: skip
    soil = Material(linear("2f261f"), linear("4a3c31"), "carpet", 0.4)
    parts.lathe([(r - 0.03, h - 0.035), (0, h - 0.034)], (0, 0, 0), soil, 20)
    stem = Material(linear("4c4a30"), linear("6c6a48"), "plain", 0.4)
    tall, bushy = rng.uniform(0.4, 0.75), int(rng.integers(18, 30))
    slim = rng.random() < 0.4
    if slim:  # long narrow leaves
        for k in range(bushy - 6):
            a = 2.4 * k + rng.uniform(-0.3, 0.3)
            lean = rng.uniform(0.08, 0.3)
            base = (0.3 * r * np.cos(a), 0.3 * r * np.sin(a), h - 0.05)
            direction = (lean * np.cos(a), lean * np.sin(a), 1.0)
            parts.leaf(base, direction, tall * rng.uniform(0.6, 1.0), 0.07, 0.05, green)
    else:
        parts.rod((0, 0, h - 0.05), (0, 0, h + tall * 0.75), 0.012, stem)
        for k in range(bushy):
            a, up = 2.4 * k + rng.uniform(-0.3, 0.3), k / bushy
            base = (0.0, 0.0, h + tall * (0.12 + 0.63 * up))
            direction = (np.cos(a), np.sin(a), 0.25 + 0.9 * up)
            parts.leaf(
                base, direction, rng.uniform(0.2, 0.3) * (1.15 - 0.4 * up), 0.12, 0.45, green
            )
    return Model(parts.mesh())


def ball(rng: Rng, colour: str) -> Model:
    """A play ball with a print."""
    r, parts = rng.uniform(0.11, 0.17), Parts()
    dark, _ = COLOURS[colour]
    style = str(rng.choice(["flat", "checks", "stripes", "dots"]))
    skin = plastic(colour) if style == "flat" else Material(
        dark, (0.6, 0.59, 0.56) if colour != "white" else (0.09, 0.1, 0.11), style,
        2 * np.pi * r / int(rng.integers(1, 3)), gloss=0.2)  # fmt: skip
    parts.ball(r, (0, 0, r), skin, segments=40)
    return Model(parts.mesh())


def basket(rng: Rng, colour: str) -> Model:
    """A woven basket, open on top."""
    r, h, parts = rng.uniform(0.16, 0.22), rng.uniform(0.26, 0.36), Parts()
    dark, light = COLOURS[colour]
    weave = Material(dark, light, "wicker", 0.3)
    profile = [(0, 0), (r * 0.82, 0), (r, h * 0.55), (r * 0.97, h), (r * 0.97 - 0.02, h)]
    parts.lathe([*profile, (r * 0.8, 0.04), (0, 0.04)], (0, 0, 0), weave, 36)
    return Model(parts.mesh())


def carton(rng: Rng, colour: str) -> Model:
    """A closed cardboard or storage box with a band of tape."""
    w, d, h = rng.uniform(0.3, 0.46), rng.uniform(0.26, 0.36), rng.uniform(0.22, 0.36)
    dark, light = COLOURS[colour]
    card, parts = Material(dark, light, "card", 0.6), Parts()
    parts.box((w, d, h), (0, 0, h / 2), card, 0.004)
    tape = Material(tuple(v * 0.8 for v in light), light, "plain", 0.3, gloss=0.2)  # type: ignore[arg-type]
    parts.box((0.05, d + 0.004, 0.06), (0, 0, h - 0.028), tape, 0.002)
    return Model(parts.mesh())


def suitcase(rng: Rng, colour: str) -> Model:
    """A hard-shell suitcase standing upright."""
    w, d, h, parts = (
        rng.uniform(0.38, 0.46),
        rng.uniform(0.22, 0.27),
        rng.uniform(0.52, 0.64),
        Parts(),
    )
    shell, dark = plastic(colour), metal()
    parts.box((w, d, h), (0, 0, h / 2 + 0.04), shell, 0.05, steps=3)
    for k in range(5):
        x = w * (k / 4 - 0.5) * 0.7
        parts.box((0.02, d + 0.012, h - 0.14), (x, 0, h / 2 + 0.04), shell, 0.005)
    for sx in (-1, 1):
        for sy in (-1, 1):
            parts.ball(0.025, (sx * (w / 2 - 0.05), sy * (d / 2 - 0.05), 0.025), dark, segments=12)
        parts.cylinder(0.008, 0.22, (sx * 0.09, -d / 2 + 0.04, h + 0.03), dark, 8)
    parts.box((0.22, 0.024, 0.024), (0, -d / 2 + 0.04, h + 0.25), dark, 0.01, steps=2)
    return Model(parts.mesh())
