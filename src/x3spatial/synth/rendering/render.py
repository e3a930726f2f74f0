"""Tracing and lighting the samples of an image.

An image has ``side`` x ``side`` samples per pixel on an even grid. Each sample sends a primary
ray, one ray to every light that could reach it, and one ray into the hemisphere for the ambient
light and what neighbouring surfaces take of it or throw back. What each of these rays met first
is kept with the sample: that is what makes counterfactuals cheap (``counterfactual``).

All arithmetic on samples is element by element, so that a sample's values do not depend on which
others are computed with it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from x3spatial.arrays import Bool, Float32, Int16, Int32, Int64
from x3spatial.raycast.tracer import Hits
from x3spatial.synth.rendering.camera import Camera
from x3spatial.synth.rendering.geometry import Geometry
from x3spatial.synth.rendering.noise import LIGHTS, noise, place
from x3spatial.synth.rendering.texturing import Pyramid, albedo, picture_pyramid
from x3spatial.synth.world.layout import Layout
from x3spatial.synth.world.room import AreaLight

CHUNK = 1 << 15  # samples at a time: what a core's cache holds
LIFT = np.float32(0.002)  # metres by which secondary rays start off their surface
DIM = np.float32(0.002)  # light below this is not traced
NEAR = np.float32(1.5)  # metres that ambient rays reach
NONE = -1  # "met nothing" in the arrays of uids


@dataclass(frozen=True)
class Lamp:
    """A sphere that shines evenly; ``power`` as in ``AreaLight``."""

    centre: tuple[float, float, float]
    radius: float
    power: tuple[float, float, float]


@dataclass(frozen=True)
class World:
    """What is lit, and by what."""

    geometry: Geometry
    lights: tuple[AreaLight | Lamp, ...]
    ambient: tuple[float, float, float]
    art: Pyramid

    def without(self, uid: int) -> World:
        """The same light on a scene that lacks one object."""
        return World(self.geometry.without(uid), self.lights, self.ambient, self.art)


def make_world(layout: Layout, geometry: Geometry) -> World:
    """The scene with the room's lights and its first lamps."""
    lights: list[AreaLight | Lamp] = list(layout.room.lights)
    for thing in layout.things:
        if thing.glow is not None and len(lights) < LIGHTS:
            p = thing.glow.power
            lights.append(Lamp(thing.glow.centre, thing.glow.radius, (1.12 * p, 0.96 * p, 0.7 * p)))
    return World(geometry, tuple(lights), layout.room.ambient, picture_pyramid(geometry.table))


@dataclass
class Layers:
    """What is known of n samples. The last axis of every array runs over the samples."""

    owner: Int16  # [n] uid met by the primary ray
    surface: Int32  # [n] equal where samples may share their light: same object, like normal
    distance: Float32  # [n] metres along the primary ray
    albedo: Float32  # [3, n]
    light: Float32  # [3, n] what falls on the surface
    extra: Float32  # [3, n] highlights and glow
    met: Int16  # [LIGHTS + 1, n] uid first met by each secondary ray, or NONE

    @staticmethod
    def empty(count: int) -> Layers:
        """Room for ``count`` samples."""
        return Layers(
            np.empty(count, np.int16), np.empty(count, np.int32), np.empty(count, np.float32),
            np.empty((3, count), np.float32), np.empty((3, count), np.float32),
            np.empty((3, count), np.float32), np.empty((LIGHTS + 1, count), np.int16),
        )  # fmt: skip

    def put(self, where: Int64 | slice, other: Layers) -> None:
        """Overwrite the samples ``where``."""
        for name, values in vars(other).items():
            getattr(self, name)[..., where] = values

    def crop(self, columns: int, rows: slice, cols: slice) -> Layers:
        """A copy of a rectangle of a sample grid that is ``columns`` wide."""
        cut = {}
        for name, values in vars(self).items():
            grid = values.reshape(*values.shape[:-1], -1, columns)[..., rows, cols]
            cut[name] = grid.reshape(*values.shape[:-1], -1).copy()
        return Layers(**cut)

    def depends_on(self, uid: int) -> Bool:
        """Which samples would differ without the object: ``[n]``."""
        return np.asarray((self.owner == uid) | (self.met == uid).any(axis=0))


# Vectors of n samples are three arrays [n]: numpy is twice as fast on them as on columns.
Vectors = tuple[Float32, Float32, Float32]


def _dot(a: Vectors, b: Vectors) -> Float32:
    return np.asarray(a[0] * b[0] + a[1] * b[1] + a[2] * b[2], np.float32)


def _inverse(a: Float32) -> Float32:
    return np.asarray(1 / a, np.float32)


