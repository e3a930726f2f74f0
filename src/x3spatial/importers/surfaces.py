"""Points of objects' surfaces: from depth and masks, or from the directions of mask centres."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from x3spatial.arrays import Bool, Float32, Float64
from x3spatial.importers.camera import Camera

PER_FRAME = 200
"""Points per object and frame that are kept."""
PER_OBJECT = 8000
_OUTLIERS = 1.0
"""Per cent of the points at either end of an axis that a box leaves out: depth is noisy at outlines."""
_CLOSE = 0.05
"""How far beyond a box its points may lie, as a share of its longest side."""
LEAST_VIEWS = 3
"""Frames from which a mask centre is triangulated; two always meet somewhere."""


def evenly(count: int, most: int) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
    """At most ``most`` of ``count`` indices, evenly spaced."""
    if count <= most:
        return np.arange(count)
    return np.linspace(0, count - 1, most).astype(np.intp)


def depth_at(depth: Float32, size: tuple[int, int], x: Float64, y: Float64) -> Float64:
    """Depth ``[n]`` at points in pixels of an image of ``size`` (width, height); 0 where unknown."""
    rows = np.clip((y * depth.shape[0] / size[1]).astype(np.intp), 0, depth.shape[0] - 1)
    columns = np.clip((x * depth.shape[1] / size[0]).astype(np.intp), 0, depth.shape[1] - 1)
    return np.asarray(depth[rows, columns], np.float64)


def depth_grid(depth: Float32, size: tuple[int, int]) -> Float64:
    """Depth at the centres of the pixels of an image of ``size``, ``[H, W]``; 0 where unknown."""
    columns, rows = np.meshgrid(np.arange(size[0]) + 0.5, np.arange(size[1]) + 0.5)
    flat = depth_at(depth, size, columns.reshape(-1), rows.reshape(-1))
    return np.asarray(flat.reshape(size[1], size[0]))


def surface_points(mask: Bool, depth: Float32, camera: Camera, most: int = PER_FRAME) -> Float64:
    """World points ``[n, 3]`` of what a mask ``[H, W]`` shows, at most ``most``.

    Pixels at the outline are not used: their depth may be that of what lies behind.
    """
    inner = cv2.erode(mask.astype(np.uint8), np.ones((3, 3), np.uint8), borderValue=0) > 0
    rows, columns = np.nonzero(inner if inner.any() else mask)
    chosen = evenly(len(rows), most)
    x, y = (np.asarray(k[chosen] + 0.5, np.float64) for k in (columns, rows))
    z = depth_at(depth, (mask.shape[1], mask.shape[0]), x, y)
    known = z > 0
    return camera.unproject(x[known], y[known], z[known])


def thinned(parts: Sequence[Float64]) -> Float64:
    """Points of several frames as one array ``[n, 3]``, at most ``PER_OBJECT``."""
    every = np.concatenate(parts) if parts else np.zeros((0, 3))
    return np.asarray(every[evenly(len(every), PER_OBJECT)])


def box_of(points: Float64) -> Float64 | None:
    """Least and greatest corner ``[2, 3]`` of points, without outliers; None of fewer than 4 points."""
    if len(points) < 4:
        return None
    return np.asarray(np.percentile(points, [_OUTLIERS, 100 - _OUTLIERS], axis=0))


def without_outliers(points: Float64, box: Float64) -> Float64:
    """The points ``[n, 3]`` in a box ``[2, 3]`` or close to it."""
    margin = _CLOSE * (box[1] - box[0]).max()
    inside = ((points >= box[0] - margin) & (points <= box[1] + margin)).all(axis=1)
    return np.asarray(points[inside])


def mask_centre(mask: Bool) -> tuple[float, float]:
    """Mean of the pixel centres of a mask that is not empty: (x, y) in pixels."""
    rows, columns = np.nonzero(mask)
    return float(columns.mean()) + 0.5, float(rows.mean()) + 0.5


def triangulate(
    cameras: Sequence[Camera], centres: Sequence[tuple[float, float]]
) -> Float64 | None:
    """The point ``[3]`` nearest to the rays through image points; None if they are (almost) parallel."""
    system, target = np.zeros((3, 3)), np.zeros(3)
    for camera, (x, y) in zip(cameras, centres, strict=True):
        ray = camera.rays(np.array([x]), np.array([y]))[0]
        across = np.eye(3) - np.outer(ray, ray)
        system += across
        target += across @ camera.position
    if len(cameras) < 2 or np.linalg.cond(system) > 1e4:
        return None
    return np.asarray(np.linalg.solve(system, target))


def box_around(point: Float64, cameras: Sequence[Camera], areas: Sequence[int]) -> Float64:
    """A cube ``[2, 3]`` around a triangulated point, as large as the masks of ``areas`` pixels say."""
    sides = [
        np.sqrt(area) * float(camera.local(point[None])[0, 2]) / camera.fx
        for camera, area in zip(cameras, areas, strict=True)
    ]
    half = 0.5 * float(np.median(sides))
    return np.stack([point - half, point + half])


def grid_of(box: Float64) -> Float64:
    """27 points ``[27, 3]`` of a box: its corners, the middles of its edges and faces, and its centre."""
    steps = np.stack(np.meshgrid(*[[0.0, 0.5, 1.0]] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    return np.asarray(box[0] + steps * (box[1] - box[0]))
