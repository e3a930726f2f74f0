"""The camera of a frame: pinhole with the lens distortion of OpenCV, OpenCV axes, a pose in the world."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from x3spatial.arrays import Bool, Float64

NEAR = 0.02
"""Points closer to the camera's plane than this, in metres, are not in its frame."""


@dataclass(frozen=True)
class Camera:
    """x right, y down, z forward; pixel (i, j) covers [i, i + 1) x [j, j + 1)."""

    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float
    camera_to_world: Float64
    """``[4, 4]``, a rotation and a position."""
    distortion: tuple[float, ...] = ()
    """k1, k2, p1, p2 and further coefficients in OpenCV's order; empty: none."""

    @property
    def position(self) -> Float64:
        """Centre of projection in the world, ``[3]``."""
        return np.asarray(self.camera_to_world[:3, 3])

    @property
    def forward(self) -> Float64:
        """Viewing direction in the world, ``[3]``, of unit length."""
        return np.asarray(self.camera_to_world[:3, 2])

    @property
    def matrix(self) -> Float64:
        """The intrinsics as a matrix, ``[3, 3]``."""
        return np.array([[self.fx, 0, self.cx], [0, self.fy, self.cy], [0, 0, 1.0]])

    def at_size(self, width: int, height: int) -> Camera:
        """The camera of the same image resized to ``width`` x ``height``."""
        x, y = width / self.width, height / self.height
        return replace(
            self, width=width, height=height,
            fx=self.fx * x, cx=self.cx * x, fy=self.fy * y, cy=self.cy * y,
        )  # fmt: skip

    def local(self, points: Float64) -> Float64:
        """World points ``[n, 3]`` in the camera's frame, ``[n, 3]``."""
        return np.asarray((points - self.position) @ self.camera_to_world[:3, :3])

    def project(self, points: Float64) -> tuple[Float64, Float64]:
        """Image points ``[n, 2]`` in pixels of world points ``[n, 3]``, and their depths ``[n]``."""
        local = self.local(points)
        depth = local[:, 2]
        safe = np.where(np.abs(depth) < 1e-9, 1e-9, depth)
        flat = local[:, :2] / safe[:, None]
        if self.distortion and len(points):
            rays = np.column_stack([flat, np.ones(len(flat))])
            bent, _ = cv2.projectPoints(
                rays, np.zeros(3), np.zeros(3), np.eye(3), np.array(self.distortion)
            )
            # The polynomial holds inside the image only; far outside it may lead back into it.
            flat = np.where(np.abs(flat) < 2 * self._reach(), bent.reshape(-1, 2), flat)
        return flat * [self.fx, self.fy] + [self.cx, self.cy], depth

    def _reach(self) -> Float64:
        """Normalised coordinates of the farthest corner, ``[2]``."""
        return np.array(
            [
                max(self.cx, self.width - self.cx) / self.fx,
                max(self.cy, self.height - self.cy) / self.fy,
            ]
        )

    def inside(self, flat: Float64, depth: Float64) -> Bool:
        """Which projected points ``[n, 2]`` with depths ``[n]`` lie in the frame: ``[n]``."""
        return np.asarray(
            (depth > NEAR)
            & (flat[:, 0] >= 0) & (flat[:, 0] < self.width)
            & (flat[:, 1] >= 0) & (flat[:, 1] < self.height)
        )  # fmt: skip

    def unproject(self, x: Float64, y: Float64, depth: Float64) -> Float64:
        """World points ``[n, 3]`` at image points ``x``, ``y`` (pixels) and depths along z, ``[n]`` each."""
        flat = self.normalised(x, y)
        local = np.column_stack([flat * depth[:, None], depth])
        return np.asarray(local @ self.camera_to_world[:3, :3].T + self.position)

    def normalised(self, x: Float64, y: Float64) -> Float64:
        """Undistorted image points at depth 1, ``[n, 2]``, of points in pixels."""
        flat = np.column_stack([(x - self.cx) / self.fx, (y - self.cy) / self.fy])
        if self.distortion and len(flat):
            points = flat.reshape(-1, 1, 2).astype(np.float64)
            straight = cv2.undistortPoints(points, np.eye(3), np.array(self.distortion))
            return np.asarray(straight.reshape(-1, 2), np.float64)
        return np.asarray(flat)

    def rays(self, x: Float64, y: Float64) -> Float64:
        """Unit directions in the world ``[n, 3]`` through image points ``x``, ``y`` ``[n]`` in pixels."""
        flat = self.normalised(x, y)
        local = np.column_stack([flat, np.ones(len(flat))])
        local /= np.linalg.norm(local, axis=1, keepdims=True)
        return np.asarray(local @ self.camera_to_world[:3, :3].T)
