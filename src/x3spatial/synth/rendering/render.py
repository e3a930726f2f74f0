"""Traces and lights the samples of an image.

An image has ``side`` x ``side`` samples per pixel on a regular grid. Each sample casts a primary ray,
a shadow ray to every light that may reach it, and an ambient ray into the hemisphere for ambient
occlusion and light reflected by nearby surfaces. The first hit of each ray is stored with the sample;
``counterfactual`` uses it to find the samples that an object influences.

All arithmetic on samples is element-wise, so a sample's values do not depend on the other samples
computed in the same call.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from x3spatial.arrays import Bool, Float32, Int16, Int32, Int64
from x3spatial.raycast.hits import Hits
from x3spatial.synth.rendering.camera import Camera
from x3spatial.synth.rendering.geometry import Geometry
from x3spatial.synth.rendering.noise import LIGHTS, noise, noise_index
from x3spatial.synth.rendering.texturing import Pyramid, albedo, image_pyramid
from x3spatial.synth.world.layout import Layout
from x3spatial.synth.world.room import AreaLight

CHUNK = 1 << 15  # samples per call of shade: fits into a core's cache
RAY_OFFSET = np.float32(0.002)  # metres between a surface and the origin of its secondary rays
MIN_LIGHT = np.float32(0.002)  # lights with less irradiance than this get no shadow ray
AMBIENT_DISTANCE = np.float32(1.5)  # length of ambient rays in metres
NONE = -1  # no hit, in arrays of uids


@dataclass(frozen=True)
class SphereLight:
    """A spherical light (world, metres) of uniform radiance; ``power`` as in ``AreaLight``."""

    centre: tuple[float, float, float]
    radius: float
    power: tuple[float, float, float]


@dataclass(frozen=True)
class World:
    """A scene to render: geometry, lights and surface images."""

    geometry: Geometry
    lights: tuple[AreaLight | SphereLight, ...]
    ambient: tuple[float, float, float]  # linear RGB
    images: Pyramid  # of the materials' surface images

    def without(self, uid: int) -> World:
        """Return the world without one object, with unchanged lights."""
        return World(self.geometry.without(uid), self.lights, self.ambient, self.images)


def make_world(layout: Layout, geometry: Geometry) -> World:
    """Create a world lit by the room's lights and the first lamps, at most ``LIGHTS`` together."""
    lights: list[AreaLight | SphereLight] = list(layout.room.lights)
    for item in layout.objects:
        if item.glow is not None and len(lights) < LIGHTS:
            p = item.glow.power
            lights.append(
                SphereLight(item.glow.centre, item.glow.radius, (1.12 * p, 0.96 * p, 0.7 * p))
            )
    return World(geometry, tuple(lights), layout.room.ambient, image_pyramid(geometry.table))


@dataclass
class GBuffer:
    """The attributes of n samples; samples are the last axis of every array."""

    owner: Int16  # [n] uid of the primary ray's first hit
    surface: Int32  # [n] samples with equal numbers may share light: same object, similar normal
    distance: Float32  # [n] metres along the primary ray
    albedo: Float32  # [3, n] linear RGB
    light: Float32  # [3, n] diffuse irradiance
    extra: Float32  # [3, n] specular and emitted radiance
    occluder: Int16  # [LIGHTS + 1, n] uid of each secondary ray's first hit, or NONE

    @staticmethod
    def empty(count: int) -> GBuffer:
        """Allocate ``count`` uninitialised samples."""
        return GBuffer(
            np.empty(count, np.int16), np.empty(count, np.int32), np.empty(count, np.float32),
            np.empty((3, count), np.float32), np.empty((3, count), np.float32),
            np.empty((3, count), np.float32), np.empty((LIGHTS + 1, count), np.int16),
        )  # fmt: skip

    def put(self, where: Int64 | slice, other: GBuffer) -> None:
        """Overwrite the samples at ``where`` with ``other``."""
        for name, values in vars(other).items():
            getattr(self, name)[..., where] = values

    def crop(self, columns: int, rows: slice, cols: slice) -> GBuffer:
        """Copy a rectangle out of a sample grid that is ``columns`` wide."""
        cut = {}
        for name, values in vars(self).items():
            grid = values.reshape(*values.shape[:-1], -1, columns)[..., rows, cols]
            cut[name] = grid.reshape(*values.shape[:-1], -1).copy()
        return GBuffer(**cut)

    def depends_on(self, uid: int) -> Bool:
        """Return which samples would differ without the object: [n]."""
        return np.asarray((self.owner == uid) | (self.occluder == uid).any(axis=0))


# n vectors are three arrays [n]: numpy is twice as fast on them as on the columns of [n, 3].
Vectors = tuple[Float32, Float32, Float32]


def _dot(a: Vectors, b: Vectors) -> Float32:
    return np.asarray(a[0] * b[0] + a[1] * b[1] + a[2] * b[2], np.float32)


def _inverse(a: Float32) -> Float32:
    return np.asarray(1 / a, np.float32)


