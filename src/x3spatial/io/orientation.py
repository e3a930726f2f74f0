"""Orientation tags of images. Other readers apply them; of this package only ``x3 import photos`` does."""

from __future__ import annotations

import io
import struct
import warnings
from pathlib import PurePath
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from PIL import Image

from x3spatial.io.images import decode_rgb, encode_png, probe

_TAG = 0x0112
_EXIF, _XMP = b"Exif\x00\x00", b"http://ns.adobe.com/xap/1.0/\x00"
_PNG_XMP, _PNG_PROFILE = b"XML:com.adobe.xmp\x00", b"Raw profile type"
_CARRIERS = (
    b"eXIf",
    _EXIF,
    _PNG_PROFILE,
    _PNG_XMP,
    b"tiff:Orientation",
    b"EXIF",
    b"II*",
    b"MM\x00*",
)
"""What a file with a tag holds: PNG chunk, JPEG segment, PNG text of ImageMagick, XMP, WebP chunk, TIFF."""

MEANINGS = {
    2: "mirrored",
    3: "turned by 180 degrees",
    4: "mirrored and turned by 180 degrees",
    5: "mirrored and turned by 90 degrees",
    6: "turned by 90 degrees",
    7: "mirrored and turned by 90 degrees",
    8: "turned by 90 degrees",
}
"""Tag → how viewers show the image, other than its pixels are stored."""


TURNS_SIDES = frozenset({5, 6, 7, 8})
"""Tags that exchange width and height."""
Pixels = TypeVar("Pixels", bound=np.generic)


def upright(image: npt.NDArray[Pixels], tag: int | None) -> npt.NDArray[Pixels]:
    """An image or mask ``[H, W, ...]`` with stored pixels as viewers show it; a view where possible."""
    if tag in (2, 3):
        image = image[:, ::-1]
    if tag in (3, 4):
        image = image[::-1]
    if tag in TURNS_SIDES:
        image = np.swapaxes(image, 0, 1)
        if tag in (6, 7):
            image = image[:, ::-1]
        if tag in (7, 8):
            image = image[::-1]
    return image


def orientation_of(data: bytes) -> int | None:
    """The orientation tag of an image file, 2 to 8; None if it has none or the tag means upright."""
    if not any(carrier in data for carrier in _CARRIERS):
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # large images, damaged metadata
            with Image.open(io.BytesIO(data)) as image:
                tag = image.getexif().get(_TAG)
                if tag not in MEANINGS and image.format == "PNG":
                    image.load()  # metadata may stand behind the pixels
                    tag = image.getexif().get(_TAG)
    except Exception:  # Pillow's readers raise what they like on damaged files and metadata
        return None
    return tag if tag in MEANINGS else None


def without_orientation(data: bytes, name: str) -> tuple[bytes, str]:
    """An image file without its orientation tag, and its name.

    The metadata that hold the tag (Exif, XMP) are left out of a JPEG, PNG or WebP; the compressed pixels keep
    their bytes. Other files are encoded as PNG, with the pixels of ``decode_rgb``.

    Raises:
        ImageError: not a readable image.
    """
    probe(data)
    if orientation_of(data) is None:
        return data, name
    changed = _without_metadata(data)
    if changed is not None and orientation_of(changed) is None:
        return changed, name
    return encode_png(decode_rgb(data, probed=True)), f"{PurePath(name).stem}.png"


def _without_metadata(data: bytes) -> bytes | None:
    """The file without Exif and XMP; None if it is of another kind, or damaged."""
    try:
        if data.startswith(b"\xff\xd8"):
            return _jpeg(data)
        if data.startswith(b"\x89PNG"):
            return _png(data)
        if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
            return _webp(data)
    except (struct.error, IndexError, ValueError):
        return None
    return None


def _jpeg(data: bytes) -> bytes:
    kept, place = [data[:2]], 2
    while data[place + 1] != 0xDA:  # until the compressed data begin
        if data[place] != 0xFF:
            raise ValueError("no marker where one must be")
        marker = data[place + 1]
        if marker == 0xFF or 0xD0 <= marker <= 0xD8 or marker == 0x01:  # padding, no length
            end = place + (1 if marker == 0xFF else 2)
        else:
            end = place + 2 + int(struct.unpack_from(">H", data, place + 2)[0])
        if not (marker == 0xE1 and data[place + 4 : end].startswith((_EXIF, _XMP))):
            kept.append(data[place:end])
        place = end
    return b"".join([*kept, data[place:]])


def _png(data: bytes) -> bytes:
    kept, place = [data[:8]], 8
    while place < len(data):
        length, kind = struct.unpack_from(">I4s", data, place)
        end = place + 12 + length
        text = kind in (b"iTXt", b"tEXt", b"zTXt")
        found = text and data[place + 8 : end].startswith((_PNG_XMP, _PNG_PROFILE))
        if kind != b"eXIf" and not found:
            kept.append(data[place:end])
        if kind == b"IEND":
            break
        place = end
    return b"".join(kept)


def _webp(data: bytes) -> bytes:
    kept, place = [], 12
    while place + 8 <= len(data):
        kind, length = struct.unpack_from("<4sI", data, place)
        end = place + 8 + length + length % 2
        chunk = data[place:end]
        if kind == b"VP8X":
            flags = chunk[8] & ~0b1100  # neither Exif nor XMP
            chunk = chunk[:8] + bytes([flags]) + chunk[9:]
        if kind not in (b"EXIF", b"XMP "):
            kept.append(chunk)
        place = end
    body = b"WEBP" + b"".join(kept)
    return b"RIFF" + struct.pack("<I", len(body)) + body
