"""Valid files of every format that is read, small, to begin mutations with."""

from __future__ import annotations

import io
import json
import shutil
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from helpers.convention_cases import question
from helpers.paths import FIXTURES, REPOSITORY
from x3spatial.io.images import encode_mask_png, encode_png

CHECKPOINT = FIXTURES / "roborefer-tiny" / "checkpoint"
WIDTH, HEIGHT = 13, 9


def copy_checkpoint(out: Path) -> Path:
    """A checkpoint of which files can be replaced."""
    return Path(shutil.copytree(CHECKPOINT, out))


def checkpoint_file(name: str) -> Iterator[bytes]:
    """One file of a checkpoint."""
    yield (CHECKPOINT / name).read_bytes()


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(depth: int, colour: int, *, interlaced: bool = False, extra: bytes = b"") -> bytes:
    """A PNG of any colour type and depth with arbitrary pixels."""
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour]
    row = (WIDTH * depth * channels + 7) // 8
    values = np.random.default_rng(depth + colour).integers(0, 2, (HEIGHT, row), dtype=np.uint8)
    rows = b"".join(b"\0" + line.tobytes() for line in values)
    if interlaced:
        # Seven passes; those of so small an image are written one after the other.
        places = (
            (0, 0, 8, 8),
            (4, 0, 8, 8),
            (0, 4, 4, 8),
            (2, 0, 4, 4),
            (0, 2, 2, 4),
            (1, 0, 2, 2),
            (0, 1, 1, 2),
        )
        rows = b""
        for x, y, dx, dy in places:
            wide, high = -(-(WIDTH - x) // dx), -(-(HEIGHT - y) // dy)
            if wide > 0 and high > 0:
                rows += (b"\0" + bytes((wide * depth * channels + 7) // 8)) * high
    header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, depth, colour, 0, 0, interlaced)
    palette = _chunk(b"PLTE", bytes(range(48))) if colour == 3 else b""
    body = _chunk(b"IHDR", header) + palette + extra + _chunk(b"IDAT", zlib.compress(rows))
    return b"\x89PNG\r\n\x1a\n" + body + _chunk(b"IEND", b"")


def pngs() -> Iterator[bytes]:
    """PNG files of every colour type and depth."""
    kinds = [
        (1, 0),
        (2, 0),
        (4, 0),
        (8, 0),
        (16, 0),
        (8, 2),
        (16, 2),
        (4, 3),
        (8, 4),
        (16, 4),
        (8, 6),
        (16, 6),
    ]
    for depth, colour in kinds:
        yield png(depth, colour)
    yield png(8, 2, interlaced=True)
    yield png(4, 3, extra=_chunk(b"tRNS", b"\0\x80\xff"))
    yield png(8, 2, extra=_chunk(b"tRNS", b"\0\1\0\1\0\1"))
    yield png(
        8, 2, extra=_chunk(b"tEXt", b"Comment\0text") + _chunk(b"eXIf", b"MM\0*\0\0\0\x08\0\0")
    )
    yield png(8, 0, extra=_chunk(b"acTL", struct.pack(">II", 1, 0)))
    yield encode_mask_png(np.eye(HEIGHT, WIDTH, dtype=bool))
    yield encode_png(np.random.default_rng(1).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8))


def _photo() -> Image.Image:
    values = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    return Image.fromarray(values)


def _saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def jpegs() -> Iterator[bytes]:
    """JPEG files: baseline, progressive, grey, CMYK, with an orientation tag, with restart markers."""
    photo = _photo()
    exif = Image.Exif()
    exif[0x0112] = 6
    yield _saved(photo, "JPEG")
    yield _saved(photo, "JPEG", progressive=True)
    yield _saved(photo.convert("L"), "JPEG")
    yield _saved(photo.convert("CMYK"), "JPEG")
    yield _saved(photo, "JPEG", exif=exif)
    yield _saved(photo.resize((64, 48)), "JPEG", restart_marker_blocks=1)


def other_images() -> Iterator[bytes]:
    """Files of other kinds that decoders accept."""
    photo = _photo()
    for kind in ("WEBP", "BMP", "GIF", "TIFF", "PPM", "TGA", "JPEG2000"):
        yield _saved(photo, kind)
    yield _saved(photo, "WEBP", lossless=True)
    yield _saved(photo.convert("F"), "TIFF")
    yield _saved(photo.convert("I;16"), "TIFF")


def record(task: str = "t1_multi", **more: Any) -> dict[str, Any]:
    """A record of a task file with every field."""
    count = 1 if task == "t1_concat" else 2
    images = [f"/data/0{number}_000010_original.png" for number in range(count)]
    return {
        "id": f"{task}-1",
        "task": task,
        "image": images if count > 1 else images[0],
        "query_original": images[-1],
        "conversations": [
            {"from": "human", "value": "Where is it?"},
            {"from": "gpt", "value": "[(0.500, 0.500)]"},
        ],
        "question": "Where is it?",
        "split": "train",
        "scene": "s",
        "uid": "1",
        "label": "cup",
        "query_mask": "/data/mask.png",
        "query_mask_kind": "tight",
        "image_sizes": [[64, 48]] * count,
        "mask_area_fraction": 0.25,
        **more,
    }


def records() -> list[dict[str, Any]]:
    """Records of several tasks."""
    return [
        record(),
        record("t1_concat", reference_point=[0.25, 0.5]),
        record("t2b_multi", id="b", label=None),
        {
            key: value
            for key, value in record(id="c").items()
            if key in ("id", "image", "conversations")
        },
    ]


def deep() -> Iterator[bytes]:
    """JSON that no parser can follow, which mutations rarely find."""
    yield b"[" * 30_000
    yield b'{"a":' * 8_000
    yield b"[" * 30_000 + b"]" * 30_000
    yield b"9" * 5_000
    yield b"[" + b"9" * 5_000 + b"]"
    yield b'{"id": "\\ud800", "label": "\\ud800"}\n'


def task_files() -> Iterator[bytes]:
    """Task files, ours and with the document's fields only."""
    yield json.dumps(records()).encode()
    yield json.dumps(records()[:1], indent=1).encode()
    yield b"[]"


def json_lines() -> Iterator[bytes]:
    """Task files with a record per line."""
    yield b"\n".join(json.dumps(one).encode() for one in records())
    yield b"\xef\xbb\xbf" + json.dumps(record()).encode() + b"\n"


def results_files() -> Iterator[bytes]:
    """A results file of the present format, and one of the first."""
    from x3spatial.formats.results_file import METRICS

    parsed = {"is_not_visible": False, "coord": [0.5, 0.5]}
    sample = {
        "id": "1", "pred_text": "[(0.5, 0.5)]", "pred_parsed": parsed, "gt": {"text": "x", **parsed},
        "l2_error": 0.0, "success_l2_010": True, "hit_mask": True, "status": "answered", "scene": "s",
        "uid": "1", "hit_mask_tight": None, "l2_error_full": None, "contradictory": False,
        "out_of_range": False, "missing_mask": False, "images_seen": None,
    }  # fmt: skip
    model = {
        "name": "m",
        "kind": "centre",
        "convention": "unit",
        "privileged": False,
        "describe": {},
    }
    value = {
        "format": 2,
        "metrics": dict.fromkeys(METRICS, 1.0),
        "ci95": {"hit_at_mask": [0.0, 1.0], "success_010": None},
        "ci_unit": "scene",
        "chance": {"uniform": {"hit_at_mask": 0.1}},
        "by_mask_area": [],
        "scoring": {"rule": "x3", "mask": "auto"},
        "problems": [{"path": "a.png", "reason": "missing"}],
        "settings": {
            "model": "centre", "describe": {}, "convention": "unit", "data_sha256": "0", "max_new_tokens": 64,
            "seed": 0, "image_folder": None, "limit": None,
        },
        "versions": {"python": "3.11"},
        "model": model,
        "data": {"path": "t.json", "sha256": "0", "build": None},
        "run": {
            "seconds": 1.0, "samples_per_second": 1.0, "asked": 1, "host": "h", "processes": 1, "workers": 1,
            "batch_size": 1, "date": "2026-01-01",
        },
        "results": [sample],
    }  # fmt: skip
    yield json.dumps(value).encode()
    yield json.dumps({key: part for key, part in value.items() if key != "format"}).encode()


def journals() -> Iterator[bytes]:
    """Journals, one with a torn last line."""
    lines = b"".join(
        json.dumps({"id": str(n), "text": "[(0.5, 0.5)]"}).encode() + b"\n" for n in range(3)
    )
    yield lines
    yield lines + b'{"id": "3", "te'


def manifests() -> Iterator[bytes]:
    """Manifests of finished runs."""
    yield json.dumps({"run": {"seed": 42}, "files": {"a.json": 3}, "skipped": []}).encode()


def labels() -> Iterator[bytes]:
    """Label files."""
    yield json.dumps({"label": "cup", "frames": [{"name": "1", "pose": [[1.0, 0.0]]}]}).encode()


def replies() -> Iterator[bytes]:
    """Replies of servers."""
    message = {"role": "assistant", "content": "[(0.5, 0.5)]", "reasoning_content": "so"}
    usage = {"prompt_tokens": 7, "completion_tokens": 3}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    yield json.dumps({"id": "x", "model": "m", "choices": [choice], "usage": usage}).encode()
    parts = [{"type": "text", "text": "[(0.5, 0.5)]"}, {"type": "reasoning", "text": "x"}]
    yield json.dumps({"choices": [{**choice, "message": {"content": parts}}]}).encode()
    yield json.dumps({"error": {"message": "no", "code": 429, "type": "rate"}}).encode()
    yield json.dumps({"result": 1, "answer": "[(0.5, 0.5)]"}).encode()
    yield b'{"detail": [{"loc": ["body"], "msg": "field required"}]}'


def answers() -> Iterator[bytes]:
    """Answers in the form of every family, and with what stands around answers."""
    from x3spatial.conventions.registry import CONVENTIONS
    from x3spatial.tasks.boxes import Box
    from x3spatial.tasks.geometry import Point

    asked = question()
    for convention in CONVENTIONS.values():
        sizes = [(64, 48)] * 2 if convention.pixels else []
        if convention.answers == "box":
            text, _ = convention.format_box(Box(0.25, 0.5, 0.5, 0.75), asked, sizes)
        else:
            text, _ = convention.format_answer(Point(0.25, 0.5), asked, sizes)
        yield text.encode()
        yield convention.absent.encode()
    yield b"<think>it is left of it</think>\n**[(0.5, 0.5)]**<|im_end|>\nuser"
    yield b'```json\n[{"point_2d": [12, 34], "label": "cup"}, {"bbox_2d": [1, 2, 3, 4]}]\n```'
    yield b"The cup is NOT\\_VISIBLE, \\boxed{(0.1, 0.2)}"


REGISTRY = b"""\
datasets:
  a: a.json
  b: {data_path: b.json, image_folder: /, depth_folder: d, weight: 0.5, only: visible}
  c: &c
    data_path: c.json
    repeat: 2
  d: {<<: *c, only: not_visible}
mixtures:
  all: a + b*3 + c*0.5
  more: all*2 + d
"""


def registries() -> Iterator[bytes]:
    """Registries of data sets."""
    yield REGISTRY
    yield (REPOSITORY / "configs" / "mixtures.yaml").read_bytes()


RECIPE = b"""\
datasets:
  seen: {data_path: d.json, only: visible}
  unseen: {data_path: d.json, only: not_visible}
options: {bf16: false, learning_rate: 1.0e-3}
stages:
  - {name: first, mixture: seen, options: {max_steps: 2}, evaluate: e.json}
  - name: second
    mixture: seen + unseen*2
    resize: {image_size: 126, rotate_heads: 1}
"""


def recipes() -> Iterator[bytes]:
    """Recipes."""
    yield RECIPE


def tensors() -> Iterator[bytes]:
    """Files of safetensors."""
    import torch
    from safetensors.torch import save

    yield save(
        {"a": torch.zeros(2, 3), "b": torch.zeros(4, dtype=torch.bfloat16)}, {"format": "pt"}
    )
    yield save({"empty": torch.zeros(0)})


def pickles() -> Iterator[bytes]:
    """Weights as torch saves them, in both of its formats."""
    import torch

    for new in (True, False):
        buffer = io.BytesIO()
        torch.save({"a": torch.zeros(2, 3)}, buffer, _use_new_zipfile_serialization=new)
        yield buffer.getvalue()
