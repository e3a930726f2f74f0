"""Pictures as they are sent: the file's own bytes where they may be, encoded anew where not."""

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
    probe_png,
    read_bytes,
    resize_rgb,
)
from x3spatial.tasks.question import Size

_MEDIA_TYPES = {"PNG": "image/png", "JPEG": "image/jpeg", "WEBP": "image/webp"}
_ORIENTATION = 0x0112
_JPEG_QUALITIES = (95, 90, 80, 70)
_SHRINK = 0.8
_SMALLEST_SIDE = 28
_KEPT_BYTES = 256 << 20


@dataclass(frozen=True, slots=True)
class Picture:
    """One image, ready to be sent."""

    url: str
    """``data:image/png;base64,...``."""
    size: Size
    """(W, H) as sent."""
    sha256: str
    """Of media type and bytes as sent."""
    details: dict[str, Any]
    """What was sent, for the results."""

    @property
    def base64(self) -> str:
        """The bytes as sent, without the URL around them."""
        return self.url.partition(",")[2]


@dataclass(frozen=True, slots=True)
class ImageLimits:
    """What may be sent.

    ``resized`` gives the size that a model's own processor would make, for conventions whose numbers count
    its pixels: then the picture is sent in just that size.
    """

    max_bytes: int
    max_pixels: int | None = None
    resized: Callable[[Size], Size] | None = None

    def size(self, size: Size) -> Size:
        """(W, H) in which an image of ``size`` is sent."""
        if self.resized is not None:
            return self.resized(size)
        width, height = size
        if self.max_pixels is None or width * height <= self.max_pixels:
            return size
        shrink = math.sqrt(self.max_pixels / (width * height))
        # A strip stays one pixel wide, so its length alone must come within the limit.
        columns = min(self.max_pixels, max(1, math.floor(width * shrink)))
        return columns, max(1, min(math.floor(height * shrink), self.max_pixels // columns))


class Pictures:
    """Pictures by file: each is encoded once while it is kept, and as many are kept as there is room for."""

    def __init__(self, sending: ImageLimits, kept_bytes: int = _KEPT_BYTES) -> None:
        self._sending = sending
        self._kept_bytes = kept_bytes
        self._lock = threading.Lock()
        self._made: OrderedDict[tuple[str, int, int], Future[Picture]] = OrderedDict()
        self._bytes = 0

    def get(self, path: Path) -> Picture:
        """The picture in ``path`` as it is now.

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
                made.set_result(make_picture(read_bytes(path), self._sending))
            except BaseException as error:
                made.set_exception(error)
            self._keep(key, made)
        return made.result()

    def _keep(self, key: tuple[str, int, int], made: Future[Picture]) -> None:
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


def make_picture(data: bytes, sending: ImageLimits) -> Picture:
    """The image in the bytes of a file, as ``sending`` has it.

    The bytes stay as they are if they are a whole PNG, or a JPEG or WebP, of 8 bits without transparency,
    animation or a turned orientation (servers differ in what they make of these), of the right size and not
    too many. Else it is encoded anew, as PNG if that is small enough, else as JPEG, else smaller.

    Raises:
        ImageError: not a readable image, or one that cannot be made small enough.
    """
    try:
        with Image.open(io.BytesIO(data)) as image:
            size, format = image.size, str(image.format)
            plain = format in _MEDIA_TYPES and _is_plain(image)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        raise ImageError("cannot be decoded as an image") from None
    if format == "PNG":
        probe_png(data)
    target = sending.size(size)
    if plain and target == size and len(data) <= sending.max_bytes:
        return _picture(data, format, size)
    pixels = decode_rgb(data, probed=format == "PNG")
    resize = resize_rgb if sending.resized is None else _as_processors_do
    pixels = resize(pixels, *target)
    while True:
        found = _encoded(pixels, sending.max_bytes)
        here = (pixels.shape[1], pixels.shape[0])
        if found is not None:
            return _picture(found[0], found[1], here, original=size, quality=found[2])
        smaller = (int(here[0] * _SHRINK), int(here[1] * _SHRINK))
        if sending.resized is not None or min(smaller) < _SMALLEST_SIDE:
            raise ImageError(f"cannot be sent in {sending.max_bytes} bytes (--max-image-bytes)")
        pixels = resize_rgb(pixels, *smaller)


def _is_plain(image: Image.Image) -> bool:
    if getattr(image, "is_animated", False) or "transparency" in image.info:
        return False
    if "exif" in image.info and image.getexif().get(_ORIENTATION, 1) != 1:
        return False
    return image.mode in ("RGB", "L", "P")


def _as_processors_do(pixels: UInt8, width: int, height: int) -> UInt8:
    """Bicubic by Pillow, as the processors of transformers resize."""
    resized = Image.fromarray(pixels).resize((width, height), Image.Resampling.BICUBIC)
    return np.asarray(resized, dtype=np.uint8)


def _encoded(pixels: UInt8, max_bytes: int) -> tuple[bytes, str, int | None] | None:
    """(bytes, format, JPEG quality) of the best encoding that is small enough."""
    data = encode_png(pixels)
    if len(data) <= max_bytes:
        return data, "PNG", None
    for quality in _JPEG_QUALITIES:
        data = encode_jpeg(pixels, quality)
        if len(data) <= max_bytes:
            return data, "JPEG", quality
    return None


def _picture(
    data: bytes,
    format: str,
    size: Size,
    *,
    original: Size | None = None,
    quality: int | None = None,
) -> Picture:
    media_type = _MEDIA_TYPES[format]
    details: dict[str, Any] = {
        "sent": list(size),
        "format": format.lower(),
        "bytes": len(data),
        "reencoded": original is not None,
        "resized": original is not None and original != size,
    }
    if quality is not None:
        details["quality"] = quality
    digest = hashlib.sha256(media_type.encode() + b"\0" + data).hexdigest()
    url = f"data:{media_type};base64,{base64.b64encode(data).decode('ascii')}"
    return Picture(url, size, digest, details)
