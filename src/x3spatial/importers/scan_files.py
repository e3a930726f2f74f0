"""Files that scanned data sets share: meshes, segments with annotated groups, matrices, image files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from x3spatial.arrays import Float32, Float64, Int64, UInt8
from x3spatial.importers.camera import Camera
from x3spatial.importers.loading import load_json, read_depth
from x3spatial.importers.meshes import Annotated
from x3spatial.importers.options import ReadOptions
from x3spatial.importers.scene import Frame, SceneError, Size
from x3spatial.importers.transforms import FLIP
from x3spatial.io.images import ImageError, decode_rgb, read_bytes
from x3spatial.io.opening import open_text
from x3spatial.io.ply import Ply, PlyError, read_ply

_ROTATION = 0.01
"""How far a matrix may be from a rotation, by its product with its transpose."""


def load_mesh(path: Path) -> Ply:
    """Read a mesh.

    Raises:
        SceneError: it cannot be used.
    """
    try:
        return read_ply(path)
    except PlyError as error:
        raise SceneError(path, str(error)) from None


def load_segments(path: Path, vertices: int) -> Int64:
    """The segment of each vertex, ``[n]``.

    Raises:
        SceneError: the file cannot be read, or is that of another mesh.
    """
    value = load_json(path)
    try:
        segments = np.asarray(value["segIndices"], np.int64)
    except (KeyError, TypeError, ValueError, OverflowError):
        raise SceneError(path, "has no list of numbers 'segIndices'") from None
    if segments.shape != (vertices,):
        raise SceneError(
            path, f"has {segments.size} segments for {vertices} vertices: of another mesh?"
        )
    return segments


def load_groups(path: Path) -> list[tuple[Annotated, Int64]]:
    """The annotated objects of ``segGroups``, each with its segments.

    Raises:
        SceneError: the file cannot be read, or an id is there twice.
    """
    value = load_json(path)
    found: dict[int, tuple[Annotated, Int64]] = {}
    try:
        for entry in value["segGroups"]:
            item = Annotated(int(entry["objectId"]), str(entry["label"]).strip())
            if item.id < 0 or item.id in found:
                raise SceneError(path, f"has the objectId {item.id} twice, or below 0")
            found[item.id] = (item, np.asarray(entry.get("segments", []), np.int64).reshape(-1))
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise SceneError(
            path, f"has no usable 'segGroups': {type(error).__name__}: {error}"
        ) from None
    return list(found.values())


def label_vertices(segments: Int64, groups: Sequence[tuple[Annotated, Int64]]) -> Int64:
    """The id of each vertex's object ``[n]``; -1 for none.

    Where groups share a segment, the smaller object has it: a pillow of a bed stays a pillow.
    """
    names, which, counts = np.unique(segments, return_inverse=True, return_counts=True)
    label = np.full(len(names), -1, np.int64)
    sizes = []
    for item, members in groups:
        place = np.searchsorted(names, members)
        place = place[place < len(names)]
        place = place[np.isin(names[place], members)]
        sizes.append((int(counts[place].sum()), item.id, place))
    for _, number, place in sorted(sizes, key=lambda entry: (-entry[0], entry[1])):
        label[place] = number
    return np.asarray(label[which.reshape(-1)], np.int64)


def load_matrix(path: Path) -> Float64:
    """A 4 x 4 matrix of a text file, ``[4, 4]``; the numbers may be infinite.

    Raises:
        ValueError: it cannot be read, or has not 16 numbers.
    """
    try:
        with open_text(path) as file:
            return parse_matrix(file.read(10_000))
    except OSError as error:
        raise ValueError(f"cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise ValueError("has not 16 numbers") from None


def parse_matrix(text: str) -> Float64:
    """A matrix ``[4, 4]`` of 16 numbers, row by row, which may be infinite.

    Raises:
        ValueError: there are not 16 numbers.
    """
    try:
        values = np.array(text.split(), np.float64)
    except ValueError:
        values = np.zeros(0)
    if values.size != 16:
        raise ValueError("has not 16 numbers")
    return values.reshape(4, 4)


def read_pose(matrix: Float64, options: ReadOptions) -> Float64:
    """Camera to world with OpenCV's axes in metres ``[4, 4]``, as the options read the matrix.

    Raises:
        ValueError: it is not finite (tracking was lost there), or no rotation and position.
    """
    if not np.isfinite(matrix).all():
        raise ValueError("the pose is not finite: tracking was lost")
    turn = matrix[:3, :3]
    if np.abs(turn @ turn.T - np.eye(3)).max() > _ROTATION or np.linalg.det(turn) < 0:
        raise ValueError("the pose is no rotation and position")
    pose = matrix.copy()
    pose[:3, 3] *= options.scale or 1.0
    if options.poses == "world-to-camera":
        pose = np.asarray(np.linalg.inv(pose), np.float64)
    return np.asarray(pose @ FLIP if options.axes == "opengl" else pose, np.float64)


def file_frame(
    name: str, folder: Path, path: Path, camera: Camera, depth: Callable[[], Float32] | None
) -> Frame:
    """A frame of an image file.

    Args:
        name: in the root.
        folder: of the scene.
        path: of the image.
        camera: of the image's size.
        depth: as ``depth_file`` makes it.
    """
    size = (camera.width, camera.height)
    return Frame(
        name=name,
        size=size,
        read=partial(_read, path, size),
        source=path.relative_to(folder).as_posix(),
        camera=camera,
        depth=depth,
        encoded=partial(read_bytes, path),
    )


def depth_file(path: Path, scale: float | None) -> Callable[[], Float32] | None:
    """The reader of a depth image, in metres; None if there is no such file.

    Args:
        path: of the depth image.
        scale: metres per unit; None: millimetres for whole numbers.
    """
    return partial(_read_depth, path, scale) if path.exists() else None


def _read(path: Path, size: Size) -> UInt8:
    image = decode_rgb(read_bytes(path))
    if image.shape[:2] != (size[1], size[0]):
        raise ImageError(
            f"has {image.shape[1]} x {image.shape[0]} pixels, its camera {size[0]} x {size[1]}"
        )
    return image


def _read_depth(path: Path, scale: float | None) -> Float32:
    try:
        return read_depth(path, scale)
    except ImageError as error:
        raise ImageError(f"depth image {path.name}: {error.reason}") from None


def names_in(path: Path) -> list[str]:
    """The lines of a list of scenes; empty if there is no such file."""
    try:
        with open_text(path) as file:
            return [line.strip() for line in file if line.strip()]
    except (OSError, UnicodeDecodeError):
        return []


def splits_of(lists: dict[str, Sequence[Path]]) -> dict[str, str]:
    """Scene → split, from files that list scenes; the first split that names a scene has it."""
    found: dict[str, str] = {}
    for split, paths in lists.items():
        for path in paths:
            for name in names_in(path):
                found.setdefault(name, split)
    return found


def aligned_depth(depth: Float32, matrix: Float64, colour: Float64, size: Size) -> Float32:
    """A depth map on a grid of the colour camera's view, where both cameras have one position and direction.

    Args:
        depth: ``[h, w]`` in metres.
        matrix: intrinsics ``[3, 3]`` of the depth camera, in its pixels.
        colour: intrinsics ``[3, 3]`` of the colour camera.
        size: of the colour camera's images.

    Returns:
        ``[k, n]`` in metres with the proportions of ``size``; 0 where the depth camera does not look.
    """
    height, width = depth.shape
    across = min(width, size[0])
    down = max(1, round(across * size[1] / size[0]))
    x = (np.arange(across) + 0.5) * size[0] / across
    y = (np.arange(down) + 0.5) * size[1] / down
    columns = np.floor((x - colour[0, 2]) / colour[0, 0] * matrix[0, 0] + matrix[0, 2])
    rows = np.floor((y - colour[1, 2]) / colour[1, 1] * matrix[1, 1] + matrix[1, 2])
    inside = ((rows >= 0) & (rows < height))[:, None] & ((columns >= 0) & (columns < width))[None]
    row, column = (
        np.clip(k, 0, n - 1).astype(np.intp) for k, n in ((rows, height), (columns, width))
    )
    return np.where(inside, depth[row[:, None], column[None]], np.float32(0))
