"""Kind ``posed``: images with cameras (nerfstudio or COLMAP) and per-view instance ids; depth where there is
some. No mesh is needed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from x3spatial.arrays import Float32, Float64
from x3spatial.importers.camera import Camera
from x3spatial.importers.colmap import find_model, read_colmap
from x3spatial.importers.instance_files import open_instances
from x3spatial.importers.loading import find_image, read_depth
from x3spatial.importers.names import frame_names, unique_names
from x3spatial.importers.options import ReadOptions
from x3spatial.importers.pose_check import FRAMES, Look, find_fault
from x3spatial.importers.registry import Found, SceneRef
from x3spatial.importers.scene import (
    Frame,
    Instances,
    Problem,
    Scene,
    SceneError,
    SceneObject,
    Size,
)
from x3spatial.importers.sightings import sight_by_box, sight_by_points, touches_edge, unknown_sight
from x3spatial.importers.sources import find_scenes
from x3spatial.importers.surfaces import (
    LEAST_VIEWS,
    box_around,
    box_of,
    evenly,
    grid_of,
    mask_centre,
    surface_points,
    thinned,
    triangulate,
    without_outliers,
)
from x3spatial.importers.survey import reduced
from x3spatial.importers.transforms import TRANSFORMS, PosedImage, PosedImages, read_transforms
from x3spatial.io.images import ImageError, read_bytes, read_rgb
from x3spatial.roots.scene_file import Sight

_DEPTH_FOLDERS = ("depth", "depths")
_SMALL = 240
"""Longest side in pixels at which objects' surfaces are sampled and poses are checked."""
_LEAST_POINTS = 60
"""Points of a surface below which outlines cannot be estimated from it."""
_SEEN_POINTS = 256


def find(source: Path, options: ReadOptions) -> Found:
    """List the scenes of a source; see ``registry.Reader``."""
    return find_scenes("posed", source, options, _is_scene, f"{TRANSFORMS} or a COLMAP model")


def _is_scene(folder: Path) -> bool:
    return (folder / TRANSFORMS).is_file() or find_model(folder) is not None


def open_scene(ref: SceneRef, options: ReadOptions) -> Scene:
    """Open a scene; see ``registry.Reader``."""
    return PosedScene(ref, options)


