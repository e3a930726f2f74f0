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
_NEAR = 0.01
"""Metres before the camera's plane from which a surface can be seen."""
_RAYS = (8_000, 60_000)
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
    depth: Float32
    step: int
    """Pixels between rays."""


@dataclass(frozen=True)
class Bounds:
    """Edges that bound an object in every view: world points ``[n, 3]`` and pairs of them ``[k, 2]``."""

    points: Float64
    edges: Int64


_NOTHING = Outline(0.0, 0.0, np.zeros(0), np.zeros(0), np.zeros(0, np.float32), 1)


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
        self._alone: dict[int, tuple[Tracer | None, Bounds]] = {}

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
        x, y = _centres(0, camera.width, 1), _centres(0, camera.height, 1)
        triangle, depth = _cast(self._tracer, _grid_rays(camera, x, y), camera)
        value = np.where(triangle >= 0, self.mesh.value[triangle], 0)
        shape = (camera.height, camera.width)
        return value.reshape(shape), depth.reshape(shape)

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
        across, down = _centres(left, right, step), _centres(top, bottom, step)
        triangle, depth = _cast(tracer, _grid_rays(camera, across, down), camera)
        rows, columns = np.nonzero((triangle >= 0).reshape(len(down), len(across)))
        x, y, depth = across[columns], down[rows], depth[triangle >= 0]
        inside = (x >= 0) & (x < camera.width) & (y >= 0) & (y < camera.height)
        area = float(step**2)
        return Outline(
            int(inside.sum()) * area, len(x) * area, x[inside], y[inside], depth[inside], step
        )

    def hit_between_centres(self, value: int, camera: Camera, outline: Outline) -> bool:
        """Whether any of four rays per pixel shows the object before all others."""
        tracer, bounds = self._object(value)
        window = _window(camera, bounds, 0.0)
        if tracer is None or window is None:
            return False
        left, top, right, bottom = window
        if len(outline.x):
            # Nearly all of the window of an object that stands askew shows nothing of it.
            margin = outline.step + 1
            left = max(left, int(outline.x.min()) - margin)
            right = min(right, int(outline.x.max()) + 1 + margin)
            top = max(top, int(outline.y.min()) - margin)
            bottom = min(bottom, int(outline.y.max()) + 1 + margin)
        rays = _grid_rays(camera, _centres(left, right, 0.5), _centres(top, bottom, 0.5))
        near = _cast(tracer, rays, camera)[0] >= 0
        triangle, _ = _cast(self._tracer, np.ascontiguousarray(rays[near]), camera)
        return bool(((triangle >= 0) & (self.mesh.value[triangle] == value)).any())

    def in_frame(self, value: int, camera: Camera) -> bool:
        """Whether any part of the object may be in the frame; False is certain."""
        return _window(camera, self._object(value)[1], 0.0) is not None

    def _object(self, value: int) -> tuple[Tracer | None, Bounds]:
        """The ray tracer of an object alone, and edges that bound its outline in every view."""
        if value not in self._alone:
            used, corners = np.unique(self.faces_of(value), return_inverse=True)
            points = self.mesh.vertices[used]
            tracer = None
            faces = corners.reshape(-1, 3).astype(np.int32)
            if len(points):
                tracer = make_tracer(np.ascontiguousarray(points), faces, self._backend)
            self._alone[value] = (tracer, _bounds(points.astype(np.float64), faces))
        return self._alone[value]


