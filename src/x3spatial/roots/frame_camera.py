"""The camera of a frame, as ``scene.json`` describes it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np

from x3spatial.arrays import Float64
from x3spatial.formats.typed_json import Malformed

_NEAR = 1e-3
"""Least depth of a point that is projected, in units of the world."""
_EDGES = np.array([(a, b) for a in range(8) for b in range(a) if (a ^ b).bit_count() == 1])
"""``[12, 2]``: corners of a box that share an edge, if corners are counted in binary."""


@dataclass(frozen=True, slots=True)
class FrameCamera:
    """A pinhole camera: x right, y down, z forward."""

    world_to_camera: Float64
    """``[4, 4]``."""
    focal: tuple[float, float]
    """Focal lengths of x and y, in widths and heights of the image."""
    centre: tuple[float, float]
    """Principal point, in fractions of the width and the height."""
    pixels: int
    """Number of pixels of the image."""

    def extent(self, box: Float64) -> tuple[float, float, float, float] | None:
        """The part of the image that holds a box of the world.

        Args:
            box: least and greatest corner, ``[2, 3]``.

        Returns:
            Left, top, right and bottom in fractions of width and height, clipped to the image; None if the
            box lies behind the camera.
        """
        corners = np.array(list(product(*box.T)))
        local = corners @ self.world_to_camera[:3, :3].T + self.world_to_camera[:3, 3]
        ends = local[_EDGES]  # [12, 2, 3]
        depth = ends[..., 2]
        # Edges through the plane in front of the camera end there.
        crosses = (depth.min(axis=1) < _NEAR) & (depth.max(axis=1) >= _NEAR)
        first, last = ends[crosses, 0], ends[crosses, 1]
        share = (_NEAR - first[:, 2:]) / (last[:, 2:] - first[:, 2:])
        points = np.concatenate([local[local[:, 2] >= _NEAR], first + share * (last - first)])
        if len(points) == 0:
            return None
        flat = points[:, :2] / points[:, 2:] * self.focal + self.centre
        left, top = np.clip(flat.min(axis=0), 0.0, 1.0)
        right, bottom = np.clip(flat.max(axis=0), 0.0, 1.0)
        return float(left), float(top), float(right), float(bottom)


@dataclass(frozen=True, slots=True)
class Intrinsics:
    """A pinhole's intrinsics in pixels, as in ``scene.json``."""

    width: float
    height: float
    fx: float
    fy: float
    cx: float
    cy: float

    def camera(self, camera_to_world: Float64) -> FrameCamera:
        """The camera with the pose ``[4, 4]``.

        Raises:
            Malformed: the image has no size, or a focal length is not positive.
        """
        if min(self.width, self.height) < 1 or min(self.fx, self.fy) <= 0:
            raise Malformed("is not that of a pinhole camera", "intrinsics")
        rotation = camera_to_world[:3, :3].T
        inverse = np.eye(4)
        inverse[:3, :3], inverse[:3, 3] = rotation, -rotation @ camera_to_world[:3, 3]
        return FrameCamera(
            world_to_camera=inverse,
            focal=(self.fx / self.width, self.fy / self.height),
            centre=(self.cx / self.width, self.cy / self.height),
            pixels=round(self.width * self.height),
        )
