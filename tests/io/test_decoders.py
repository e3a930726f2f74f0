"""One file, one image: builds, models, servers, previews, training and exports decode alike."""

from __future__ import annotations

import base64
import io
import struct
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from x3spatial.io.images import ImageError, decode_mask, decode_rgb, probe, read_rgb
from x3spatial.models.local.image_loading import load_rgb
from x3spatial.models.servers.images import ImageLimits, encode_image

WIDTH, HEIGHT = 37, 23
RNG = np.random.default_rng(5)
GREY16 = RNG.integers(0, 65536, (HEIGHT, WIDTH), dtype=np.uint16)
RGB16 = RNG.integers(0, 65536, (HEIGHT, WIDTH, 3), dtype=np.uint16)
RGB8 = (RGB16 >> 8).astype(np.uint8)
ALPHA16 = RNG.integers(0, 65536, (HEIGHT, WIDTH, 1), dtype=np.uint16)


def png(depth: int, colour: int, rows: bytes, *, extra: bytes = b"") -> bytes:
    """A PNG of ``rows``, each with its filter byte; nothing of a library in it."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        crc = zlib.crc32(kind + body)
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", crc)

    header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, depth, colour, 0, 0, 0)
    data = chunk(b"IHDR", header) + extra + chunk(b"IDAT", zlib.compress(rows))
    return b"\x89PNG\r\n\x1a\n" + data + chunk(b"IEND", b"")


def filtered(values: np.ndarray) -> bytes:
    """Rows ``[H, ...]`` of big-endian samples, none of them filtered."""
    return b"".join(b"\0" + row.tobytes() for row in values)


def packed(values: np.ndarray, depth: int) -> bytes:
    """``[H, W]`` samples of less than 8 bits, packed."""
    bits = np.unpackbits(values.astype(np.uint8)[..., None], axis=2)[..., 8 - depth :]
    return filtered(np.packbits(bits.reshape(HEIGHT, -1), axis=1))


def grey(depth: int) -> tuple[bytes, np.ndarray]:
    if depth == 16:
        data = png(16, 0, filtered(GREY16.astype(">u2")))
        return data, np.repeat((GREY16 >> 8).astype(np.uint8)[..., None], 3, axis=2)
    values = (GREY16 % (1 << depth)).astype(np.uint8)
    data = png(depth, 0, filtered(values) if depth == 8 else packed(values, depth))
    scaled = values * (255 // ((1 << depth) - 1))
    return data, np.repeat(scaled[..., None], 3, axis=2)


def colour(depth: int, *, alpha: bool) -> tuple[bytes, np.ndarray]:
    values = np.concatenate([RGB16, ALPHA16], axis=2) if alpha else RGB16
    rows = values.astype(">u2") if depth == 16 else (values >> 8).astype(np.uint8)
    return png(depth, 6 if alpha else 2, filtered(rows)), RGB8


def grey_alpha(depth: int) -> tuple[bytes, np.ndarray]:
    values = np.concatenate([GREY16[..., None], ALPHA16], axis=2)
    rows = values.astype(">u2") if depth == 16 else (values >> 8).astype(np.uint8)
    expected = np.repeat((GREY16 >> 8).astype(np.uint8)[..., None], 3, axis=2)
    return png(depth, 4, filtered(rows)), expected


def palette(depth: int, *, transparent: bool = False) -> tuple[bytes, np.ndarray]:
    colours = RNG.integers(0, 256, (1 << depth, 3), dtype=np.uint8)
    index = (GREY16 % (1 << depth)).astype(np.uint8)

    def chunk(kind: bytes, body: bytes) -> bytes:
        crc = zlib.crc32(kind + body)
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", crc)

    extra = chunk(b"PLTE", colours.tobytes())
    if transparent:
        extra += chunk(b"tRNS", b"\0\x80")
    rows = filtered(index) if depth == 8 else packed(index, depth)
    return png(depth, 3, rows, extra=extra), colours[index]


PNGS: dict[str, Callable[[], tuple[bytes, np.ndarray]]] = {
    **{f"grey {d}": partial(grey, d) for d in (1, 2, 4, 8, 16)},
    **{f"grey and alpha {d}": partial(grey_alpha, d) for d in (8, 16)},
    **{f"rgb {d}": partial(colour, d, alpha=False) for d in (8, 16)},
    **{f"rgba {d}": partial(colour, d, alpha=True) for d in (8, 16)},
    **{f"palette {d}": partial(palette, d) for d in (1, 2, 4, 8)},
    "palette with transparency": lambda: palette(8, transparent=True),
}


def every_reader(path: Path) -> dict[str, np.ndarray]:
    limits = ImageLimits(10_000_000)
    sent = base64.b64decode(encode_image(path.read_bytes(), limits).url.partition(",")[2])
    return {
        "build": decode_rgb(path.read_bytes()),
        "models": np.asarray(load_rgb(path)),
        "servers": decode_rgb(sent),
        "preview": read_rgb(path),
    }


@pytest.mark.parametrize("kind", PNGS)
def test_png_kinds_have_the_pixels_of_their_standard(kind: str, tmp_path: Path) -> None:
    data, expected = PNGS[kind]()
    path = tmp_path / "image.png"
    path.write_bytes(data)
    assert probe(data) == (WIDTH, HEIGHT)
    for reader, pixels in every_reader(path).items():
        assert (pixels == expected).all(), reader


def jpeg(kind: str) -> bytes:
    smooth = Image.fromarray(RGB8).resize((WIDTH, HEIGHT), Image.Resampling.BOX)
    image = {"grey": smooth.convert("L"), "cmyk": smooth.convert("CMYK")}.get(kind, smooth)
    buffer = io.BytesIO()
    options: dict[str, object] = {"progressive": kind == "progressive"}
    if kind == "turned":
        exif = Image.Exif()
        exif[0x0112] = 6
        options["exif"] = exif
    if kind == "webp":
        image.save(buffer, "WEBP", lossless=True)
    else:
        image.save(buffer, "JPEG", quality=90, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["plain", "progressive", "grey", "cmyk", "turned", "webp"])
def test_readers_agree_on_other_kinds(kind: str, tmp_path: Path) -> None:
    """An orientation tag is not applied: the stored pixels are the frame."""
    path = tmp_path / f"image.{'webp' if kind == 'webp' else 'jpg'}"
    path.write_bytes(jpeg(kind))
    assert probe(path.read_bytes()) == (WIDTH, HEIGHT)
    readers = every_reader(path)
    assert {pixels.shape for pixels in readers.values()} == {(HEIGHT, WIDTH, 3)}
    for reader, pixels in readers.items():
        assert (pixels == readers["build"]).all(), reader


@pytest.mark.parametrize("kind", ["plain", "progressive", "grey"])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.9, 0.99])
def test_a_jpeg_that_was_cut_short_is_damage(kind: str, share: float, tmp_path: Path) -> None:
    data = jpeg(kind)
    path = tmp_path / "image.jpg"
    path.write_bytes(data[: int(share * len(data))])
    for read in (load_rgb, read_rgb, lambda p: encode_image(p.read_bytes(), ImageLimits(10**7))):
        with pytest.raises(ImageError, match="cut short"):
            read(path)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n", "git lfs pull"),
        (b"<!DOCTYPE html>\n<html><body>404</body></html>", "HTML page"),
        (b"\n <HTML>", "HTML page"),
        (b"GIF89a", "cannot be decoded"),
        (b"x", "cannot be decoded"),
        (b"\xff\xd8\xff\xe0\x00\x10JFIF", "cut short"),
        (b"\x89PNG\r\n\x1a\n", "cut short"),
    ],
)
def test_what_is_no_image_is_named(data: bytes, reason: str) -> None:
    for decode in (decode_rgb, decode_mask, probe):
        with pytest.raises(ImageError, match=reason):
            decode(data)


def test_sizes_that_the_library_refuses_are_our_own_error() -> None:
    """74 bytes that end OpenCV's decoder with an exception of its own."""
    width = (1 << 20) + 1

    def chunk(kind: bytes, body: bytes) -> bytes:
        crc = zlib.crc32(kind + body)
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", crc)

    header = struct.pack(">IIBBBBB", width, 1, 8, 0, 0, 0, 0)
    rows = zlib.compress(b"\0" * (width + 1))
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows)
    data += chunk(b"IEND", b"")
    for decode in (decode_rgb, decode_mask):
        with pytest.raises(ImageError, match="cannot be decoded"):
            decode(data)
    huge = struct.pack(">IIBBBBB", 40_000, 40_000, 8, 0, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", huge) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")
    with pytest.raises(ImageError, match="40000x40000 are more than"):
        decode_mask(data)


@pytest.mark.parametrize("kind", ["rgb 8", "rgba 8", "palette 4", "grey 16"])
def test_a_damaged_checksum_is_damage_for_every_reader(kind: str, tmp_path: Path) -> None:
    """Also where the image data behind it can be decompressed."""
    data = bytearray(PNGS[kind]()[0])
    place = data.index(b"IDAT")
    (length,) = struct.unpack_from(">I", data, place - 4)
    data[place + 4 + length] ^= 0xFF
    path = tmp_path / "image.png"
    path.write_bytes(data)
    for read in (load_rgb, read_rgb, lambda p: encode_image(p.read_bytes(), ImageLimits(10**7))):
        with pytest.raises(ImageError, match=r"damaged \(checksum\)"):
            read(path)


def test_what_pillow_cannot_read_is_our_own_error(tmp_path: Path) -> None:
    """A JPEG whose frame header names two components of the same place: only its header looks whole."""
    data = bytearray(jpeg("plain"))
    place = data.index(b"\xff\xc0")
    data[place + 4] = 3  # bits per sample
    with pytest.raises(ImageError):
        encode_image(bytes(data), ImageLimits(10**7))
