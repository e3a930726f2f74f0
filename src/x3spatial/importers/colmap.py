"""COLMAP's sparse models, text and binary: cameras and image poses. Points are not read.

Formats: https://colmap.github.io/format.html
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from x3spatial.arrays import Float64
from x3spatial.importers.camera import Camera
from x3spatial.importers.loading import image_size
from x3spatial.importers.options import ReadOptions
from x3spatial.importers.scene import Problem, SceneError
from x3spatial.importers.transforms import FLIP, PosedImage, PosedImages
from x3spatial.io.images import ImageError
from x3spatial.io.opening import open_regular

_PLACES = ("sparse/0", "colmap/sparse/0", "sparse", "colmap", "dense/sparse", ".")
_IMAGE_FOLDERS = ("images", "rgb", "color", "resized_undistorted_images", ".")
_MODELS: dict[int, tuple[str, str]] = {
    0: ("SIMPLE_PINHOLE", "f cx cy"),
    1: ("PINHOLE", "fx fy cx cy"),
    2: ("SIMPLE_RADIAL", "f cx cy k1"),
    3: ("RADIAL", "f cx cy k1 k2"),
    4: ("OPENCV", "fx fy cx cy k1 k2 p1 p2"),
    5: ("OPENCV_FISHEYE", "fx fy cx cy k1 k2 k3 k4"),
    6: ("FULL_OPENCV", "fx fy cx cy k1 k2 p1 p2 k3 k4 k5 k6"),
    7: ("FOV", "fx fy cx cy omega"),
    8: ("SIMPLE_RADIAL_FISHEYE", "f cx cy k1"),
    9: ("RADIAL_FISHEYE", "f cx cy k1 k2"),
    10: ("THIN_PRISM_FISHEYE", "fx fy cx cy k1 k2 p1 p2 k3 k4 sx1 sy1"),
}
"""Number → name and parameters."""
_PINHOLES = {_MODELS[number][0] for number in (0, 1, 2, 3, 4, 6)}
_BY_NAME = dict(_MODELS.values())


class _Lens(NamedTuple):
    model: str
    width: int
    height: int
    parameters: tuple[float, ...]


class _Shot(NamedTuple):
    name: str
    quaternion: tuple[float, float, float, float]  # w, x, y, z; world to camera
    translation: tuple[float, float, float]
    camera: int


def find_model(folder: Path) -> Path | None:
    """The folder of a COLMAP model in a scene's folder; None if there is none."""
    for place in _PLACES:
        here = folder / place
        for ending in (".bin", ".txt"):
            if (here / f"cameras{ending}").is_file() and (here / f"images{ending}").is_file():
                return here
    return None


def read_colmap(folder: Path, options: ReadOptions) -> PosedImages:
    """Read the COLMAP model of a scene. Its unit of length is unknown unless ``options.scale`` gives it.

    Raises:
        SceneError: it cannot be read, or no image of it can be used.
    """
    model = find_model(folder)
    if model is None:
        raise SceneError(folder, "has no COLMAP model")
    binary = (model / "cameras.bin").is_file()
    ending = ".bin" if binary else ".txt"
    try:
        lenses = dict(_binary_cameras(model) if binary else _text_cameras(model))
        shots = list(_binary_images(model) if binary else _text_images(model))
    except (ValueError, IndexError, KeyError, struct.error, OSError) as error:
        raise SceneError(
            model / f"images{ending}", f"damaged COLMAP model: {type(error).__name__} {error}"
        ) from None
    base = next((folder / name for name in _IMAGE_FOLDERS if (folder / name).is_dir()), folder)
    images: list[PosedImage] = []
    problems: list[Problem] = []
    for shot in sorted(shots):  # ids are in the order of matching, names in that of recording
        path = base / shot.name
        try:
            camera = _camera(lenses[shot.camera], _pose(shot, options), image_size(path))
        except ImageError as error:
            problems.append(Problem(str(path), f"image cannot be used: {error.reason}"))
        except KeyError:
            problems.append(Problem(str(path), f"names camera {shot.camera}, which is not there"))
        except ValueError as error:
            problems.append(Problem(str(path), str(error)))
        else:
            source = path.relative_to(folder).as_posix()
            images.append(PosedImage(path, source, camera))
    if not images:
        first = f": {problems[0].reason}" if problems else ""
        raise SceneError(model / f"images{ending}", f"no image of it can be used{first}")
    axes = "opencv" if options.axes == "auto" else options.axes
    return PosedImages(tuple(images), tuple(problems), options.scale is not None, axes)