def _bounds(points: Float64, faces: Int32) -> Bounds:
    """The edges of the cells of a grid that hold faces; they bound the faces in every view.

    A face may be larger than a cell: all cells of its box are taken, since one corner of it may lie behind
    the camera while its middle is seen.
    """
    if not len(points):
        return Bounds(np.zeros((0, 3)), np.zeros((0, 2), np.int64))
    low, high = points.min(axis=0), points.max(axis=0)
    size = np.maximum(high - low, 1e-6) / _CELLS
    cell = np.minimum((points - low) // size, _CELLS - 1).astype(np.int64)[faces]
    held = np.zeros((_CELLS,) * 3, bool)
    # One number per box of cells: large objects have a million faces, and few different boxes.
    ends = np.concatenate([cell.min(axis=1), cell.max(axis=1)], axis=1)
    boxes = np.flatnonzero(np.bincount(ends @ _CELLS ** np.arange(6), minlength=1))
    for box in np.stack(np.unravel_index(boxes, (_CELLS,) * 6, order="F"), axis=1):
        held[tuple(slice(a, b + 1) for a, b in zip(box[:3], box[3:], strict=True))] = True
    cells = np.argwhere(held)
    corners = np.stack(np.meshgrid(*[[0, 1]] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    pairs = [
        (corner, corner + step) for step in np.eye(3, dtype=np.int64) for corner in corners
        if (corner + step).max() <= 1
    ]  # fmt: skip
    corner = (cells[:, None, None] + np.array(pairs)[None]) @ (_CELLS + 1) ** np.arange(3)
    edges = np.unique(corner.reshape(-1, 2), axis=0)
    used, ends = np.unique(edges, return_inverse=True)
    steps = np.stack(np.unravel_index(used, (_CELLS + 1,) * 3, order="F"), axis=1)
    return Bounds(np.asarray(low + steps * size, np.float64), ends.reshape(-1, 2))


def _centres(first: float, last: float, step: float) -> Float64:
    """Middles of the cells of ``step`` pixels from one image coordinate to another."""
    return np.arange(first, last, step, dtype=np.float64) + step / 2


def _grid_rays(camera: Camera, x: Float64, y: Float64) -> Float32:
    """Rays through the image points of a grid, row by row, ``[len(y) * len(x), 3]`` in the world.

    Their length is 1 along the camera's axis, so that distances in multiples of it are depths.
    """
    turn = camera.camera_to_world[:3, :3]
    if camera.distortion:
        columns, rows = np.meshgrid(x, y)
        u, v = camera.normalised(columns.reshape(-1), rows.reshape(-1)).T
    else:
        u = ((x - camera.cx) / camera.fx)[None, :]
        v = ((y - camera.cy) / camera.fy)[:, None]
    rays = np.empty((len(y) * len(x), 3), np.float32)
    for axis in range(3):
        rays[:, axis] = (u * turn[axis, 0] + (v * turn[axis, 1] + turn[axis, 2])).reshape(-1)
    return rays


def _cast(tracer: Tracer, rays: Float32, camera: Camera) -> tuple[Int32, Float32]:
    """First hits of a camera's rays: triangles, -1 for none, and depths along z in metres, 0 for none."""
    origins = np.repeat(camera.position.astype(np.float32)[None], len(rays), axis=0)
    hits = tracer.first_hit(origins, rays, np.full(len(rays), _FAR, np.float32))
    return hits.triangle, np.where(hits.triangle >= 0, hits.distance, np.float32(0))


def _window(camera: Camera, bounds: Bounds, beyond: float) -> tuple[int, int, int, int] | None:
    """Pixels (left, top, right, bottom) that may show something within ``bounds``.

    They are clipped to the frame, extended by ``beyond`` times its size on every side. None: there are none.
    """
    depth = camera.local(bounds.points)[:, 2]
    before = depth > _NEAR
    if not before.any():
        return None
    ends = bounds.points[before]
    crossed = bounds.edges[before[bounds.edges].sum(axis=1) == 1]
    if len(crossed):
        # What lies behind the camera is cut off, where an edge crosses the plane before it.
        first, second = bounds.points[crossed[:, 0]], bounds.points[crossed[:, 1]]
        ahead, behind = depth[crossed[:, 0]], depth[crossed[:, 1]]
        along = (_NEAR - ahead) / (behind - ahead)
        ends = np.concatenate([ends, first + along[:, None] * (second - first)])
    flat, _ = camera.project(ends)
    size = np.array([camera.width, camera.height])
    low = np.maximum(-beyond * size, flat.min(axis=0) - 1)
    high = np.minimum((1 + beyond) * size, flat.max(axis=0) + 1)
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
