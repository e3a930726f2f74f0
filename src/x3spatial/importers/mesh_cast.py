"""Casting rays at a mesh with labelled faces: which object each pixel shows, and how much of it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from x3spatial.arrays import Bool, Float32, Float64, Int32, Int64
from x3spatial.importers.camera import Camera
from x3spatial.raycast.tracer import Tracer, make_tracer

_FAR = 1e4
"""Metres up to which rays are cast."""
_CELLS = 8
"""An object's outline is bounded by cells of its box, this many a side, that hold a vertex."""
_BEHIND = 0.05
"""Metres before the camera's plane: with a vertex nearer, any pixel may show the object."""
_RAYS = (4_000, 60_000)
"""Rays for an outline: a fifth of the image's pixels, within these bounds."""


@dataclass(frozen=True)
class LabelledMesh:
    """Triangles in the world, in metres. ``value`` is 0 for a face of no object."""

    vertices: Float32  # [n, 3]
    faces: Int32  # [m, 3]
    value: Int32  # [m]


@dataclass(frozen=True)
class Outline:
    """What would be seen of an object that stood alone: pixels in the frame and in all, and its rays.

    Up to one frame's size beyond the frame counts. ``x`` and ``y`` [n] are the image points within the frame
    whose rays hit the object, ``depth`` [n] its depth there.
    """

    inside: float
    total: float
    x: Float64
    y: Float64
    depth: Float64


_NOTHING = Outline(0.0, 0.0, np.zeros(0), np.zeros(0), np.zeros(0))


def face_values(labels: Int64, faces: Int32) -> Int32:
    """The label of each face ``[m]``: that of most of its vertices; of three different ones the first.

    Args:
        labels: ``[n]``, of the vertices.
        faces: ``[m, 3]``.
    """
    first, second, third = labels[faces].T
    return np.asarray(np.where(second == third, second, first), np.int32)


