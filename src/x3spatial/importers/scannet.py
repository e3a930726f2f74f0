"""Kind ``scannet``: ScanNet v2 with frames that were extracted from its ``.sens`` files."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from x3spatial.arrays import Float32, Float64
from x3spatial.importers.camera import Camera
from x3spatial.importers.loading import find_image, image_size
from x3spatial.importers.meshes import MeshScene
from x3spatial.importers.options import ReadOptions
from x3spatial.importers.registry import Found, SceneRef
from x3spatial.importers.scan_files import (
    aligned_depth,
    depth_file,
    file_frame,
    label_vertices,
    load_groups,
    load_matrix,
    load_mesh,
    load_segments,
    read_pose,
    splits_of,
)
from x3spatial.importers.scene import Frame, Problem, Scene, SceneError, Size
from x3spatial.importers.sources import find_named
from x3spatial.io.images import ImageError

_MESH = "_vh_clean_2.ply"
_SEGMENTS = "_vh_clean_2.0.010000.segs.json"
_NO_FRAMES = (
    "has no frames: extract them with ScanNet's SensReader (reader.py --export_color_images"
    " --export_depth_images --export_poses --export_intrinsics)"
)


def find(source: Path, options: ReadOptions) -> Found:
    """List the scenes of a source; see ``registry.Reader``."""
    lists = {
        "train": "scannetv2_train.txt", "validation": "scannetv2_val.txt",
        "test": "scannetv2_test.txt",
    }  # fmt: skip
    places = [source, *source.parents[:2], source / "splits", source / "Tasks" / "Benchmark"]
    splits = splits_of({split: [p / name for p in places] for split, name in lists.items()})
    return find_named(
        "scannet", source, options, ("scans", "scans_test"), _is_scene, splits, f"SCENE{_MESH}"
    )


def _is_scene(folder: Path) -> bool:
    return (folder / f"{folder.name}{_MESH}").is_file()


def open_scene(ref: SceneRef, options: ReadOptions) -> Scene:
    """Open a scene; see ``registry.Reader``."""
    folder, name = ref.path, ref.path.name
    mesh = load_mesh(folder / f"{name}{_MESH}")
    annotation = folder / f"{name}.aggregation.json"
    if not annotation.exists():
        annotation = folder / f"{name}_vh_clean.aggregation.json"
    groups = load_groups(annotation)
    segments = load_segments(folder / f"{name}{_SEGMENTS}", len(mesh.vertices))
    frames, problems = _frames(folder, options)
    return MeshScene(
        name=ref.name,
        split=ref.split,
        folder=folder,
        mesh=mesh,
        labels=label_vertices(segments, groups),
        annotated=[item for item, _ in groups],
        frames=frames,
        options=options,
        problems=problems,
        annotation=annotation,
    )


def _frames(folder: Path, options: ReadOptions) -> tuple[list[Frame], list[Problem]]:
    poses = sorted((folder / "pose").glob("*.txt"), key=lambda path: (len(path.stem), path.stem))
    if not poses:
        raise SceneError(folder, _NO_FRAMES)
    matrix = _intrinsics(folder / "intrinsic" / "intrinsic_color.txt")
    depths = folder / "intrinsic" / "intrinsic_depth.txt"
    other = _intrinsics(depths) if depths.exists() else None
    frames: list[Frame] = []
    problems: list[Problem] = []
    size = None
    for path in poses:
        image = find_image(folder / "color" / path.stem)
        if image is None:
            missing = folder / "color" / f"{path.stem}.jpg"
            problems.append(Problem(str(missing), "file is missing; the frame is not used"))
            continue
        try:
            pose = read_pose(load_matrix(path), options)
            size = size or image_size(image)  # one for the scene
        except ImageError as error:
            problems.append(Problem(str(image), error.reason))
            continue
        except ValueError as error:
            problems.append(Problem(str(path), str(error)))
            continue
        camera = Camera(
            *size, float(matrix[0, 0]), float(matrix[1, 1]), float(matrix[0, 2]),
            float(matrix[1, 2]), pose,
        )  # fmt: skip
        depth = depth_file(folder / "depth" / f"{path.stem}.png", options.depth_scale)
        if depth is not None and other is not None:
            depth = partial(_aligned, depth, other, matrix, size)
        frames.append(file_frame(path.stem.zfill(6), folder, image, camera, depth))
    return frames, problems


def _intrinsics(path: Path) -> Float64:
    """The intrinsics ``[3, 3]`` of a file.

    Raises:
        SceneError: it cannot be used.
    """
    try:
        matrix = load_matrix(path)[:3, :3]
    except ValueError as error:
        raise SceneError(path, str(error)) from None
    if not np.isfinite(matrix).all() or min(matrix[0, 0], matrix[1, 1]) <= 0:
        raise SceneError(path, "has no focal length")
    return matrix


def _aligned(read: Callable[[], Float32], matrix: Float64, colour: Float64, size: Size) -> Float32:
    return aligned_depth(read(), matrix, colour, size)
