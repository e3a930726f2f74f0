"""Kind ``scenezoo``: through the package where it is installed, and what is said where it is not."""

from __future__ import annotations

import importlib.util
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from helpers.scans import SMALL
from x3spatial.errors import UserError
from x3spatial.importers import zoo
from x3spatial.importers.options import ReadOptions
from x3spatial.importers.run import import_scans
from x3spatial.io.ply import read_ply


def installed() -> bool:
    """scenezoo brings Open3D, which needs libraries of the system."""
    if importlib.util.find_spec("scenezoo") is None:
        return False
    try:
        import open3d  # type: ignore[import-not-found]  # noqa: F401
    except ImportError:
        return False
    return True


needs_scenezoo = pytest.mark.skipif(not installed(), reason="needs scenezoo and a working Open3D")


@pytest.mark.skipif(importlib.util.find_spec("scenezoo") is not None, reason="scenezoo is here")
def test_without_the_package(scans: Path) -> None:
    with pytest.raises(UserError, match=r"KIND scenezoo.*x3spatial\[scans\]"):
        zoo.find(scans / "scannetpp", ReadOptions(dataset="scannetppv2"))


@needs_scenezoo
@pytest.mark.parametrize(
    ("dataset", "layout", "source"),
    [("scannetppv2", "scannetpp", "iphone_colmap"), ("3rscan", "3rscan", None)],
)
def test_layouts_are_read_by_it(dataset: str, layout: str, source: str | None, scans: Path) -> None:
    options = ReadOptions(dataset=dataset, frame_source=source)
    if layout == "3rscan":
        for folder in sorted((scans / layout).glob("*/sequence")):
            with zipfile.ZipFile(folder.with_suffix(".zip"), "w") as packed:
                for path in sorted(folder.iterdir()):
                    packed.write(path, path.name)
    ref = zoo.find(scans / layout, options).scenes[0]
    assert ref.split == "train"
    scene = zoo.open_scene(ref, options)
    assert len(scene.frames) >= 10
    shown: set[str] = set()
    for frame in scene.frames[:8]:
        assert frame.read().shape == (frame.size[1], frame.size[0], 3)
        shown |= {u for u, n in scene.instances(frame, frame.size).pixels().items() if n >= SMALL}
    assert len(shown) > 4


class _Toy:
    """A data set as scenezoo has them, with labels of faces."""

    splits: dict[str, list[str]] = {"official_val": ["room", "not-there"]}  # noqa: RUF012

    def __init__(self, scan: Path) -> None:
        self.ply = read_ply(next(scan.glob("*.ply")))
        self.poses = [np.loadtxt(path) for path in sorted((scan / "pose").glob("*.txt"))]
        self.matrix = np.loadtxt(scan / "intrinsic/intrinsic_color.txt")[:3, :3]

    @staticmethod
    def supports(operation: str) -> bool:
        return operation in ("mesh", "segmentation", "frames")

    def get_mesh(self, scene: str) -> Any:
        return type("M", (), {"vertices": self.ply.vertices, "triangles": self.ply.faces})

    def get_segmentation(self, scene: str) -> Any:
        labels = np.where(np.arange(len(self.ply.faces)) % 2, 3, -100)
        names = {3: "chair"}
        return type(
            "S", (), {"labels": labels, "domain": "face", "invalid_id": -100, "id_to_name": names}
        )

    def get_frames(self, scene: str, *, indices: Any, items: tuple[str, ...]) -> Any:
        if "depth" in items:
            raise ValueError("no depth")
        chosen = range(len(self.poses)) if indices is None else indices
        values: dict[str, Any] = dict.fromkeys(
            ("image_sizes", "distortion", "camera_model", "depth_mode", "rgb", "depth")
        )
        values["indices"] = np.array(list(chosen))
        values["rgb"] = [np.zeros((120, 160, 3), np.uint8) for _ in chosen]
        values["rgb_intrinsics"] = [self.matrix for _ in chosen]
        values["world_to_camera"] = [
            np.linalg.inv(self.poses[k]).astype(np.float32) for k in chosen
        ]
        return type("F", (), values)


def test_labels_of_faces_and_no_depth(
    scans: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scan = next((scans / "scannet/scans").iterdir())
    monkeypatch.setattr(zoo, "_open", lambda source, options: _Toy(scan))
    (tmp_path / "deep" / "room").mkdir(parents=True)
    options = ReadOptions(dataset="toy")
    (ref,) = zoo.find(tmp_path, options).scenes
    assert (ref.name, ref.split) == ("room", "validation")
    scene = zoo.open_scene(ref, options)
    assert [item.label for item in scene.objects] == ["chair"]
    frame = scene.frames[0]
    pixels = scene.instances(frame, (80, 60)).pixels()
    assert frame.depth is None and 0 < pixels["3"] < 80 * 60
    mark = json.loads((scan / "x3-scan.json").read_text())
    assert len(scene.frames) == mark["frames"]
    with pytest.raises(UserError, match="has no scene of the data set toy; most are given out"):
        zoo.find(scan, options)
    with pytest.raises(UserError, match="--axes opengl: has no effect on KIND scenezoo"):
        import_scans("scenezoo", scan, tmp_path / "root", ReadOptions(dataset="toy", axes="opengl"))
    with pytest.raises(UserError, match="only on scenezoo"):
        import_scans("scannet", scan, tmp_path / "root", ReadOptions(dataset="toy"))
