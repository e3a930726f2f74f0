"""Scenes of a mesh with annotated instances and posed frames: instances by casting rays at the mesh.

A frame counts only where mesh and picture agree, as far as the frame's depth tells: frames in which they
differ in many pixels are not used, and an object that had been moved when a frame was taken is not used in
it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from x3spatial.arrays import Bool, Float32, Float64, Int32, Int64
from x3spatial.importers.camera import Camera
from x3spatial.importers.mesh_cast import (
    LabelledMesh,
    MeshCaster,
    Outline,
    agreement,
    face_values,
)
from x3spatial.importers.mesh_pose_check import find_fault
from x3spatial.importers.options import ReadOptions
from x3spatial.importers.scene import (
    Frame,
    IdMap,
    Instances,
    Problem,
    Scene,
    SceneError,
    SceneObject,
    Size,
)
from x3spatial.importers.surfaces import depth_at, depth_grid, evenly
from x3spatial.io.images import ImageError, resize_mask
from x3spatial.io.ply import Ply
from x3spatial.raycast.tracer import backend
from x3spatial.roots.scene_file import Sight
from x3spatial.tasks.strata import AbsentBy

_POINTS = 2000
"""Points of its surface that an object keeps."""
_SEEN = 256
"""Points for ``overlap``."""
_MOVED = 0.5
"""Share of an object's measured pixels that must differ in depth for it to count as moved."""
_MEASURED = 12
"""Pixels with depth below which nothing is concluded about one object."""
_THERE = 0.1
"""Share of a hidden object's outline at whose depth something was measured that contradicts its absence."""
_BLURRED = 0.02
"""Share of an object's pixels that may lie in an anonymised part of a frame."""


@dataclass(frozen=True)
class Annotated:
    """An instance of a mesh: its id in the data set, and its label there."""

    id: int
    label: str


class CastMap(IdMap):
    """What rays from a frame hit. Objects in ``unsure`` are left out: the picture may differ."""

    def __init__(
        self, ids: Int32, uids: Mapping[int, str], depth: Float32, unsure: frozenset[str]
    ) -> None:
        known = {value: uid for value, uid in uids.items() if uid not in unsure}
        super().__init__(ids, known)
        self.depth, self.unsure = depth, unsure


