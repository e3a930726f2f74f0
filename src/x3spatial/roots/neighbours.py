"""The other objects of a view: their masks in the data root, and their outlines from ``scene.json``."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from x3spatial.roots.layout import DILATED, MASK, ObjectFiles, list_object
from x3spatial.roots.scene_file import SceneFile


@dataclass(frozen=True, slots=True)
class Outline:
    """A box of the image around an object, in fractions of width and height, and what is seen of it."""

    left: float
    top: float
    right: float
    bottom: float
    visible: float
    """Share of the image's pixels that show the object."""


def masks_of_others(item: ObjectFiles) -> dict[str, tuple[Path, ...]]:
    """Frame → the masks, tight where there is one, that other objects of the scene have in this frame."""
    found: dict[str, list[Path]] = {}
    try:
        folders = sorted(entry.name for entry in os.scandir(item.folder.parent) if entry.is_dir())
    except OSError:  # reported when the object is read
        return {}
    for name in folders:
        uid = name.removeprefix("uid_")
        if uid in (name, item.key.uid):
            continue
        other = list_object(item.key._replace(uid=uid), item.folder.parent / name)
        for view in other.views:
            path = view.files.get(MASK) or view.files.get(DILATED)
            if path is not None:
                found.setdefault(view.frame, []).append(path)
    return {frame: tuple(paths) for frame, paths in found.items()}


def outlines_of_others(scene: SceneFile, uid: str, frame: str) -> list[Outline]:
    """The outlines of a frame's visible objects but ``uid``; empty where cameras or boxes are unknown."""
    camera = scene.cameras.get(frame)
    if camera is None:
        return []
    found = []
    for other, pixels in sorted(scene.pixels.get(frame, {}).items()):
        box = scene.boxes.get(other)
        if other == uid or pixels < 1 or box is None:
            continue
        extent = camera.extent(box)
        if extent is not None:
            found.append(Outline(*extent, pixels / camera.pixels))
    return found
