"""LaMa's files: ONNX and TorchScript networks of its signature, and everything that is not one."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from inpainting.networks import write_onnx, write_torchscript
from x3spatial.arrays import Bool, UInt8
from x3spatial.errors import UserError
from x3spatial.inpainting import inpaint, open_engine


def two_tones(height: int = 45, width: int = 62) -> tuple[UInt8, Bool]:
    """Sides that are no multiples of 8; the hole lies in a plain image with something red in it."""
    image = np.full((height, width, 3), (60, 120, 180), np.uint8)
    hole = np.zeros((height, width), bool)
    hole[10:25, 20:40] = True
    image[hole] = (255, 0, 0)
    return image, hole


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"white": 255.0},
        {"size": (64, 64)},
        {"size": (64, 64), "white": 255.0},
        {"mask_name": "a"},  # inputs are told apart by their channels, not by name or order
    ],
    ids=str,
)
def test_onnx(tmp_path: Path, options: dict[str, Any]) -> None:
    path = write_onnx(tmp_path / "lama.onnx", **options)
    image, hole = two_tones()
    filled = inpaint(image, hole, f"lama:{path}")
    assert np.array_equal(filled[~hole], image[~hole])
    assert np.abs(filled[hole].astype(int) - (60, 120, 180)).max() <= 1
    engine = open_engine(f"lama:{path}")
    assert engine is not None
    assert {"onnxruntime", "sha256", "device"} <= engine.describe().keys()


def test_torchscript_runs_only_if_its_code_is_trusted(tmp_path: Path) -> None:
    path = write_torchscript(tmp_path / "big lama.pt")
    image, hole = two_tones()
    with pytest.raises(UserError, match=r"run with your rights.*lama:trust-code:.*big lama\.pt"):
        inpaint(image, hole, f"lama:{path}")
    filled = inpaint(image, hole, f"lama:trust-code:{path}")
    assert np.abs(filled[hole].astype(int) - (60, 120, 180)).max() <= 1
    assert np.array_equal(filled, inpaint(image, hole, f"lama:{write_onnx(tmp_path / 'l.onnx')}"))


def write_other(path: Path, kind: str) -> Path:
    match kind:
        case "missing":
            return path
        case "folder":
            path.mkdir()
        case "text":
            path.write_text("hello")
        case "lfs":
            path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\n")
        case "checkpoint":
            with zipfile.ZipFile(path, "w") as archive:
                archive.writestr("archive/data.pkl", b"x")
        case "cut":
            write_torchscript(path)
            path.write_bytes(path.read_bytes()[:200])
        case "half onnx":
            write_onnx(path)
            path.write_bytes(path.read_bytes()[:100])
        case "inverted":
            write_onnx(path, inverted=True)
        case "grey":
            write_onnx(path, image_channels=1)
        case "white 2":
            write_onnx(path, white=2.0)
    return path


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("missing", "no such file"),
        ("folder", "directory"),
        ("text", "neither an ONNX nor a TorchScript file"),
        ("lfs", "git lfs pull"),
        ("checkpoint", "weights without their network"),
        ("cut", "is damaged"),
        ("half onnx", "cannot be loaded by onnxruntime"),
        ("inverted", "does not give the image back outside of the mask"),
        ("grey", "its inputs are image"),
        ("white 2", "does not give the image back outside of the mask"),
    ],
)
def test_other_files_are_refused_when_opened(tmp_path: Path, kind: str, said: str) -> None:
    path = write_other(tmp_path / "weights", kind)
    with pytest.raises(UserError) as caught:
        open_engine(f"lama:trust-code:{path}")
    assert said in str(caught.value) and str(path) in str(caught.value)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 600