def _pose(shot: _Shot, options: ReadOptions) -> Float64:
    w, x, y, z = np.array(shot.quaternion) / np.linalg.norm(shot.quaternion)
    turn = np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )
    pose = np.eye(4)
    pose[:3, :3] = turn.T
    pose[:3, 3] = -turn.T @ np.array(shot.translation)
    if not np.isfinite(pose).all():
        raise ValueError("its pose is not finite")
    pose[:3, 3] *= 1.0 if options.scale is None else options.scale
    return pose @ FLIP if options.axes == "opengl" else pose


def _camera(lens: _Lens, pose: Float64, size: tuple[int, int]) -> Camera:
    if lens.model not in _PINHOLES:
        raise ValueError(
            f"camera model {lens.model} is no pinhole; undistort the images: colmap image_undistorter"
        )
    values = dict(zip(_BY_NAME[lens.model].split(), lens.parameters, strict=True))
    fx = values.get("fx", values.get("f", 0.0))
    bent = [values.get(key, 0.0) for key in ("k1", "k2", "p1", "p2", "k3", "k4", "k5", "k6")]
    while bent and bent[-1] == 0:
        bent.pop()
    if bent:
        bent += [0.0] * (max(4, 5 if len(bent) == 5 else 8 if len(bent) > 5 else 4) - len(bent))
    camera = Camera(
        lens.width, lens.height, fx, values.get("fy", fx), values["cx"], values["cy"], pose,
        tuple(bent),
    )  # fmt: skip
    if abs(size[0] / lens.width / (size[1] / lens.height) - 1) > 0.01:
        raise ValueError(
            f"its camera has {lens.width}x{lens.height} pixels, the image {size[0]}x{size[1]}"
        )
    return camera.at_size(*size)


def _lines(path: Path) -> list[str]:
    with open_regular(path) as file:
        text = file.read().decode("utf-8", "surrogateescape")
    return [line for line in text.splitlines() if not line.startswith("#")]


def _text_cameras(model: Path) -> Iterator[tuple[int, _Lens]]:
    for line in _lines(model / "cameras.txt"):
        if line.strip():
            number, name, width, height, *parameters = line.split()
            yield int(number), _Lens(name, int(width), int(height), tuple(map(float, parameters)))


def _text_images(model: Path) -> Iterator[_Shot]:
    # Every second line lists the points in the image, and may be empty.
    for line in _lines(model / "images.txt")[::2]:
        if not line.strip():
            continue
        parts = line.split(maxsplit=9)
        w, x, y, z, tx, ty, tz = (float(part) for part in parts[1:8])
        yield _Shot(parts[9].strip(), (w, x, y, z), (tx, ty, tz), int(parts[8]))


def _binary_cameras(model: Path) -> Iterator[tuple[int, _Lens]]:
    with open_regular(model / "cameras.bin") as file:
        data = file.read()
    (count,) = struct.unpack_from("<Q", data)
    place = 8
    for _ in range(count):
        number, kind, width, height = struct.unpack_from("<IiQQ", data, place)
        name, parameters = _MODELS[kind]
        size = len(parameters.split())
        yield number, _Lens(name, width, height, struct.unpack_from(f"<{size}d", data, place + 24))
        place += 24 + 8 * size


def _binary_images(model: Path) -> Iterator[_Shot]:
    with open_regular(model / "images.bin") as file:
        data = file.read()
    (count,) = struct.unpack_from("<Q", data)
    place = 8
    for _ in range(count):
        w, x, y, z, tx, ty, tz = struct.unpack_from("<7d", data, place + 4)
        (camera,) = struct.unpack_from("<I", data, place + 60)
        end = data.index(b"\0", place + 64)
        (points,) = struct.unpack_from("<Q", data, end + 1)
        name = data[place + 64 : end].decode("utf-8", "surrogateescape")
        yield _Shot(name, (w, x, y, z), (tx, ty, tz), camera)
        place = end + 9 + 24 * points
