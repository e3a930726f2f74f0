"""LabelMe's JSON files: one per image, objects named by their label and group."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from x3spatial.arrays import Bool
from x3spatial.importers.annotations import Annotations, ImageMasks
from x3spatial.importers.loading import load_json
from x3spatial.importers.scene import Problem, SceneError
from x3spatial.importers.shapes import polygon_mask
from x3spatial.io.images import ImageError, decode_mask

_CIRCLE_SIDES = 64


def is_labelme(value: Any) -> bool:
    """Whether a JSON value is LabelMe's."""
    return isinstance(value, dict) and "shapes" in value and "imageHeight" in value


def read_labelme(paths: Sequence[Path]) -> Annotations:
    """Read LabelMe files, one per image. Shapes of one label and ``group_id`` in an image are one object."""
    found = Annotations()
    for path in paths:
        try:
            _read(path, load_json(path), found)
        except SceneError as error:
            found.problems.append(error.problem)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            reason = f"malformed LabelMe file: {type(error).__name__} {error}"
            found.problems.append(Problem(str(path), reason))
    return found


def _read(path: Path, value: Mapping[str, Any], found: Annotations) -> None:
    size = (int(value["imageWidth"]), int(value["imageHeight"]))
    shapes: dict[str, list[Mapping[str, Any]]] = {}
    for shape in value["shapes"]:
        kind = shape.get("shape_type") or "polygon"
        if kind not in _DRAW:
            known = ", ".join(_DRAW)
            found.problems.append(Problem(str(path), f"a {kind} has no area; draw {known}"))
            continue
        label, group = str(shape["label"]), shape.get("group_id")
        uid = label if group is None else f"{label} {group}"
        found.labels.setdefault(uid, label)
        shapes.setdefault(uid, []).append(shape)
    image = PurePosixPath(
        str(value.get("imagePath") or path.with_suffix("").name).replace("\\", "/")
    )
    masks = {uid: partial(_draw, parts, size) for uid, parts in shapes.items()}
    # LabelMe shows and annotates images with their orientation tag applied.
    found.images[image.name] = ImageMasks(masks, size, displayed=True)


def _draw(shapes: Sequence[Mapping[str, Any]], size: tuple[int, int]) -> Bool:
    found = np.zeros((size[1], size[0]), np.bool_)
    for shape in shapes:
        try:
            found |= _DRAW[shape.get("shape_type") or "polygon"](shape, size)
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise ImageError(f"a malformed shape of {shape.get('label')!r}: {error}") from None
    return found


def _polygon(shape: Mapping[str, Any], size: tuple[int, int]) -> Bool:
    points = np.asarray(shape["points"], np.float64)
    if points.ndim != 2 or points.shape[1] != 2 or not np.isfinite(points).all():
        raise ValueError("points are not pairs of numbers")
    return polygon_mask([points], *size)


def _rectangle(shape: Mapping[str, Any], size: tuple[int, int]) -> Bool:
    (x0, y0), (x1, y1) = np.asarray(shape["points"], np.float64)[[0, -1]]
    return polygon_mask([np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]])], *size)


def _circle(shape: Mapping[str, Any], size: tuple[int, int]) -> Bool:
    centre, edge = np.asarray(shape["points"], np.float64)
    angles = np.linspace(0, 2 * np.pi, _CIRCLE_SIDES, endpoint=False)
    around = np.column_stack([np.cos(angles), np.sin(angles)])
    return polygon_mask([centre + around * np.linalg.norm(edge - centre)], *size)


def _mask(shape: Mapping[str, Any], size: tuple[int, int]) -> Bool:
    (x0, y0), (x1, y1) = np.asarray(shape["points"], np.float64).round().astype(int)
    try:
        part = decode_mask(base64.b64decode(shape["mask"], validate=True))
    except (binascii.Error, ImageError) as error:
        raise ValueError(f"its mask is unreadable ({error})") from None
    if part.shape != (y1 - y0 + 1, x1 - x0 + 1) or min(x0, y0) < 0:
        raise ValueError("its mask does not have the size of its points")
    if x1 >= size[0] or y1 >= size[1]:
        raise ValueError("its mask leaves the image")
    found = np.zeros((size[1], size[0]), np.bool_)
    found[y0 : y1 + 1, x0 : x1 + 1] = part
    return found


_DRAW = {"polygon": _polygon, "rectangle": _rectangle, "circle": _circle, "mask": _mask}
"""Shapes with an area."""
