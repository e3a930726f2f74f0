"""Visibility of objects in cameras: estimates from surface points, and exact masks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from x3spatial.arrays import Bool, Float32, Float64
from x3spatial.raycast.hits import Hits
from x3spatial.synth.rendering.camera import Camera
from x3spatial.synth.rendering.geometry import Geometry

_POINTS = 56  # surface points per object for the estimates


@dataclass(frozen=True)
class Estimate:
    """Estimated visibility of one object, per camera."""

    in_frame: Float64  # [cameras] share of its camera-facing points that lie in the frame
    visible: Float64  # [cameras] share of them that also are not occluded
    coverage: Float64  # [cameras] rough share of the image that it covers


def _occluded(geometry: Geometry, positions: Float64, points: Float64) -> Bool:
    """Return whether anything lies between each position and its point, both [n, 3]: [n]."""
    offset = points - positions
    size = np.sqrt((offset * offset).sum(axis=1, keepdims=True))
    origins = np.ascontiguousarray(positions, np.float32)
    directions = np.ascontiguousarray(offset / size, np.float32)
    reach = (size[:, 0] - 0.0005).astype(np.float32)
    return geometry.tracer.occluded(origins, directions, reach)


def estimate(
    geometry: Geometry, uid: int, cameras: list[Camera], rng: np.random.Generator
) -> Estimate:
    """Estimate the visibility of object ``uid`` from a few surface points."""
    points = geometry.surface_points(uid, _POINTS, rng)
    positions = np.repeat(np.stack([c.position for c in cameras]), _POINTS, axis=0)
    every = np.tile(points, (len(cameras), 1))
    shape = (len(cameras), _POINTS)
    front = ~_occluded(geometry.only(uid), positions, every).reshape(shape)
    clear = front & ~_occluded(geometry, positions, every).reshape(shape)
    in_frame, coverage = np.zeros(shape, np.bool_), np.zeros(len(cameras))
    for i, camera in enumerate(cameras):
        flat, depth = camera.project(points)
        in_frame[i] = camera.inside(flat, depth)
        inside = flat[in_frame[i]]
        if len(inside) > 1:
            box = inside.max(axis=0) - inside.min(axis=0)
            coverage[i] = 0.6 * float(box[0] * box[1]) / (camera.width * camera.height)
    total = np.maximum(front.sum(axis=1), 1)
    return Estimate(
        (front & in_frame).sum(axis=1) / total, (clear & in_frame).sum(axis=1) / total, coverage
    )


def clear_points(geometry: Geometry, camera: Camera, points: Float64) -> Bool:
    """Return which surface points [n, 3] a camera sees: in its frame, nothing in front of them: [n]."""
    positions = np.repeat(camera.position[None], len(points), axis=0)
    return camera.inside(*camera.project(points)) & ~_occluded(geometry, positions, points)


def occluded_from(
    geometry: Geometry, uid: int, positions: Float64, rng: np.random.Generator
) -> Bool:
    """Return from which positions [n, 3] an object is fully occluded, judged by a few points: [n]."""
    points = geometry.surface_points(uid, 20, rng)
    every = np.tile(points, (len(positions), 1))
    blocked = _occluded(geometry, np.repeat(positions, len(points), axis=0), every)
    return np.asarray(blocked.reshape(len(positions), len(points)).all(axis=1))


def well_composed(geometry: Geometry, cameras: list[Camera]) -> Bool:
    """Return which cameras show several objects, none of them filling the frame or close to the lens."""
    across, down = 16, 12
    size = across * down
    x, y = np.meshgrid((np.arange(across) + 0.5) / across, (np.arange(down) + 0.5) / down)
    rays = [c.rays(x.reshape(-1) * c.width, y.reshape(-1) * c.height) for c in cameras]
    origins = np.repeat(np.stack([c.position for c in cameras]).astype(np.float32), size, axis=0)
    hits = geometry.tracer.first_hit(
        origins, np.concatenate(rays), np.full(len(origins), 1e4, np.float32)
    )
    owner = np.where(hits.triangle >= 0, geometry.owner[hits.triangle], 0).reshape(-1, size)
    distance = hits.distance.reshape(-1, size)
    good = np.zeros(len(cameras), np.bool_)
    for i in range(len(cameras)):
        shares = np.bincount(owner[i], minlength=geometry.objects + 1) / size
        objects = shares[1:]
        good[i] = (
            np.count_nonzero(objects) >= 3
            and shares[0] < 0.85
            and objects.max() < 0.5
            and np.quantile(distance[i], 0.03) > 0.45
            and np.median(distance[i]) > 1.3
        )
    return good


def _window(camera: Camera, vertices: Float64, beyond: float) -> tuple[int, int, int, int] | None:
    """Return the pixels (left, top, right, bottom) that may show ``vertices`` [n, 3].

    The window is clipped to the frame, extended by ``beyond`` times its size on every side. None: the
    window is empty.
    """
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


def first_hits(geometry: Geometry, camera: Camera, rays: Float32) -> Hits:
    """Return what unit ``rays`` [n, 3] from the camera's position hit first: [n]."""
    origins = np.repeat(camera.position.astype(np.float32)[None], len(rays), axis=0)
    return geometry.tracer.first_hit(origins, rays, np.full(len(rays), 1e4, np.float32))


