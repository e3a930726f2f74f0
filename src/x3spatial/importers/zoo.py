"""Kind ``scenezoo``: data sets that the package scenezoo reads, with a labelled mesh and posed frames.

scenezoo has one interface for ARKitScenes, MultiScan, Matterport3D and others (extra ``scans``). Data sets
that ``x3 import`` reads by itself need neither the package nor what it brings.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from x3spatial.arrays import Float32, Float64, UInt8
from x3spatial.errors import UserError, missing_package
from x3spatial.importers.camera import Camera
from x3spatial.importers.meshes import Annotated, MeshScene
from x3spatial.importers.options import ReadOptions
from x3spatial.importers.registry import Found, SceneRef
from x3spatial.importers.scan_files import aligned_depth, read_pose
from x3spatial.importers.scene import Frame, Problem, Scene, SceneError, Size
from x3spatial.importers.sources import select
from x3spatial.io.images import ImageError
from x3spatial.io.ply import Ply

_NEEDED = ("mesh", "segmentation", "frames")
_PINHOLES = ("PINHOLE", "SIMPLE_PINHOLE", "OPENCV")
_SPLITS = {"train": "train", "val": "validation", "test": "test"}
"""Part of the name of an official split → split."""
_DEEP = 3
"""Levels of folders in which scenes are looked for."""


def find(source: Path, options: ReadOptions) -> Found:
    """List the scenes of a source; see ``registry.Reader``."""
    if not source.is_dir():
        raise UserError(f"SOURCE {source}: no such folder")
    dataset = _open(source, options)
    try:
        splits: dict[str, list[str]] = dataset.splits
    except Exception as error:  # missing lists, no network, damaged files: what it likes
        raise UserError(f"SOURCE {source}: scenezoo finds no scenes: {_line(error)}") from None
    there = {path.name for path in _folders(source, _DEEP)}
    refs: dict[str, SceneRef] = {}
    for official, names in splits.items():
        split = next((ours for part, ours in _SPLITS.items() if part in official.lower()), None)
        for name in names:
            if name in there:
                refs.setdefault(
                    name, SceneRef("scenezoo", split or options.split, name, source, {"id": name})
                )
    if not refs:
        raise UserError(
            f"SOURCE {source}: has no scene of the data set {options.dataset}; most are given out after their"
            " licence was accepted on their own sites"
        )
    return Found(select(list(refs.values()), options))


def _open(source: Path, options: ReadOptions) -> Any:
    """The data set of scenezoo.

    Raises:
        UserError: the package is missing, or the data set is not one that can be used.
    """
    if find_spec("scenezoo") is None:
        raise missing_package("scenezoo", "scans", "KIND scenezoo")
    import scenezoo

    if options.dataset is None:
        raise UserError("KIND scenezoo: name the data set, such as --dataset arkitscenes")
    try:
        dataset = scenezoo.get_dataset(options.dataset, source)
    except Exception as error:  # an unknown name, or a source that it refuses
        raise UserError(f"--dataset {options.dataset}: {_line(error)}") from None
    if lacking := [name for name in _NEEDED if not type(dataset).supports(name)]:
        raise UserError(
            f"--dataset {options.dataset}: scenezoo reads no {' and no '.join(lacking)} of it; needed are"
            " a mesh with instances and posed frames"
        )
    return dataset


def _folders(folder: Path, depth: int) -> list[Path]:
    found = [path for path in sorted(folder.iterdir()) if path.is_dir()]
    if depth > 1:
        found += [deeper for path in found for deeper in _folders(path, depth - 1)]
    return found


def open_scene(ref: SceneRef, options: ReadOptions) -> Scene:
    """Open a scene; see ``registry.Reader``."""
    reader = _Reader(_open(ref.path, options), str(ref.extra["id"]), options)
    place = ref.path / reader.id
    try:
        mesh = reader.dataset.get_mesh(reader.id)
        segmentation = reader.dataset.get_segmentation(reader.id)
        frames, problems = reader.frames()
    except SceneError:
        raise
    except Exception as error:  # of many kinds of damaged files
        raise SceneError(place, f"scenezoo cannot read it: {_line(error)}") from None
    ply = Ply(
        np.ascontiguousarray(mesh.vertices, np.float32),
        np.ascontiguousarray(mesh.triangles, np.int32),
        {},
        {},
    )
    labels = np.asarray(segmentation.labels).astype(np.int64)
    counts = {"vertex": len(ply.vertices), "face": len(ply.faces)}
    if labels.shape != (counts.get(segmentation.domain, -1),):
        raise SceneError(
            place,
            f"has {labels.shape} labels of each {segmentation.domain}, which are not the mesh's",
        )
    labels[labels == segmentation.invalid_id] = -1
    named = sorted((int(key), str(name)) for key, name in segmentation.id_to_name.items())
    return MeshScene(
        name=ref.name,
        split=ref.split,
        folder=ref.path,
        mesh=ply,
        labels=labels,
        annotated=[Annotated(key, name) for key, name in named if key >= 0],
        frames=frames,
        options=replace(options, poses="camera-to-world", axes="opencv", scale=None),
        problems=problems,
        of_faces=segmentation.domain == "face",
        annotation=place,
    )


class _Reader:
    """Reads the frames of one scene, one at a time: whole sequences do not fit into memory."""

    def __init__(self, dataset: Any, scene: str, options: ReadOptions) -> None:
        self.dataset, self.id, self.options = dataset, scene, options
        self._more = {} if options.frame_source is None else {"source": options.frame_source}

    def _get(self, items: tuple[str, ...], number: int | None = None) -> Any:
        indices = None if number is None else [number]
        return self.dataset.get_frames(self.id, indices=indices, items=items, **self._more)

    def frames(self) -> tuple[list[Frame], list[Problem]]:
        """All frames with a pose.

        Raises:
            SceneError: the cameras are not pinholes.
        """
        batch = self._get(("rgb_intrinsics", "world_to_camera"))
        model = (batch.camera_model or "PINHOLE").upper()
        if model not in _PINHOLES:
            raise SceneError(self.id, f"its camera model {model} is no pinhole")
        if not len(batch.indices):
            return [], []
        size = self._size(batch)
        depth = self._depth_works(int(batch.indices[0]))
        frames: list[Frame] = []
        problems: list[Problem] = []
        for place, index in enumerate(int(i) for i in batch.indices):
            try:
                pose = read_pose(_rigid(batch.world_to_camera[place]), ReadOptions())
            except ValueError as error:
                problems.append(Problem(f"{self.id}/{index}", str(error)))
                continue
            matrix = batch.rgb_intrinsics[place].astype(np.float64)
            bent = () if batch.distortion is None else tuple(map(float, batch.distortion[place]))
            camera = Camera(
                *size, matrix[0, 0], matrix[1, 1], matrix[0, 2], matrix[1, 2], pose,
                bent if any(bent) else (),
            )  # fmt: skip
            read: Callable[[], Float32] | None = None
            if depth:
                read = partial(self._depth, index, camera.matrix, size)
            image = partial(self._image, index, size)
            frames.append(Frame(f"{index:06d}", size, image, f"{self.id}/{index}", camera, read))
        return frames, problems

    def _size(self, batch: Any) -> Size:
        if batch.image_sizes is not None:
            width, height = batch.image_sizes[0]
            return int(width), int(height)
        image = self._get(("rgb",), int(batch.indices[0])).rgb[0]
        return image.shape[1], image.shape[0]

    def _depth_works(self, index: int) -> bool:
        """Whether depth along z can be read."""
        try:
            batch = self._get(("depth", "depth_intrinsics"), index)
        except Exception:  # not published, not downloaded
            return False
        return batch.depth is not None and batch.depth_mode in (None, "z", "camera_z")

    def _image(self, index: int, size: Size) -> UInt8:
        try:
            image = np.asarray(self._get(("rgb",), index).rgb[0])
        except Exception as error:  # of many kinds of damaged files
            raise ImageError(f"scenezoo cannot read it: {_line(error)}") from None
        if image.shape != (size[1], size[0], 3):
            raise ImageError(f"has {image.shape} values, its camera {size[0]} x {size[1]} pixels")
        return np.ascontiguousarray(image, np.uint8)

    def _depth(self, index: int, matrix: Float64, size: Size) -> Float32:
        try:
            batch = self._get(("depth", "depth_intrinsics"), index)
        except Exception as error:  # of many kinds of damaged files
            raise ImageError(f"scenezoo cannot read its depth: {_line(error)}") from None
        depth = np.asarray(batch.depth[0], np.float32)
        return aligned_depth(depth, batch.depth_intrinsics[0].astype(np.float64), matrix, size)


def _rigid(world_to_camera: Any) -> Float64:
    """Camera to world of scenezoo's float32 matrix, with a rotation that is one to the last digit."""
    matrix = np.asarray(world_to_camera, np.float64)
    if not np.isfinite(matrix).all():
        raise ValueError("the pose is not finite: tracking was lost")
    left, _, right = np.linalg.svd(matrix[:3, :3])
    turn = left @ right
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = turn.T, -turn.T @ matrix[:3, 3]
    return pose


def _line(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())
