"""``scene.json``: what the maker of a scene knows about its cameras, its objects and who sees what.

The file is optional. Without it, tasks are built all the same, but nothing is known of angles, of the reasons
why an object is absent, or of look-alikes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from x3spatial.arrays import Float64
from x3spatial.errors import UserError
from x3spatial.io.files import read_json, write_json
from x3spatial.roots.frame_camera import FrameCamera, frame_camera

SCENE_FILE = "scene.json"
FORMAT = 2
"""The format that is written. Format 1 (no key ``format``) knows visibility in an object's own views only."""

AbsentBy = Literal["framing", "occlusion", "both"]
ABSENT_BY: tuple[AbsentBy, ...] = get_args(AbsentBy)
"""Why a view does not show an object: outside of the frame, hidden, or partly each."""


class SceneFileError(ValueError):
    """A ``scene.json`` that cannot be used; the message is the reason, without the path."""


@dataclass(frozen=True, slots=True)
class Sight:
    """What one frame shows of one object."""

    pixels: int
    visible_fraction: float | None
    """Share of the object's outline, the part beyond the frame included, that is visible."""
    in_frame_fraction: float | None
    absent_by: str | None
    """One of ``ABSENT_BY`` if no sample of the image shows the object, else None."""

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
    removed: Mapping[str, Mapping[str, Mapping[str, Sight]]] = field(default_factory=dict)
    """Earlier scan of the place → uid there → frame of this scene → what it would show of the object, had it
    not been removed since."""
    metric: bool = True
    """Whether lengths are metres; without it distances are unknown."""
    cameras: Mapping[str, FrameCamera] = field(default_factory=dict)
    """Frame → its camera, where the intrinsics are known."""
    boxes: Mapping[str, Float64] = field(default_factory=dict)
    """uid → least and greatest corner of the box around the object, ``[2, 3]``, in the world."""

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
        ValueError: ``contents`` holds NaN or an infinity, or ``read_scene_file`` would not accept it.
    """
    parse_scene_file(contents)
    write_json(folder / SCENE_FILE, contents, fsync=True)


def read_scene_file(folder: Path) -> SceneFile | None:
    """Read the ``scene.json`` of a scene's folder; None if there is none.

    Raises:
        SceneFileError: the file cannot be read, or its contents are malformed.
    """
    path = folder / SCENE_FILE
    if not path.exists():
        return None
    try:
        value = read_json(path)
    except UserError as error:
        raise SceneFileError(str(error).removeprefix(f"{path}: ")) from None
    try:
        return parse_scene_file(value)
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError) as error:
        raise SceneFileError(f"malformed: {type(error).__name__}: {error}") from None


def parse_scene_file(value: Any) -> SceneFile:
    """The contents of a ``scene.json``.

    Raises:
        AttributeError, KeyError, TypeError, ValueError: they are malformed.
    """
    objects = {str(item["uid"]): item for item in value["objects"]}
    sights: dict[str, dict[str, Sight]] = {
        uid: {str(view["frame"]): _sight(view) for view in item["views"]}
        for uid, item in objects.items()
        if item.get("views") is not None
    }
    for uid, frames in value.get("visibility", {}).items():
        sights[uid] = {frame: _sight(entry) for frame, entry in frames.items()}
    place = value.get("place")
    if place is not None and not isinstance(place, str):
        raise ValueError("'place' is not a text")
    return SceneFile(
        place=place,
        metric=value.get("metric", True) is True,
        positions={
            frame: _vector([row[3] for row in entry["camera_to_world"][:3]])
            for frame, entry in value["frames"].items()
            if entry.get("camera_to_world") is not None
        },
        centres={
            uid: _vector(np.mean(item["box"], axis=0))
            for uid, item in objects.items()
            if item.get("box") is not None
        },
        kinds={uid: str(item.get("kind") or item["label"]) for uid, item in objects.items()},
        pixels={
            frame: {uid: int(count) for uid, count in counts.items()}
            for frame, counts in value.get("pixels", {}).items()
        },
        sights=sights,
        overlap={
            uid: {
                a: {b: float(share) for b, share in others.items()} for a, others in frames.items()
            }
            for uid, frames in value.get("overlap", {}).items()
        },
        removed=_removed(value.get("removed", [])),
        cameras=_cameras(value),
        boxes={
            uid: np.asarray(item["box"], np.float64)
            for uid, item in objects.items()
            if item.get("box") is not None
        },
    )


def _removed(entries: Any) -> dict[str, dict[str, dict[str, Sight]]]:
    found: dict[str, dict[str, dict[str, Sight]]] = {}
    for entry in entries:
        views = {str(frame): _sight(view) for frame, view in entry["views"].items()}
        found.setdefault(str(entry["scene"]), {})[str(entry["uid"])] = views
    return found


def _cameras(value: Any) -> dict[str, FrameCamera]:
    """The cameras of the frames with intrinsics, of their own or of the whole scene."""
    found = {}
    for frame, entry in value["frames"].items():
        intrinsics = entry.get("intrinsics") or value.get("intrinsics")
        if intrinsics is not None and entry.get("camera_to_world") is not None:
            found[frame] = frame_camera(entry["camera_to_world"], intrinsics)
    return found


def _sight(entry: Mapping[str, Any]) -> Sight:
    absent_by = entry.get("absent_by")
    if absent_by is not None and absent_by not in ABSENT_BY:
        raise ValueError(f"'absent_by' is {absent_by!r}; known are {', '.join(ABSENT_BY)}")
    return Sight(
        int(entry["pixels"]),
        _share(entry.get("visible_fraction")),
        _share(entry.get("in_frame_fraction")),
        absent_by,
    )


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def _share(value: Any) -> float | None:
    return None if value is None else float(value)


def _vector(values: Any) -> Float64:
    vector = np.asarray(values, np.float64)
    if vector.shape != (3,) or not np.isfinite(vector).all():
        raise ValueError("a position is not three finite numbers")
    return vector
