"""The instances of a posed scene: id maps with a list of objects, or COCO annotations."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

import numpy as np

from x3spatial.importers.annotations import Annotations, ImageMasks
from x3spatial.importers.coco import is_coco, read_coco
from x3spatial.importers.loading import find_image, load_json, read_ids, resize_ids
from x3spatial.importers.scene import IdMap, Instances, MaskSet, Problem, SceneError, Size
from x3spatial.io.images import ImageError

OBJECTS = "objects.json"
ANNOTATIONS = ("annotations.json", "instances.json", "coco.json", "_annotations.coco.json")
_ID_FOLDERS = ("instances", "instance", "instance_ids", "ids")


class InstanceFiles(ABC):
    """The instances of all images of a scene."""

    what: str
    """What an image needs, for messages."""
    labels: Mapping[str, str]
    """Object key → label."""
    kinds: Mapping[str, str]
    problems: list[Problem]

    @abstractmethod
    def has(self, image: str) -> bool:
        """Whether an image (its path as the source writes it) is annotated."""

    @abstractmethod
    def read(self, image: str, size: Size, uids: Mapping[str, str]) -> Instances:
        """The instances of an image at ``size``; ``uids`` names the objects by key.

        Raises:
            ImageError: they cannot be read.
        """

    def file_of(self, image: str) -> Path | None:
        """The file that holds an image's instances; None: one for all images."""
        return None

    def unnamed(self) -> Problem | None:
        """Ids without a label that were met so far."""
        return None


def open_instances(folder: Path, given: Mapping[str, Path | None]) -> InstanceFiles:
    """Open a scene's instances.

    Args:
        folder: the scene's folder.
        given: image path as the source writes it → the id map that it names; None: found by name.

    Raises:
        SceneError: there are none, or the list of objects is missing or malformed.
    """
    for name in ANNOTATIONS:
        path = folder / name
        if path.is_file() and is_coco(load_json(path)):
            return _CocoFiles(path, read_coco(path))
    return _IdFiles(folder, given)


class _CocoFiles(InstanceFiles):
    """Annotations in COCO's format."""

    what = "entry in the COCO file"

    def __init__(self, path: Path, found: Annotations) -> None:
        self._path, self._found = path, found
        self.labels, self.kinds, self.problems = found.labels, found.kinds, found.problems
        names = [PurePosixPath(name).name for name in found.images]
        self._by_name = {
            PurePosixPath(name).name: entry
            for name, entry in found.images.items()
            if names.count(PurePosixPath(name).name) == 1
        }

    def _entry(self, image: str) -> ImageMasks | None:
        return self._found.images.get(image) or self._by_name.get(PurePosixPath(image).name)

    def has(self, image: str) -> bool:
        """Whether the file lists the image, by path or by a name that is unique."""
        return self._entry(image) is not None

    def read(self, image: str, size: Size, uids: Mapping[str, str]) -> Instances:
        """The drawn masks."""
        entry = self._entry(image)
        assert entry is not None
        return MaskSet({uids[key]: mask for key, mask in entry.masks.items()}, size)


class _IdFiles(InstanceFiles):
    """Id maps, and ``objects.json`` with the label of each id."""

    what = "id map in instances/"

    def __init__(self, folder: Path, given: Mapping[str, Path | None]) -> None:
        self._folder = folder
        self.problems = []
        self._files = {image: path or self._find(image) for image, path in given.items()}
        if not any(self._files.values()):
            raise SceneError(
                folder,
                f"has no instance ids: neither {ANNOTATIONS[0]} (COCO) nor id maps in"
                f" {_ID_FOLDERS[0]}/",
            )
        self._keys, self.labels, self.kinds = _read_objects(folder / OBJECTS)
        self._unnamed: set[int] = set()
        self._met = False

    def _find(self, image: str) -> Path | None:
        inner = PurePosixPath(*PurePosixPath(image).parts[1:]).with_suffix("")
        for name in _ID_FOLDERS:
            for stem in dict.fromkeys((str(inner), PurePosixPath(image).stem)):
                if (found := find_image(self._folder / name / stem)) is not None:
                    return found
        return None

    def has(self, image: str) -> bool:
        """Whether there is an id map with the image's name."""
        return self._files.get(image) is not None

    def file_of(self, image: str) -> Path | None:
        """The id map."""
        return self._files.get(image)

    def read(self, image: str, size: Size, uids: Mapping[str, str]) -> Instances:
        """The id map at ``size``."""
        path = self._files[image]
        assert path is not None
        if path.suffix.lower() != ".png":
            raise ImageError("an id map must be a PNG: JPEG changes the ids")
        ids = read_ids(path)
        if abs(ids.shape[1] / ids.shape[0] / (size[0] / size[1]) - 1) > 0.02:
            raise ImageError(
                f"an id map of {ids.shape[1]}x{ids.shape[0]} pixels for an image of another shape"
            )
        values = {int(value) for value in np.unique(ids)} - {0}
        self._unnamed |= values - set(self._keys)
        self._met = self._met or bool(values & set(self._keys))
        named = {value: uids[key] for value, key in self._keys.items()}
        return IdMap(resize_ids(ids, size), named)

    def unnamed(self) -> Problem | None:
        """Ids that ``objects.json`` does not name.

        Raises:
            SceneError: it names none of the ids that the maps hold.
        """
        if not self._unnamed:
            return None
        shown = ", ".join(map(str, sorted(self._unnamed)[:8]))
        more = ", ..." if len(self._unnamed) > 8 else ""
        path = self._folder / OBJECTS
        if not self._met:
            raise SceneError(path, f"names none of the ids in the id maps ({shown}{more})")
        return Problem(str(path), f"does not name the ids {shown}{more}, which are not used")


def _read_objects(path: Path) -> tuple[dict[int, str], dict[str, str], dict[str, str]]:
    """Id → object key, object key → label, and object key → kind, of ``objects.json``.

    Raises:
        SceneError: it is missing or malformed.
    """
    if not path.is_file():
        raise SceneError(path, "is missing: it gives the label of each id in the id maps")
    value = load_json(path)
    entries = value.get("objects") if isinstance(value, dict) and "objects" in value else value
    if isinstance(entries, dict):
        entries = [
            {"id": key, **(entry if isinstance(entry, dict) else {"label": entry})}
            for key, entry in entries.items()
        ]
    keys: dict[int, str] = {}
    labels: dict[str, str] = {}
    kinds: dict[str, str] = {}
    try:
        for entry in entries or []:
            number, label = int(entry["id"]), entry["label"]
            if not isinstance(label, str) or not label.strip():
                raise ValueError(f"the label of id {number} is not a text")
            key = str(entry.get("uid", number))
            if number in keys or key in labels:
                raise ValueError(f"id {number} is named twice")
            keys[number], labels[key] = key, label.strip()
            if isinstance(entry.get("kind"), str):
                kinds[key] = entry["kind"]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise SceneError(
            path, f'expected {{"objects": [{{"id": 3, "label": "mug"}}]}}: {error}'
        ) from None
    return keys, labels, kinds
