"""Kind ``3rscan``: 3RScan, scans and rescans of rooms. Removed objects become verified negatives."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from x3spatial.arrays import Float32, Int64
from x3spatial.importers.camera import Camera
from x3spatial.importers.mesh_cast import LabelledMesh, MeshCaster, face_values
from x3spatial.importers.meshes import Annotated, MeshScene
from x3spatial.importers.options import ReadOptions
from x3spatial.importers.registry import Found, SceneRef
from x3spatial.importers.rescans import Scan, read_rescans
from x3spatial.importers.scan_files import load_groups, load_mesh, parse_matrix, read_pose
from x3spatial.importers.scene import Frame, Problem, Scene, SceneError, Size
from x3spatial.importers.sequence import FrameFiles, Info, parse_info
from x3spatial.importers.sources import find_named
from x3spatial.importers.surfaces import depth_at
from x3spatial.io.images import ImageError
from x3spatial.io.ply import Ply
from x3spatial.raycast.tracer import backend

_INDEX = "3RScan.json"
_MESH = "labels.instances.annotated.v2.ply"
_ANNOTATION = "semseg.v2.json"
_COLOUR, _DEPTH, _POSE = ".color.jpg", ".depth.pgm", ".pose.txt"
_BEFORE = 0.02
"""Metres by which the removed object must lie before what is there now."""


def find(source: Path, options: ReadOptions) -> Found:
    """List the scans of a source; see ``registry.Reader``."""
    places = (source / _INDEX, source.parent / _INDEX, source.parent.parent / _INDEX)
    index = next((path for path in places if path.is_file()), None)
    scans, problems = ({}, ()) if index is None else read_rescans(index)
    if index is None:
        reason = (
            f"has no {_INDEX}: every scan counts as a room of its own, and no object as removed"
        )
        problems = (Problem(str(source), reason),)
    splits = {name: scan.split for name, scan in scans.items() if scan.split is not None}
    found = find_named("3rscan", source, options, ("download",), _is_scene, splits, _MESH)
    folders = {ref.path.resolve().name: ref.path for ref in found.scenes}
    refs = tuple(
        replace(ref, extra={"scans": _of_room(ref.path.resolve().name, scans, folders)})
        for ref in found.scenes
    )
    return Found(refs, (*problems, *found.problems))


def _is_scene(folder: Path) -> bool:
    return (folder / _MESH).is_file()


def _of_room(
    name: str, scans: Mapping[str, Scan], folders: Mapping[str, Path]
) -> list[tuple[Scan, Path]]:
    """A scan, then the others of its room that are there; nothing if the scan is not listed."""
    if name not in scans:
        return []
    mine = scans[name]
    others = [
        other
        for other in scans.values()
        if other.reference == mine.reference and other.name != name and other.name in folders
    ]
    return [(scan, folders[scan.name]) for scan in (mine, *others)]


def open_scene(ref: SceneRef, options: ReadOptions) -> Scene:
    """Open a scan; see ``registry.Reader``."""
    return RescannedScene(ref, options)


class RescannedScene(MeshScene):
    """A scan that knows which objects of the room's other scans are gone."""

    def __init__(self, ref: SceneRef, options: ReadOptions) -> None:
        self._scans: list[tuple[Scan, Path]] = list(ref.extra.get("scans", []))
        mesh, labels, annotated = _load_labelled(ref.path)
        self._sequence = FrameFiles(ref.path)
        frames, problems = _frames(self._sequence, options)
        self._labels = {item.id for item in annotated} & set(np.unique(labels).tolist())
        super().__init__(
            name=ref.name,
            split=ref.split,
            folder=ref.path,
            mesh=mesh,
            labels=labels,
            annotated=annotated,
            frames=frames,
            options=options,
            problems=problems,
            place=self._scans[0][0].reference if self._scans else None,
            annotation=ref.path / _ANNOTATION,
        )

    def close(self) -> None:
        """Close the sequence."""
        self._sequence.close()

    def more_facts(
        self, frames: Sequence[Frame], size: Callable[[Frame], Size]
    ) -> Mapping[str, Any]:
        """``removed``: the objects of other scans that are gone, and the frames that show their place."""
        entries = []
        for scan, item, caster in self._removed():
            views = {}
            for frame in frames:
                sight = self._place_in(frame, size(frame), caster, item.id)
                if sight is not None:
                    views[frame.name] = sight
            entries.append(
                {"scene": scan.name, "uid": str(item.id), "label": item.label, "views": views}
            )
        return {"removed": entries} if entries else {}

    def _removed(self) -> Iterator[tuple[Scan, Annotated, MeshCaster]]:
        """Objects that another scan of the room has and this one has not, where they were."""
        if not self._scans:
            return
        (mine, _), *others = self._scans
        if mine.to_reference is None:
            return
        gone = mine.removed - self._labels
        for scan, folder in others:
            if scan.to_reference is None or not gone - scan.removed:
                continue
            try:
                mesh, labels, annotated = _load_labelled(folder)
            except SceneError:
                continue  # a problem of that scan
            move = np.linalg.inv(mine.to_reference) @ scan.to_reference
            vertices = mesh.vertices.astype(np.float64) @ move[:3, :3].T + move[:3, 3]
            value = face_values(labels, mesh.faces)
            moved = LabelledMesh(vertices.astype(np.float32), mesh.faces, value)
            caster = MeshCaster(moved, backend("x3 import"))
            for item in annotated:
                if item.id in gone - scan.removed and (value == item.id).any():
                    yield scan, item, caster

    def _place_in(
        self, frame: Frame, size: Size, caster: MeshCaster, value: int
    ) -> dict[str, Any] | None:
        """What the frame would show of a removed object; None if nothing."""
        assert frame.camera is not None
        camera = frame.camera.at_size(*size)
        outline = caster.outline(value, camera)
        if not len(outline.x):
            return None
        _, now = self.caster.pixels(camera)
        there = now[outline.y.astype(np.intp), outline.x.astype(np.intp)]
        free = (there == 0) | (there > outline.depth - _BEFORE)
        if frame.depth is not None:
            measured = depth_at(frame.depth(), size, outline.x, outline.y)
            free &= (measured == 0) | (measured > outline.depth - self.options.depth_tolerance)
        shown = float(free.mean()) * outline.inside
        if not shown:
            return None
        return {
            "pixels": round(shown),
            "visible_fraction": round(shown / outline.total, 4),
            "in_frame_fraction": round(outline.inside / outline.total, 4),
        }


