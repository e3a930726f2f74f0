"""A recorded room as the importers see it: what every reader makes, and all that choice and writing use.

World and cameras: right-handed, in metres if ``Scene.metric``; cameras have OpenCV axes. Sizes are
(width, height) in pixels.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

import numpy as np

from x3spatial.arrays import Bool, Float32, Float64, Int32, UInt8
from x3spatial.importers.camera import Camera
from x3spatial.io.images import resize_mask
from x3spatial.roots.scene_file import Sight

Size = tuple[int, int]


class Problem(NamedTuple):
    """Data that is not used: its path and the reason, which names the likely fix."""

    path: str
    reason: str


class SceneError(Exception):
    """A scene that cannot be used. It is skipped and counted; nothing of it is written."""

    def __init__(self, path: Path | str, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.problem = Problem(str(path), reason)


@dataclass(frozen=True)
class Frame:
    """One image of a scene."""

    name: str
    """Its name in the root, unique in the scene; ``names.frame_names`` makes one of any file name."""
    size: Size
    read: Callable[[], UInt8]
    """Returns RGB ``[H, W, 3]`` of ``size``; raises ``ImageError`` if the image cannot be read."""
    source: str
    """Where it came from, relative to the scene's folder, for ``scene.json`` and messages."""
    camera: Camera | None = None
    """At ``size``; None: no pose is known."""
    depth: Callable[[], Float32] | None = None
    """Returns depth along z in metres ``[h, w]``, 0 where unknown; its size may differ from ``size``."""
    encoded: Callable[[], bytes | None] | None = None
    """Returns a PNG or JPEG file whose stored pixels are those of ``read``, to be kept as it is."""


@dataclass(frozen=True)
class SceneObject:
    """One object of a scene. ``uid`` names its folder: letters, digits, ``-``, ``_`` and ``.``."""

    uid: str
    label: str
    kind: str = ""
    """Kind for look-alikes; empty: the label."""
    box: Float64 | None = None
    """``[2, 3]``: least and greatest corner in the world."""
    points: Float64 | None = field(default=None, repr=False)
    """``[n, 3]``: some points of its surface in the world."""


class Instances(Protocol):
    """The objects in one frame."""

    def pixels(self) -> Mapping[str, int]:
        """uid → visible pixels, for the objects that have any."""
        ...

    def mask(self, uid: str) -> Bool:
        """Visible pixels of an object, ``[H, W]``; all False for one that is not visible."""
        ...


class IdMap:
    """Instances of an id map. ``uids`` maps the values that are objects; others are ignored."""

    def __init__(self, ids: Int32, uids: Mapping[int, str]) -> None:
        self.ids, self.uids = ids, uids
        self._values = {uid: value for value, uid in uids.items()}
        values, counts = np.unique(ids, return_counts=True)
        self._pixels = {
            uids[int(value)]: int(count)
            for value, count in zip(values, counts, strict=True)
            if int(value) in uids
        }

    def pixels(self) -> Mapping[str, int]:
        """uid → visible pixels."""
        return self._pixels

    def mask(self, uid: str) -> Bool:
        """Visible pixels of an object, ``[H, W]``."""
        value = self._values[uid] if uid in self._pixels else None
        return np.asarray(self.ids == value if value is not None else np.zeros_like(self.ids, bool))


class MaskSet:
    """Instances of separate masks, which may overlap; they are resized to ``size``."""

    def __init__(self, masks: Mapping[str, Callable[[], Bool]], size: Size) -> None:
        self._masks, self._size = masks, size
        self._cache: dict[str, Bool] = {}

    def pixels(self) -> Mapping[str, int]:
        """uid → visible pixels."""
        counts = {uid: int(self.mask(uid).sum()) for uid in self._masks}
        return {uid: count for uid, count in counts.items() if count}

    def mask(self, uid: str) -> Bool:
        """Visible pixels of an object, ``[H, W]``."""
        if uid not in self._masks:
            return np.zeros((self._size[1], self._size[0]), np.bool_)
        if uid not in self._cache:
            self._cache[uid] = resize_mask(self._masks[uid](), *self._size)
        return self._cache[uid]


class Scene(ABC):
    """One recorded scene, opened in the worker that imports it. Readers subclass it."""

    name: str
    """Name of its folder in the root."""
    split: str
    """``train``, ``validation`` or ``test``."""
    place: str | None = None
    """Scans of one place share it; None: that of the name (``roots.places``)."""
    frames: Sequence[Frame]
    """All usable frames in the order of recording."""
    objects: Sequence[SceneObject]
    """All annotated objects, structure (walls, floor) included."""
    problems: Sequence[Problem] = ()
    """Frames, masks and objects of the scene that cannot be used."""
    metric: bool = True
    """Whether lengths are metres; False: the scale of the world is unknown."""
    absence_given: bool = False
    """Whether a missing mask means that the frame does not show the object (photographs)."""
    choose_frames: bool = True
    """False: the first frames are used as given (photographs)."""
    survey_scale: float = 1.0
    """Size at which all frames are surveyed, as a share of the size that is written. Below 1 where instances
    are cast from a mesh; chosen frames are then verified at full size."""
    facts: Mapping[str, Any] = MappingProxyType({})
    """What ``scene.json`` shall say of the source beside the common keys (JSON)."""

    @abstractmethod
    def instances(self, frame: Frame, size: Size) -> Instances:
        """The visible pixels of all objects in a frame, at ``size``.

        Raises:
            ImageError: the frame's ids or masks cannot be read; the frame is not used.
        """

    @abstractmethod
    def sights(
        self, frame: Frame, size: Size, instances: Instances, uids: Sequence[str]
    ) -> Mapping[str, Sight]:
        """What a frame shows of objects: for every uid of ``uids`` an entry, with None for what is unknown.

        ``absent_by`` is set only if the cause is known and no ray or sample of the frame shows the object.
        ``importers.sightings`` has the versions by depth and by points.
        """

    def seen_points(
        self, frame: Frame, size: Size, instances: Instances, uid: str
    ) -> Float64 | None:
        """Points ``[n, 3]`` of the object's surface that the frame shows; None if unknown.

        ``scene.json: overlap`` is the share of them that other frames hold.
        """
        return None

    def more_facts(
        self, frames: Sequence[Frame], size: Callable[[Frame], Size]
    ) -> Mapping[str, Any]:
        """Further keys of ``scene.json`` about the frames that are written, each at ``size`` (JSON)."""
        return {}

    def close(self) -> None:  # noqa: B027 - most readers hold nothing
        """Release what the scene holds (meshes, open videos)."""
