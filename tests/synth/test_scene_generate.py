"""``render_scenes``: layout on disk, resuming, reproducible bytes, refused options."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from x3spatial.errors import UserError
from x3spatial.synth.generate import render_scenes

SMALL: dict[str, Any] = {
    "scenes": {"train": 2, "validation": 1}, "objects": 3, "width": 64, "height": 64,
    "samples": 1, "seed": 8,
}  # fmt: skip


def pixels(path: Path) -> npt.NDArray[Any]:
    image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    assert image is not None
    return image


def bytes_of(root: Path) -> dict[str, str]:
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file() and not path.name.startswith(".")
    }


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scenes") / "root"
    summary = render_scenes(out_dir=folder, workers=1, depth=True, **SMALL)
    assert (summary.made, summary.objects, summary.views) == (3, 9, 45)
    assert summary.visible + sum(summary.absent.values()) == 45
    return folder


def test_the_root_has_the_documented_layout(root):
    assert sorted(p.name for p in (root / "train").iterdir()) == ["train_0000", "train_0001"]
    assert [p.name for p in (root / "validation").iterdir()] == ["val_0000"]
    seen: dict[str, str] = {}
    for scene in [*(root / "train").iterdir(), *(root / "validation").iterdir()]:
        about = json.loads((scene / "scene.json").read_text())
        assert about["split"] == scene.parent.name
        targets = [o for o in about["objects"] if o["views"]]
        assert sorted(p.name for p in scene.glob("uid_*")) == sorted(
            f"uid_{o['uid']}" for o in targets
        )
        for target in targets:
            folder = scene / f"uid_{target['uid']}"
            note = json.loads(
                (folder / f"{scene.name}_uid_{target['uid']}_five_frames.json").read_text()
            )
            assert note["label"] == target["label"]
            assert len(list(folder.iterdir())) == 5 * 5 + 1
            for view in target["views"]:
                stem = f"{view['rank']:02d}_{view['frame']}"
                read = {
                    kind: pixels(folder / f"{stem}_{kind}.png")
                    for kind in ("original", "inpainted", "mask", "mask_dialated", "depth")
                }
                assert read["original"].shape == (64, 64, 3) == read["inpainted"].shape
                assert read["depth"].dtype == np.uint16 and read["depth"].shape == (64, 64)
                mask, wide = read["mask"] > 0, read["mask_dialated"] > 0
                assert mask.sum() == view["pixels"] and not (mask & ~wide).any()
                differ = np.abs(read["original"].astype(int) - read["inpainted"]).max(axis=-1)
                if mask.any():
                    assert view["absent_by"] is None and view["visible_fraction"] > 0
                    assert (differ[mask] > 0).any()
                    assert np.mean(differ[~wide] > 16) < 0.5
                else:
                    assert view["absent_by"] and not differ.any() and not wide.any()
                name = hashlib.sha256((folder / f"{stem}_original.png").read_bytes()).hexdigest()
                assert seen.setdefault(name, scene.name) == scene.name


def test_poses_are_rotations_and_lie_in_the_room(root):
    about = json.loads((root / "train" / "train_0000" / "scene.json").read_text())
    size = np.array(about["room"]["size"])
    for frame in about["frames"].values():
        pose = np.array(frame["camera_to_world"])
        assert np.allclose(pose[:3, :3] @ pose[:3, :3].T, np.eye(3))
        assert np.isclose(np.linalg.det(pose[:3, :3]), 1)
        assert np.all(pose[:3, 3] > 0) and np.all(pose[:3, 3] < size)
        assert abs(pose[2, 0]) < 1e-9  # level
        assert pose[2, 1] < 0  # the camera's y points down


def test_two_workers_write_the_same_bytes(root, tmp_path):
    render_scenes(out_dir=tmp_path / "root", workers=2, depth=True, **SMALL)
    assert bytes_of(tmp_path / "root") == bytes_of(root)


def test_complete_scenes_are_kept_and_incomplete_ones_made_again(root, tmp_path):
    copy = tmp_path / "root"
    subprocess.run(["cp", "-a", str(root), str(copy)], check=True)
    expected = bytes_of(root)
    kept = copy / "train" / "train_0000" / "scene.json"
    stamp = kept.stat().st_mtime_ns
    broken = copy / "train" / "train_0001"
    (broken / "scene.json").unlink()
    next(broken.glob("uid_*/01_*_mask.png")).unlink()
    (next(broken.glob("uid_*")) / "09_000000_mask.png").write_bytes(b"left over")
    subprocess.run(["rm", "-r", str(copy / "validation" / "val_0000")], check=True)
    summary = render_scenes(out_dir=copy, workers=1, depth=True, **SMALL)
    assert (summary.made, summary.views) == (2, 45)
    assert bytes_of(copy) == expected
    assert kept.stat().st_mtime_ns == stamp


KILLED = """
import sys
from pathlib import Path
from x3spatial.synth.generate import render_scenes
if __name__ == "__main__":
    render_scenes(out_dir=Path(sys.argv[1]), scenes={"train": 2, "validation": 1}, objects=3,
                    width=64, height=64, samples=1, seed=8, depth=True, workers=int(sys.argv[2]))
