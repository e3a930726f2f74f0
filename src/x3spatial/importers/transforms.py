"""nerfstudio's ``transforms.json``: images with intrinsics and poses."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from x3spatial.arrays import Float64
from x3spatial.importers.camera import Camera
from x3spatial.importers.loading import find_image, image_size, load_json
from x3spatial.importers.options import ReadOptions
from x3spatial.importers.scene import Problem, SceneError
from x3spatial.io.images import ImageError

TRANSFORMS = "transforms.json"
FLIP = np.diag([1.0, -1.0, -1.0, 1.0])
"""Between OpenCV's camera axes (y down, z forward) and OpenGL's (y up, z backward)."""
_ASPECT = 0.01
"""Relative difference of the two scales up to which an image is its recorded size, resized."""
_RIGID = 0.01


@dataclass(frozen=True)
class PosedImage:
    """An image with its camera. Paths are those of files that exist."""

    path: Path
    source: str
    """The image's path as the source writes it."""
    camera: Camera
    depth: Path | None = None
    instances: Path | None = None


@dataclass(frozen=True)
class PosedImages:
    """The usable images of a scene in their order, and what cannot be used."""

    images: tuple[PosedImage, ...]
    problems: tuple[Problem, ...]
    metric: bool
    axes: str
    """The cameras' axes as they were read: opencv or opengl."""


def read_transforms(folder: Path, options: ReadOptions) -> PosedImages:
    """Read a scene's ``transforms.json``.

    Raises:
        SceneError: it cannot be read, has no frames, or has a camera model that is not a pinhole.
    """
    path = folder / TRANSFORMS
    value = load_json(path)
    if not isinstance(value, dict) or not isinstance(value.get("frames"), list):
        raise SceneError(path, "has no list 'frames'; expected nerfstudio's transforms.json")
    axes = "opengl" if options.axes == "auto" else options.axes
    images: list[PosedImage] = []
    problems: list[Problem] = []
    seen: set[str] = set()
    for number, frame in enumerate(value["frames"]):
        try:
            image = _image(folder, value, frame, axes, options)
        except _Unusable as error:
            name = frame.get("file_path") if isinstance(frame, dict) else None
            problems.append(Problem(str(folder / str(name or f"frame {number}")), str(error)))
            continue
        if image.source in seen:
            problems.append(Problem(str(image.path), "listed twice in transforms.json"))
            continue
        seen.add(image.source)
        images.append(image)
    if not images:
        first = f": {problems[0].reason}" if problems else ""
        raise SceneError(path, f"no frame of it can be used{first}")
    return PosedImages(tuple(images), tuple(problems), True, axes)


class _Unusable(ValueError):
    """A frame that cannot be used; the message is the reason."""


def _image(
    folder: Path, shared: Mapping[str, Any], frame: Any, axes: str, options: ReadOptions
) -> PosedImage:
    if not isinstance(frame, dict) or not isinstance(frame.get("file_path"), str):
        raise _Unusable("a frame without file_path")
    source = frame["file_path"].replace("\\", "/").removeprefix("./")
    path = folder / source
    if not path.is_file():
        # NeRF's own data leaves the ending out.
        path = find_image(path) or path
    try:
        size = image_size(path)
    except ImageError as error:
        raise _Unusable(f"image cannot be used: {error.reason}") from None
    if "transform_matrix" not in frame:
        raise _Unusable("frame has no pose (transform_matrix)")
    pose = pose_of(frame["transform_matrix"], options, axes)
    return PosedImage(
        path,
        source,
        _camera({**shared, **frame}, size, pose),
        _file(folder, frame, "depth_file_path"),
        _file(folder, frame, "instances_path"),
    )


def _file(folder: Path, frame: Mapping[str, Any], key: str) -> Path | None:
    name = frame.get(key)
    return folder / name if isinstance(name, str) and name else None


def pose_of(matrix: Any, options: ReadOptions, axes: str) -> Float64:
    """camera_to_world ``[4, 4]`` with OpenCV's axes in metres, of a matrix as the options say.

    Raises:
        ValueError: it is not a rotation and a position.
    """
    try:
        pose = np.asarray(matrix, np.float64)
    except (TypeError, ValueError):
        pose = np.zeros(0)
    if pose.shape == (3, 4):
        pose = np.vstack([pose, [0, 0, 0, 1]])
    if pose.shape != (4, 4) or not np.isfinite(pose).all():
        raise _Unusable("its pose is not a matrix of 4 x 4 finite numbers")
    turn = pose[:3, :3]
    if not np.allclose(turn @ turn.T, np.eye(3), atol=_RIGID) or np.linalg.det(turn) < 0:
        raise _Unusable("its pose is not a rotation and a position (scaled, mirrored or sheared)")
    if options.poses == "world-to-camera":
        pose = np.asarray(np.linalg.inv(pose), np.float64)
    if axes == "opengl":
        pose = pose @ FLIP
    pose = pose.copy()
    pose[:3, 3] *= 1.0 if options.scale is None else options.scale
    return np.asarray(pose)


def _camera(values: Mapping[str, Any], size: tuple[int, int], pose: Float64) -> Camera:
    """The camera of one frame for its image of ``size``; ``values`` are the shared keys and its own."""
    model = str(values.get("camera_model") or "OPENCV").upper()
    if model not in ("OPENCV", "PINHOLE", "SIMPLE_PINHOLE") or values.get("is_fisheye"):
        raise _Unusable(
            f"camera model {model} is no pinhole; undistort the images (ns-process-data, or"
            " colmap image_undistorter)"
        )
    width = _number(values, "w", size[0])
    height = _number(values, "h", size[1])
    if "fl_x" in values:
        fx = _number(values, "fl_x")
    elif "camera_angle_x" in values:
        fx = 0.5 * width / math.tan(0.5 * _number(values, "camera_angle_x"))
    else:
        raise _Unusable("no focal length (fl_x or camera_angle_x)")
    fy = _number(values, "fl_y", fx)
    cx, cy = _number(values, "cx", width / 2), _number(values, "cy", height / 2)
    if min(fx, fy, width, height) <= 0:
        raise _Unusable("focal length and size must be above 0")
    across, down = size[0] / width, size[1] / height
    if abs(across / down - 1) > _ASPECT:
        raise _Unusable(
            f"its intrinsics are for {width:g}x{height:g} pixels, the image has {size[0]}x{size[1]}"
        )
    lens = [_number(values, key, 0.0) for key in ("k1", "k2", "p1", "p2", "k3")]
    camera = Camera(
        round(width), round(height), fx, fy, cx, cy, pose, tuple(lens) if any(lens) else ()
    )
    return camera.at_size(*size)


def _number(values: Mapping[str, Any], key: str, default: float | None = None) -> float:
    value = values.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise _Unusable(f"{key} is not a number")
    return float(value)