class PosedScene(Scene):
    """A scene with poses and instance ids."""

    def __init__(self, ref: SceneRef, options: ReadOptions) -> None:
        self.name, self.split = ref.name, ref.split
        posed = _read_cameras(ref.path, options)
        self.metric = posed.metric
        instances = open_instances(ref.path, {i.source: i.instances for i in posed.images})
        problems = [*posed.problems, *instances.problems]
        names = frame_names(image.source for image in posed.images)
        frames, skipped = [], 0
        self._sources: dict[str, PosedImage] = {}
        for image in posed.images:
            if not instances.has(image.source):
                reason = f"no {instances.what} for this image; it is not used"
                problems.append(Problem(str(image.path), reason))
                continue
            depth = _depth_file(ref.path, image)
            if depth is not None and not posed.metric:
                depth, skipped = None, skipped + 1
            frame = _frame(image, names[image.source], depth, options)
            frames.append(frame)
            self._sources[frame.name] = image
        if skipped:
            problems.append(
                Problem(
                    str(ref.path),
                    "depth is not used: the unit of COLMAP's poses is unknown; give --scale (metres"
                    " per unit)",
                )
            )
        if not frames:
            raise SceneError(ref.path, f"no image has {instances.what}")
        self.frames, self._instances = frames, instances
        self.problems = problems
        uids = unique_names(instances.labels)
        self._uids = uids
        self._last: tuple[str, Float32] | None = None
        self._dense: dict[str, Float64] = {}
        self._boxes: dict[str, Float64] = {}
        self._survey(ref, options, posed.axes)
        self.objects = [
            SceneObject(
                uids[key],
                label,
                instances.kinds.get(key, ""),
                self._boxes.get(uids[key]),
                self._dense.get(uids[key]),
            )
            for key, label in instances.labels.items()
        ]

    def instances(self, frame: Frame, size: Size) -> Instances:
        """The ids of a frame's file; see ``Scene``."""
        return self._instances.read(self._sources[frame.name].source, size, self._uids)

    def sights(
        self, frame: Frame, size: Size, instances: Instances, uids: Sequence[str]
    ) -> Mapping[str, Sight]:
        """Estimated from the objects' points; see ``Scene``."""
        assert frame.camera is not None
        camera = frame.camera.at_size(*size)
        depth = self._depth(frame)
        found: dict[str, Sight] = {}
        for uid in uids:
            mask = instances.mask(uid)
            if uid in self._dense:
                found[uid] = sight_by_points(camera, self._dense[uid], mask, depth)
            elif uid in self._boxes:
                found[uid] = sight_by_box(camera, grid_of(self._boxes[uid]), mask)
            else:
                found[uid] = unknown_sight(int(mask.sum()))
        return found

    def seen_points(
        self, frame: Frame, size: Size, instances: Instances, uid: str
    ) -> Float64 | None:
        """Points of the depth image; None without one."""
        mask = instances.mask(uid)
        depth = self._depth(frame) if mask.any() else None
        if depth is None or frame.camera is None:
            return None
        points = surface_points(mask, depth, frame.camera.at_size(*size), _SEEN_POINTS)
        return points if len(points) else None

    def _depth(self, frame: Frame) -> Float32 | None:
        """A frame's depth; the last one is kept, because all objects of a frame ask for it."""
        if frame.depth is None:
            return None
        if self._last is None or self._last[0] != frame.name:
            self._last = frame.name, frame.depth()
        return self._last[1]

    def _survey(self, ref: SceneRef, options: ReadOptions, axes: str) -> None:
        """One pass over all frames: the surfaces of the objects, and a check of the poses."""
        parts: dict[str, list[Float64]] = defaultdict(list)
        centres: dict[str, list[tuple[Camera, tuple[float, float], int]]] = defaultdict(list)
        looks: list[Look] = []
        shown = {int(k) for k in evenly(len(self.frames), FRAMES)}
        usable: list[Frame] = []
        for number, frame in enumerate(self.frames):
            assert frame.camera is not None
            size = reduced(frame.size, _SMALL)
            camera = frame.camera.at_size(*size)
            try:
                instances = self.instances(frame, size)
                masks = {uid: instances.mask(uid) for uid in instances.pixels()}
            except ImageError as error:
                source = self._sources[frame.name]
                path = self._instances.file_of(source.source) or source.path
                self.problems = [*self.problems, Problem(str(path), error.reason)]
                continue
            usable.append(frame)
            depth = self._checked_depth(frame)
            for uid, mask in masks.items():
                if depth is not None:
                    parts[uid].append(surface_points(mask, depth, camera))
                elif not touches_edge(mask):  # the centre of a cut mask is not the object's
                    centres[uid].append((camera, mask_centre(mask), int(mask.sum())))
            if number in shown:
                looks.append(Look(camera, masks, depth))
        self.frames = usable
        if not usable:
            raise SceneError(ref.path, "no id map or mask of it can be read")
        unnamed = self._instances.unnamed()
        if unnamed is not None:
            self.problems = [*self.problems, unnamed]
        fault = find_fault(looks, poses=options.poses, axes=axes, metric=self.metric)
        if fault is not None:
            raise SceneError(ref.path, fault)
        self._model(parts, centres)

    def _checked_depth(self, frame: Frame) -> Float32 | None:
        try:
            return self._depth(frame)
        except ImageError as error:
            path = self._sources[frame.name].path
            reason = f"its depth is not used: {error.reason}"
            self.problems = [*self.problems, Problem(str(path), reason)]
            object.__setattr__(frame, "depth", None)
            return None

    def _model(
        self,
        parts: Mapping[str, Sequence[Float64]],
        centres: Mapping[str, Sequence[tuple[Camera, tuple[float, float], int]]],
    ) -> None:
        """Boxes, and points where they are dense, of all objects."""
        for uid, found in parts.items():
            points = thinned(found)
            box = box_of(points)
            if box is None:
                continue
            self._boxes[uid] = box
            points = without_outliers(points, box)
            if len(points) >= _LEAST_POINTS:
                self._dense[uid] = points
        for uid, seen in centres.items():
            if uid in self._boxes or len(seen) < LEAST_VIEWS:
                continue
            cameras = [camera for camera, _, _ in seen]
            point = triangulate(cameras, [centre for _, centre, _ in seen])
            if point is not None and all(c.local(point[None])[0, 2] > 0 for c in cameras):
                self._boxes[uid] = box_around(point, cameras, [area for _, _, area in seen])


def _read_cameras(folder: Path, options: ReadOptions) -> PosedImages:
    """The cameras; ``transforms.json`` before a COLMAP model, because it may stand for a part of it."""
    if (folder / TRANSFORMS).is_file():
        return read_transforms(folder, options)
    return read_colmap(folder, options)


def _frame(image: PosedImage, name: str, depth: Path | None, options: ReadOptions) -> Frame:
    return Frame(
        name,
        (image.camera.width, image.camera.height),
        partial(read_rgb, image.path),
        image.source,
        image.camera,
        None if depth is None else partial(read_depth, depth, options.depth_scale),
        partial(read_bytes, image.path),
    )


def _depth_file(folder: Path, image: PosedImage) -> Path | None:
    """The depth image of a frame: as ``transforms.json`` names it, or by its name in depth/."""
    if image.depth is not None:
        return image.depth
    for name in _DEPTH_FOLDERS:
        stem = folder / name / Path(image.source).stem
        found = find_image(stem)
        if found is not None:
            return found
        if (path := stem.with_name(stem.name + ".npy")).is_file():
            return path
    return None
