"""Makers of tabletop props, cushions, rugs and wall objects.

Wall objects have their back on the plane y = 0 and are centred at z = 0.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from x3spatial.synth.world.furniture import lamp_shade
from x3spatial.synth.world.material_presets import (
    cloth,
    glaze,
    leaves,
    metal,
    painted,
    plastic,
    surface_image,
    wood,
)
from x3spatial.synth.world.materials import Material
from x3spatial.synth.world.mesh import Parts
from x3spatial.synth.world.model import Glow, Model, Support
from x3spatial.synth.world.palette import COLOURS, linear

Rng = np.random.Generator
Profile = list[tuple[float, float]]


def _vessel(outline: Profile, wall: float) -> Profile:
    """Return a lathe profile: closed base, ``outline`` upwards, inner wall downwards (metres)."""
    inner = [(max(r - wall, 0.002), z) for r, z in reversed(outline)]
    return [(0.0, 0.0), *outline, *[(r, max(z, wall)) for r, z in inner], (0.0, wall)]


def _smooth(points: Profile, count: int = 18) -> Profile:
    """Return a smooth curve through ``points`` (Catmull-Rom)."""
    p = np.array([points[0], *points, points[-1]])
    out: Profile = []
    for i in range(1, len(p) - 2):
        for t in np.linspace(0, 1, count // (len(p) - 3) + 1, endpoint=i == len(p) - 3):
            a = 2 * p[i] + (p[i + 1] - p[i - 1]) * t
            b = (2 * p[i - 1] - 5 * p[i] + 4 * p[i + 1] - p[i + 2]) * t**2
            c = (-p[i - 1] + 3 * p[i] - 3 * p[i + 1] + p[i + 2]) * t**3
            r, z = (a + b + c) / 2
            out.append((float(max(r, 0.003)), float(z)))
    return out


def vase(rng: Rng, colour: str) -> Model:
    """Turned pottery with a belly and a neck."""
    h, r = rng.uniform(0.22, 0.38), rng.uniform(0.065, 0.1)
    neck, belly = rng.uniform(0.35, 0.6) * r, rng.uniform(0.35, 0.6) * h
    outline = [(0.6 * r, 0.0), (r, belly), (neck, 0.84 * h), (neck * rng.uniform(1.1, 1.6), h)]
    parts = Parts()
    parts.lathe(_vessel(_smooth(outline), 0.008), (0, 0, 0), glaze(rng, colour), 36)
    return Model(parts.mesh())


def mug(rng: Rng, colour: str) -> Model:
    """A cup with a handle."""
    r, h, parts, skin = (
        rng.uniform(0.042, 0.05),
        rng.uniform(0.09, 0.12),
        Parts(),
        glaze(rng, colour),
    )
    parts.lathe(_vessel([(r * 0.92, 0.0), (r, 0.012), (r, h)], 0.005), (0, 0, 0), skin, 30)
    angle = np.linspace(-0.5 * np.pi, 0.5 * np.pi, 8)
    bow = [(r - 0.004 + 0.032 * np.cos(a), 0.0, h * 0.52 + 0.032 * np.sin(a)) for a in angle]
    for start, end in pairwise(bow):
        parts.rod(start, end, 0.0065, skin, 8)
    return Model(parts.mesh())


def bowl(rng: Rng, colour: str) -> Model:
    """A bowl, some with fruit in it."""
    r, h, parts = rng.uniform(0.1, 0.15), rng.uniform(0.06, 0.09), Parts()
    outline = _smooth([(0.45 * r, 0.0), (0.75 * r, 0.35 * h), (r, h)])
    parts.lathe(_vessel(outline, 0.007), (0, 0, 0), glaze(rng, colour), 36)
    if rng.random() < 0.5:
        skin = Material(linear("8a8a36"), linear("b3ad55"), "plain", 0.2, gloss=0.15)
        for k in range(4):
            a = k * 2.1
            parts.ball(
                0.036, (0.45 * r * np.cos(a), 0.45 * r * np.sin(a), h * 0.75), skin, segments=16
            )
    return Model(parts.mesh())


def bottle(rng: Rng, colour: str) -> Model:
    """A bottle with a stopper."""
    r, h, parts = rng.uniform(0.036, 0.046), rng.uniform(0.25, 0.33), Parts()
    outline = [
        (r * 0.95, 0.0),
        (r, 0.02),
        (r, 0.55 * h),
        (0.35 * r, 0.74 * h),
        (0.33 * r, 0.95 * h),
    ]
    parts.lathe(
        [(0.0, 0.0), *_smooth(outline, 24), (0.0, 0.95 * h)], (0, 0, 0), plastic(colour), 28
    )
    parts.cylinder(0.36 * r, 0.05 * h, (0, 0, 0.94 * h), wood(rng, "pine"), 14)
    return Model(parts.mesh())


def teapot(rng: Rng, colour: str) -> Model:
    """Body, lid, spout and handle."""
    r, parts, skin = rng.uniform(0.075, 0.095), Parts(), glaze(rng, colour)
    h = 1.35 * r
    outline = _smooth(
        [(0.6 * r, 0.0), (r, 0.5 * h), (0.5 * r, h), (0.3 * r, 1.08 * h), (0.02, 1.14 * h)]
    )
    parts.lathe([(0.0, 0.0), *outline, (0.0, 1.14 * h)], (0, 0, 0), skin, 34)
    parts.ball(0.014, (0, 0, 1.18 * h), skin, segments=14)
    parts.rod((0.8 * r, 0, 0.4 * h), (1.55 * r, 0, 0.95 * h), 0.016, skin, 12)
    angle = np.linspace(0.35 * np.pi, 1.65 * np.pi, 9)
    bow = [(-1.05 * r + 0.5 * r * np.cos(a), 0.0, 0.55 * h + 0.42 * h * np.sin(a)) for a in angle]
    for start, end in pairwise(bow):
        parts.rod(start, end, 0.0075, skin, 8)
    return Model(parts.mesh())


def books(rng: Rng, colour: str) -> Model:
    """A small stack of books; all but a thin one share the colour."""
    parts, z = Parts(), 0.0
    page = Material(linear("cfc8b6"), linear("e2dccb"), "grain", 0.15)
    for k in range(int(rng.integers(3, 6))):
        w, d, t = rng.uniform(0.2, 0.27), rng.uniform(0.15, 0.19), rng.uniform(0.025, 0.05)
        cover, tilt = (
            painted(colour if k != 1 else "beige", 0.12),
            (0.0, 0.0, rng.uniform(-0.3, 0.3)),
        )
        parts.box((w - 0.008, d - 0.008, t - 0.008), (0, 0, z + t / 2), page, 0.002, tilt)
        for at in (z + 0.0025, z + t - 0.0025):
            parts.box((w, d, 0.005), (0, 0, at), cover, 0.002, tilt)
        back = (np.sin(tilt[2]) * d / 2, -np.cos(tilt[2]) * d / 2, z + t / 2)
        parts.box((w, 0.006, t), back, cover, 0.002, tilt)
        z += t + 0.0005
    return Model(parts.mesh())


def laptop(rng: Rng, colour: str) -> Model:
    """An open laptop."""
    w, d, parts, shell = 0.34, 0.24, Parts(), plastic(colour)
    parts.box((w, d, 0.016), (0, 0, 0.009), shell, 0.006, steps=2)
    keys = Material(linear("2a2b2e"), linear("45464a"), "checks", 0.09)
    parts.box((w - 0.05, d * 0.5, 0.003), (0, -0.03, 0.018), keys, 0.001)
    lean, tall = 0.32, 0.22
    up, back = tall / 2 * np.cos(lean), tall / 2 * np.sin(lean)
    centre = (0.0, -d / 2 - back + 0.004, 0.018 + up)
    parts.box((w, 0.009, tall), centre, shell, 0.004, (lean, 0, 0), steps=2)
    front = (0.0, centre[1] + 0.006 * np.cos(lean), centre[2] + 0.006 * np.sin(lean))
    parts.panel(
        w - 0.024, tall - 0.022, front, surface_image(rng, "screen", 0.25, 0.1), (lean, 0, 0)
    )
    return Model(parts.mesh())


def television(rng: Rng, colour: str) -> Model:
    """A flat screen on a foot."""
    w, parts, shell = rng.uniform(0.7, 0.95), Parts(), plastic("black")
    h = w * 0.58
    parts.box((w, 0.04, h), (0, 0, 0.07 + h / 2), shell, 0.008)
    parts.panel(
        w - 0.04, h - 0.04, (0, 0.0215, 0.07 + h / 2), surface_image(rng, "screen", 0.2, 0.15)
    )
    parts.box((0.06, 0.03, 0.08), (0, -0.01, 0.04), shell)
    parts.box((0.34, 0.2, 0.014), (0, 0, 0.008), shell, 0.006)
    return Model(parts.mesh())


def table_lamp(rng: Rng, colour: str) -> Model:
    """A lit lamp on a pottery foot."""
    h, r, parts = rng.uniform(0.4, 0.5), rng.uniform(0.06, 0.085), Parts()
    foot = _smooth([(0.7 * r, 0.0), (r, 0.3 * h), (0.3 * r, 0.52 * h), (0.012, 0.6 * h)])
    parts.lathe([(0.0, 0.0), *foot], (0, 0, 0), glaze(rng, colour), 28)
    lamp_shade(parts, h, 0.13, 0.17)
    return Model(parts.mesh(), glow=Glow((0, 0, h - 0.08), 0.2, 0.2))


def pot_plant(rng: Rng, colour: str) -> Model:
    """A small plant for a table."""
    r, h, parts, green = rng.uniform(0.05, 0.07), rng.uniform(0.08, 0.11), Parts(), leaves(rng)
    profile = [
        (0, 0),
        (r * 0.75, 0),
        (r, h),
        (r - 0.008, h),
        (r - 0.012, h - 0.012),
        (0, h - 0.012),
    ]
    parts.lathe(profile, (0, 0, 0), glaze(rng, colour), 28, smooth=False)
    for k in range(int(rng.integers(12, 20))):
        a, up = 2.4 * k, rng.uniform(0.3, 1.3)
        direction = (np.cos(a), np.sin(a), up)
        parts.leaf((0, 0, h - 0.015), direction, rng.uniform(0.1, 0.16), 0.05, 0.5, green)
    return Model(parts.mesh())


def cushion(rng: Rng, colour: str) -> Model:
    """A cushion that leans backwards, towards -y."""
    side, parts, lean = rng.uniform(0.36, 0.44), Parts(), rng.uniform(0.25, 0.4)
    z = side / 2 * np.cos(lean) + 0.015
    parts.pillow((side, side, 0.15), (0, 0, z), cloth(rng, colour), (np.pi / 2 + lean, 0, 0))
    mesh = parts.mesh()
    return Model(mesh.moved(0.0, (0.0, 0.0, -mesh.box[0, 2])))


def painting(rng: Rng, colour: str) -> Model:
    """A framed picture, the frame in the colour."""
    w, h, parts = rng.uniform(0.4, 0.75), rng.uniform(0.4, 0.65), Parts()
    frame, t = painted(colour, 0.15), rng.uniform(0.025, 0.045)
    for side in (-1, 1):
        parts.box((w, 0.035, t), (0, 0.02, side * (h - t) / 2), frame, 0.005)
        parts.box((t, 0.035, h - 2 * t), (side * (w - t) / 2, 0.02, 0), frame, 0.005)
    parts.panel(w - 2 * t + 0.002, h - 2 * t + 0.002, (0, 0.022, 0), surface_image(rng, "art"))
    parts.box((w - 0.02, 0.012, h - 0.02), (0, 0.009, 0), painted("black"), 0.002)
    return Model(parts.mesh())


def clock(rng: Rng, colour: str) -> Model:
    """A round wall clock with a coloured rim."""
    r, parts = rng.uniform(0.14, 0.2), Parts()
    rim = [(0, 0.0), (r, 0.0), (r, 0.04), (r - 0.012, 0.05), (r - 0.025, 0.035), (0, 0.03)]
    parts.lathe(
        rim, (0, 0.002, 0), painted(colour, 0.25), 44, smooth=False, tilt=(-np.pi / 2, 0, 0)
    )
    side = (r - 0.028) * 2 / np.sqrt(2)
    dial = surface_image(rng, "dial")
    pale = Material(linear("e8e5dc"), linear("e8e5dc"), "flat", 1.0)
    parts.lathe([(r - 0.02, 0.037), (0, 0.0371)], (0, 0.002, 0), pale, 40, tilt=(-np.pi / 2, 0, 0))
    parts.panel(side, side, (0, 0.0405, 0), dial)
    return Model(parts.mesh())


def wall_shelf(rng: Rng, colour: str) -> Model:
    """A board on the wall that carries small objects."""
    w, d, parts, board = rng.uniform(0.8, 1.2), 0.24, Parts(), wood(rng)
    parts.box((w, d, 0.03), (0, d / 2 + 0.002, 0), board, 0.005)
    for sx in (-1, 1):
        parts.box((0.025, d * 0.8, 0.03), (sx * w * 0.35, d * 0.4 + 0.002, -0.03), metal())
        parts.box((0.025, 0.02, 0.14), (sx * w * 0.35, 0.013, -0.085), metal())
    place = Support(-w / 2 + 0.03, w / 2 - 0.03, 0.03, d - 0.02, 0.0155, 0.45)
    return Model(parts.mesh(), (place,))


def rug(rng: Rng, colour: str) -> Model:
    """A flat rug; objects stand on it as on the floor."""
    w, d, parts = rng.uniform(1.7, 2.4), rng.uniform(1.2, 1.7), Parts()
    sheet = surface_image(rng, "rug")
    parts.panel(w, d, (0, 0, 0.006), sheet, (np.pi / 2, 0, 0))
    edge = COLOURS["beige"]
    parts.box((w, d, 0.005), (0, 0, 0.0028), Material(*edge, "carpet", 0.5), 0.002)
    return Model(parts.mesh())
