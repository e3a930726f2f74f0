"""What a camera sees of an object: estimates from points, and exact masks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from x3spatial.arrays import Bool, Float64
from x3spatial.synth.rendering.camera import Camera
from x3spatial.synth.rendering.geometry import Geometry

_POINTS = 56  # surface points per object for the estimates


@dataclass(frozen=True)
class Estimate:
    """Per camera: how much of one object's outline is in the frame, is seen, and covers."""

    framed: Float64  # [cameras] share of its camera-facing points that fall into the frame
    seen: Float64  # [cameras] share that is in the frame and not hidden
    area: Float64  # [cameras] rough share of the image that it covers


def _blocked(geometry: Geometry, eyes: Float64, points: Float64) -> Bool:
    """Whether anything lies between each eye and its point, both ``[n, 3]``."""
    way = points - eyes
    size = np.sqrt((way * way).sum(axis=1, keepdims=True))
    origins = np.ascontiguousarray(eyes, np.float32)
    directions = np.ascontiguousarray(way / size, np.float32)
    reach = (size[:, 0] - 0.0005).astype(np.float32)
    return geometry.tracer.occluded(origins, directions, reach)


def estimate(
    geometry: Geometry, uid: int, cameras: list[Camera], rng: np.random.Generator
) -> Estimate:
    """Estimates for one object from a few surface points."""
    points = geometry.surface_points(uid, _POINTS, rng)
    eyes = np.repeat(np.stack([c.eye for c in cameras]), _POINTS, axis=0)
    every = np.tile(points, (len(cameras), 1))
    shape = (len(cameras), _POINTS)
    front = ~_blocked(geometry.only(uid), eyes, every).reshape(shape)
    clear = front & ~_blocked(geometry, eyes, every).reshape(shape)
    framed, area = np.zeros(shape, np.bool_), np.zeros(len(cameras))
    for i, camera in enumerate(cameras):
        flat, depth = camera.project(points)
        framed[i] = camera.inside(flat, depth)
        inside = flat[framed[i]]
        if len(inside) > 1:
            box = inside.max(axis=0) - inside.min(axis=0)
            area[i] = 0.6 * float(box[0] * box[1]) / (camera.width * camera.height)
    total = np.maximum(front.sum(axis=1), 1)
    return Estimate(
        (front & framed).sum(axis=1) / total, (clear & framed).sum(axis=1) / total, area
    )


def hidden_from(geometry: Geometry, uid: int, eyes: Float64, rng: np.random.Generator) -> Bool:
    """From which of ``eyes [n, 3]`` something else hides all of an object (by a few points)."""
    points = geometry.surface_points(uid, 20, rng)
    every = np.tile(points, (len(eyes), 1))
    blocked = _blocked(geometry, np.repeat(eyes, len(points), axis=0), every)
    return np.asarray(blocked.reshape(len(eyes), len(points)).all(axis=1))


def worth_seeing(geometry: Geometry, cameras: list[Camera]) -> Bool:
    """Which cameras show a piece of the room: some objects, none of them filling the frame, and
    nothing right in front of the lens."""
    across, down = 16, 12
    size = across * down
    x, y = np.meshgrid((np.arange(across) + 0.5) / across, (np.arange(down) + 0.5) / down)
    rays = [c.rays(x.reshape(-1) * c.width, y.reshape(-1) * c.height) for c in cameras]
    eyes = np.repeat(np.stack([c.eye for c in cameras]).astype(np.float32), size, axis=0)
    hits = geometry.tracer.first_hit(
        eyes, np.concatenate(rays), np.full(len(eyes), 1e4, np.float32)
    )
    owner = np.where(hits.triangle >= 0, geometry.owner[hits.triangle], 0).reshape(-1, size)
    distance = hits.distance.reshape(-1, size)
    good = np.zeros(len(cameras), np.bool_)
    for i in range(len(cameras)):
        shares = np.bincount(owner[i], minlength=geometry.objects + 1) / size
        things = shares[1:]
        good[i] = (
            np.count_nonzero(things) >= 3
            and shares[0] < 0.85
            and things.max() < 0.5
            and np.quantile(distance[i], 0.03) > 0.45
            and np.median(distance[i]) > 1.3
        )
    return good


