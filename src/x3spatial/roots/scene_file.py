"""``scene.json``: what the maker of a scene knows about its cameras, its objects and who sees what.

The file is optional. Without it, tasks are built all the same, but nothing is known of angles, of the reasons
why an object is absent, or of look-alikes.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from x3spatial.arrays import Float64
from x3spatial.formats.typed_json import Malformed, decode
from x3spatial.io.files import write_json
from x3spatial.roots.frame_camera import FrameCamera, Intrinsics
from x3spatial.roots.json_files import is_encodable, load_json
from x3spatial.tasks.strata import AbsentBy

SCENE_FILE = "scene.json"
FORMAT = 2
"""The format that is written. Format 1 (no key ``format``) knows visibility in an object's own views only."""


class SceneFileError(ValueError):
    """A ``scene.json`` that cannot be used; the message is the reason, without the path."""


@dataclass(frozen=True, slots=True)
class Sight:
    """What one frame shows of one object."""

    pixels: int
    visible_fraction: float | None = None
    """Share of the object's outline, the part beyond the frame included, that is visible."""
    in_frame_fraction: float | None = None
    absent_by: AbsentBy | None = None
    """Why no sample of the image shows the object; None if one does."""

    def check(self) -> None:
        """Check the values.

        Raises:
            Malformed: one is out of range, or a visible object is said to be absent.
        """
        if self.pixels < 0:
            raise Malformed("is negative", "pixels")
        for name in ("visible_fraction", "in_frame_fraction"):
            _check_share(getattr(self, name), name)
        if self.absent_by is not None and self.pixels:
            raise Malformed(f"is {self.absent_by!r}, but pixels is {self.pixels}", "absent_by")

    def to_json(self) -> dict[str, Any]:
        """The entry of ``scene.json``."""
        return {
            "pixels": self.pixels,
            "visible_fraction": _rounded(self.visible_fraction),
            "in_frame_fraction": _rounded(self.in_frame_fraction),
            "absent_by": self.absent_by,
        }


@dataclass(frozen=True, slots=True)
class SceneFile:
    """The contents that tasks use. Frames and objects are named as in the data root."""

    place: str | None
    positions: Mapping[str, Float64]
    """Frame → position of its camera, ``[3]``, in metres."""
    centres: Mapping[str, Float64]
    """uid → centre of the object's box, ``[3]``, in metres."""
    kinds: Mapping[str, str]
    """uid → kind of the object, for look-alikes."""
    pixels: Mapping[str, Mapping[str, int]]
    """Frame → uid → visible pixels, for every object of the scene; empty in format 1."""
    sights: Mapping[str, Mapping[str, Sight]]
    """uid → frame → what the frame shows; only frames about which it is known."""
    overlap: Mapping[str, Mapping[str, Mapping[str, float]]]
    """uid → frame A → frame B → share of the surface points seen in A that lie in B's frame."""
    cameras: Mapping[str, FrameCamera] = field(default_factory=dict)
    """Frame → its camera, where the intrinsics are known."""
    boxes: Mapping[str, Float64] = field(default_factory=dict)
    """uid → least and greatest corner of the box around the object, ``[2, 3]``, in the world."""
    removed: Mapping[str, Mapping[str, Mapping[str, Sight]]] = field(default_factory=dict)
    """Earlier scan of the place → uid there → frame of this scene → what it would show of the object, had it
    not been removed since."""
    metric: bool = True
    """Whether lengths are metres; without it distances are unknown."""

    def angle(self, uid: str, a: str, b: str) -> float | None:
        """Degrees between the directions in which two frames look at an object; None if unknown."""
        centre = self.centres.get(uid)
        if centre is None or a not in self.positions or b not in self.positions:
            return None
        to_a, to_b = self.positions[a] - centre, self.positions[b] - centre
        size = float(np.linalg.norm(to_a) * np.linalg.norm(to_b))
        if size == 0:
            return None
        return math.degrees(math.acos(min(1.0, max(-1.0, float(to_a @ to_b) / size))))

    def baseline(self, a: str, b: str) -> float | None:
        """Metres between the cameras of two frames; None if unknown."""
        if not self.metric or a not in self.positions or b not in self.positions:
            return None
        return float(np.linalg.norm(self.positions[a] - self.positions[b]))

    def lookalikes(self, uid: str, frame: str) -> int | None:
        """The number of other objects of the same kind that a frame shows; None if unknown."""
        if uid not in self.kinds or frame not in self.pixels:
            return None
        return count_kind(self.pixels[frame], self.kinds, self.kinds[uid], uid)


def count_kind(
    pixels: Mapping[str, int], kinds: Mapping[str, str], kind: str, but: str | None
) -> int:
    """The number of objects of a kind with visible pixels, except one."""
    return sum(
        count > 0 and other != but and kinds.get(other) == kind for other, count in pixels.items()
    )


def write_scene_file(folder: Path, contents: Mapping[str, Any]) -> None:
    """Write ``scene.json``, the last file of a scene: with it the scene is complete.

    Raises:
        ValueError: ``contents`` holds NaN or an infinity.
        SceneFileError: ``read_scene_file`` would not accept it.
    """
    value = json.loads(json.dumps(contents, allow_nan=False))
    parse_scene_file(value, declared_place(value))
    write_json(folder / SCENE_FILE, contents, fsync=True)