"""


@pytest.mark.parametrize("workers", [1, 2])
def test_a_killed_run_can_be_resumed(root, tmp_path, workers):
    script = tmp_path / "make.py"
    script.write_text(KILLED)
    out = tmp_path / "root"
    command = [sys.executable, str(script), str(out), str(workers)]
    process = subprocess.Popen(command, env={**os.environ})
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        if len(list(out.rglob("*_mask.png"))) > 4:
            break
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (out / "validation" / "val_0000" / "scene.json").exists(), "killed too late"
    deadline = time.monotonic() + 20
    while True:  # the workers of the killed run take a moment to exit
        try:
            render_scenes(out_dir=out, workers=1, depth=True, **SMALL)
            break
        except UserError as error:
            assert "another x3 run" in str(error) and time.monotonic() < deadline
            time.sleep(0.1)
    assert bytes_of(out) == bytes_of(root)


def test_no_two_scenes_share_an_object_shape(root):
    """Shapes are drawn per scene, so no split shows an object of another."""
    seen: dict[tuple, str] = {}
    for path in sorted(root.rglob("scene.json")):
        about = json.loads(path.read_text())
        for item in about["objects"]:
            low, high = item["box"]
            size = tuple(round(b - a, 6) for a, b in zip(low, high, strict=True))
            assert seen.setdefault((item["kind"], size), about["scene"]) == about["scene"]
    assert len(seen) > 40


def test_night_shows_the_same_rooms_dark_and_monochrome(root, tmp_path):
    render_scenes(out_dir=tmp_path, workers=1, depth=True, style="night", **SMALL)
    day, night = bytes_of(root), bytes_of(tmp_path)
    assert set(day) == set(night)
    for name in day:
        same = not str(name).endswith(("_original.png", "_inpainted.png", "scene.json"))
        assert (day[name] == night[name]) == same, name
    for path in sorted(tmp_path.rglob("*_original.png"))[:10]:
        image = pixels(path).astype(float)
        lit = pixels(root / path.relative_to(tmp_path)).astype(float)
        blue, green, red = image.reshape(-1, 3).T
        assert np.abs(red - 0.55 * green).max() <= 1 and np.abs(blue - 0.7 * green).max() <= 1
        assert green.mean() < 0.7 * lit.mean()
        # The style keeps the order of brightness.
        grey = lit @ [0.114, 0.587, 0.299]
        order = np.argsort(grey, axis=None)
        assert np.diff(green[order]).min() >= -1
    settings = json.loads((tmp_path / "train" / "train_0000" / "scene.json").read_text())[
        "settings"
    ]
    assert settings["style"] == "night"
    with pytest.raises(UserError, match=r"other settings .style night, not day"):
        render_scenes(out_dir=tmp_path, workers=1, depth=True, **SMALL)


def test_other_settings_are_refused_unless_fresh(root, tmp_path):
    copy = tmp_path / "root"
    subprocess.run(["cp", "-a", str(root), str(copy)], check=True)
    with pytest.raises(UserError, match=r"other settings .depth True, not False.*--fresh"):
        render_scenes(out_dir=copy, **SMALL)
    with pytest.raises(UserError, match="beyond the 1 scenes"):
        render_scenes(out_dir=copy, depth=True, **{**SMALL, "scenes": {"train": 1}})
    assert bytes_of(copy) == bytes_of(root)
    few = {**SMALL, "scenes": {"train": 1}, "objects": 1, "views": 2}
    summary = render_scenes(out_dir=copy, fresh=True, workers=1, **few)
    assert summary.views == 2 == summary.visible
    assert len(list(copy.rglob("*_original.png"))) == 2


def test_more_scenes_can_be_added(root, tmp_path):
    copy = tmp_path / "root"
    subprocess.run(["cp", "-a", str(root), str(copy)], check=True)
    more = {**SMALL, "scenes": {"train": 2, "validation": 2}}
    summary = render_scenes(out_dir=copy, workers=1, depth=True, **more)
    assert summary.made == 1
    old = bytes_of(root)
    assert {name: value for name, value in bytes_of(copy).items() if name in old} == old


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"objects": 0}, "--objects 0"),
        ({"views": 9}, "--views 9"),
        ({"samples": 3}, "--samples 3"),
        ({"style": "dusk"}, "--style dusk: expected day or night"),
        ({"width": 20}, "--width 20"),
        ({"width": 2000}, "width / height must be between 0.5 and 2.5"),
        ({"scenes": {"training": 1}}, "split training"),
        ({"scenes": {"train": -1}}, "-1 scenes"),
        ({"scenes": {"train": 0}}, "no scenes"),
        ({"scenes": {"val": 1, "validation": 1}}, "name one of them"),
        ({"workers": 0}, "--workers 0"),
    ],
)
def test_options_out_of_range_are_refused(tmp_path, change, message):
    with pytest.raises(UserError, match=message):
        render_scenes(out_dir=tmp_path / "root", **{**SMALL, **change})
    assert not (tmp_path / "root").exists()


def test_scenes_of_other_origin_are_never_touched(tmp_path):
    foreign = tmp_path / "train" / "0a5c013435"
    foreign.mkdir(parents=True)
    (foreign / "scene.json").write_text("{}")
    with pytest.raises(UserError, match="other origin"):
        render_scenes(out_dir=tmp_path, fresh=True, **SMALL)
    assert (foreign / "scene.json").exists()


def test_import_is_cheap():
    code = (
        "import sys, x3spatial.synth.generate\n"
        "heavy = {'numpy', 'cv2', 'embreex', 'numba'} & set(sys.modules)\n"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    folder = tmp_path_factory.mktemp("many")
    render_scenes(
        out_dir=folder,
        scenes={"validation": 14},
        fast=True,
        width=80,
        height=80,
        seed=21,
        workers=2,
    )
    return folder


def test_simple_guesses_rarely_hit(many):
    """Neither the image centre nor view 01's own point says where the object is."""
    centre, copied, areas = [], [], []
    for folder in sorted(many.glob("*/*/uid_*")):
        for kind in ("mask", "mask_dialated"):
            masks = [pixels(path) > 0 for path in sorted(folder.glob(f"*_{kind}.png"))]
            y, x = np.nonzero(masks[0])
            point = ((y.min() + y.max() + 1) // 2, (x.min() + x.max() + 1) // 2)
            for mask in masks[1:]:
                if mask.any() and kind == "mask_dialated":  # the easier of the two
                    centre.append(mask[40, 40])
                    copied.append(mask[point])
            if kind == "mask":
                areas += [mask.mean() for mask in masks if mask.any()]
    assert len(centre) > 80
    assert np.mean(centre) <= 0.10
    assert np.mean(copied) <= 0.10
    assert np.median(areas) <= 0.05


def test_objects_are_absent_by_occlusion_and_by_framing(many):
    reasons = [
        view["absent_by"]
        for path in many.glob("*/*/scene.json")
        for item in json.loads(path.read_text())["objects"]
        for view in item["views"] or []
    ]
    assert reasons.count("occlusion") > 8
    assert reasons.count("framing") > 8