def _scaled(a: Vectors, factor: Float32 | np.float32) -> Vectors:
    return (a[0] * factor, a[1] * factor, a[2] * factor)


def _unit(a: Vectors) -> Vectors:
    return _scaled(a, _inverse(np.sqrt(np.maximum(_dot(a, a), np.float32(1e-20)))))


def _take(a: Vectors, index: Int64) -> Vectors:
    return (a[0][index], a[1][index], a[2][index])


def _stack(a: Vectors) -> Float32:
    """Return [n, 3], the form that tracers take."""
    return np.stack(a, axis=1)


@dataclass
class _Points:
    """The n surface points hit by primary rays, in the world frame."""

    position: Vectors  # offset from the surface by RAY_OFFSET
    normal: Vectors  # interpolated, towards the viewer
    face_normal: Vectors  # of the triangle, towards the viewer
    view: Vectors  # direction of the primary ray
    gloss: Float32  # [n]
    noise_index: Int64  # [n] into the noise table


def _sample_light(
    light: AreaLight | SphereLight, number: int, points: _Points
) -> tuple[Vectors, Float32, Float32]:
    """Return unit directions to a random point of the light, the falloff, and the ray lengths."""
    p, index = points.position, points.noise_index
    if isinstance(light, AreaLight):
        s, t = noise().square[number, 0][index], noise().square[number, 1][index]
        c, u, v, out = (
            np.array(a, np.float32) for a in (light.centre, light.u, light.v, light.normal)
        )
        direction = (
            c[0] + s * u[0] + t * v[0] - p[0],
            c[1] + s * u[1] + t * v[1] - p[1],
            c[2] + s * u[2] + t * v[2] - p[2],
        )
        squared = np.maximum(_dot(direction, direction), np.float32(0.04))
        distance = np.sqrt(squared)
        direction = _scaled(direction, _inverse(distance))
        ahead = -(direction[0] * out[0] + direction[1] * out[1] + direction[2] * out[2])
        falloff = np.maximum(ahead, 0) * _inverse(squared)
        return direction, falloff, distance * np.float32(0.999)
    c, radius = np.array(light.centre, np.float32), np.float32(light.radius)
    centre = (c[0] - p[0], c[1] - p[1], c[2] - p[2])
    gap = np.sqrt(_dot(centre, centre)) - radius
    ball = noise().sphere[number]
    part = radius * np.float32(0.6)
    direction = (
        centre[0] + ball[0][index] * part,
        centre[1] + ball[1][index] * part,
        centre[2] + ball[2][index] * part,
    )
    falloff = _inverse(np.maximum(_dot(direction, direction), np.float32(0.09)))
    return _unit(direction), falloff, np.maximum(gap, np.float32(1e-3))


def _add_light(world: World, number: int, points: _Points, gbuffer: GBuffer) -> None:
    """Add the diffuse light and the highlights of light ``number``; trace its shadow rays."""
    light = world.lights[number]
    direction, falloff, max_distance = _sample_light(light, number, points)
    power = np.array(light.power, np.float32)
    strength = _dot(points.normal, direction) * falloff
    active = np.flatnonzero(
        (strength > MIN_LIGHT / power.max()) & (_dot(points.face_normal, direction) > 0)
    )
    direction = _take(direction, active)
    hits = world.geometry.tracer.first_hit(
        _stack(_take(points.position, active)), _stack(direction), max_distance[active]
    )
    occluder = np.where(hits.triangle >= 0, world.geometry.owner[hits.triangle], np.int16(NONE))
    gbuffer.occluder[number, active] = occluder
    free = np.flatnonzero(occluder == NONE)
    clear = active[free]
    lit = strength[clear]
    for k in range(3):
        gbuffer.light[k, clear] += lit * power[k]
    gloss = points.gloss[clear]
    glossy = np.flatnonzero(gloss > 0)
    shiny = clear[glossy]
    view, direction = _take(points.view, shiny), _take(direction, free[glossy])
    half = _unit((direction[0] - view[0], direction[1] - view[1], direction[2] - view[2]))
    specular = np.maximum(_dot(_take(points.normal, shiny), half), 0)
    for _ in range(5):  # to the 32nd power
        specular = specular * specular
    specular = specular * gloss[glossy] * falloff[shiny] * np.float32(1.4)
    for k in range(3):
        gbuffer.extra[k, shiny] += specular * power[k]


