"""Cameras as texts: COLMAP's model files, nerfstudio's frames, matrices."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from x3spatial.arrays import Float64
from x3spatial.synth.rendering.camera import Camera

_TO_OPENGL = np.diag([1.0, -1.0, -1.0, 1.0])
"""From axes right, up, backward to right, down, forward."""


def intrinsics(camera: Camera, width: int, height: int) -> Float64:
    """The matrix ``[3, 3]`` of the same view in ``width`` x ``height`` pixels."""
    scale = np.array([width / camera.width, height / camera.height])
    matrix = np.eye(3)
    matrix[0, 0], matrix[1, 1] = camera.focal * scale
    matrix[:2, 2] = np.array(camera.centre) * scale
    return matrix


def matrix_text(matrix: Float64) -> str:
    """Rows of numbers, with all their digits."""
    return "".join(" ".join(repr(float(v)) for v in row) + "\n" for row in matrix)


def opengl(camera: Camera) -> list[list[float]]:
    """Camera to world, ``[4, 4]``, with the camera's axes right, up, backward."""
    return [[float(v) for v in row] for row in camera.pose() @ _TO_OPENGL]


def nerfstudio(camera: Camera, frames: list[dict[str, Any]]) -> dict[str, Any]:
    """The contents of ``transforms.json``."""
    return {
        "camera_model": "PINHOLE",
        "w": camera.width,
        "h": camera.height,
        "fl_x": camera.focal,
        "fl_y": camera.focal,
        "cx": camera.centre[0],
        "cy": camera.centre[1],
        "frames": frames,
    }


def colmap_cameras(camera: Camera) -> str:
    """``cameras.txt`` with one camera."""
    numbers = (camera.focal, camera.focal, *camera.centre)
    return (
        "# Camera list with one line of data per camera:\n"
        "#   CAMERA_ID, MODEL, WIDTH, HEIGHT, PARAMS[]\n"
        f"1 PINHOLE {camera.width} {camera.height} {' '.join(map(repr, map(float, numbers)))}\n"
    )


def colmap_images(cameras: Iterable[tuple[str, Camera]]) -> str:
    """``images.txt``: world to camera; the second line of each image, its points, is empty."""
    lines = [
        "# Image list with two lines of data per image:",
        "#   IMAGE_ID, QW, QX, QY, QZ, TX, TY, TZ, CAMERA_ID, NAME",
        "#   POINTS2D[] as (X, Y, POINT3D_ID)",
    ]
    for number, (name, camera) in enumerate(cameras, start=1):
        offset = -camera.rotation @ camera.position
        numbers = " ".join(repr(float(v)) for v in (*_quaternion(camera.rotation), *offset))
        lines += [f"{number} {numbers} 1 {name}", ""]
    return "\n".join(lines) + "\n"


def _quaternion(rotation: Float64) -> Float64:
    """(w, x, y, z) of a rotation matrix: the eigenvector of its greatest eigenvalue (Bar-Itzhack)."""
    (xx, xy, xz), (yx, yy, yz), (zx, zy, zz) = rotation
    symmetric = np.array(
        [
            [xx + yy + zz, zy - yz, xz - zx, yx - xy],
            [zy - yz, xx - yy - zz, xy + yx, xz + zx],
            [xz - zx, xy + yx, yy - xx - zz, yz + zy],
            [yx - xy, xz + zx, yz + zy, zz - xx - yy],
        ]
    )
    vector = np.linalg.eigh(symmetric)[1][:, -1]
    return np.asarray(vector * (1 if vector[0] >= 0 else -1), np.float64)
