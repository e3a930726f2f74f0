"""COCO JSON as annotations of several views: RLE or polygons, objects named by a track id."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from x3spatial.arrays import Bool, Float64
from x3spatial.importers.annotations import Annotations, ImageMasks
from x3spatial.importers.loading import load_json
from x3spatial.importers.scene import Problem, SceneError
from x3spatial.importers.shapes import polygon_mask, rle_mask
from x3spatial.io.images import ImageError

TRACK_FIELDS = ("track_id", "instance_id", "object_id")
"""Fields that name the same object in several images, in an annotation or in its ``attributes``."""
_Segment = Mapping[str, Any] | list[Float64]


def is_coco(value: Any) -> bool:
    """Whether a JSON value is COCO's."""
    return isinstance(value, dict) and {"images", "annotations"} <= set(value)


def read_coco(path: Path) -> Annotations:
    """Read a COCO file.

    An annotation without a track id belongs to the object that its category's name is; a category may then
    occur once per image.

    Raises:
        SceneError: it cannot be read or is not COCO's.
    """
    value = load_json(path)
    if not is_coco(value):
        raise SceneError(path, "not COCO: has no 'images' and 'annotations'")
    try:
        return _Reader(path, value).read()
    except (KeyError, TypeError, AttributeError) as error:
        raise SceneError(path, f"malformed COCO: {type(error).__name__} {error}") from None


class _Reader:
    """Collects the annotations of one file."""

    def __init__(self, path: Path, value: Mapping[str, Any]) -> None:
        self.path, self.value = path, value
        self.found = Annotations()
        self.categories = {item["id"]: str(item["name"]) for item in value.get("categories", [])}

    def read(self) -> Annotations:
        """All annotations."""
        images = {image["id"]: image for image in self.value["images"]}
        masks: dict[Any, dict[str, list[_Segment]]] = {key: {} for key in images}
        for number, entry in enumerate(self.value["annotations"]):
            name = f"annotation {entry.get('id', number)}"
            if entry.get("image_id") not in images:
                self._problem(f"{name}: names no image of the file")
                continue
            if entry.get("category_id") not in self.categories:
                self._problem(f"{name}: its category is not in the file")
                continue
            if entry.get("iscrowd"):
                self._problem(f"{name}: a crowd (iscrowd) is not one object")
                continue
            self._add(masks[entry["image_id"]], entry, name)
        for key, image in images.items():
            size = (int(image["width"]), int(image["height"]))
            self.found.images[str(image["file_name"])] = ImageMasks(
                {uid: partial(_draw, parts, size) for uid, parts in masks[key].items()}, size
            )
        return self.found

    def _add(self, masks: dict[str, list[_Segment]], entry: Mapping[str, Any], name: str) -> None:
        label = self.categories[entry["category_id"]]
        attributes = entry.get("attributes") or {}
        track = next(
            (
                source[key]
                for key in TRACK_FIELDS
                for source in (entry, attributes)
                if source.get(key) is not None
            ),
            None,
        )
        uid = label if track is None else str(track)
        if self.found.labels.setdefault(uid, label) != label:
            self._problem(
                f"{name}: object {uid} is {self.found.labels[uid]!r} elsewhere and {label!r} here;"
                " the first is used"
            )
        segment = _segment(entry.get("segmentation"))
        if segment is None:
            self._problem(f"{name}: has no mask (segmentation is neither RLE nor polygons)")
            return
        if uid in masks and track is None:
            self._problem(
                f"{name}: a second {label!r} in one image, and no track_id tells which is which;"
                " give each annotation a track_id"
            )
            return
        masks.setdefault(uid, []).append(segment)

    def _problem(self, reason: str) -> None:
        self.found.problems.append(Problem(str(self.path), reason))


def _segment(value: Any) -> _Segment | None:
    """A segmentation in one of its forms; None if it is none of them."""
    if isinstance(value, Mapping) and "counts" in value and "size" in value:
        return value
    if not isinstance(value, list) or not value:
        return None
    polygons = []
    for flat in value:
        points = np.asarray(flat, np.float64) if isinstance(flat, list) else np.zeros(0)
        if points.ndim != 1 or len(points) < 6 or len(points) % 2 or not np.isfinite(points).all():
            return None
        polygons.append(points.reshape(-1, 2))
    return polygons


def _draw(segments: list[_Segment], size: tuple[int, int]) -> Bool:
    """The union of an object's segments in one image.

    Raises:
        ImageError: a segment is malformed.
    """
    width, height = size
    found = np.zeros((height, width), np.bool_)
    for segment in segments:
        if isinstance(segment, list):
            found |= polygon_mask(segment, width, height)
            continue
        if list(segment["size"]) != [height, width]:
            raise ImageError(f"a mask of size {segment['size']} in an image of {width}x{height}")
        try:
            found |= rle_mask(segment["counts"], width, height)
        except ValueError as error:
            raise ImageError(str(error)) from None
    return found
