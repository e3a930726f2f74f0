"""Makers of furniture that stands on the floor. Each maker draws its proportions from ``rng``."""

from __future__ import annotations

import numpy as np

from x3spatial.synth.world.material_presets import cloth, metal, painted, surface_image, wood
from x3spatial.synth.world.materials import Material
from x3spatial.synth.world.mesh import Parts
from x3spatial.synth.world.model import Glow, Model, Support
from x3spatial.synth.world.palette import linear

Rng = np.random.Generator


def _four_legs(
    parts: Parts, w: float, d: float, h: float, thick: float, material: Material, splay: float = 0.0
) -> None:
    x, y = w / 2 - thick, d / 2 - thick
    for sx in (-1, 1):
        for sy in (-1, 1):
            foot = (sx * (x + splay), sy * (y + splay), 0.0)
            if splay:
                parts.rod(foot, (sx * x, sy * y, h), thick / 2, material, 10)
            else:
                parts.box((thick, thick, h), (sx * x, sy * y, h / 2), material)


def lamp_shade(parts: Parts, top: float, narrow: float, wide: float) -> None:
    """Add an emissive cloth cone whose upper rim is at height ``top``."""
    glowing = Material(linear("e8cf9f"), linear("f5e3bd"), "weave", 0.3, emission=0.75)
    tall = wide * 1.05
    outline = [(wide, top - tall), (narrow, top), (narrow - 0.004, top), (wide - 0.004, top - tall)]
    parts.lathe(outline, (0, 0, 0), glowing, 36)


def sofa(rng: Rng, colour: str) -> Model:
    """Two or three seats, arms and a back."""
    seats = int(rng.integers(2, 4))
    w, d, seat, back = 0.68 * seats + 0.4, rng.uniform(0.85, 0.95), 0.42, rng.uniform(0.78, 0.88)
    stuff, foot, parts = cloth(rng, colour, "weave"), wood(rng), Parts()
    parts.box((w - 0.06, d - 0.06, 0.2), (0, 0, 0.2), stuff, 0.04, steps=2)
    parts.box(
        (w, 0.24, back - 0.1), (0, -d / 2 + 0.12, 0.1 + (back - 0.1) / 2), stuff, 0.09, steps=3
    )
    for side in (-1, 1):
        arm = (side * (w / 2 - 0.1), 0.02, 0.1 + 0.26)
        parts.box((0.2, d - 0.04, 0.52), arm, stuff, 0.08, steps=3)
        for y in (-d / 2 + 0.1, d / 2 - 0.1):
            parts.cylinder(0.025, 0.11, (side * (w / 2 - 0.12), y, 0), foot, 12)
    wide = (w - 0.4) / seats
    for i in range(seats):
        x = -w / 2 + 0.2 + wide * (i + 0.5)
        parts.box((wide - 0.01, d - 0.24, 0.16), (x, 0.11, seat - 0.06), stuff, 0.05, steps=3)
        lean = (x, -d / 2 + 0.3, seat + 0.2)
        parts.box((wide - 0.02, 0.17, 0.42), lean, stuff, 0.07, (0.16, 0, 0), steps=3)
    place = Support(
        -w / 2 + 0.24, w / 2 - 0.24, -d / 2 + 0.42, d / 2 - 0.04, seat + 0.025, 1.2, True
    )
    return Model(parts.mesh(), (place,))


def armchair(rng: Rng, colour: str) -> Model:
    """One wide upholstered seat."""
    w, d, back = rng.uniform(0.78, 0.9), rng.uniform(0.78, 0.86), rng.uniform(0.82, 0.95)
    stuff, foot, parts = cloth(rng, colour), wood(rng), Parts()
    parts.box((w - 0.08, d - 0.06, 0.2), (0, 0, 0.24), stuff, 0.04, steps=2)
    parts.box((w - 0.1, 0.18, back - 0.2), (0, -d / 2 + 0.12, 0.2 + (back - 0.2) / 2), stuff, 0.08,
              (0.08, 0, 0), steps=3)  # fmt: skip
    for side in (-1, 1):
        parts.box((0.15, d - 0.04, 0.46), (side * (w / 2 - 0.08), 0.0, 0.37), stuff, 0.06, steps=3)
        for y in (-d / 2 + 0.08, d / 2 - 0.08):
            parts.rod((side * (w / 2 - 0.08), y, 0), (side * (w / 2 - 0.1), y, 0.16), 0.02, foot)
    parts.box((w - 0.3, d - 0.22, 0.15), (0, 0.09, 0.39), stuff, 0.05, steps=3)
    place = Support(-w / 2 + 0.17, w / 2 - 0.17, -d / 2 + 0.26, d / 2 - 0.05, 0.47, 1.2, True)
    return Model(parts.mesh(), (place,))