def _window(camera: Camera, vertices: Float64, beyond: float) -> tuple[int, int, int, int] | None:
    """(left, top, right, bottom) pixels that may show ``vertices``, cut to the frame widened by
    ``beyond`` of its size on every side; None if there are none."""
    flat, depth = camera.project(vertices)
    if np.all(depth < 0.01):
        return None
    size = np.array([camera.width, camera.height])
    low, high = -beyond * size, (1 + beyond) * size
    if np.all(depth > 0.05):
        low = np.maximum(low, flat.min(axis=0) - 1)
        high = np.minimum(high, flat.max(axis=0) + 1)
    left, top = (int(v) for v in np.floor(low))
    right, bottom = (int(v) for v in np.ceil(high))
    return None if right <= left or bottom <= top else (left, top, right, bottom)


def _first_is(geometry: Geometry, uid: int, camera: Camera, x: Float64, y: Float64) -> Bool:
    """Whether the rays through the image positions meet the object first: ``[n]``."""
    rays = camera.rays(x, y)
    eyes = np.repeat(camera.eye.astype(np.float32)[None], len(rays), axis=0)
    hits = geometry.tracer.first_hit(eyes, rays, np.full(len(rays), 1e4, np.float32))
    return np.asarray((hits.triangle >= 0) & (geometry.owner[hits.triangle] == uid))


def _grid(window: tuple[int, int, int, int], side: int) -> tuple[Float64, Float64]:
    left, top, right, bottom = window
    x = left + (np.arange((right - left) * side) + 0.5) / side
    y = top + (np.arange((bottom - top) * side) + 0.5) / side
    columns, rows = np.meshgrid(x, y)
    return columns.reshape(-1), rows.reshape(-1)


def mask(geometry: Geometry, uid: int, camera: Camera) -> Bool:
    """``[H, W]``: the pixels at whose centre the object is what the camera sees."""
    full = np.zeros((camera.height, camera.width), np.bool_)
    window = _window(camera, geometry.points_of(uid), 0.0)
    if window is not None:
        left, top, right, bottom = window
        found = _first_is(geometry, uid, camera, *_grid(window, 1))
        full[top:bottom, left:right] = found.reshape(bottom - top, right - left)
    return full


def glimpsed(geometry: Geometry, uid: int, camera: Camera, side: int) -> bool:
    """Whether any of the picture's ``side`` x ``side`` samples per pixel meets the object."""
    window = _window(camera, geometry.points_of(uid), 0.0)
    return window is not None and bool(_first_is(geometry, uid, camera, *_grid(window, side)).any())


def silhouette(geometry: Geometry, uid: int, camera: Camera) -> tuple[float, float]:
    """(pixels in the frame, pixels in all) that the object alone would cover.

    "In all" looks one frame's size beyond the frame on every side. Large windows are sampled at
    every few pixels.
    """
    alone = geometry.only(uid)
    window = _window(camera, geometry.points_of(uid), 1.0)
    if window is None:
        return 0.0, 0.0
    left, top, right, bottom = window
    step = int(np.ceil(np.sqrt((right - left) * (bottom - top) / 60_000)))
    columns, rows = np.meshgrid(np.arange(left, right, step), np.arange(top, bottom, step))
    x = columns.reshape(-1).astype(np.float64) + 0.5
    y = rows.reshape(-1).astype(np.float64) + 0.5
    found = _first_is(alone, uid, camera, x, y)
    inside = (x >= 0) & (x < camera.width) & (y >= 0) & (y < camera.height)
    return float((found & inside).sum()) * step**2, float(found.sum()) * step**2
