"""The quick way to read plain PNG files gives the pixels of the one decoder, and leaves the rest to it."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from x3spatial.errors import UserError
from x3spatial.io.images import ImageError, read_rgb
from x3spatial.io.png import open_plain_png
from x3spatial.models.local.image_loading import load_rgb


def _picture(width: int, height: int, mode: str = "RGB") -> Image.Image:
    """Smooth on the left, so that every row filter is used; noise on the right."""
    random = np.random.default_rng(width * 1000 + height)
    values = random.integers(0, 256, (height, width, 4), dtype=np.uint8)
    values[:, : width // 2] = (
        np.arange(height)[:, None, None] + np.arange(width // 2)[:, None]
    ) % 256
    return Image.fromarray(values).convert(mode)


def _by_decoder(path: Path) -> Image.Image:
    return Image.fromarray(read_rgb(path))


def _same(one: Image.Image, other: Image.Image) -> bool:
    return one.mode == other.mode and one.size == other.size and one.tobytes() == other.tobytes()


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
@pytest.mark.parametrize("size", [(1, 1), (3, 5), (97, 61), (320, 240)])
@pytest.mark.parametrize("level", [0, 1, 9])
def test_plain_files_have_the_same_pixels(
    tmp_path: Path, mode: str, size: tuple[int, int], level: int
) -> None:
    path = tmp_path / "p.png"
    notes = PngImagePlugin.PngInfo()
    notes.add_text("comment", "harmless")
    _picture(*size, mode).save(path, compress_level=level, pnginfo=notes, dpi=(72, 72))
    quick = open_plain_png(path)
    assert quick is not None and quick.mode == mode
    assert _same(load_rgb(path), _by_decoder(path))


def test_files_of_several_data_chunks(tmp_path: Path) -> None:
    path = tmp_path / "p.png"
    _picture(320, 240).save(path)
    chunks = _chunks(path)
    body = b"".join(body for name, body in chunks if name == b"IDAT")
    cut = [(b"IDAT", body[at : at + 1000]) for at in range(0, len(body), 1000)]
    _write(path, [chunks[0], *cut, (b"IEND", b"")])
    assert open_plain_png(path) is not None
    assert _same(load_rgb(path), _by_decoder(path))


def test_other_files_are_left_to_the_decoder(tmp_path: Path) -> None:
    picture = _picture(40, 30)
    for name, image, options in (
        ("grey.png", picture.convert("L"), {}),
        ("palette.png", picture.convert("P"), {}),
        ("transparent.png", picture, {"transparency": (1, 2, 3)}),
        ("moving.png", picture, {"save_all": True, "append_images": [_picture(40, 30, "RGB")]}),
        ("photo.jpg", picture, {}),
    ):
        image.save(tmp_path / name, **options)
        assert open_plain_png(tmp_path / name) is None, name
        assert _same(load_rgb(tmp_path / name), _by_decoder(tmp_path / name)), name


def _chunks(path: Path) -> list[tuple[bytes, bytes]]:
    data, place, found = path.read_bytes(), 8, []
    while place < len(data):
        length, name = struct.unpack_from(">I4s", data, place)
        found.append((name, data[place + 8 : place + 8 + length]))
        place += 12 + length
    return found


def _write(path: Path, chunks: list[tuple[bytes, bytes]]) -> None:
    pieces = [b"\x89PNG\r\n\x1a\n"]
    for name, body in chunks:
        crc = zlib.crc32(body, zlib.crc32(name))
        pieces += [struct.pack(">I4s", len(body), name), body, struct.pack(">I", crc)]
    path.write_bytes(b"".join(pieces))


@pytest.mark.parametrize(
    "damage", ["cut off", "header", "note", "rows missing", "rows too many", "filter", "bits"]
)
def test_damaged_files(tmp_path: Path, damage: str, capfd: pytest.CaptureFixture[str]) -> None:
    """Data that are shorter than the header says are damage, and so is every other change."""
    path = tmp_path / "p.png"
    _picture(64, 48).save(path)
    chunks = _chunks(path)
    rows = zlib.decompress(b"".join(body for name, body in chunks if name == b"IDAT"))
    stride = 1 + 64 * 3
    if damage == "note":
        text = (b"tEXt", b"comment\0harmless")
        _write(path, [chunks[0], text, *chunks[1:]])
        path.write_bytes(path.read_bytes().replace(b"harmless", b"harmles!"))
    elif damage == "cut off":
        path.write_bytes(path.read_bytes()[:-3000])
    elif damage == "header":
        data = bytearray(path.read_bytes())
        data[19] ^= 1  # of the width; its checksum no longer fits
        path.write_bytes(data)
    elif damage == "bits":
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 0x10
        path.write_bytes(data)
    else:
        changed = {
            "rows missing": rows[: 20 * stride],
            "rows too many": rows + rows[:stride],
            "filter": rows[: 9 * stride] + b"\x07" + rows[9 * stride + 1 :],
        }[damage]
        _write(path, [chunks[0], (b"IDAT", zlib.compress(changed)), (b"IEND", b"")])
    assert open_plain_png(path) is None
    if damage == "rows too many":  # all that the header promises is there
        assert _same(load_rgb(path), _by_decoder(path))
        return
    with pytest.raises(ImageError, match=r"p\.png: ") as caught:
        load_rgb(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["p.png", "p.jpg", "p.webp", "grey.png"])
def test_the_limit_of_pixels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    path = tmp_path / name
    _picture(40, 30).convert("L" if name == "grey.png" else "RGB").save(path)
    monkeypatch.setenv("X3_MAX_IMAGE_PIXELS", "1200")
    assert load_rgb(path).size == (40, 30)
    monkeypatch.setenv("X3_MAX_IMAGE_PIXELS", "1199")
    with pytest.raises(ImageError, match=rf"{name}: 40x30 are more than 1,199 pixels; set X3_MAX"):
        load_rgb(path)
    monkeypatch.setenv("X3_MAX_IMAGE_PIXELS", "many")
    with pytest.raises(UserError, match="X3_MAX_IMAGE_PIXELS=many: expected a number"):
        load_rgb(path)


def test_a_missing_file_raises(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"none\.png"):
        load_rgb(tmp_path / "none.png")