def _table(rng: Rng, w: float, d: float, h: float, material: Material) -> Model:
    parts, style = Parts(), int(rng.integers(3))
    top = 0.035
    legs = material if rng.random() < 0.6 else metal()
    parts.box((w, d, top), (0, 0, h - top / 2), material, 0.01, steps=2)
    if style == 0:
        _four_legs(parts, w, d, h - top, 0.06, legs)
        for sy in (-1, 1):
            parts.box((w - 0.14, 0.02, 0.07), (0, sy * (d / 2 - 0.06), h - top - 0.036), material)
        for sx in (-1, 1):
            parts.box((0.02, d - 0.14, 0.07), (sx * (w / 2 - 0.06), 0, h - top - 0.036), material)
    elif style == 1:
        _four_legs(parts, w - 0.16, d - 0.16, h - top, 0.045, legs, splay=0.05)
    else:
        for sx in (-1, 1):
            parts.box((0.04, d - 0.1, h - top), (sx * (w / 2 - 0.12), 0, (h - top) / 2), material)
        parts.box((w - 0.28, 0.03, 0.14), (0, 0, h * 0.45), material)
    edge = 0.04
    place = Support(-w / 2 + edge, w / 2 - edge, -d / 2 + edge, d / 2 - edge, h, 1.0)
    return Model(parts.mesh(), (place,))


def dining_table(rng: Rng, colour: str) -> Model:
    """A wooden table to sit at."""
    return _table(
        rng, rng.uniform(1.3, 1.7), rng.uniform(0.8, 0.92), rng.uniform(0.72, 0.76), wood(rng)
    )


def coffee_table(rng: Rng, colour: str) -> Model:
    """A low table, rectangular or round."""
    if rng.random() < 0.6:
        return _table(
            rng, rng.uniform(0.95, 1.25), rng.uniform(0.55, 0.7), rng.uniform(0.4, 0.46), wood(rng)
        )
    r, h, parts, top = rng.uniform(0.42, 0.52), rng.uniform(0.4, 0.46), Parts(), wood(rng)
    parts.lathe(_disc(r, h - 0.035, h), (0, 0, 0), top, 48)
    for k in range(3):
        a = 2 * np.pi * k / 3
        foot = (0.8 * r * np.cos(a), 0.8 * r * np.sin(a), 0.0)
        parts.rod(foot, (0.5 * r * np.cos(a), 0.5 * r * np.sin(a), h - 0.03), 0.022, top, 12)
    side = 0.66 * r
    return Model(parts.mesh(), (Support(-side, side, -side, side, h, 1.0),))


def _disc(r: float, low: float, high: float) -> list[tuple[float, float]]:
    b = 0.006
    return [(0, low), (r - b, low), (r, low + b), (r, high - b), (r - b, high), (0, high)]


def side_table(rng: Rng, colour: str) -> Model:
    """A small round table on one foot."""
    r, h, parts = rng.uniform(0.24, 0.3), rng.uniform(0.5, 0.6), Parts()
    top = wood(rng) if rng.random() < 0.5 else painted(colour)
    parts.lathe(_disc(r, h - 0.025, h), (0, 0, 0), top, 40)
    parts.cylinder(0.022, h - 0.03, (0, 0, 0.01), top, 14)
    parts.lathe([(0, 0.0), (r * 0.65, 0.0), (r * 0.62, 0.014), (0.03, 0.03)], (0, 0, 0), top, 32)
    side = 0.62 * r
    return Model(parts.mesh(), (Support(-side, side, -side, side, h, 1.0),))