def _hits_object(geometry: Geometry, uid: int, camera: Camera, x: Float64, y: Float64) -> Bool:
    """Return whether the object is the first hit through the image points ``x``, ``y`` [n]: [n]."""
    hits = first_hits(geometry, camera, camera.rays(x, y))
    return np.asarray((hits.triangle >= 0) & (geometry.owner[hits.triangle] == uid))


def _grid(window: tuple[int, int, int, int], side: int) -> tuple[Float64, Float64]:
    left, top, right, bottom = window
    x = left + (np.arange((right - left) * side) + 0.5) / side
    y = top + (np.arange((bottom - top) * side) + 0.5) / side
    columns, rows = np.meshgrid(x, y)
    return columns.reshape(-1), rows.reshape(-1)


def mask(geometry: Geometry, uid: int, camera: Camera) -> Bool:
    """Return the object's visible mask [H, W]: the pixels whose centre ray hits it first."""
    full = np.zeros((camera.height, camera.width), np.bool_)
    window = _window(camera, geometry.vertices_of(uid), 0.0)
    if window is not None:
        left, top, right, bottom = window
        found = _hits_object(geometry, uid, camera, *_grid(window, 1))
        full[top:bottom, left:right] = found.reshape(bottom - top, right - left)
    return full


def hit_by_any_sample(geometry: Geometry, uid: int, camera: Camera, side: int) -> bool:
    """Return whether any of the image's ``side`` x ``side`` samples per pixel hits the object."""
    window = _window(camera, geometry.vertices_of(uid), 0.0)
    return window is not None and bool(
        _hits_object(geometry, uid, camera, *_grid(window, side)).any()
    )


def silhouette(geometry: Geometry, uid: int, camera: Camera) -> tuple[float, float]:
    """Return the silhouette's area in pixels without occluders: (inside the frame, in total).

    The total counts up to one frame size beyond the frame on every side. Large windows are sampled
    every few pixels.
    """
    alone = geometry.only(uid)
    window = _window(camera, geometry.vertices_of(uid), 1.0)
    if window is None:
        return 0.0, 0.0
    left, top, right, bottom = window
    step = int(np.ceil(np.sqrt((right - left) * (bottom - top) / 60_000)))
    columns, rows = np.meshgrid(np.arange(left, right, step), np.arange(top, bottom, step))
    x = columns.reshape(-1).astype(np.float64) + 0.5
    y = rows.reshape(-1).astype(np.float64) + 0.5
    found = _hits_object(alone, uid, camera, x, y)
    inside = (x >= 0) & (x < camera.width) & (y >= 0) & (y < camera.height)
    return float((found & inside).sum()) * step**2, float(found.sum()) * step**2
