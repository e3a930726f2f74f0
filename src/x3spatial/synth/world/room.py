"""The empty room: walls, window, door, ceiling light, and the space that they need."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from x3spatial.arrays import Float64
from x3spatial.synth.world.material_presets import cloth, metal, painted, surface_image
from x3spatial.synth.world.materials import Material
from x3spatial.synth.world.mesh import Mesh, Parts
from x3spatial.synth.world.palette import CEILING, WALLS, WOODS, linear

Rng = np.random.Generator


_DRAPES = ("beige", "white", "grey", "olive", "teal", "light blue", "pink", "yellow")


@dataclass(frozen=True)
class AreaLight:
    """A rectangular light ``centre`` + [-1, 1] ``u`` + [-1, 1] ``v`` that emits along ``normal``.

    ``power`` is the linear RGB irradiance at a distance of 1 m along the normal.
    """

    centre: tuple[float, float, float]
    u: tuple[float, float, float]
    v: tuple[float, float, float]
    normal: tuple[float, float, float]
    power: tuple[float, float, float]


@dataclass(frozen=True)
class Room:
    """A closed box [0, width] x [0, depth] x [0, height] (metres) with its fittings."""

    width: float
    depth: float
    height: float
    mesh: Mesh
    lights: tuple[AreaLight, ...]
    ambient: tuple[float, float, float]
    keep_outs: tuple[Float64, ...]  # boxes [2, 3] that furniture must not enter

    def wall_length(self, wall: int) -> float:
        """Return the length of wall 0 (y = 0), 1 (x = width), 2 (y = depth) or 3 (x = 0)."""
        return self.width if wall % 2 == 0 else self.depth

    def on_wall(self, wall: int, along: float, out: float, z: float) -> tuple[float, float, float]:
        """Return the world position at height ``z``, ``out`` of a wall, ``along`` it from its left inside."""
        w, d = self.width, self.depth
        x, y = ((w - along, out), (w - out, d - along), (along, d - out), (out, along))[wall]
        return (x, y, z)


def wall_yaw(wall: int) -> float:
    """Return the yaw (radians) with which an object's front (+y) faces the room from ``wall``."""
    return (0.0, np.pi / 2, np.pi, -np.pi / 2)[wall]


def _floor(rng: Rng) -> Material:
    style = str(rng.choice(["planks", "planks", "parquet", "tiles", "carpet"]))
    if style in ("planks", "parquet"):
        dark, light = WOODS[str(rng.choice(["oak", "pine", "walnut", "teak", "ash"]))]
        return Material(dark, light, style, 2.2 if style == "planks" else 1.9, gloss=0.09)
    tones = [("8d8a84", "b7b3ab"), ("a58f78", "c4b098"), ("6f7478", "969a9c"), ("7d8678", "a3ab9c")]
    dark, light = (linear(c) for c in tones[int(rng.integers(len(tones)))])
    gloss = 0.12 if style == "tiles" else 0.0
    return Material(dark, light, style, 1.8 if style == "tiles" else 1.2, gloss=gloss)


def _walls(rng: Rng) -> list[Material]:
    """Return the materials of the walls: one colour, sometimes one accent or papered wall."""
    order = rng.permutation(len(WALLS))
    dark, light = WALLS[int(order[0])]
    base = Material(dark, light, "plain", 1.6)
    walls = [base] * 4
    accent_dark, accent_light = WALLS[int(order[1])]
    choice, which = rng.random(), int(rng.integers(4))
    if choice < 0.45:
        walls[which] = Material(accent_dark, accent_light, "plain", 1.6)
    elif choice < 0.7:
        pattern = str(rng.choice(["stripes", "dots", "zigzag"]))
        toned = tuple(0.8 * a + 0.2 * b for a, b in zip(light, accent_dark, strict=True))
        walls[which] = Material((toned[0], toned[1], toned[2]), light, pattern, 0.9)
    return walls


def _window(parts: Parts, rng: Rng, room: Room, wall: int) -> tuple[AreaLight, Float64]:
    wide, tall = rng.uniform(1.1, 1.7), rng.uniform(1.05, 1.35)
    along = rng.uniform(wide / 2 + 0.4, room.wall_length(wall) - wide / 2 - 0.4)
    z, rotation = 0.95 + tall / 2, (0.0, 0.0, wall_yaw(wall))

    def at(s: float, out: float, height: float) -> tuple[float, float, float]:
        return room.on_wall(wall, along - s, out, height)

    frame = painted("white", 0.1)
    parts.panel(wide, tall, at(0, 0.012, z), surface_image(rng, "sky", emission=0.9), rotation)
    for s in (-wide / 2, 0.0, wide / 2):
        parts.box((0.06, 0.06, tall + 0.06), at(s, 0.03, z), frame, tilt=rotation)
    for height in (z - tall / 2, z + tall / 2):
        parts.box((wide + 0.06, 0.06, 0.06), at(0, 0.03, height), frame, tilt=rotation)
    parts.box((wide + 0.2, 0.16, 0.03), at(0, 0.08, z - tall / 2 - 0.04), frame, tilt=rotation)
    drawn = rng.random() < 0.5
    if drawn:  # drawn-back curtains on a rod: rows of folds
        drape = cloth(rng, str(rng.choice(_DRAPES)), "weave")
        parts.box(
            (wide + 0.7, 0.025, 0.025), at(0, 0.1, z + tall / 2 + 0.12), metal(), tilt=rotation
        )
        for s in (*np.arange(5) * 0.055 - wide / 2 - 0.24, *wide / 2 + 0.02 + np.arange(5) * 0.055):
            fold = rng.uniform(0.028, 0.036)
            parts.cylinder(fold, z + tall / 2 + 0.06, at(s, 0.1, 0.05), drape, 12)
    inward = np.array(room.on_wall(wall, 0, 1, 0)) - np.array(room.on_wall(wall, 0, 0, 0))
    side = np.array(room.on_wall(wall, 1, 0, 0)) - np.array(room.on_wall(wall, 0, 0, 0))
    centre = np.array(at(0, 0.1, z))
    strength = rng.uniform(3.4, 5.0)
    light = AreaLight(
        tuple(centre), tuple(side * wide / 2), (0.0, 0.0, tall / 2), tuple(inward),
        (0.93 * strength, 0.99 * strength, 1.07 * strength),
    )  # fmt: skip
    ends = np.array(
        [
            at(-wide / 2 - 0.3, 0, 0.0 if drawn else 0.88),
            at(wide / 2 + 0.3, 0.25, z + tall / 2 + 0.1),
        ]
    )
    return light, np.sort(ends, axis=0)