def chair(rng: Rng, colour: str) -> Model:
    """A dining chair: slats, bars or a shell for a back."""
    w, d, seat, back = (
        rng.uniform(0.42, 0.48),
        rng.uniform(0.42, 0.47),
        0.46,
        rng.uniform(0.84, 0.95),
    )
    frame, parts, style = painted(colour), Parts(), int(rng.integers(3))
    if style == 2:
        legs = wood(rng, "oak") if rng.random() < 0.6 else metal()
        _four_legs(parts, w - 0.1, d - 0.1, seat - 0.02, 0.034, legs, splay=0.05)
        parts.box((w, d, 0.05), (0, 0, seat), frame, 0.024, steps=3)
        parts.box(
            (w, 0.04, back - seat), (0, -d / 2 + 0.015, (back + seat) / 2), frame, 0.019, steps=3
        )
        return Model(parts.mesh())
    _four_legs(parts, w, d, seat, 0.036, frame)
    cover = frame if rng.random() < 0.5 else cloth(rng, colour)
    parts.box((w, d, 0.03), (0, 0, seat + 0.01), cover, 0.012, steps=2)
    for sx in (-1, 1):
        x = sx * (w / 2 - 0.036)
        parts.box((0.034, 0.03, back - seat), (x, -d / 2 + 0.036, (back + seat) / 2), frame)
    inner = w - 0.1
    if style == 0:
        for z in (back - 0.06, back - 0.2, back - 0.33):
            parts.box((inner, 0.02, 0.065), (0, -d / 2 + 0.036, z), frame)
    else:
        parts.box((w - 0.03, 0.026, 0.06), (0, -d / 2 + 0.036, back - 0.03), frame)
        for k in range(4):
            x = inner * (k / 3 - 0.5) * 0.82
            parts.box(
                (0.022, 0.016, back - seat - 0.05), (x, -d / 2 + 0.036, (back + seat) / 2), frame
            )
    return Model(parts.mesh())


def stool(rng: Rng, colour: str) -> Model:
    """A round seat on splayed legs."""
    r, h, parts, legs = rng.uniform(0.17, 0.2), rng.uniform(0.45, 0.66), Parts(), wood(rng)
    parts.lathe(_disc(r, h - 0.05, h), (0, 0, 0), painted(colour, 0.12), 36)
    feet = [(np.cos(a), np.sin(a)) for a in np.arange(4) * np.pi / 2 + np.pi / 4]
    for c, s in feet:
        parts.rod((r * c, r * s, 0), (0.6 * r * c, 0.6 * r * s, h - 0.04), 0.016, legs, 10)
    for (c0, s0), (c1, s1) in zip(feet, feet[1:] + feet[:1], strict=True):
        low = 0.84 * r
        parts.rod((low * c0, low * s0, h * 0.35), (low * c1, low * s1, h * 0.35), 0.009, legs, 6)
    return Model(parts.mesh())


def ottoman(rng: Rng, colour: str) -> Model:
    """An upholstered block or drum."""
    h, parts, stuff = rng.uniform(0.36, 0.44), Parts(), cloth(rng, colour)
    if rng.random() < 0.5:
        r = rng.uniform(0.25, 0.31)
        bend = np.linspace(-np.pi / 2, np.pi / 2, 9)
        profile = [(0.0, 0.0), (r - 0.06, 0.0)]
        profile += [(r - 0.06 + 0.06 * np.cos(a), h / 2 + h / 2 * np.sin(a)) for a in bend]
        parts.lathe([*profile, (0.0, h)], (0, 0, 0), stuff, 40)
    else:
        side = rng.uniform(0.46, 0.56)
        parts.box((side, side, h - 0.06), (0, 0, h / 2 + 0.03), stuff, 0.05, steps=3)
        _four_legs(parts, side - 0.06, side - 0.06, 0.08, 0.04, wood(rng))
    return Model(parts.mesh())