def _scaled(a: Vectors, factor: Float32 | np.float32) -> Vectors:
    return (a[0] * factor, a[1] * factor, a[2] * factor)


def _unit(a: Vectors) -> Vectors:
    return _scaled(a, _inverse(np.sqrt(np.maximum(_dot(a, a), np.float32(1e-20)))))


def _at(a: Vectors, index: Int64) -> Vectors:
    return (a[0][index], a[1][index], a[2][index])


def _rows(a: Vectors) -> Float32:
    """``[n, 3]``, as tracers take them."""
    return np.stack(a, axis=1)


@dataclass
class _Points:
    """The surface points that a chunk of primary rays met."""

    position: Vectors  # lifted off the surface
    normal: Vectors  # smooth, towards the viewer
    facing: Vectors  # geometric, towards the viewer
    view: Vectors  # direction of the primary ray
    gloss: Float32  # [n]
    spot: Int64  # [n] place in the noise table


def _towards(
    light: AreaLight | Lamp, number: int, points: _Points
) -> tuple[Vectors, Float32, Float32]:
    """Unit directions to a drawn point of the light, its falling off, and how far to trace."""
    p, spot = points.position, points.spot
    if isinstance(light, AreaLight):
        s, t = noise().square[number, 0][spot], noise().square[number, 1][spot]
        c, u, v, out = (
            np.array(a, np.float32) for a in (light.centre, light.u, light.v, light.normal)
        )
        way = (
            c[0] + s * u[0] + t * v[0] - p[0],
            c[1] + s * u[1] + t * v[1] - p[1],
            c[2] + s * u[2] + t * v[2] - p[2],
        )
        squared = np.maximum(_dot(way, way), np.float32(0.04))
        distance = np.sqrt(squared)
        way = _scaled(way, _inverse(distance))
        ahead = -(way[0] * out[0] + way[1] * out[1] + way[2] * out[2])
        fall = np.maximum(ahead, 0) * _inverse(squared)
        return way, fall, distance * np.float32(0.999)
    c, radius = np.array(light.centre, np.float32), np.float32(light.radius)
    centre = (c[0] - p[0], c[1] - p[1], c[2] - p[2])
    gap = np.sqrt(_dot(centre, centre)) - radius
    ball = noise().sphere[number]
    part = radius * np.float32(0.6)
    way = (
        centre[0] + ball[0][spot] * part,
        centre[1] + ball[1][spot] * part,
        centre[2] + ball[2][spot] * part,
    )
    fall = _inverse(np.maximum(_dot(way, way), np.float32(0.09)))
    return _unit(way), fall, np.maximum(gap, np.float32(1e-3))


def _add_light(world: World, number: int, points: _Points, layers: Layers) -> None:
    """Light ``number``: its shadow rays, diffuse light and highlight."""
    light = world.lights[number]
    way, fall, reach = _towards(light, number, points)
    power = np.array(light.power, np.float32)
    strength = _dot(points.normal, way) * fall
    active = np.flatnonzero((strength > DIM / power.max()) & (_dot(points.facing, way) > 0))
    way = _at(way, active)
    hits = world.geometry.tracer.first_hit(
        _rows(_at(points.position, active)), _rows(way), reach[active]
    )
    met = np.where(hits.triangle >= 0, world.geometry.owner[hits.triangle], np.int16(NONE))
    layers.met[number, active] = met
    free = np.flatnonzero(met == NONE)
    clear = active[free]
    lit = strength[clear]
    for k in range(3):
        layers.light[k, clear] += lit * power[k]
    gloss = points.gloss[clear]
    glossy = np.flatnonzero(gloss > 0)
    shiny = clear[glossy]
    view, way = _at(points.view, shiny), _at(way, free[glossy])
    half = _unit((way[0] - view[0], way[1] - view[1], way[2] - view[2]))
    shine = np.maximum(_dot(_at(points.normal, shiny), half), 0)
    for _ in range(5):  # to the 32nd power
        shine = shine * shine
    shine = shine * gloss[glossy] * fall[shiny] * np.float32(1.4)
    for k in range(3):
        layers.extra[k, shiny] += shine * power[k]


