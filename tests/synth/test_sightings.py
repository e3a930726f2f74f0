"""What scene.json says of visibility, against rays cast here and ids painted into pixels."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("numba")

from x3spatial.errors import UserError
from x3spatial.io.images import read_mask
from x3spatial.roots.scene_file import FORMAT, read_scene_file
from x3spatial.synth.generate import render_scenes
from x3spatial.synth.options import SceneOptions
from x3spatial.synth.plan import Plan, make_plan
from x3spatial.synth.writer import frame_name

SIZE, SIDE = 64, 2


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("rooms")
    render_scenes(
        out, {"validation": 2}, width=SIZE, height=SIZE, samples=SIDE**2, seed=5, workers=1
    )
    return out


def scenes(root: Path) -> list[tuple[dict[str, Any], Plan]]:
    found = []
    for index, path in enumerate(sorted(root.glob("*/*/scene.json"))):
        about = json.loads(path.read_text())
        known = {field.name for field in fields(SceneOptions)}
        given = {name: value for name, value in about["settings"].items() if name in known}
        found.append((about, make_plan("validation", index, SceneOptions(**given))))
    return found


def first_owner(plan: Plan, camera: Any, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The owner of the nearest triangle along rays through image points, by Möller and Trumbore."""
    geometry = plan.world.geometry
    local = np.stack(
        [
            (x - camera.width / 2) / camera.focal,
            (y - camera.height / 2) / camera.focal,
            np.ones_like(x),
        ],
        -1,
    )
    rays = local @ camera.rotation
    a, b, c = (geometry.vertices[geometry.faces[:, k]].astype(np.float64) for k in range(3))
    e1, e2, t = b - a, c - a, camera.position - a
    q = np.cross(t, e1)
    owners = []
    for ray in rays:
        p = np.cross(ray, e2)
        with np.errstate(divide="ignore", invalid="ignore"):
            inverse = 1.0 / (e1 * p).sum(1)
            u, v = (t * p).sum(1) * inverse, (q @ ray) * inverse
            depth = (e2 * q).sum(1) * inverse
        hit = (u >= 0) & (v >= 0) & (u + v <= 1) & (depth > 1e-6)
        owners.append(geometry.owner[np.where(hit, depth, np.inf).argmin()] if hit.any() else 0)
    return np.array(owners)


def test_no_verified_absence_is_wrong(root: Path) -> None:
    """Every sample of the image, cast here: none of them shows an object that is said to be absent."""
    checked = 0
    for about, plan in scenes(root):
        cameras = {frame_name(number): camera for number, camera in plan.cameras.items()}
        for frame, camera in list(cameras.items())[:3]:
            steps = (np.arange(SIZE * SIDE) + 0.5) / SIDE
            x, y = (grid.reshape(-1) for grid in np.meshgrid(steps, steps))
            chosen = np.random.default_rng(1).choice(len(x), 1200, replace=False)
            seen = set(first_owner(plan, camera, x[chosen], y[chosen]).tolist())
            for uid, frames in about["visibility"].items():
                if frames[frame]["absent_by"] is not None:
                    assert int(uid) not in seen, (uid, frame)
                    checked += 1
    assert checked >= 8


def test_counts_are_those_of_the_masks(root: Path) -> None:
    for path in sorted(root.glob("*/*/scene.json")):
        about = json.loads(path.read_text())
        assert about["format"] == FORMAT
        for item in about["objects"]:
            for view in item["views"] or ():
                uid, frame = str(item["uid"]), view["frame"]
                stem = f"{view['rank']:02d}_{frame}"
                mask = read_mask(path.parent / f"uid_{uid}" / f"{stem}_mask.png")
                entry = about["visibility"][uid][frame]
                assert entry == {name: view[name] for name in entry}
                assert entry["pixels"] == mask.sum() == about["pixels"][frame].get(uid, 0)
        frames = set(about["frames"])
        assert all(set(known) == frames for known in about["visibility"].values())
        assert all(
            0 <= e["visible_fraction"] <= 1
            for k in about["visibility"].values()
            for e in k.values()
        )


def test_overlap_is_of_what_a_sees(root: Path) -> None:
    for about, _ in scenes(root):
        for uid, table in about["overlap"].items():
            for a, others in table.items():
                if about["visibility"][uid][a]["pixels"] > 30:
                    assert set(others) == set(about["frames"]) - {a}
                for b, share in others.items():
                    assert 0 <= share <= 1
                    if about["visibility"][uid][b]["absent_by"] == "framing":
                        assert share < 0.5  # less than a pixel's centre may reach into the frame
                    if about["visibility"][uid][b]["in_frame_fraction"] == 1:
                        assert share == 1


def test_the_reader_knows_what_the_writer_wrote(root: Path) -> None:
    folder = next(iter(sorted(root.glob("*/*"))))
    about, scene = json.loads((folder / "scene.json").read_text()), read_scene_file(folder)
    assert scene is not None and scene.place is None
    uid, (a, b, *_) = next(iter(about["visibility"])), list(about["frames"])
    centre = np.mean(next(o["box"] for o in about["objects"] if str(o["uid"]) == uid), axis=0)
    to_a, to_b = (np.array(about["frames"][f]["camera_to_world"])[:3, 3] - centre for f in (a, b))
    cosine = to_a @ to_b / np.linalg.norm(to_a) / np.linalg.norm(to_b)
    assert scene.angle(uid, a, b) == pytest.approx(np.degrees(np.arccos(cosine)))
    assert scene.baseline(a, b) == pytest.approx(np.linalg.norm(to_a - to_b))
    kind = scene.kinds[uid]
    others = [str(o["uid"]) for o in about["objects"] if o["kind"] == kind and str(o["uid"]) != uid]
    assert scene.lookalikes(uid, a) == sum(about["pixels"][a].get(other, 0) > 0 for other in others)
    assert scene.angle("99", a, b) is None and scene.lookalikes(uid, "none") is None


def test_older_scenes_are_completed_without_rendering(root: Path, tmp_path: Path) -> None:
    import shutil

    copy = tmp_path / "rooms"
    shutil.copytree(root, copy)
    files = sorted(copy.glob("*/*/scene.json"))
    whole = [path.read_bytes() for path in files]
    for path in files:
        about = json.loads(path.read_text())
        for name in ("format", "pixels", "visibility", "overlap"):
            del about[name]
        path.write_text(json.dumps(about))
    image = next(copy.rglob("*_original.png"))
    image.write_bytes(b"not rendered again")
    options: dict[str, Any] = {
        "width": SIZE,
        "height": SIZE,
        "samples": SIDE**2,
        "seed": 5,
        "workers": 1,
    }
    summary = render_scenes(copy, {"validation": 2}, **options)
    assert (summary.made, summary.completed) == (0, 2)
    assert [path.read_bytes() for path in files] == whole
    assert image.read_bytes() == b"not rendered again"
    # A room of another version of the renderer is not completed with facts of this one.
    about = json.loads(files[0].read_text())
    del about["format"]
    about["exposure"] += 0.1
    files[0].write_text(json.dumps(about))
    with pytest.raises(UserError, match=r"scene.json: describes a room of another version"):
        render_scenes(copy, {"validation": 2}, **options)