class MeshScene(Scene):
    """Readers give the mesh, its labels and the frames; ``keep`` are the parts of frames that may be used."""

    survey_scale = 0.25

    def __init__(
        self,
        *,
        name: str,
        split: str,
        folder: Path,
        mesh: Ply,
        labels: Int64,
        annotated: Sequence[Annotated],
        frames: Sequence[Frame],
        options: ReadOptions,
        problems: Sequence[Problem] = (),
        keep: Mapping[str, Callable[[], Bool]] | None = None,
        place: str | None = None,
        of_faces: bool = False,
        annotation: Path | None = None,
    ) -> None:
        """Open a scene.

        Args:
            name: of its folder in the root.
            split: ``train``, ``validation`` or ``test``.
            folder: of its files, for messages.
            mesh: in the world of the poses, in metres.
            labels: the id of the instance of each vertex, ``[n]``, or of each face, ``[m]``; -1 for none.
            of_faces: whether they are those of faces.
            annotated: all instances.
            frames: with cameras.
            options: how it is read.
            problems: frames and objects that the reader has left out.
            keep: frame name → pixels that are not anonymised, of any size.
            place: shared by scans of one room.
            annotation: the file that names instances, for messages.

        Raises:
            SceneError: there are no frames, no objects, or labels that the annotation does not name.
        """
        self.name, self.split, self.place = name, split, place
        self.frames, self.options, self.folder = list(frames), options, folder
        self.problems: list[Problem] = list(problems)
        self._keep = keep or {}
        if not self.frames:
            raise SceneError(folder, "has no frame with a pose and an image")
        value_of = {item.id: number for number, item in enumerate(annotated, start=1)}
        values = _values(labels, value_of)
        unnamed = sorted(set(np.unique(labels).tolist()) - set(value_of) - {-1})
        if unnamed:
            listed = ", ".join(map(str, unnamed[:5]))
            where = annotation or folder
            self.problems.append(
                Problem(
                    str(where), f"names no object for {len(unnamed)} ids of the mesh ({listed})"
                )
            )
        of_face = values.astype(np.int32) if of_faces else face_values(values, mesh.faces)
        labelled = LabelledMesh(mesh.vertices, mesh.faces, of_face)
        self.caster = MeshCaster(labelled, backend("x3 import"))
        self.objects = [
            _object(item, mesh.vertices[np.unique(self.caster.faces_of(value_of[item.id]))])
            for item in annotated
        ]
        if not (labelled.value > 0).any():
            raise SceneError(annotation or folder, "annotates no part of the mesh")
        self._uids = {value_of[item.id]: str(item.id) for item in annotated}
        self.values = {uid: value for value, uid in self._uids.items()}
        axes = "opencv" if options.axes == "auto" else options.axes
        if fault := find_fault(self.caster, self.frames, options, axes):
            raise SceneError(folder, fault)
        self._told: set[tuple[str, str]] = set()
        self._last = ("", np.zeros((0, 0), np.float32))

    def instances(self, frame: Frame, size: Size) -> Instances:
        """Cast a ray through every pixel's centre.

        Raises:
            ImageError: mesh and depth of the frame disagree, or its depth or mask cannot be read.
        """
        assert frame.camera is not None
        ids, depth = self.caster.pixels(frame.camera.at_size(*size))
        unsure = self._blurred(frame, ids) | self._moved(frame, size, ids, depth)
        return CastMap(ids, self._uids, depth, frozenset(unsure))

    def sights(
        self, frame: Frame, size: Size, instances: Instances, uids: Sequence[str]
    ) -> Mapping[str, Sight]:
        """Fractions by casting rays at each object alone."""
        assert frame.camera is not None and isinstance(instances, CastMap)
        camera, pixels = frame.camera.at_size(*size), instances.pixels()
        return {uid: self._sight(frame, camera, instances, uid, pixels.get(uid, 0)) for uid in uids}

    def _sight(self, frame: Frame, camera: Camera, cast: CastMap, uid: str, pixels: int) -> Sight:
        value = self.values[uid]
        if uid in cast.unsure:
            return Sight(0, None, None, None)
        if not pixels and not self.caster.in_frame(value, camera):
            return Sight(0, 0.0, 0.0, "framing")
        outline = self.caster.outline(value, camera)
        framed = outline.inside / outline.total if outline.total else 0.0
        visible = min(1.0, framed, pixels / outline.total) if outline.total else 0.0
        absent_by: AbsentBy | None = None
        if not pixels and not self.caster.hit_between_centres(value, camera, outline):
            hidden = not outline.inside or not self._contradicted(frame, camera, outline)
            if hidden:
                absent_by = absence(framed)
        return Sight(pixels, round(visible, 4), round(framed, 4), absent_by)

    def seen_points(
        self, frame: Frame, size: Size, instances: Instances, uid: str
    ) -> Float64 | None:
        """Where rays hit the object, at most 256 of them."""
        assert frame.camera is not None and isinstance(instances, CastMap)
        rows, columns = np.nonzero(instances.mask(uid))
        if not len(rows):
            return None
        some = evenly(len(rows), _SEEN)
        rows, columns = rows[some], columns[some]
        depth = instances.depth[rows, columns].astype(np.float64)
        x, y = columns.astype(np.float64) + 0.5, rows.astype(np.float64) + 0.5
        return frame.camera.at_size(*size).unproject(x, y, depth)

    def _blurred(self, frame: Frame, ids: Int32) -> set[str]:
        """The objects of which the frame shows a part that is anonymised."""
        if frame.name not in self._keep:
            return set()
        keep = resize_mask(self._keep[frame.name](), ids.shape[1], ids.shape[0])
        if keep.all():
            return set()
        most = max(self._uids, default=0) + 1
        every = np.bincount(ids.reshape(-1), minlength=most)
        lost = np.bincount(ids[~keep], minlength=most)
        found = {
            self._uids[int(value)]
            for value in np.flatnonzero(lost > _BLURRED * every)
            if int(value) in self._uids
        }
        return found

    def _moved(self, frame: Frame, size: Size, ids: Int32, depth: Float32) -> set[str]:
        """The objects at whose place the frame's depth shows something else.

        Raises:
            ImageError: that is so in too many pixels of the frame.
        """
        if frame.depth is None:
            return set()
        tolerance = self.options.depth_tolerance
        measured = depth_grid(self._depth(frame), size)
        same, known = agreement(depth, measured, tolerance)
        if not known.any():
            return set()
        differing = 1 - float(same.sum()) / float(known.sum())
        if differing > self.options.depth_disagree:
            raise ImageError(
                f"mesh and depth differ by more than {tolerance:g} m in {differing:.0%} of the pixels"
            )
        most = max(self._uids, default=0) + 1
        every = np.bincount(ids[known], minlength=most)
        agreeing = np.bincount(ids[same], minlength=most)
        found = {
            self._uids[int(value)]
            for value in np.flatnonzero((every >= _MEASURED) & (agreeing < _MOVED * every))
            if int(value) in self._uids
        }
        for uid in sorted(found):
            if (frame.name, uid) not in self._told:
                self._told.add((frame.name, uid))
                reason = f"mesh and depth differ by more than {tolerance:g} m at an object"
                self.problems.append(Problem(frame.source, reason))
        return found

    def _depth(self, frame: Frame) -> Float32:
        """The frame's depth; the last one is kept, because it is asked for once per object."""
        assert frame.depth is not None
        if self._last[0] != frame.name:
            self._last = (frame.name, frame.depth())
        return self._last[1]

    def _contradicted(self, frame: Frame, camera: Camera, outline: Outline) -> bool:
        """Whether the frame's depth shows a hidden object's own surface in parts of its outline."""
        if frame.depth is None:
            return False
        size = (camera.width, camera.height)
        measured = depth_at(self._depth(frame), size, outline.x, outline.y)
        same, known = agreement(outline.depth, measured, self.options.depth_tolerance / 2)
        return bool(known.any()) and float(same.sum()) > _THERE * float(known.sum())


def absence(framed: float) -> AbsentBy:
    """Why an object is absent of which this share of the outline lies in the frame."""
    if framed == 0:
        return "framing"
    return "occlusion" if framed > 0.5 else "both"


def _values(labels: Int64, value_of: Mapping[int, int]) -> Int64:
    """The labels ``[n]`` as 1, 2, ... in the order of the annotation; 0 for none."""
    names, which = np.unique(labels, return_inverse=True)
    table = np.array([value_of.get(int(name), 0) for name in names], np.int64)
    return np.asarray(table[which.reshape(-1)], np.int64)


def _object(item: Annotated, points: Float32) -> SceneObject:
    if not len(points):
        return SceneObject(str(item.id), item.label)
    some = points[evenly(len(points), _POINTS)].astype(np.float64)
    box = np.stack([points.min(axis=0), points.max(axis=0)]).astype(np.float64)
    return SceneObject(str(item.id), item.label, item.label, box, some)