def _door(parts: Parts, rng: Rng, room: Room, wall: int) -> Float64:
    wide, tall = 0.86, 2.02
    along = float(rng.choice([0.75, room.wall_length(wall) - 0.75]))
    rotation = (0.0, 0.0, wall_yaw(wall))
    leaf = painted(str(rng.choice(["white", "beige", "brown", "grey"])))

    def at(s: float, out: float, height: float) -> tuple[float, float, float]:
        return room.on_wall(wall, along - s, out, height)

    parts.box((wide, 0.03, tall), at(0, 0.016, tall / 2), leaf, tilt=rotation)
    frame = painted("white", 0.1)
    for s in (-wide / 2 - 0.035, wide / 2 + 0.035):
        parts.box((0.07, 0.05, tall + 0.07), at(s, 0.025, tall / 2 + 0.035), frame, tilt=rotation)
    parts.box((wide, 0.05, 0.07), at(0, 0.025, tall + 0.035), frame, tilt=rotation)
    for z, high in ((0.5, 0.62), (1.4, 0.95)):
        parts.box((wide - 0.26, 0.012, high), at(0, 0.036, z), leaf, 0.006, tilt=rotation)
    parts.box((0.12, 0.02, 0.02), at(wide / 2 - 0.12, 0.075, 1.02), metal(False), tilt=rotation)
    parts.box((0.02, 0.05, 0.02), at(wide / 2 - 0.07, 0.05, 1.02), metal(False), tilt=rotation)
    ends = np.array([at(-wide / 2 - 0.1, 0, 0.0), at(wide / 2 + 0.1, 0.55, tall + 0.1)])
    return np.sort(ends, axis=0)


def _ceiling_lamp(parts: Parts, rng: Rng, room: Room) -> AreaLight:
    x = room.width * rng.uniform(0.4, 0.6)
    y = room.depth * rng.uniform(0.4, 0.6)
    r = rng.uniform(0.2, 0.3)
    glass = Material(linear("f2e6cc"), linear("f7edd8"), "flat", 1.0, emission=0.9)
    profile = [(0.0, -0.09), (0.6 * r, -0.08), (0.9 * r, -0.05), (r, 0.0)]
    parts.lathe(profile, (x, y, room.height - 0.001), glass, 40)
    strength = rng.uniform(2.6, 3.6)
    return AreaLight(
        (x, y, room.height - 0.12), (r, 0.0, 0.0), (0.0, r, 0.0), (0.0, 0.0, -1.0),
        (1.05 * strength, strength, 0.88 * strength),
    )  # fmt: skip


def make_room(rng: Rng) -> Room:
    """Draw an empty room, lit by a window or a ceiling light."""
    w, d, h = rng.uniform(4.2, 5.6), rng.uniform(3.8, 5.0), rng.uniform(2.45, 2.7)
    parts = Parts()
    parts.panel(w, d, (w / 2, d / 2, 0.0), _floor(rng), (np.pi / 2, 0, 0))
    parts.panel(w, d, (w / 2, d / 2, h), Material(*CEILING, "plain", 1.6), (-np.pi / 2, 0, 0))
    blank = Room(w, d, h, parts.mesh(), (), (0.0, 0.0, 0.0), ())
    skirting = painted("white", 0.1) if rng.random() < 0.7 else painted("brown", 0.1)
    for wall, material in enumerate(_walls(rng)):
        length, rotation = blank.wall_length(wall), (0.0, 0.0, wall_yaw(wall))
        parts.panel(length, h, blank.on_wall(wall, length / 2, 0.0, h / 2), material, rotation)
        middle = blank.on_wall(wall, length / 2, 0.006, 0.05)
        parts.box((length, 0.014, 0.1), middle, skirting, 0.004, rotation)
    keep_outs: list[Float64] = []
    lights: list[AreaLight] = []
    window, door = (int(k) for k in rng.permutation(4)[:2])
    if rng.random() < 0.7:
        light, box = _window(parts, rng, blank, window)
        lights.append(light)
        keep_outs.append(box)
    else:
        lights.append(_ceiling_lamp(parts, rng, blank))
    if rng.random() < 0.7:
        keep_outs.append(_door(parts, rng, blank, door))
    warm = rng.uniform(-0.03, 0.03)
    ambient = (0.26 * (1 + warm), 0.26, 0.26 * (1 - warm))
    return Room(w, d, h, parts.mesh(), tuple(lights), ambient, tuple(keep_outs))
