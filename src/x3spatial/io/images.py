"""Decoding, encoding and resizing of images.

Arrays are ``uint8 [H, W, 3]`` RGB or ``bool [H, W]`` masks. Nearly all codecs are those of OpenCV, the
fastest maintained library in our measurements (``docs/dependencies.md``). The peculiarities of its interface
(BGR, ``None`` for an error, messages on stderr) are confined to this module.
"""

from __future__ import annotations

import io
import os
import struct
import warnings
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from isal import isal_zlib
from PIL import Image

from x3spatial.arrays import Bool, UInt8, UInt16
from x3spatial.errors import UserError
from x3spatial.io.members import MemberPath, file_at
from x3spatial.io.opening import open_regular
from x3spatial.program.streams import native_silenced

os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")  # errors are reported with the path of the file

import cv2

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_JPEG_SIGNATURE = b"\xff\xd8\xff"
CHECKED_SIGNATURES = (_PNG_SIGNATURE, _JPEG_SIGNATURE)
"""How files begin that ``probe`` finds cut short."""
_IEND = b"IEND"

MAX_PIXELS = 1 << 27
"""134 million: larger than any camera's image, 0.4 GB decoded."""
MAX_PIXELS_VARIABLE = "X3_MAX_IMAGE_PIXELS"
_PNG_AVERAGE = 3  # filter type: each byte less the mean of its left and upper neighbours

# Masks consist of long runs of two values, which plain deflate compresses well.
_PNG_FLAT = [cv2.IMWRITE_PNG_COMPRESSION, 3]


