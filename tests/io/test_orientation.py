"""Orientation tags: found wherever readers find them, and left out without touching the pixels."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageOps

from x3spatial.io.images import decode_rgb
from x3spatial.io.orientation import MEANINGS, orientation_of, without_orientation

_WIDTH, _HEIGHT = 40, 24
_XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF><rdf:Description xmlns:tiff="http://ns.adobe.com/tiff/1.0/"'
    b' tiff:Orientation="6"/></rdf:RDF></x:xmpmeta>'
)


def picture() -> Image.Image:
    random = np.random.default_rng(5)
    return Image.fromarray(random.integers(0, 256, (_HEIGHT, _WIDTH, 3), dtype=np.uint8))


def exif(tag: int, order: str = "<") -> bytes:
    """A minimal Exif block: another tag, the orientation, and one with a value further on."""
    head = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HI", 42, 8)
    entries = [(0x0100, 3, 1, _WIDTH), (0x0112, 3, 1, tag), (0x010F, 2, 6, 8 + 2 + 3 * 12 + 4)]
    body = struct.pack(f"{order}H", len(entries))
    for number, kind, count, value in entries:
        packed = f"{order}HHIHH" if kind == 3 else f"{order}HHII"
        body += struct.pack(packed, number, kind, count, *([value, 0] if kind == 3 else [value]))
    return head + body + struct.pack(f"{order}I", 0) + b"maker\0"


def stored(format: str, **options: object) -> bytes:
    file = io.BytesIO()
    picture().save(file, format, **options)
    return file.getvalue()


def jpeg_with(*segments: bytes) -> bytes:
    plain = stored("JPEG", quality=90)
    packed = [b"\xff\xe1" + struct.pack(">H", len(s) + 2) + s for s in segments]
    return plain[:2] + b"".join(packed) + plain[2:]


def png_with(kind: bytes, body: bytes, *, behind: bool = False) -> bytes:
    plain = stored("PNG")
    chunk = struct.pack(">I", len(body)) + kind + body
    chunk += struct.pack(">I", zlib.crc32(kind + body))
    place = plain.rindex(b"IEND") - 4 if behind else 33
    return plain[:place] + chunk + plain[place:]


def hex_profile(tag: int) -> bytes:
    """How ImageMagick keeps Exif in a PNG."""
    block = b"Exif\0\0" + exif(tag)
    return b"\nexif\n%8d\n%s\n" % (len(block), block.hex().encode())


TAGGED = {
    "jpeg": jpeg_with(b"Exif\0\0" + exif(6)),
    "jpeg big-endian": jpeg_with(b"Exif\0\0" + exif(8, ">")),
    "jpeg xmp": jpeg_with(b"http://ns.adobe.com/xap/1.0/\0" + _XMP),
    "jpeg both": jpeg_with(b"http://ns.adobe.com/xap/1.0/\0" + _XMP, b"Exif\0\0" + exif(3)),
    "jpeg padded": stored("JPEG")[:2] + b"\xff\xff\xff" + jpeg_with(b"Exif\0\0" + exif(5))[3:],
    "png": png_with(b"eXIf", exif(6)),
    "png behind the pixels": png_with(b"eXIf", exif(2), behind=True),
    "png xmp": png_with(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + _XMP),
    "png packed xmp": png_with(
        b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(_XMP), behind=True
    ),
    "png profile": png_with(b"tEXt", b"Raw profile type exif\0" + hex_profile(7)),
    "png packed profile": png_with(
        b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(hex_profile(7))
    ),
    "webp": stored("WEBP", lossless=True, exif=b"Exif\0\0" + exif(6)),
    "webp xmp": stored("WEBP", lossless=True, xmp=_XMP),
    "tiff": stored("TIFF", tiffinfo={0x0112: 6}),
}


@pytest.mark.parametrize("kind", list(TAGGED))
def test_the_tag_is_found_and_left_out_with_the_pixels_kept(kind: str) -> None:
    data = TAGGED[kind]
    assert orientation_of(data) in MEANINGS
    pixels = decode_rgb(data)
    found, name = without_orientation(data, "view.x")
    assert np.array_equal(decode_rgb(found), pixels)
    assert orientation_of(found) is None
    # As data loaders read it.
    image = Image.open(io.BytesIO(found))
    image.load()
    assert image.getexif().get(0x0112) is None
    assert ImageOps.exif_transpose(image).size == (pixels.shape[1], pixels.shape[0])
    assert np.array_equal(np.asarray(image.convert("RGB")), pixels)
    assert name == ("view.png" if kind == "tiff" else "view.x")
    if kind != "tiff":  # whose decoder applies the tag; both readings of it agree all the same
        assert pixels.shape == (_HEIGHT, _WIDTH, 3)
    if kind.startswith("jpeg"):  # the compressed pixels keep their bytes
        assert found == stored("JPEG", quality=90) or kind == "jpeg padded"
    if kind.startswith("png"):
        assert found == stored("PNG")


@pytest.mark.parametrize(
    "data",
    [
        stored("JPEG"), stored("PNG"), stored("WEBP"), stored("GIF"), jpeg_with(b"Exif\0\0" + exif(1)),
        png_with(b"eXIf", exif(1)), jpeg_with(b"Exif\0\0" + exif(9)), jpeg_with(b"Exif\0\0II*\0"),
        png_with(b"tEXt", b"Comment\0eXIf tiff:Orientation"),
    ],
)  # fmt: skip
def test_other_images_keep_their_bytes(data: bytes) -> None:
    assert orientation_of(data) is None
    assert without_orientation(data, "a.png") == (data, "a.png")