def read_scene_file(folder: Path) -> SceneFile | None:
    """Read the ``scene.json`` of a scene's folder; None if there is none or it knows nothing.

    Raises:
        SceneFileError: the file cannot be read, or its contents are malformed.
    """
    path = folder / SCENE_FILE
    if not path.exists():
        return None
    try:
        value = load_json(path)
    except ValueError as error:
        raise SceneFileError(f"cannot be read: {error}") from None
    return parse_scene_file(value, declared_place(value))


def declared_place(value: Any) -> str | None:
    """The place that a file's JSON value declares; None if it declares none.

    Raises:
        SceneFileError: ``place`` is not a text that can be written.
    """
    place = value.get("place") if isinstance(value, dict) else None
    if place is None or (isinstance(place, str) and place and is_encodable(place)):
        return place
    raise SceneFileError("'place' is not a text")


def parse_scene_file(value: Any, place: str | None = None) -> SceneFile | None:
    """What a file's JSON value knows of cameras and objects; None if it has none of their keys.

    Args:
        value: the contents of the file.
        place: what ``declared_place`` found.

    Raises:
        SceneFileError: it is malformed; the message names the key.
    """
    try:
        stored = decode(_Stored, value)
        if not value.keys() & _KEYS:
            return None
        return stored.scene(place)
    except Malformed as error:
        raise SceneFileError(str(error)) from None


Row = tuple[float, float, float, float]
Corner = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class _Frame:
    camera_to_world: tuple[Row, Row, Row, Row] | None = None
    intrinsics: Intrinsics | None = None


@dataclass(frozen=True, slots=True)
class _View(Sight):
    frame: str = ""


@dataclass(frozen=True, slots=True)
class _Object:
    uid: int | str
    label: str | None = None
    kind: str | None = None
    box: tuple[Corner, Corner] | None = None
    views: tuple[_View, ...] | None = None


@dataclass(frozen=True, slots=True)
class _Removed:
    scene: str
    uid: int | str
    views: dict[str, Sight]


@dataclass(frozen=True, slots=True)
class _Stored:
    """The keys of the file that are read; others are ignored."""

    format: int = 1
    metric: bool = True
    intrinsics: Intrinsics | None = None
    frames: dict[str, _Frame] = field(default_factory=dict)
    objects: tuple[_Object, ...] = ()
    pixels: dict[str, dict[str, int]] = field(default_factory=dict)
    visibility: dict[str, dict[str, Sight]] = field(default_factory=dict)
    overlap: dict[str, dict[str, dict[str, float]]] = field(default_factory=dict)
    removed: tuple[_Removed, ...] = ()

    def scene(self, place: str | None) -> SceneFile:
        """The contents as tasks use them.

        Raises:
            Malformed: a value is out of range, or an object occurs twice.
        """
        if not 1 <= self.format <= FORMAT:
            raise Malformed(f"is {self.format}; known are 1 to {FORMAT}", "format")
        objects = {str(item.uid): item for item in self.objects}
        if len(objects) < len(self.objects):
            raise Malformed("holds a uid twice", "objects")
        sights: dict[str, dict[str, Sight]] = {
            uid: {view.frame: view for view in item.views}
            for uid, item in objects.items()
            if item.views is not None
        }
        sights |= self.visibility
        for uid, frames in sights.items():
            for frame, sight in frames.items():
                with _at("visibility", uid, frame):
                    sight.check()
        for frame, counts in self.pixels.items():
            for uid, count in counts.items():
                if count < 0:
                    raise Malformed("is negative", "pixels", frame, uid)
        for uid, by_frame in self.overlap.items():
            for a, others in by_frame.items():
                for b, share in others.items():
                    _check_share(share, "overlap", uid, a, b)
        removed: dict[str, dict[str, dict[str, Sight]]] = {}
        for gone in self.removed:
            for frame, sight in gone.views.items():
                with _at("removed", gone.scene, str(gone.uid), frame):
                    sight.check()
            removed.setdefault(gone.scene, {})[str(gone.uid)] = gone.views
        return SceneFile(
            place=place,
            metric=self.metric,
            removed=removed,
            positions={
                frame: np.array([row[3] for row in entry.camera_to_world[:3]])
                for frame, entry in self.frames.items()
                if entry.camera_to_world is not None
            },
            centres={uid: np.mean(item.box, axis=0) for uid, item in objects.items() if item.box},
            kinds={uid: kind for uid, item in objects.items() if (kind := item.kind or item.label)},
            pixels=self.pixels,
            sights=sights,
            overlap=self.overlap,
            cameras={
                frame: intrinsics.camera(np.array(entry.camera_to_world))
                for frame, entry in self.frames.items()
                if entry.camera_to_world is not None
                and (intrinsics := entry.intrinsics or self.intrinsics) is not None
            },
            boxes={uid: np.array(item.box) for uid, item in objects.items() if item.box},
        )


_KEYS = frozenset({"frames", "objects", "pixels", "visibility", "overlap"})


@contextmanager
def _at(*keys: str) -> Iterator[None]:
    """Put ``keys`` before those of an error."""
    try:
        yield
    except Malformed as error:
        error.keys[:0] = keys
        raise


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def _check_share(share: float | None, *keys: str) -> None:
    if share is not None and not 0 <= share <= 1:
        raise Malformed(f"is {share:g}, not from 0 to 1", *keys)