class ImageError(ValueError):
    """A file that is not a readable image; ``reason`` does not contain the path."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def read_bytes(path: Path) -> bytes:
    """The bytes of a file, which may lie inside of a pack.

    Raises:
        ImageError: the file cannot be opened, is no regular file, is empty, or is far too large.
        UserError: its pack is damaged.
    """
    try:
        path = file_at(path)
        if isinstance(path, MemberPath):
            return path.read_bytes()
        with open_regular(path) as file:
            # Twice the bytes of the largest uncompressed image.
            if (size := os.fstat(file.fileno()).st_size) > 16 * max_pixels() + (1 << 20):
                raise ImageError(f"file has {size:,} bytes, more than an image of the largest size")
            data = file.read()
    except FileNotFoundError:
        raise ImageError("file is missing") from None
    except OSError as error:
        raise ImageError(error.strerror or str(error)) from None
    if not data:
        raise ImageError("file is empty")
    return data


def max_pixels() -> int:
    """The most pixels of an image that is decoded: ``X3_MAX_IMAGE_PIXELS``, else ``MAX_PIXELS``.

    A few kilobytes can hold an image that takes gigabytes to decode.

    Raises:
        UserError: the variable is not a positive whole number.
    """
    text = os.environ.get(MAX_PIXELS_VARIABLE)
    if text is None:
        return MAX_PIXELS
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise UserError(f"{MAX_PIXELS_VARIABLE}={text}: expected a number of pixels")
    return int(text)


def check_size(width: int, height: int) -> tuple[int, int]:
    """``(width, height)`` if an image of this size may be decoded.

    Raises:
        ImageError: it has no pixel, or more than ``max_pixels()``.
    """
    if width < 1 or height < 1:
        raise ImageError("image has no size")
    if width * height > max_pixels():
        raise ImageError(
            f"{width}x{height} are more than {max_pixels():,} pixels; set {MAX_PIXELS_VARIABLE} to"
            " decode it"
        )
    return width, height


def probe_png(data: bytes) -> tuple[int, int]:
    """(width, height) of a PNG whose chunks are all complete and match their checksums.

    Detects truncated and damaged files at a fiftieth of the cost of decoding them.

    Raises:
        ImageError: the data is not a PNG, truncated, damaged, or too large to be decoded.
    """
    if not data.startswith(_PNG_SIGNATURE):
        raise ImageError(_foreign(data) or "not a PNG file")
    view = memoryview(data)
    offset = len(_PNG_SIGNATURE)
    size: tuple[int, int] | None = None
    while True:
        if offset + 12 > len(view):
            raise ImageError("PNG is cut short")
        (length,) = struct.unpack_from(">I", view, offset)
        end = offset + 12 + length
        if end > len(view):
            raise ImageError("PNG is cut short")
        kind = bytes(view[offset + 4 : offset + 8])
        (checksum,) = struct.unpack_from(">I", view, end - 4)
        if zlib.crc32(view[offset + 4 : end - 4]) != checksum:
            raise ImageError("PNG is damaged (checksum)")
        if kind == b"IHDR":
            width, height = struct.unpack_from(">II", view, offset + 8)
            size = (width, height)
        if kind == _IEND:
            break
        offset = end
    if size is None:
        raise ImageError("PNG has no size")
    return check_size(*size)


def probe_jpeg(data: bytes) -> tuple[int, int]:
    """(width, height) of a JPEG whose data have an end.

    A decoder fills what is missing of a file that was cut short with grey and says nothing. Inside the
    compressed data 0xFF is always followed by 0x00 or a restart marker, so the end marker stands only at
    the end.

    Raises:
        ImageError: no size in it, cut short, or too large to be decoded.
    """
    place, size = 2, None
    while place + 4 <= len(data):
        if data[place] != 0xFF:
            raise ImageError("JPEG is damaged (no marker where one must be)")
        marker = data[place + 1]
        if marker == 0xFF or 0xD0 <= marker <= 0xD8 or marker == 0x01:  # padding, no length
            place += 1 if marker == 0xFF else 2
            continue
        (length,) = struct.unpack_from(">H", data, place + 2)
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):  # a frame header
            if place + 9 > len(data):
                break
            height, width = struct.unpack_from(">HH", data, place + 5)
            size = (width, height)
        if marker == 0xDA:  # the compressed data begin
            if size is None:
                raise ImageError("JPEG has no size")
            if data.find(b"\xff\xd9", place + 2 + length) < 0:
                raise ImageError("JPEG is cut short")
            return check_size(*size)
        place += 2 + length
    raise ImageError("JPEG is cut short")


def probe(data: bytes) -> tuple[int, int]:
    """(width, height) of an image of any kind that is read, from its header; cheap.

    Raises:
        ImageError: not an image, cut short (PNG, JPEG), damaged, or too large to be decoded.
    """
    if data.startswith(_PNG_SIGNATURE):
        return probe_png(data)
    if data.startswith(_JPEG_SIGNATURE):
        return probe_jpeg(data)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(data)) as image:
                size = image.size
    except Image.DecompressionBombError:
        raise ImageError("has more pixels than an image may have") from None
    except Exception:  # Pillow's readers raise what they like on damaged headers
        raise ImageError(_foreign(data) or "cannot be decoded as an image") from None
    return check_size(*size)


def _foreign(data: bytes) -> str | None:
    """What ``data`` is, if it is one of the things that often lie in the place of an image."""
    head = data[:200].lstrip().lower()
    if head.startswith(b"version https://git-lfs"):
        return "is a Git LFS pointer, not an image; run: git lfs pull"
    if head.startswith((b"<!doctype html", b"<html")):
        return "is an HTML page, not an image"
    return None


def _decode(data: bytes, *, probed: bool = False) -> npt.NDArray[Any]:
    """Channels as stored (BGR order), native depth, palettes expanded: ``[H, W]`` or ``[H, W, C]``."""
    if not probed:
        probe(data)  # libpng would print messages about truncated or damaged files
    try:
        with native_silenced():
            image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except (cv2.error, MemoryError) as error:
        raise ImageError(f"cannot be decoded: {' '.join(str(error).split())}") from None
    if image is None:
        raise ImageError("cannot be decoded as an image")
    return image


def decode_channels(data: bytes) -> npt.NDArray[Any]:
    """Decode to the stored channels at their native depth: ``[H, W]``, or ``[H, W, C]`` in BGR(A) order.

    Palettes are expanded.

    Raises:
        ImageError: the data is not a readable image.
    """
    return _decode(data)


def decode_rgb(data: bytes, *, probed: bool = False) -> UInt8:
    """Decode to ``uint8 [H, W, 3]`` RGB: 16-bit keeps the high byte, grey is repeated, alpha is dropped.

    ``probed``: ``probe`` has already accepted these bytes.

    Raises:
        ImageError: the data is not a readable image of 8 or 16 bits.
    """
    image = _decode(data, probed=probed)
    if image.dtype == np.uint16:
        image = (image >> 8).astype(np.uint8)
    if image.dtype != np.uint8:
        raise ImageError(f"pixels of type {image.dtype} are not supported (8 or 16 bits are)")
    if image.ndim == 2:
        return np.asarray(cv2.cvtColor(image, cv2.COLOR_GRAY2RGB), dtype=np.uint8)
    code = cv2.COLOR_BGRA2RGB if image.shape[2] == 4 else cv2.COLOR_BGR2RGB
    return np.asarray(cv2.cvtColor(image, code), dtype=np.uint8)


def decode_mask(data: bytes) -> Bool:
    """Decode to ``bool [H, W]``: True where any colour channel is > 0 at its native depth.

    Alpha is ignored and palettes are expanded. A conversion to 8-bit grey would lose small 16-bit values.

    Raises:
        ImageError: the data is not a readable image.
    """
    return set_pixels(_decode(data))


def set_pixels(image: npt.NDArray[Any]) -> Bool:
    """The mask of an image ``[H, W]`` or ``[H, W, C]``: True where any of the first three channels is > 0."""
    if image.ndim == 3:
        image = image[..., :3].max(axis=2)
    return np.asarray(image > 0)


def read_rgb(path: Path) -> UInt8:
    """``decode_rgb`` of a file.

    Raises:
        ImageError: the file is missing, unreadable or damaged.
    """
    return decode_rgb(read_bytes(path))


def read_mask(path: Path) -> Bool:
    """``decode_mask`` of a file.

    Raises:
        ImageError: the file is missing, unreadable or damaged.
    """
    return decode_mask(read_bytes(path))


def _encode(extension: str, image: npt.NDArray[Any], options: list[int]) -> bytes:
    done, data = cv2.imencode(extension, image, options)
    if not done:
        raise ValueError(f"cannot encode a {image.dtype} {image.shape} array as {extension}")
    return data.tobytes()


def encode_png(image: UInt8) -> bytes:
    """Lossless PNG of ``uint8 [H, W, 3]`` RGB.

    Not encoded by OpenCV, because most of the time is spent in deflate, and that of ISA-L is four times as
    fast at the same size (docs/dependencies.md). The rest of the format is one filter and three chunks.
    """
    height, width = image.shape[:2]
    pixels = np.ascontiguousarray(image).reshape(height, 3 * width)
    left, above = np.zeros_like(pixels), np.zeros_like(pixels)
    left[:, 3:] = pixels[:, :-3]
    above[1:] = pixels[:-1]
    rows = np.empty((height, 1 + 3 * width), dtype=np.uint8)
    rows[:, 0] = _PNG_AVERAGE
    # The mean of two bytes, rounded down, in 8-bit arithmetic.
    np.subtract(pixels, (left & above) + ((left ^ above) >> 1), out=rows[:, 1:])
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)  # 8 bits, RGB, not interlaced
    data = isal_zlib.compress(rows.tobytes(), 1)
    chunks = ((b"IHDR", header), (b"IDAT", data), (_IEND, b""))
    return _PNG_SIGNATURE + b"".join(_chunk(kind, body) for kind, body in chunks)


def _chunk(kind: bytes, body: bytes) -> bytes:
    checksum = zlib.crc32(body, zlib.crc32(kind))
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", checksum)


def encode_mask_png(mask: Bool) -> bytes:
    """8-bit grey PNG of a mask: 255 where True, 0 elsewhere."""
    return _encode(".png", mask.astype(np.uint8) * np.uint8(255), _PNG_FLAT)


def encode_depth_png(depth_mm: UInt16) -> bytes:
    """16-bit grey PNG of a depth map in millimetres (0: no surface)."""
    return _encode(".png", depth_mm, _PNG_FLAT)


def encode_pgm(depth_mm: UInt16) -> bytes:
    """Binary PGM (P5, 16 bits) of a depth map, as 3RScan has them."""
    return _encode(".pgm", depth_mm, [])


def encode_jpeg(image: UInt8, quality: int) -> bytes:
    """Baseline JPEG (4:2:0) of ``uint8 [H, W, 3]`` RGB at ``quality`` 1..100."""
    options = [cv2.IMWRITE_JPEG_QUALITY, quality]
    return _encode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), options)


WEBP_SIDE = 16_383
"""The longest side of a WebP."""


def encode_webp(image: UInt8, quality: int) -> bytes:
    """Lossy WebP of ``uint8 [H, W, 3]`` RGB at ``quality`` 1..100; no side longer than ``WEBP_SIDE``."""
    options = [cv2.IMWRITE_WEBP_QUALITY, quality]
    return _encode(".webp", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), options)


def encode_webp_lossless(image: UInt8) -> bytes:
    """WebP of ``uint8 [H, W, 3]`` RGB with exactly its pixels; no side longer than ``WEBP_SIDE``."""
    options = [cv2.IMWRITE_WEBP_QUALITY, 101]  # OpenCV's way to say lossless
    return _encode(".webp", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), options)


def resize_rgb(image: UInt8, width: int, height: int) -> UInt8:
    """Resize to (width, height); area averaging when shrinking, bicubic when growing."""
    if image.shape[:2] == (height, width):
        return image
    shrinking = width <= image.shape[1] and height <= image.shape[0]
    method = cv2.INTER_AREA if shrinking else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(image, (width, height), interpolation=method), dtype=np.uint8)


def resize_mask(mask: Bool, width: int, height: int) -> Bool:
    """Resize ``bool [H, W]`` to (width, height), each pixel from the nearest one."""
    size = (width, height)
    return np.asarray(
        cv2.resize(mask.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST_EXACT) > 0
    )
