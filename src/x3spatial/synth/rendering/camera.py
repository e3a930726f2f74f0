"""A pinhole camera. ``x3spatial.synth`` defines the world, camera and image frames."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from x3spatial.arrays import Bool, Float32, Float64


@dataclass(frozen=True)
class Camera:
    """A pinhole camera without distortion: x_camera = rotation @ (x_world - position)."""

    position: Float64  # [3] in the world, metres
    rotation: Float64  # [3, 3]; its rows are the camera's axes in the world
    focal: float  # pixels, the same for x and y
    width: int
    height: int

    @property
    def centre(self) -> tuple[float, float]:
        """Principal point (cx, cy) in pixels: the middle of the image."""
        return (self.width / 2, self.height / 2)

    def project(self, points: Float64) -> tuple[Float64, Float64]:
        """Project world points [n, 3]; return image points [n, 2] in pixels and depths [n] in metres."""
        local = (points - self.position) @ self.rotation.T
        depth = local[:, 2]
        safe = np.where(np.abs(depth) < 1e-9, 1e-9, depth)
        flat = local[:, :2] / safe[:, None] * self.focal + np.array(self.centre)
        return flat, depth

    def inside(self, flat: Float64, depth: Float64) -> Bool:
        """Return which projected points [n, 2] with depths [n] lie in the frame: [n]."""
        return np.asarray(
            (depth > 0.02)
            & (flat[:, 0] >= 0) & (flat[:, 0] < self.width)
            & (flat[:, 1] >= 0) & (flat[:, 1] < self.height)
        )  # fmt: skip

    def rays(self, x: Float64, y: Float64) -> Float32:
        """Return unit directions [n, 3] in the world through the image points ``x``, ``y`` [n] in pixels."""
        cx, cy = self.centre
        u, v = (x - cx) / self.focal, (y - cy) / self.focal
        size = np.sqrt(u * u + v * v + 1.0)
        # Not a matrix product: a ray's last bits must not depend on the number of rays.
        axes = [
            u * self.rotation[0, k] + v * self.rotation[1, k] + self.rotation[2, k]
            for k in range(3)
        ]
        return np.stack([(axis / size).astype(np.float32) for axis in axes], axis=-1)

    def pixel_rays(self) -> Float32:
        """Return unit directions [H * W, 3] in the world through all pixel centres, row by row."""
        x, y = np.meshgrid(np.arange(self.width) + 0.5, np.arange(self.height) + 0.5)
        return self.rays(x.reshape(-1), y.reshape(-1))

    def pose(self) -> Float64:
        """Return the camera-to-world matrix, [4, 4]."""
        matrix = np.eye(4)
        matrix[:3, :3] = self.rotation.T
        matrix[:3, 3] = self.position
        return matrix


def aimed(
    position: Float64,
    target: Float64,
    image_point: tuple[float, float],
    focal: float,
    width: int,
    height: int,
) -> Camera:
    """Create a camera without roll that projects ``target`` near ``image_point``.

    The pitch is limited to -42 to 12 degrees, so the target may project elsewhere vertically.

    Args:
        position: [3], world, metres.
        target: [3], world, metres.
        image_point: (x, y) in pixels.
        focal: focal length in pixels.
        width: of the image, in pixels.
        height: of the image, in pixels.
    """
    offset = target - position
    yaw = np.arctan2(offset[1], offset[0])
    pitch = np.arctan2(offset[2], np.hypot(offset[0], offset[1]))
    # Angles of the image point off the optical axis: the pitch first, then the yaw at that pitch.
    down = np.arctan2(image_point[1] - height / 2, focal)
    pitch = float(np.clip(pitch + down, np.radians(-42), np.radians(12)))
    yaw = yaw + np.arctan2((image_point[0] - width / 2) * np.cos(down), focal) / max(
        np.cos(pitch), 0.5
    )
    forward = np.array([np.cos(yaw) * np.cos(pitch), np.sin(yaw) * np.cos(pitch), np.sin(pitch)])
    right = np.array([np.sin(yaw), -np.cos(yaw), 0.0])
    down_axis = np.cross(forward, right)
    return Camera(position, np.stack([right, down_axis, forward]), focal, width, height)