def bookshelf(rng: Rng, colour: str) -> Model:
    """Open shelves, some filled with books."""
    w, d, h, levels = rng.uniform(0.75, 1.0), 0.3, rng.uniform(1.5, 2.0), int(rng.integers(4, 6))
    board, parts, supports = wood(rng), Parts(), []
    t = 0.025
    for sx in (-1, 1):
        parts.box((t, d, h), (sx * (w / 2 - t / 2), 0, h / 2), board)
    parts.box((w - 2 * t, 0.012, h - 0.1), (0, -d / 2 + 0.007, h / 2), board)
    gap = (h - 0.08 - t) / levels
    for k in range(levels + 1):
        z = 0.08 + k * gap
        parts.box((w - 2 * t, d - 0.01, t), (0, 0, z), board)
        if k == levels:
            break
        left, right, low = -w / 2 + t, w / 2 - t, z + t / 2
        if rng.random() < 0.66:
            wide = rng.uniform(0.45, 0.97) * (right - left)
            tall = rng.uniform(0.62, 0.8) * gap
            deep = rng.uniform(0.17, 0.2)
            start = left if rng.random() < 0.5 else right - wide
            x = start + wide / 2
            back = surface_image(rng, "spines")
            cover = painted("black")
            parts.box(
                (wide - 0.006, deep, tall * 0.86),
                (x, -d / 2 + 0.02 + deep / 2, low + tall * 0.43),
                cover,
            )
            parts.panel(wide - 0.004, tall, (x, -d / 2 + 0.022 + deep, low + tall / 2), back)
            left, right = (start + wide, right) if start == left else (left, start)
        if right - left > 0.2 and gap > 0.24 and z > 0.3:
            place = Support(left + 0.02, right - 0.02, -d / 2 + 0.04, d / 2 - 0.02, low, gap - 0.05)
            supports.append(place)
    supports.append(
        Support(-w / 2 + 0.04, w / 2 - 0.04, -d / 2 + 0.03, d / 2 - 0.03, h - 0.0 + 0.001, 0.5)
    )
    return Model(parts.mesh(), tuple(s for s in supports if s.z < 1.6))


def cabinet(rng: Rng, colour: str) -> Model:
    """A sideboard with doors or drawers."""
    w, d, h = rng.uniform(1.0, 1.5), rng.uniform(0.4, 0.46), rng.uniform(0.62, 0.85)
    body = wood(rng) if rng.random() < 0.65 else painted(colour)
    front, knob, parts = body, metal(bool(rng.integers(2))), Parts()
    if rng.random() < 0.4:
        front = painted(str(rng.choice(["white", "grey", "teal", "olive", "light blue"])))
    parts.box((w, d, h - 0.1), (0, 0, h / 2 + 0.05), body, 0.008)
    _four_legs(parts, w - 0.04, d - 0.04, 0.11, 0.05, body)
    columns, rows = int(rng.integers(2, 4)), int(rng.choice([1, 1, 2, 3]))
    cw, ch = (w - 0.04) / columns, (h - 0.14) / rows
    for i in range(columns):
        for j in range(rows):
            x, z = -w / 2 + 0.02 + cw * (i + 0.5), 0.12 + ch * (j + 0.5)
            parts.box((cw - 0.014, 0.018, ch - 0.014), (x, d / 2 + 0.008, z), front, 0.005)
            at = x if rows > 1 else x + (0.5 - i % 2) * (cw - 0.12)
            parts.ball(0.014, (at, d / 2 + 0.028, z), knob, segments=12)
    place = Support(-w / 2 + 0.03, w / 2 - 0.03, -d / 2 + 0.02, d / 2 - 0.03, h, 0.9)
    return Model(parts.mesh(), (place,))


