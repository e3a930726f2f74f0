"""A pinhole camera: x right, y down, z forward; pixel (i, j) covers [i, i + 1) x [j, j + 1)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from x3spatial.arrays import Bool, Float32, Float64


@dataclass(frozen=True)
class Camera:
    """``turn``: rows are the camera's axes in the world, so x_cam = turn @ (x_world - eye)."""

    eye: Float64  # [3]
    turn: Float64  # [3, 3]
    focal: float  # pixels, the same for x and y
    width: int
    height: int

    @property
    def centre(self) -> tuple[float, float]:
        """The principal point: the middle of the image."""
        return (self.width / 2, self.height / 2)

    def project(self, points: Float64) -> tuple[Float64, Float64]:
        """Image positions ``[n, 2]`` in pixels and depths ``[n]`` along the axis of ``[n, 3]``."""
        local = (points - self.eye) @ self.turn.T
        depth = local[:, 2]
        safe = np.where(np.abs(depth) < 1e-9, 1e-9, depth)
        flat = local[:, :2] / safe[:, None] * self.focal + np.array(self.centre)
        return flat, depth

    def inside(self, flat: Float64, depth: Float64) -> Bool:
        """Which projected points fall into the frame."""
        return np.asarray(
            (depth > 0.02)
            & (flat[:, 0] >= 0) & (flat[:, 0] < self.width)
            & (flat[:, 1] >= 0) & (flat[:, 1] < self.height)
        )  # fmt: skip

    def rays(self, x: Float64, y: Float64) -> Float32:
        """Unit directions ``[n, 3]`` through the image positions (x, y) in pixels."""
        cx, cy = self.centre
        u, v = (x - cx) / self.focal, (y - cy) / self.focal
        size = np.sqrt(u * u + v * v + 1.0)
        # Written out, not as a matrix product: a ray must not depend on how many are asked for.
        axes = [u * self.turn[0, k] + v * self.turn[1, k] + self.turn[2, k] for k in range(3)]
        return np.stack([(axis / size).astype(np.float32) for axis in axes], axis=-1)

    def pixel_rays(self) -> Float32:
        """Unit directions ``[H * W, 3]`` through all pixel centres, row by row."""
        x, y = np.meshgrid(np.arange(self.width) + 0.5, np.arange(self.height) + 0.5)
        return self.rays(x.reshape(-1), y.reshape(-1))

    def pose(self) -> Float64:
        """Camera to world, ``[4, 4]``."""
        matrix = np.eye(4)
        matrix[:3, :3] = self.turn.T
        matrix[:3, 3] = self.eye
        return matrix


def aimed(
    eye: Float64, target: Float64, spot: tuple[float, float], focal: float, width: int, height: int
) -> Camera:
    """A level camera at ``eye`` that sees ``target`` at the image position ``spot`` in pixels."""
    way = target - eye
    yaw = np.arctan2(way[1], way[0])
    pitch = np.arctan2(way[2], np.hypot(way[0], way[1]))
    # Where the spot lies off the axis; pitch first, then the yaw that remains at that pitch.
    down = np.arctan2(spot[1] - height / 2, focal)
    pitch = float(np.clip(pitch + down, np.radians(-42), np.radians(12)))
    yaw = yaw + np.arctan2((spot[0] - width / 2) * np.cos(down), focal) / max(np.cos(pitch), 0.5)
    forward = np.array([np.cos(yaw) * np.cos(pitch), np.sin(yaw) * np.cos(pitch), np.sin(pitch)])
    right = np.array([np.sin(yaw), -np.cos(yaw), 0.0])
    down_axis = np.cross(forward, right)
    return Camera(eye, np.stack([right, down_axis, forward]), focal, width, height)
