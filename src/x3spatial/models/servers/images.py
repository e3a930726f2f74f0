"""Images for requests: the bytes of the file where possible, re-encoded otherwise."""

from __future__ import annotations

import base64
import hashlib
import io
import math
import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from x3spatial.arrays import UInt8
from x3spatial.io.images import (
    ImageError,
    decode_rgb,
    encode_jpeg,
    encode_png,
    probe,
    read_bytes,
    resize_rgb,
)
from x3spatial.io.orientation import orientation_of
from x3spatial.tasks.question import Size

_MEDIA_TYPES = {"PNG": "image/png", "JPEG": "image/jpeg", "WEBP": "image/webp"}
_UNCHANGED = {
    "auto": frozenset({"PNG", "JPEG"}),
    "png": frozenset({"PNG"}),
    "original": frozenset({"PNG", "JPEG", "WEBP"}),
}
"""``--image-format`` → formats of files that are sent as they are."""
_DEPTH_AT = 24
"""Byte of a PNG that holds the number of bits per channel."""
_JPEG_QUALITIES = (95, 90, 80, 70)
_SHRINK = 0.8
_SMALLEST_SIDE = 28
_KEPT_BYTES = 256 << 20


@dataclass(frozen=True, slots=True)
class EncodedImage:
    """One image, encoded for a request."""

    url: str
    """A URL ``data:image/png;base64,...``."""
    size: Size
    """(W, H) of the encoded image."""
    sha256: str
    """Hash of the media type and the encoded bytes."""
    details: dict[str, Any]
    """Size, format and re-encoding, for the results."""

    @property
    def base64(self) -> str:
        """The encoded bytes in base64, without the ``data:`` prefix."""
        return self.url.partition(",")[2]