def desk(rng: Rng, colour: str) -> Model:
    """A writing desk with a drawer block on one side."""
    w, d, h, top, parts = rng.uniform(1.1, 1.4), rng.uniform(0.58, 0.68), 0.74, wood(rng), Parts()
    legs = metal() if rng.random() < 0.5 else top
    parts.box((w, d, 0.03), (0, 0, h - 0.015), top, 0.008)
    side = 1 if rng.random() < 0.5 else -1
    block = painted(str(rng.choice(["white", "grey", "black"]))) if rng.random() < 0.5 else top
    parts.box((0.4, d - 0.1, h - 0.08), (side * (w / 2 - 0.24), 0, (h - 0.08) / 2 + 0.04), block)
    for k in range(3):
        z = 0.16 + k * 0.2
        parts.box((0.37, 0.016, 0.18), (side * (w / 2 - 0.24), d / 2 - 0.044, z), block)
        parts.box(
            (0.12, 0.016, 0.014), (side * (w / 2 - 0.24), d / 2 - 0.03, z + 0.03), metal(False)
        )
    for y in (-d / 2 + 0.05, d / 2 - 0.05):
        parts.box((0.04, 0.04, h - 0.03), (-side * (w / 2 - 0.05), y, (h - 0.03) / 2), legs)
    place = Support(-w / 2 + 0.03, w / 2 - 0.03, -d / 2 + 0.03, d / 2 - 0.04, h, 1.0)
    return Model(parts.mesh(), (place,))


def bed(rng: Rng, colour: str) -> Model:
    """A double bed: frame, mattress, blanket."""
    w, d, parts, frame = rng.uniform(1.4, 1.6), 2.0, Parts(), wood(rng)
    parts.box((w, d, 0.22), (0, 0, 0.18), frame, 0.02, steps=2)
    _four_legs(parts, w - 0.08, d - 0.08, 0.1, 0.07, frame)
    parts.box((w, 0.06, rng.uniform(0.85, 1.05)), (0, -d / 2 - 0.0, 0.5), frame, 0.02, steps=2)
    parts.box((w - 0.06, d - 0.06, 0.2), (0, 0.02, 0.38), painted("white", 0.0), 0.07, steps=3)
    parts.box(
        (w + 0.02, d * 0.66, 0.17), (0, d * 0.17 + 0.02, 0.415), cloth(rng, colour), 0.07, steps=3
    )
    for sx in (-1, 1):
        parts.pillow((0.6, 0.42, 0.17), (sx * w * 0.23, -d / 2 + 0.33, 0.55), painted("white", 0.0))
    place = Support(-w / 2 + 0.15, w / 2 - 0.15, -0.1, d / 2 - 0.25, 0.502, 1.2, True)
    return Model(parts.mesh(), (place,))


def divider(rng: Rng, colour: str) -> Model:
    """A folding screen, which occludes what stands behind it."""
    h, leaves, wide, parts = rng.uniform(1.1, 1.4), int(rng.integers(2, 4)), 0.4, Parts()
    frame, sheet = wood(rng), cloth(rng, colour)
    x, y = -wide * leaves * 0.46, 0.0
    for k in range(leaves):
        yaw = 0.38 if k % 2 == 0 else -0.38
        dx, dy = wide * np.cos(yaw), wide * np.sin(yaw)
        mid = (x + dx / 2, y + dy / 2)
        parts.box((wide - 0.05, 0.012, h - 0.12), (*mid, h / 2 + 0.03), sheet, 0.003, (0, 0, yaw))
        for z in (0.09, h - 0.02):
            parts.box((wide - 0.02, 0.03, 0.045), (*mid, z), frame, 0.004, (0, 0, yaw))
        for end in (0.03, 0.97):
            at = (x + dx * end, y + dy * end, h / 2)
            parts.box((0.03, 0.03, h), at, frame, 0.004, (0, 0, yaw))
        x, y = x + dx, y + dy
    return Model(parts.mesh())


def floor_lamp(rng: Rng, colour: str) -> Model:
    """A lit standing lamp."""
    h, parts, pole = rng.uniform(1.45, 1.7), Parts(), metal(bool(rng.integers(2)))
    parts.lathe(
        [(0, 0), (0.15, 0), (0.145, 0.02), (0.02, 0.03), (0.012, 0.03)], (0, 0, 0), pole, 28
    )
    parts.cylinder(0.011, h - 0.15, (0, 0, 0.02), pole, 10)
    lamp_shade(parts, h, 0.16, 0.23)
    return Model(parts.mesh(), glow=Glow((0, 0, h - 0.12), 0.27, 0.3))