def _add_ambient(world: World, points: _Points, layers: Layers) -> None:
    """Light from everywhere, less what stands near, plus what that throws back."""
    x, y, z = points.normal
    dome = noise().dome
    i, j, k = dome[0][points.spot], dome[1][points.spot], dome[2][points.spot]
    # A frame around the normal without branches (Duff et al. 2017).
    sign = np.where(z >= 0, np.float32(1), np.float32(-1))
    a = -1 / (sign + z)
    b = x * y * a
    way = (
        (1 + sign * x * x * a) * i + b * j + x * k,
        sign * b * i + (sign + y * y * a) * j + y * k,
        -sign * x * i - y * j + z * k,
    )
    reach = np.full(len(x), NEAR, np.float32)
    hits = world.geometry.tracer.first_hit(_rows(points.position), _rows(way), reach)
    blocked = hits.triangle >= 0
    layers.met[LIGHTS] = np.where(blocked, world.geometry.owner[hits.triangle], np.int16(NONE))
    near = hits.distance / NEAR
    tilt = np.float32(0.86) + np.float32(0.14) * z
    back = world.geometry.material[hits.triangle]
    for c in range(3):
        tint = world.geometry.table.mean[back, c]
        opening = np.where(
            blocked, near * (np.float32(0.3) + np.float32(0.9) * tint), np.float32(1)
        )
        layers.light[c] += np.float32(world.ambient[c]) * tilt * opening


def _mixed(corners: Float32, triangle: Int32, hits: Hits) -> list[Float32]:
    """Values given at triangles' corners ``[3, C, m]`` at the hits: C arrays ``[n]``."""
    w = 1 - hits.u - hits.v
    return [
        corners[0, c][triangle] * w
        + corners[1, c][triangle] * hits.u
        + corners[2, c][triangle] * hits.v
        for c in range(corners.shape[1])
    ]


def shade(world: World, camera: Camera, side: int, index: Int64) -> Layers:
    """Trace and light the samples ``index`` (row by row over the sample grid) of an image."""
    geometry, table = world.geometry, world.geometry.table
    row, column = index // (camera.width * side), index % (camera.width * side)
    rays = camera.rays((column + 0.5) / side, (row + 0.5) / side)
    view = (rays[:, 0].copy(), rays[:, 1].copy(), rays[:, 2].copy())
    eye = camera.eye.astype(np.float32)
    eyes = np.repeat(eye[None], len(index), axis=0)
    hits = geometry.tracer.first_hit(eyes, rays, np.full(len(index), 1e4, np.float32))
    # A ray may slip through the seam of two walls; it then takes the first triangle's colour.
    triangle = np.maximum(hits.triangle, 0)
    distance = np.where(hits.triangle >= 0, hits.distance, np.float32(1))
    x, y, z = _mixed(geometry.normals, triangle, hits)
    normal = _unit((x, y, z))
    facing = (
        geometry.facing[0][triangle], geometry.facing[1][triangle], geometry.facing[2][triangle]
    )  # fmt: skip
    sign = np.where(_dot(facing, view) > 0, np.float32(-1), np.float32(1))
    facing, normal = _scaled(facing, sign), _scaled(normal, sign)
    # A smooth normal that has turned past the surface's edge would be lit from behind.
    past = _dot(normal, view) > 0
    normal = (
        np.where(past, facing[0], normal[0]),
        np.where(past, facing[1], normal[1]),
        np.where(past, facing[2], normal[2]),
    )
    u, v = _mixed(geometry.uv, triangle, hits)
    material = geometry.material[triangle]
    slant = np.sqrt(np.maximum(-_dot(facing, view), np.float32(0.05)))
    width = distance * np.float32(1 / (camera.focal * side)) * _inverse(slant)

    layers = Layers.empty(len(index))
    layers.owner[:] = geometry.owner[triangle]
    layers.surface[:] = layers.owner
    for part in normal:
        layers.surface *= 8
        layers.surface += (part * np.float32(3) + np.float32(3.5)).astype(np.int32)
    layers.distance[:] = distance
    layers.albedo[:] = albedo(table, world.art, material, u, v, width)
    layers.extra[:] = layers.albedo * table.emission[material]
    layers.light[:] = 0
    layers.met[:] = NONE
    lift = _scaled(facing, LIFT)
    position = (
        eye[0] + view[0] * distance + lift[0],
        eye[1] + view[1] * distance + lift[1],
        eye[2] + view[2] * distance + lift[2],
    )
    points = _Points(position, normal, facing, view, table.gloss[material], place(column, row))
    for number in range(len(world.lights)):
        _add_light(world, number, points, layers)
    _add_ambient(world, points, layers)
    return layers


def render(world: World, camera: Camera, side: int) -> Layers:
    """All samples of an image."""
    count = camera.width * camera.height * side * side
    layers = Layers.empty(count)
    for start in range(0, count, CHUNK):
        stop = min(start + CHUNK, count)
        layers.put(slice(start, stop), shade(world, camera, side, np.arange(start, stop)))
    return layers