def _load_labelled(folder: Path) -> tuple[Ply, Int64, list[Annotated]]:
    """A scan's mesh, the id of each vertex's object (-1: none), and all annotated objects.

    Raises:
        SceneError: a file cannot be used.
    """
    mesh = load_mesh(folder / _MESH)
    if "objectId" not in mesh.vertex:
        raise SceneError(folder / _MESH, "has no property objectId of its vertices")
    labels = mesh.vertex["objectId"].astype(np.int64)
    labels[labels == 0] = -1  # ids count from 1
    return mesh, labels, [item for item, _ in load_groups(folder / _ANNOTATION)]


def _frames(sequence: FrameFiles, options: ReadOptions) -> tuple[list[Frame], list[Problem]]:
    place = sequence.path / "_info.txt"
    try:
        info = parse_info(sequence.read("_info.txt").decode("utf-8", "replace"))
    except (ImageError, ValueError) as error:
        raise SceneError(place, str(error)) from None
    names = set(sequence.names)
    frames: list[Frame] = []
    problems: list[Problem] = []
    for name in sequence.names:
        stem = name.removesuffix(_COLOUR)
        if stem == name:
            continue
        try:
            text = sequence.read(stem + _POSE).decode("utf-8", "replace")
            pose = read_pose(parse_matrix(text), options)
        except (ImageError, ValueError) as error:
            problems.append(Problem(str(sequence.path / (stem + _POSE)), str(error)))
            continue
        matrix = info.colour_matrix
        camera = Camera(
            *info.colour_size, float(matrix[0, 0]), float(matrix[1, 1]), float(matrix[0, 2]),
            float(matrix[1, 2]), pose,
        )  # fmt: skip
        depth = None
        if stem + _DEPTH in names:
            depth = partial(_depth, sequence, stem + _DEPTH, info, options)
        frames.append(
            Frame(
                name=stem.removeprefix("frame-"),
                size=info.colour_size,
                read=partial(sequence.image, name, info.colour_size),
                source=f"{sequence.path.name}/{name}",
                camera=camera,
                depth=depth,
                encoded=partial(sequence.read, name),
            )
        )
    return frames, problems


def _depth(sequence: FrameFiles, name: str, info: Info, options: ReadOptions) -> Float32:
    if options.depth_scale is not None:
        info = replace(info, depth_shift=1 / options.depth_scale)
    return sequence.depth(name, info)