def _add_ambient(world: World, points: _Points, gbuffer: GBuffer) -> None:
    """Add ambient light: attenuated by nearby surfaces, plus the light that they reflect."""
    x, y, z = points.normal
    hemisphere = noise().hemisphere
    i, j, k = (
        hemisphere[0][points.noise_index],
        hemisphere[1][points.noise_index],
        hemisphere[2][points.noise_index],
    )
    # Branchless orthonormal basis around the normal (Duff et al. 2017).
    sign = np.where(z >= 0, np.float32(1), np.float32(-1))
    a = -1 / (sign + z)
    b = x * y * a
    direction = (
        (1 + sign * x * x * a) * i + b * j + x * k,
        sign * b * i + (sign + y * y * a) * j + y * k,
        -sign * x * i - y * j + z * k,
    )
    max_distance = np.full(len(x), AMBIENT_DISTANCE, np.float32)
    hits = world.geometry.tracer.first_hit(_stack(points.position), _stack(direction), max_distance)
    blocked = hits.triangle >= 0
    gbuffer.occluder[LIGHTS] = np.where(
        blocked, world.geometry.owner[hits.triangle], np.int16(NONE)
    )
    near = hits.distance / AMBIENT_DISTANCE
    tilt = np.float32(0.86) + np.float32(0.14) * z
    back = world.geometry.material[hits.triangle]
    for c in range(3):
        tint = world.geometry.table.mean[back, c]
        opening = np.where(
            blocked, near * (np.float32(0.3) + np.float32(0.9) * tint), np.float32(1)
        )
        gbuffer.light[c] += np.float32(world.ambient[c]) * tilt * opening


def _interpolate(corners: Float32, triangle: Int32, hits: Hits) -> list[Float32]:
    """Interpolate values at triangle corners [3, C, m] at the hits; return C arrays [n]."""
    w = 1 - hits.u - hits.v
    return [
        corners[0, c][triangle] * w
        + corners[1, c][triangle] * hits.u
        + corners[2, c][triangle] * hits.v
        for c in range(corners.shape[1])
    ]


def shade(world: World, camera: Camera, side: int, index: Int64) -> GBuffer:
    """Trace and light some samples of an image.

    Args:
        world: the scene.
        camera: the camera of the image.
        side: samples along a pixel's side.
        index: [n] sample numbers, row by row over the grid of (height * side) x (width * side).
    """
    geometry, table = world.geometry, world.geometry.table
    row, column = index // (camera.width * side), index % (camera.width * side)
    rays = camera.rays((column + 0.5) / side, (row + 0.5) / side)
    view = (rays[:, 0].copy(), rays[:, 1].copy(), rays[:, 2].copy())
    origin = camera.position.astype(np.float32)
    origins = np.repeat(origin[None], len(index), axis=0)
    hits = geometry.tracer.first_hit(origins, rays, np.full(len(index), 1e4, np.float32))
    # A ray may pass through the seam of two walls; it then gets the first triangle's colour.
    triangle = np.maximum(hits.triangle, 0)
    distance = np.where(hits.triangle >= 0, hits.distance, np.float32(1))
    x, y, z = _interpolate(geometry.normals, triangle, hits)
    normal = _unit((x, y, z))
    face_x, face_y, face_z = geometry.face_normal
    face_normal = (face_x[triangle], face_y[triangle], face_z[triangle])
    sign = np.where(_dot(face_normal, view) > 0, np.float32(-1), np.float32(1))
    face_normal, normal = _scaled(face_normal, sign), _scaled(normal, sign)
    # An interpolated normal that points away from the viewer would be lit from behind.
    past = _dot(normal, view) > 0
    normal = (
        np.where(past, face_normal[0], normal[0]),
        np.where(past, face_normal[1], normal[1]),
        np.where(past, face_normal[2], normal[2]),
    )
    u, v = _interpolate(geometry.uv, triangle, hits)
    material = geometry.material[triangle]
    slant = np.sqrt(np.maximum(-_dot(face_normal, view), np.float32(0.05)))
    width = distance * np.float32(1 / (camera.focal * side)) * _inverse(slant)

    gbuffer = GBuffer.empty(len(index))
    gbuffer.owner[:] = geometry.owner[triangle]
    gbuffer.surface[:] = gbuffer.owner
    for part in normal:
        gbuffer.surface *= 8
        gbuffer.surface += (part * np.float32(3) + np.float32(3.5)).astype(np.int32)
    gbuffer.distance[:] = distance
    gbuffer.albedo[:] = albedo(table, world.images, material, u, v, width)
    gbuffer.extra[:] = gbuffer.albedo * table.emission[material]
    gbuffer.light[:] = 0
    gbuffer.occluder[:] = NONE
    lift = _scaled(face_normal, RAY_OFFSET)
    position = (
        origin[0] + view[0] * distance + lift[0],
        origin[1] + view[1] * distance + lift[1],
        origin[2] + view[2] * distance + lift[2],
    )
    points = _Points(
        position, normal, face_normal, view, table.gloss[material], noise_index(column, row)
    )
    for number in range(len(world.lights)):
        _add_light(world, number, points, gbuffer)
    _add_ambient(world, points, gbuffer)
    return gbuffer


def render(world: World, camera: Camera, side: int) -> GBuffer:
    """Trace and light all samples of an image, ``side`` x ``side`` per pixel, row by row."""
    count = camera.width * camera.height * side * side
    gbuffer = GBuffer.empty(count)
    for start in range(0, count, CHUNK):
        stop = min(start + CHUNK, count)
        gbuffer.put(slice(start, stop), shade(world, camera, side, np.arange(start, stop)))
    return gbuffer
