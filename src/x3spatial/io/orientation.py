"""Orientation tags of images. This package never applies them, but other readers do."""

from __future__ import annotations

import io
import warnings

from PIL import Image

_TAG = 0x0112
_CARRIERS = (b"eXIf", b"Exif\x00\x00", b"Raw profile type", b"tiff:Orientation")
"""What a file with a tag holds: PNG chunk, JPEG segment, PNG text of ImageMagick, XMP."""

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


def orientation_of(data: bytes) -> int | None:
    """The orientation tag of an image file, 2 to 8; None if it has none or the tag means upright."""
    if not any(carrier in data for carrier in _CARRIERS):
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # large images, damaged metadata
            with Image.open(io.BytesIO(data)) as image:
                tag = image.getexif().get(_TAG)
    except Exception:  # Pillow's readers raise what they like on damaged files and metadata
        return None
    return tag if tag in MEANINGS else None
