"""What a frame shows of an object where no mesh is at hand: estimated from points of its surface."""

from __future__ import annotations

import cv2
import numpy as np

from x3spatial.arrays import Bool, Float32, Float64
from x3spatial.importers.camera import Camera
from x3spatial.importers.surfaces import depth_at
from x3spatial.roots.scene_file import Sight
from x3spatial.tasks.strata import AbsentBy

_CELLS = 400
"""Cells of an outline: enough for hundredths, and few enough that each holds several points."""
_POINTS_PER_CELL = 8
_CONFIRMED = 0.95
"""Share of an object's front points that must have something before them for it to count as hidden."""
_TOLERANCE = (0.03, 0.02)
"""Metres, and share of the distance, by which depth may differ from a surface and still be it."""


def unknown_sight(pixels: int) -> Sight:
    """What is known without any geometry."""
    return Sight(pixels, None, None, None)


def sight_by_points(camera: Camera, points: Float64, mask: Bool, depth: Float32 | None) -> Sight:
    """The sight of an object that is known by many points of its surface.

    The outline is divided into cells. In each, the point nearest to the camera stands for the cell: it is in
    the frame or not, and in the mask or not.

    Args:
        camera: of the mask's size.
        points: ``[n, 3]`` in the world, from several sides.
        mask: visible pixels of the object, ``[H, W]``.
        depth: ``[h, w]`` in metres, 0 where unknown; None: unknown everywhere.
    """
    pixels = int(mask.sum())
    flat, z = _front(*camera.project(points), camera)
    if not len(flat):
        return Sight(pixels, 0.0, 0.0, "framing") if not pixels else unknown_sight(pixels)
    inside = camera.inside(flat, z)
    framed = float(inside.mean())
    if pixels == 0:
        return Sight(0, 0.0, framed, _cause(camera, flat[inside], z[inside], framed, depth))
    x, y = flat[inside].astype(np.intp).T
    # A point at an outline may fall beside its own pixel; then it counts unless something is before it.
    near = cv2.dilate(mask.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    seen = mask[y, x] | (near[y, x] & ~_hidden(camera, flat[inside], z[inside], depth))
    visible = float(seen.sum()) / len(flat)
    return Sight(pixels, min(visible, framed), framed, None)


def _front(flat: Float64, z: Float64, camera: Camera) -> tuple[Float64, Float64]:
    """The nearest point of every cell of the outline; up to one frame's size beyond the frame counts."""
    size = np.array([camera.width, camera.height])
    near = (z > 0.02) & (flat >= -size).all(axis=1) & (flat < 2 * size).all(axis=1)
    flat, z = flat[near], z[near]
    if not len(flat):
        return flat, z
    low, high = flat.min(axis=0), flat.max(axis=0)
    cells = max(1, min(_CELLS, len(flat) // _POINTS_PER_CELL))
    side = max(1.0, float(np.sqrt(np.prod(high - low + 1) / cells)))
    column, row = ((flat - low) / side).astype(np.int64).T
    cell = row * (int(column.max()) + 1) + column
    order = np.lexsort((z, cell))
    _, first = np.unique(cell[order], return_index=True)
    chosen = order[first]
    return flat[chosen], z[chosen]


def _cause(
    camera: Camera, flat: Float64, z: Float64, framed: float, depth: Float32 | None
) -> AbsentBy | None:
    """Why an object without visible pixels is absent; None if depth does not show what hides it."""
    if not len(flat):
        return "framing"
    if _hidden(camera, flat, z, depth).mean() < _CONFIRMED:
        return None
    return "occlusion" if framed > 0.5 else "both"


def _hidden(camera: Camera, flat: Float64, z: Float64, depth: Float32 | None) -> Bool:
    """Which points ``[n]`` in the frame have something before them, as far as depth shows it."""
    if depth is None:
        return np.zeros(len(flat), np.bool_)
    seen = depth_at(depth, (camera.width, camera.height), flat[:, 0], flat[:, 1])
    return np.asarray((seen > 0) & (seen < z - _TOLERANCE[0] - _TOLERANCE[1] * z))


def sight_by_box(camera: Camera, corners: Float64, mask: Bool) -> Sight:
    """The sight of an object of which only the rough place is known (points ``[n, 3]`` of a box)."""
    pixels = int(mask.sum())
    inside = camera.inside(*camera.project(corners))
    if pixels == 0:
        if not inside.any():
            return Sight(0, 0.0, 0.0, "framing")
        return Sight(0, 0.0, None, None)
    return Sight(pixels, None, 1.0 if not touches_edge(mask) else None, None)


def touches_edge(mask: Bool) -> bool:
    """Whether a mask reaches the border of the frame, so that part of the object may lie beyond it."""
    return bool(mask[0].any() or mask[-1].any() or mask[:, 0].any() or mask[:, -1].any())
