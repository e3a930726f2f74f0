"""Reading files of a source: every fault becomes one line with the path."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

from x3spatial.arrays import Float32, Int32
from x3spatial.errors import UserError
from x3spatial.importers.scene import SceneError
from x3spatial.io.files import read_json
from x3spatial.io.images import ImageError, decode_channels, probe, read_bytes

IMAGE_ENDINGS = (".jpg", ".jpeg", ".png")
"""Endings of images that a source may have, in any case."""


def load_json(path: Path) -> Any:
    """Parse a JSON file of a source.

    Raises:
        SceneError: it is missing, unreadable or not JSON.
    """
    try:
        return read_json(path)
    except UserError as error:
        raise SceneError(path, str(error).removeprefix(f"{path}: ")) from None


def image_size(path: Path) -> tuple[int, int]:
    """(width, height) from an image's header.

    Raises:
        ImageError: it is missing or no image.
    """
    return probe(read_bytes(path))


def read_ids(path: Path) -> Int32:
    """An id map ``[H, W]``: 8- or 16-bit grey, palette indices, or grey stored as RGB.

    Raises:
        ImageError: it cannot be read, or its channels differ.
    """
    data = read_bytes(path)
    probe(data)
    if _is_palette(data):  # the index is the id; a decoder would return colours
        with Image.open(io.BytesIO(data)) as image:
            return np.asarray(image, np.int32)
    ids = decode_channels(data)
    if ids.ndim == 3:
        colours = ids[..., :3]
        if not (colours == colours[..., :1]).all():
            raise ImageError(
                "an id map in colours; write the ids as 8- or 16-bit grey or as palette indices"
            )
        ids = colours[..., 0]
    if ids.dtype.kind not in "iu":
        raise ImageError(f"an id map of {ids.dtype} pixels; write 8- or 16-bit grey")
    return ids.astype(np.int32)


def _is_palette(data: bytes) -> bool:
    """Whether a PNG has a palette: colour type 3."""
    return data.startswith(b"\x89PNG") and len(data) > 25 and data[25] == 3


def read_depth(path: Path, scale: float | None) -> Float32:
    """Depth along z in metres ``[h, w]``, 0 where unknown.

    Args:
        path: a 16-bit PNG, or a numpy array (.npy).
        scale: metres per unit; None: 0.001 for whole numbers, 1 for others.

    Raises:
        ImageError: it cannot be read.
    """
    data = read_bytes(path)
    if path.suffix.lower() == ".npy":
        try:
            values = np.load(io.BytesIO(data), allow_pickle=False)
        except (ValueError, EOFError, OSError) as error:
            raise ImageError(f"not a numpy array: {error}") from None
        values = np.squeeze(values)
    else:
        values = decode_channels(data)
    if values.ndim != 2:
        raise ImageError("a depth image has one channel of 16 bits; this one has several")
    if values.dtype == np.uint8:
        raise ImageError("a depth image of 8 bits cannot hold depth; write 16-bit millimetres")
    if scale is None:
        scale = 0.001 if values.dtype.kind in "iu" else 1.0
    depth = values.astype(np.float32) * np.float32(scale)
    return np.where(np.isfinite(depth) & (depth > 0), depth, np.float32(0))


def resize_ids(ids: Int32, size: tuple[int, int]) -> Int32:
    """Ids at another size (width, height), each pixel from the nearest one."""
    if ids.shape == (size[1], size[0]):
        return ids
    resized = cv2.resize(ids.astype(np.float64), size, interpolation=cv2.INTER_NEAREST_EXACT)
    return np.asarray(resized, np.int32)


def find_image(stem: Path) -> Path | None:
    """The image file with this path but for its ending; None if there is none."""
    for ending in (".png", ".jpg", ".jpeg", ".PNG", ".JPG", ".JPEG"):
        path = stem.with_name(stem.name + ending)
        if path.is_file():
            return path
    return None
