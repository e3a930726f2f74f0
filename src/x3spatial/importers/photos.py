"""Kind ``photos``: photographs of one room and masks of objects in them; no poses.

Photographs and absences are used as they are given. Orientation tags are applied, to photographs and masks
alike; nothing else in this package applies them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from x3spatial.arrays import Bool, UInt8
from x3spatial.importers.annotations import Annotations, ImageMasks, MaskOf
from x3spatial.importers.coco import is_coco, read_coco
from x3spatial.importers.instance_files import ANNOTATIONS
from x3spatial.importers.labelme import is_labelme, read_labelme
from x3spatial.importers.loading import IMAGE_ENDINGS, load_json
from x3spatial.importers.mask_files import MASKS, read_mask_files
from x3spatial.importers.names import frame_names, unique_names
from x3spatial.importers.options import ReadOptions
from x3spatial.importers.registry import Found, SceneRef
from x3spatial.importers.scene import (
    Frame,
    Instances,
    MaskSet,
    Problem,
    Scene,
    SceneError,
    SceneObject,
    Size,
)
from x3spatial.importers.sightings import unknown_sight
from x3spatial.importers.sources import find_scenes
from x3spatial.io.images import ImageError, decode_rgb, probe, read_bytes
from x3spatial.io.orientation import TURNS_SIDES, orientation_of, upright
from x3spatial.roots.scene_file import Sight

_FOLDERS = ("images", "photos", "rgb", ".")
_LABEL_FOLDERS = ("labels", "labelme", "annotations", "json")
_UNREAD = (".heic", ".heif", ".webp", ".tif", ".tiff", ".bmp", ".gif", ".dng")
_ASPECT = 0.02


def find(source: Path, options: ReadOptions) -> Found:
    """List the scenes of a source; see ``registry.Reader``."""
    needs = "photos (.jpg, .png) and masks/, LabelMe files or annotations.json (COCO)"
    return find_scenes("photos", source, options, _is_scene, needs)


def _is_scene(folder: Path) -> bool:
    return bool(_photos(folder)) and _annotation_of(folder) is not None


def open_scene(ref: SceneRef, options: ReadOptions) -> Scene:
    """Open a scene; see ``registry.Reader``."""
    return PhotosScene(ref, options)


def _photos(folder: Path) -> list[Path]:
    """The photographs of a scene, sorted by name."""
    for name in _FOLDERS:
        here = folder / name
        found = _with_ending(here, IMAGE_ENDINGS)
        if found:
            return found
    return []


def _with_ending(folder: Path, endings: Sequence[str]) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in endings and path.is_file() and not path.name.startswith(".")
    )


def _annotation_of(folder: Path) -> Path | list[Path] | None:
    """The COCO file, the folder of masks, or the LabelMe files of a scene."""
    for name in ANNOTATIONS:
        if (path := folder / name).is_file():
            return path
    masks = folder / MASKS
    if any(path.is_file() for path in masks.rglob("*")):
        return masks
    for name in (*_FOLDERS, *_LABEL_FOLDERS):
        found = _with_ending(folder / name, (".json",))
        if any(is_labelme(_json_or_none(path)) for path in found):
            return found
    return masks if masks.is_dir() else None


def _annotations(folder: Path, photos: Sequence[Path]) -> Annotations:
    """The masks of a scene in whichever form they are.

    Raises:
        SceneError: there are none, or their file is malformed.
    """
    found = _annotation_of(folder)
    if found is None:
        raise SceneError(folder, "has no masks")
    if isinstance(found, list):
        return read_labelme([path for path in found if is_labelme(_json_or_none(path))])
    if found.is_dir():
        return read_mask_files(found, photos)
    if not is_coco(load_json(found)):
        raise SceneError(found, "not COCO: has no 'images' and 'annotations'")
    return read_coco(found)


def _json_or_none(path: Path) -> object:
    try:
        return load_json(path)
    except SceneError:
        return None


class PhotosScene(Scene):
    """Photographs of one room."""

    metric = False
    absence_given = True
    choose_frames = False

    def __init__(self, ref: SceneRef, options: ReadOptions) -> None:
        self.name, self.split = ref.name, ref.split
        photos = _photos(ref.path)
        found = _annotations(ref.path, photos)
        self._found = found
        self.problems: list[Problem] = [*found.problems]
        self._report_unread(ref.path, photos)
        by_name = {path.replace("\\", "/").rpartition("/")[2]: path for path in found.images}
        names = frame_names(photo.name for photo in photos)
        self._masks: dict[str, tuple[ImageMasks, int | None, Size]] = {}
        self._choice = options.mask_orientation
        self.frames = []
        for photo in photos:
            if photo.name not in by_name:
                self.problems.append(Problem(str(photo), "has no masks; not used"))
                continue
            try:
                frame, tag, stored = _frame(photo, names[photo.name], ref.path)
            except ImageError as error:
                self.problems.append(Problem(str(photo), f"cannot be used: {error.reason}"))
                continue
            self.frames.append(frame)
            self._masks[frame.name] = (found.images[by_name[photo.name]], tag, stored)
        for name in sorted(set(by_name) - {photo.name for photo in photos}):
            self.problems.append(Problem(str(ref.path / name), "is annotated, but not there"))
        if not self.frames:
            raise SceneError(ref.path, "no photo has masks")
        self._uids = unique_names(found.labels)
        self.objects = [
            SceneObject(self._uids[key], label, found.kinds.get(key, ""))
            for key, label in found.labels.items()
        ]

    def _report_unread(self, folder: Path, photos: Sequence[Path]) -> None:
        for path in _with_ending(photos[0].parent if photos else folder, _UNREAD):
            reason = f"{path.suffix[1:].upper()} images are not read; convert it to JPEG or PNG"
            self.problems.append(Problem(str(path), reason))

    def instances(self, frame: Frame, size: Size) -> Instances:
        """The masks of a photograph, turned as it is; see ``Scene``."""
        entry, tag, stored = self._masks[frame.name]
        drawn: dict[str, MaskOf] = {
            self._uids[key]: partial(_turned, mask, entry, tag, stored, self._choice)
            for key, mask in entry.masks.items()
        }
        return MaskSet(drawn, size)

    def sights(
        self, frame: Frame, size: Size, instances: Instances, uids: Sequence[str]
    ) -> Mapping[str, Sight]:
        """Pixels only; see ``Scene``."""
        pixels = instances.pixels()
        return {uid: unknown_sight(pixels.get(uid, 0)) for uid in uids}


def _frame(photo: Path, name: str, folder: Path) -> tuple[Frame, int | None, Size]:
    """The frame of a photograph as viewers show it, its orientation tag, and its stored size."""
    data = read_bytes(photo)
    width, height = probe(data)
    tag = orientation_of(data)
    shown = (height, width) if tag in TURNS_SIDES else (width, height)
    encoded = partial(read_bytes, photo) if tag is None else None
    source = photo.relative_to(folder).as_posix()
    frame = Frame(name, shown, partial(_read, photo), source, encoded=encoded)
    return frame, tag, (width, height)


def _read(photo: Path) -> UInt8:
    """A photograph as viewers show it."""
    data = read_bytes(photo)
    return np.ascontiguousarray(upright(decode_rgb(data), orientation_of(data)))


def _turned(mask: MaskOf, entry: ImageMasks, tag: int | None, stored: Size, choice: str) -> Bool:
    """A mask as its photograph is shown.

    Raises:
        ImageError: it has neither the shape of the stored nor that of the shown photograph, or both and the
            two differ.
    """
    drawn = mask()
    shown = stored[::-1] if tag in TURNS_SIDES else stored
    fits_stored, fits_shown = _fits(drawn, stored), _fits(drawn, shown)
    if not fits_stored and not fits_shown:
        raise ImageError(
            f"a mask of {drawn.shape[1]}x{drawn.shape[0]} pixels for a photo of {shown[0]}x{shown[1]}"
        )
    if tag is None:
        return drawn
    if fits_stored != fits_shown:
        as_stored = fits_stored
    elif entry.displayed or choice == "displayed":
        as_stored = False
    elif choice == "stored":
        as_stored = True
    else:
        raise ImageError(
            f"its photo has the orientation tag {tag}, and its masks fit it turned and as stored; add"
            " --mask-orientation displayed if they were drawn in a program that turns photos, else"
            " --mask-orientation stored"
        )
    return np.ascontiguousarray(upright(drawn, tag)) if as_stored else drawn


def _fits(mask: Bool, size: Size) -> bool:
    return bool(abs(mask.shape[1] / mask.shape[0] / (size[0] / size[1]) - 1) < _ASPECT)
