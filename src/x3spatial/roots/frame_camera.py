"""The camera of a frame, as ``scene.json`` describes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from x3spatial.arrays import Float64

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


def frame_camera(pose: Any, intrinsics: Mapping[str, Any]) -> FrameCamera:
    """A camera from ``camera_to_world`` (4 x 4) and ``intrinsics`` (in pixels) of ``scene.json``.

    Raises:
        KeyError: a value is missing.
        ValueError: a value is no finite number, or the camera has no size.
    """
    matrix = np.asarray(pose, np.float64)
    values = {name: float(intrinsics[name]) for name in ("width", "height", "fx", "fy", "cx", "cy")}
    width, height = values["width"], values["height"]
    finite = np.isfinite([*matrix.reshape(-1), *values.values()]).all()
    if matrix.shape != (4, 4) or not finite or width < 1 or height < 1:
        raise ValueError("a camera is not a 4 x 4 pose and a pinhole's intrinsics")
    rotation = matrix[:3, :3].T
    inverse = np.eye(4)
    inverse[:3, :3], inverse[:3, 3] = rotation, -rotation @ matrix[:3, 3]
    return FrameCamera(
        world_to_camera=inverse,
        focal=(values["fx"] / width, values["fy"] / height),
        centre=(values["cx"] / width, values["cy"] / height),
        pixels=round(width * height),
    )