@dataclass(frozen=True, slots=True)
class ImageLimits:
    """Limits of the images in a request.

    ``resized`` returns the size that the model's own processor would resize to. It is set for conventions
    that count pixels of the resized image: the image is then sent in exactly that size.
    """

    max_bytes: int
    max_pixels: int | None = None
    resized: Callable[[Size], Size] | None = None
    format: str = "auto"
    """One of ``choices.IMAGE_FORMATS``."""

    def size(self, size: Size) -> Size:
        """(W, H) that an image of ``size`` is resized to before sending."""
        if self.resized is not None:
            return self.resized(size)
        width, height = size
        if self.max_pixels is None or width * height <= self.max_pixels:
            return size
        shrink = math.sqrt(self.max_pixels / (width * height))
        # A strip stays one pixel wide, so only its length can be reduced.
        columns = min(self.max_pixels, max(1, math.floor(width * shrink)))
        return columns, max(1, min(math.floor(height * shrink), self.max_pixels // columns))


class ImageCache:
    """Encoded images by file, least recently used first out. Safe in threads: each is encoded once."""

    def __init__(self, limits: ImageLimits, kept_bytes: int = _KEPT_BYTES) -> None:
        self._limits = limits
        self._kept_bytes = kept_bytes
        self._lock = threading.Lock()
        self._made: OrderedDict[tuple[str, int, int], Future[EncodedImage]] = OrderedDict()
        self._bytes = 0

    def get(self, path: Path) -> EncodedImage:
        """The encoded image of ``path``; a file that has changed is encoded again.

        Raises:
            ImageError: missing, unreadable or damaged.
        """
        try:
            state = path.stat()
        except OSError as error:
            raise ImageError(error.strerror or str(error)) from None
        key = (str(path), state.st_size, state.st_mtime_ns)
        with self._lock:
            made = self._made.get(key)
            mine = made is None
            if made is None:
                made = self._made[key] = Future()
            self._made.move_to_end(key)
        if mine:
            try:
                made.set_result(encode_image(read_bytes(path), self._limits))
            except BaseException as error:
                made.set_exception(error)
            self._keep(key, made)
        return made.result()

    def _keep(self, key: tuple[str, int, int], made: Future[EncodedImage]) -> None:
        with self._lock:
            if made.exception() is not None:
                del self._made[key]
                return
            self._bytes += len(made.result().url)
            for old in list(self._made):
                if self._bytes <= self._kept_bytes:
                    break
                if self._made[old].done():  # else its bytes are not counted yet
                    self._bytes -= len(self._made.pop(old).result().url)


def encode_image(data: bytes, limits: ImageLimits) -> EncodedImage:
    """Encode the bytes of an image file within ``limits``.

    The bytes are sent unchanged if they are a PNG or JPEG (with ``format`` "png" a PNG only, with "original"
    a WebP too) of the right size and within the byte limit, whose pixels all servers read alike: 8-bit grey
    or RGB without palette, transparency, animation or orientation tag. Otherwise the pixels of
    ``decode_rgb`` are re-encoded: as PNG if that fits, else as JPEG (not with "png"), else downscaled.

    Raises:
        ImageError: it cannot be decoded, or does not fit the limits.
    """
    size = probe(data)
    format, plain = _kind(data)
    plain = plain and format in _UNCHANGED[limits.format]
    target = limits.size(size)
    if plain and target == size and len(data) <= limits.max_bytes:
        return _as_encoded(data, format, size)
    pixels = decode_rgb(data, probed=True)
    resize = resize_rgb if limits.resized is None else _as_processors_do
    pixels = resize(pixels, *target)
    while True:
        found = _encoded(pixels, limits)
        here = (pixels.shape[1], pixels.shape[0])
        if found is not None:
            encoded, kind, quality = found
            return _as_encoded(encoded, kind, here, original=(size, format), quality=quality)
        smaller = (int(here[0] * _SHRINK), int(here[1] * _SHRINK))
        if limits.resized is not None or min(smaller) < _SMALLEST_SIDE:
            raise ImageError(f"cannot be sent in {limits.max_bytes} bytes (--max-image-bytes)")
        pixels = resize_rgb(pixels, *smaller)


def _kind(data: bytes) -> tuple[str, bool]:
    """The format, and whether all servers read the same pixels from this file."""
    try:
        with Image.open(io.BytesIO(data)) as image:
            return str(image.format), _is_plain(image, data)
    except (
        Exception
    ):  # Pillow's readers raise what they like; OpenCV may read the file all the same
        return "other", False


def _is_plain(image: Image.Image, data: bytes) -> bool:
    """Whether all servers read the same pixels from this file."""
    if getattr(image, "is_animated", False) or "transparency" in image.info:
        return False
    if image.format == "PNG" and data[_DEPTH_AT] != 8:  # Pillow opens 16-bit RGB as RGB
        return False
    return image.mode in ("RGB", "L") and orientation_of(data) is None


def _as_processors_do(pixels: UInt8, width: int, height: int) -> UInt8:
    """Resize with Pillow's bicubic filter, like the processors of transformers."""
    resized = Image.fromarray(pixels).resize((width, height), Image.Resampling.BICUBIC)
    return np.asarray(resized, dtype=np.uint8)


def _encoded(pixels: UInt8, limits: ImageLimits) -> tuple[bytes, str, int | None] | None:
    """(bytes, format, JPEG quality) of the best encoding that fits; None if none does."""
    data = encode_png(pixels)
    if len(data) <= limits.max_bytes:
        return data, "PNG", None
    for quality in () if limits.format == "png" else _JPEG_QUALITIES:
        data = encode_jpeg(pixels, quality)
        if len(data) <= limits.max_bytes:
            return data, "JPEG", quality
    return None


def _as_encoded(
    data: bytes,
    format: str,
    size: Size,
    *,
    original: tuple[Size, str] | None = None,
    quality: int | None = None,
) -> EncodedImage:
    media_type = _MEDIA_TYPES[format]
    details: dict[str, Any] = {
        "sent": list(size),
        "format": format.lower(),
        "bytes": len(data),
        "reencoded": original is not None,
        "resized": original is not None and original[0] != size,
    }
    if original is not None:
        details["file"] = original[1].lower()
    if quality is not None:
        details["quality"] = quality
    digest = hashlib.sha256(media_type.encode() + b"\0" + data).hexdigest()
    url = f"data:{media_type};base64,{base64.b64encode(data).decode('ascii')}"
    return EncodedImage(url, size, digest, details)