class MeshCaster:
    """Casts the rays of cameras; builds the ray tracers that it needs."""

    def __init__(self, mesh: LabelledMesh, backend: str) -> None:
        """``backend`` is one of ``raycast.tracer.BACKENDS``."""
        self.mesh, self._backend = mesh, backend
        self._alone: dict[int, tuple[Tracer | None, Float64]] = {}

    @cached_property
    def _tracer(self) -> Tracer:
        return make_tracer(self.mesh.vertices, self.mesh.faces, self._backend)

    @cached_property
    def _by_value(self) -> tuple[Int64, Int64]:
        """Faces in the order of their values, and the values in this order."""
        order = np.argsort(self.mesh.value, kind="stable")
        return order, self.mesh.value[order].astype(np.int64)

    def faces_of(self, value: int) -> Int32:
        """The faces ``[k, 3]`` of an object."""
        order, values = self._by_value
        first, last = np.searchsorted(values, [value, value + 1])
        return self.mesh.faces[np.sort(order[first:last])]

    def pixels(self, camera: Camera) -> tuple[Int32, Float32]:
        """What the centres of a camera's pixels show: values and depths along z in metres, ``[H, W]`` each.

        Both are 0 where a ray hits nothing.
        """
        columns, rows = np.meshgrid(np.arange(camera.width) + 0.5, np.arange(camera.height) + 0.5)
        triangle, depth = _cast(self._tracer, camera, columns.reshape(-1), rows.reshape(-1))
        value = np.where(triangle >= 0, self.mesh.value[triangle], 0)
        shape = (camera.height, camera.width)
        return value.reshape(shape), depth.astype(np.float32).reshape(shape)

    def outline(self, value: int, camera: Camera) -> Outline:
        """The outline of an object that stands alone."""
        tracer, bounds = self._object(value)
        window = _window(camera, bounds, 1.0)
        if tracer is None or window is None:
            return _NOTHING
        left, top, right, bottom = window
        least, most = _RAYS
        rays = min(most, max(least, camera.width * camera.height // 5))
        step = int(np.ceil(np.sqrt((right - left) * (bottom - top) / rays)))
        # Centres of cells of step x step pixels, so that no part of the window counts twice.
        columns, rows = np.meshgrid(
            np.arange(left, right, step) + step / 2, np.arange(top, bottom, step) + step / 2
        )
        x, y = columns.reshape(-1), rows.reshape(-1)
        triangle, depth = _cast(tracer, camera, x, y)
        hit = triangle >= 0
        inside = hit & (x >= 0) & (x < camera.width) & (y >= 0) & (y < camera.height)
        return Outline(
            float(inside.sum()) * step**2,
            float(hit.sum()) * step**2,
            x[inside],
            y[inside],
            depth[inside],
        )

    def hit_between_centres(self, value: int, camera: Camera) -> bool:
        """Whether any of four rays per pixel shows the object before all others."""
        tracer, bounds = self._object(value)
        window = _window(camera, bounds, 0.0)
        if tracer is None or window is None:
            return False
        left, top, right, bottom = window
        columns, rows = np.meshgrid(
            np.arange(left, right, 0.5) + 0.25, np.arange(top, bottom, 0.5) + 0.25
        )
        x, y = columns.reshape(-1), rows.reshape(-1)
        near = _cast(tracer, camera, x, y)[0] >= 0
        triangle, _ = _cast(self._tracer, camera, x[near], y[near])
        return bool(((triangle >= 0) & (self.mesh.value[triangle] == value)).any())

    def in_frame(self, value: int, camera: Camera) -> bool:
        """Whether any part of the object may be in the frame; False is certain."""
        return _window(camera, self._object(value)[1], 0.0) is not None

    def _object(self, value: int) -> tuple[Tracer | None, Float64]:
        """The ray tracer of an object alone, and points that bound its outline in every view."""
        if value not in self._alone:
            used, corners = np.unique(self.faces_of(value), return_inverse=True)
            points = self.mesh.vertices[used]
            tracer = None
            if len(points):
                faces = corners.reshape(-1, 3).astype(np.int32)
                tracer = make_tracer(np.ascontiguousarray(points), faces, self._backend)
            self._alone[value] = (tracer, _bounds(points.astype(np.float64)))
        return self._alone[value]


def _bounds(points: Float64) -> Float64:
    """Corners of the cells of a grid that hold points ``[n, 3]``; they bound the points in every view."""
    if not len(points):
        return points
    low, high = points.min(axis=0), points.max(axis=0)
    size = np.maximum(high - low, 1e-6) / _CELLS
    cell = np.minimum((points - low) // size, _CELLS - 1).astype(np.int64)
    cells = np.unique(cell, axis=0)
    offsets = np.stack(np.meshgrid(*[[0, 1]] * 3), axis=-1).reshape(-1, 3)
    corners = np.unique((cells[:, None] + offsets[None]).reshape(-1, 3), axis=0)
    return np.asarray(low + corners * size, np.float64)


def _cast(tracer: Tracer, camera: Camera, x: Float64, y: Float64) -> tuple[Int32, Float64]:
    """First hits through image points ``[n]``: triangles, -1 for none, and depths along z, 0 for none."""
    rays = camera.rays(x, y)
    origins = np.repeat(camera.position.astype(np.float32)[None], len(rays), axis=0)
    reach = np.full(len(rays), _FAR, np.float32)
    hits = tracer.first_hit(origins, np.ascontiguousarray(rays, np.float32), reach)
    along = rays @ camera.forward
    return hits.triangle, np.where(hits.triangle >= 0, hits.distance * along, 0.0)


def _window(camera: Camera, bounds: Float64, beyond: float) -> tuple[int, int, int, int] | None:
    """Pixels (left, top, right, bottom) that may show something within ``bounds`` ``[n, 3]``.

    They are clipped to the frame, extended by ``beyond`` times its size on every side. None: there are none.
    """
    if not len(bounds):
        return None
    flat, depth = camera.project(bounds)
    if np.all(depth < 0.01):
        return None
    size = np.array([camera.width, camera.height])
    low, high = -beyond * size, (1 + beyond) * size
    if np.all(depth > _BEHIND):
        low = np.maximum(low, flat.min(axis=0) - 1)
        high = np.minimum(high, flat.max(axis=0) + 1)
    left, top = (int(v) for v in np.floor(low))
    right, bottom = (int(v) for v in np.ceil(high))
    return None if right <= left or bottom <= top else (left, top, right, bottom)


def agreement(cast: Float32, measured: Float64, tolerance: float) -> tuple[Bool, Bool]:
    """Which pixels agree, and which can be compared: depth was measured and a ray hit the mesh.

    Args:
        cast: depths of the mesh in metres, 0 for none.
        measured: depths of the camera, of the same shape, 0 where unknown.
        tolerance: metres, to which 2 % of the distance are added.
    """
    known = (cast > 0) & (measured > 0)
    return known & (np.abs(cast - measured) <= tolerance + 0.02 * measured), known
