"""COLMAP models, text and binary, against the cameras they were written from."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np
import pytest

from helpers.spheres import FOCAL, HEIGHT, WIDTH, ring, write_spheres
from x3spatial.arrays import Float64
from x3spatial.importers.colmap import read_colmap
from x3spatial.importers.options import ReadOptions
from x3spatial.importers.run import import_scans
from x3spatial.importers.scene import SceneError

LENS = (FOCAL, FOCAL + 1, WIDTH / 2, HEIGHT / 2 - 0.5)
Shot = tuple[int, tuple[float, ...], tuple[float, ...], str]


def quaternion(turn: Float64) -> tuple[float, float, float, float]:
    """w, x, y, z of a rotation ``[3, 3]``."""
    values, vectors = np.linalg.eigh(
        np.array(
            [
                [turn[0, 0] - turn[1, 1] - turn[2, 2], 0, 0, 0],
                [turn[0, 1] + turn[1, 0], turn[1, 1] - turn[0, 0] - turn[2, 2], 0, 0],
                [
                    turn[0, 2] + turn[2, 0],
                    turn[1, 2] + turn[2, 1],
                    turn[2, 2] - turn[0, 0] - turn[1, 1],
                    0,
                ],
                [
                    turn[2, 1] - turn[1, 2],
                    turn[0, 2] - turn[2, 0],
                    turn[1, 0] - turn[0, 1],
                    np.trace(turn),
                ],
            ]
        )
        / 3
    )
    x, y, z, w = vectors[:, np.argmax(values)]
    return float(w), float(x), float(y), float(z)


def shots() -> list[Shot]:
    found: list[Shot] = []
    for number, pose in enumerate(ring()):
        turn = pose[:3, :3].T
        shift = -turn @ pose[:3, 3]
        found.append((number + 1, quaternion(turn), tuple(shift), f"{number:03d}.png"))
    return found[::-1]  # ids are in no order


def write_text(model: Path, camera: str = "PINHOLE", parameters: tuple[float, ...] = LENS) -> None:
    model.mkdir(parents=True)
    values = " ".join(map(repr, parameters))
    (model / "cameras.txt").write_text(f"# Camera list\n3 {camera} {WIDTH} {HEIGHT} {values}\n")
    lines = ["# IMAGE_ID, QW, QX, QY, QZ, TX, TY, TZ, CAMERA_ID, NAME"]
    for number, turn, shift, name in shots():
        numbers = " ".join(repr(float(value)) for value in (*turn, *shift))
        lines += [f"{number} {numbers} 3 {name}", "1.5 2.5 -1" if number % 2 else ""]
    (model / "images.txt").write_text("\n".join(lines) + "\n")


def write_binary(model: Path) -> None:
    model.mkdir(parents=True)
    camera = struct.pack("<QIiQQ4d", 1, 3, 1, WIDTH, HEIGHT, *LENS)
    (model / "cameras.bin").write_bytes(camera)
    data = [struct.pack("<Q", len(shots()))]
    for number, turn, shift, name in shots():
        points = number % 3
        data.append(struct.pack("<I7dI", number, *turn, *shift, 3) + name.encode() + b"\0")
        data.append(struct.pack("<Q", points) + struct.pack("<ddq", 1.0, 2.0, -1) * points)
    (model / "images.bin").write_bytes(b"".join(data))


def scene(folder: Path) -> Path:
    write_spheres(folder)
    (folder / "transforms.json").unlink()
    return folder


@pytest.mark.parametrize("form", ["text", "binary"])
def test_cameras_are_those_that_were_written(form: str, tmp_path: Path) -> None:
    folder = scene(tmp_path / "room")
    (write_text if form == "text" else write_binary)(folder / "sparse" / "0")
    found = read_colmap(folder, ReadOptions())
    assert [image.source for image in found.images] == [f"images/{k:03d}.png" for k in range(16)]
    assert not found.metric and not found.problems
    for image, pose in zip(found.images, ring(), strict=True):
        camera = image.camera
        assert np.allclose(camera.camera_to_world, pose, atol=1e-9)
        assert (camera.fx, camera.fy, camera.cx, camera.cy) == LENS


def test_without_a_scale_lengths_and_depth_are_unknown(tmp_path: Path) -> None:
    write_text(scene(tmp_path / "source" / "room") / "sparse" / "0")
    summary = import_scans("posed", tmp_path / "source", tmp_path / "a", workers=1)
    assert [("give --scale" in p.reason) for p in summary.problems] == [True]
    a = json.loads((tmp_path / "a/validation/room/scene.json").read_text())
    assert a["metric"] is False
    summary = import_scans(
        "posed", tmp_path / "source", tmp_path / "b", ReadOptions(scale=1.0), workers=1
    )
    assert not summary.problems and summary.absent.get("occlusion")
    b = json.loads((tmp_path / "b/validation/room/scene.json").read_text())
    assert b["metric"] is True


@pytest.mark.parametrize(
    ("model", "parameters", "distortion"),
    [
        ("SIMPLE_RADIAL", (FOCAL, 80.0, 60.0, 0.05), (0.05, 0, 0, 0)),
        ("RADIAL", (FOCAL, 80.0, 60.0, 0.05, -0.01), (0.05, -0.01, 0, 0)),
        ("OPENCV", (FOCAL, FOCAL, 80.0, 60.0, 0.05, -0.01, 0.001, 0.002), (0.05, -0.01, 0.001, 0.002)),
        ("SIMPLE_PINHOLE", (FOCAL, 80.0, 60.0), ()),
    ],
)  # fmt: skip
def test_lenses(
    model: str, parameters: tuple[float, ...], distortion: tuple[float, ...], tmp_path: Path
) -> None:
    folder = scene(tmp_path / "room")
    write_text(folder / "sparse" / "0", model, parameters)
    camera = read_colmap(folder, ReadOptions()).images[0].camera
    assert camera.distortion == distortion and camera.fx == camera.fy == FOCAL
    rng = np.random.default_rng(0)
    x, y = rng.uniform(5, 150, 50), rng.uniform(5, 110, 50)
    points = camera.unproject(x, y, rng.uniform(1, 3, 50))
    flat, _ = camera.project(points)
    assert np.abs(flat - np.column_stack([x, y])).max() < 0.02


def test_a_fisheye_and_a_damaged_model_are_named(tmp_path: Path) -> None:
    folder = scene(tmp_path / "fisheye")
    write_text(folder / "sparse", "OPENCV_FISHEYE", (*LENS, 0.1, 0.0, 0.0, 0.0))
    with pytest.raises(SceneError, match="is no pinhole; undistort"):
        read_colmap(folder, ReadOptions())
    folder = scene(tmp_path / "short")
    write_binary(folder / "sparse")
    path = folder / "sparse" / "images.bin"
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(SceneError, match="damaged COLMAP model"):
        read_colmap(folder, ReadOptions())
