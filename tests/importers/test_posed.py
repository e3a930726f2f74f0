"""Kind ``posed``: what is written of rooms in which every pixel is known."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from helpers.spheres import (
    FLIP,
    SPHERES,
    grey_png,
    look_at,
    picture,
    ring,
    shown,
    write,
    write_spheres,
)
from x3spatial.arrays import Float64
from x3spatial.builder.options import BuildOptions
from x3spatial.builder.run import build_tasks
from x3spatial.evaluation.run import evaluate
from x3spatial.importers.options import ChoiceOptions, ReadOptions
from x3spatial.importers.results import ImportSummary
from x3spatial.importers.run import import_scans
from x3spatial.importers.shapes import compress
from x3spatial.io.images import encode_png, read_mask, read_rgb
from x3spatial.roots.audit.run import audit


def run(source: Path, out: Path, **options: Any) -> ImportSummary:
    return import_scans("posed", source, out, workers=1, **options)


def scene_json(root: Path, scene: str = "room") -> dict[str, Any]:
    found: dict[str, Any] = json.loads((root / "validation" / scene / "scene.json").read_text())
    return found


@pytest.fixture(scope="module")
def root(spheres: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("imported") / "root"
    summary = run(spheres, out)
    assert summary.made == 1 and summary.skipped == 0 and not summary.problems
    return out


def test_masks_and_images_are_those_of_the_source(spheres: Path, root: Path) -> None:
    scene = scene_json(root)
    poses = ring()
    seen = 0
    for item in scene["objects"]:
        for view in item["views"] or ():
            number = int(view["frame"])
            ids, _ = shown(poses[number])
            stem = f"{view['rank']:02d}_{view['frame']}"
            folder = root / "validation" / "room" / f"uid_{item['uid']}"
            mask = read_mask(folder / f"{stem}_mask.png")
            assert (mask == (ids == int(item["uid"]))).all()
            original = read_rgb(folder / f"{stem}_original.png")
            assert (original == picture(ids, number)).all()
            inpainted = read_rgb(folder / f"{stem}_inpainted.png")
            wide = read_mask(folder / f"{stem}_mask_dialated.png")
            assert (inpainted == original)[~wide].all()
            assert (inpainted != original).any() == mask.any()
            seen += 1
    assert seen == 20


def test_structure_is_no_object_and_equal_labels_are_numbered(root: Path) -> None:
    labels = {item["uid"]: item["label"] for item in scene_json(root)["objects"]}
    views = {item["uid"]: item["views"] for item in scene_json(root)["objects"]}
    assert labels == {"1": "mug 1", "2": "box", "3": "lamp", "300": "mug 2", "5": "pillar"}
    assert views["5"] is None and all(views[uid] for uid in ("1", "2", "3", "300"))


def test_poses_boxes_and_visibility_are_those_of_the_spheres(root: Path) -> None:
    scene, poses = scene_json(root), ring()
    for frame, entry in scene["frames"].items():
        assert np.allclose(entry["camera_to_world"], poses[int(frame)], atol=1e-6)
    for sphere in SPHERES:
        box = np.array(next(o["box"] for o in scene["objects"] if o["uid"] == str(sphere.id)))
        assert np.abs(box.mean(axis=0) - sphere.centre).max() < 0.06  # nobody sees below it
    errors = []
    for sphere in SPHERES[:4]:
        for frame, sight in scene["visibility"][str(sphere.id)].items():
            ids, _ = shown(poses[int(frame)])
            alone, _ = shown(poses[int(frame)], (sphere,))
            pixels = int((ids == sphere.id).sum())
            assert sight["pixels"] == pixels
            if not alone.any():
                assert sight["absent_by"] == "framing" and sight["in_frame_fraction"] == 0
            elif pixels == 0:
                assert sight["absent_by"] in ("occlusion", "both", None)
            else:
                assert sight["absent_by"] is None
                if sight["in_frame_fraction"] == 1:
                    errors.append(abs(sight["visible_fraction"] - pixels / (alone > 0).sum()))
    assert len(errors) > 20 and np.mean(errors) < 0.03 and max(errors) < 0.12


def test_the_views_of_an_object_are_apart_and_one_does_not_show_it(root: Path) -> None:
    scene = scene_json(root)
    positions = {f: np.array(e["camera_to_world"])[:3, 3] for f, e in scene["frames"].items()}
    hidden = 0
    for item in scene["objects"]:
        if not item["views"]:
            continue
        shows = [view for view in item["views"] if view["pixels"]]
        absent = [view for view in item["views"] if not view["pixels"]]
        assert len(absent) == 1 and absent[0]["absent_by"] is not None
        hidden += absent[0]["absent_by"] == "occlusion"
        assert item["views"][0] in shows
        assert item["views"][0]["visible_fraction"] > 0.9
        centre = np.mean(item["box"], axis=0)
        rays = [positions[view["frame"]] - centre for view in shows]
        rays = [ray / np.linalg.norm(ray) for ray in rays]
        angles = [
            np.degrees(np.arccos(rays[a] @ rays[b])) for a in range(len(rays)) for b in range(a)
        ]
        assert min(angles) > 15
    assert hidden >= 1


def test_audit_build_and_the_oracle_are_perfect(root: Path, tmp_path: Path) -> None:
    report = audit(root)
    assert not report.problems
    built = build_tasks(
        root, tmp_path / "tasks", BuildOptions(tasks=("t1", "t2a", "t2b", "hard")), workers=1
    )
    counts = {
        path.name: len(json.loads(path.read_text())) for path in built.out_dir.glob("t*.json")
    }
    assert counts["t1_val_multi.json"] == 16 and counts["t2a_val_multi.json"] == 4
    negatives = json.loads((built.out_dir / "t1_val_negatives.json").read_text())
    assert negatives and all(record["verified"] == "geometry" for record in negatives)
    for name in ("t1_val_multi", "t2b_val_multi", "t1_val_negatives", "t2a_val_multi"):
        results = evaluate(built.out_dir / f"{name}.json", tmp_path / f"{name}.json", "oracle")
        metrics = results.metrics
        if metrics["visible_gt"]:
            assert metrics["hit_at_mask"] == 1 and metrics["success_002"] == 1
        if metrics["gt_not_visible"]:
            assert metrics["not_visible_accuracy"] == 1
    records = json.loads((built.out_dir / "t1_val_multi.json").read_text())
    assert all(record["strata"]["angle_deg"] is not None for record in records)
    assert all(record["strata"]["overlap"] is not None for record in records)


def _coco(folder: Path, *, polygons: bool = False) -> None:
    """Replace the id maps of a scene by COCO annotations."""
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number, pose in enumerate(ring()):
        ids, _ = shown(pose)
        size = {"width": ids.shape[1], "height": ids.shape[0]}
        images.append({"id": number, "file_name": f"images/{number:03d}.png", **size})
        for sphere in SPHERES:
            mask = ids == sphere.id
            if mask.any():
                annotations.append(
                    {
                        "id": len(annotations), "image_id": number, "category_id": sphere.id % 7,
                        "track_id": sphere.id,
                        "segmentation": {"size": list(mask.shape), "counts": compress(mask)},
                    }
                )  # fmt: skip
    categories = [{"id": sphere.id % 7, "name": sphere.label} for sphere in SPHERES]
    value = {"images": images, "annotations": annotations, "categories": categories}
    (folder / "annotations.json").write_text(json.dumps(value))
    shutil.rmtree(folder / "instances")
    (folder / "objects.json").unlink()


def test_coco_annotations_give_the_same_root(spheres: Path, root: Path, tmp_path: Path) -> None:
    shutil.copytree(spheres, tmp_path / "coco")
    _coco(tmp_path / "coco" / "room")
    summary = run(tmp_path / "coco", tmp_path / "root")
    assert not summary.problems
    for path in sorted(root.glob("validation/room/uid_*/*.png")):
        other = tmp_path / "root" / path.relative_to(root)
        assert other.read_bytes() == path.read_bytes()


def test_without_depth_objects_are_triangulated(tmp_path: Path) -> None:
    write_spheres(tmp_path / "source" / "room", depth=False)
    summary = run(tmp_path / "source", tmp_path / "root")
    assert summary.objects >= 3
    scene = scene_json(tmp_path / "root")
    for sphere in SPHERES:
        item = next(o for o in scene["objects"] if o["uid"] == str(sphere.id))
        if item["views"]:
            assert np.abs(np.mean(item["box"], axis=0) - sphere.centre).max() < 0.15
    causes = {
        sight["absent_by"] for sights in scene["visibility"].values() for sight in sights.values()
    }
    assert causes == {None, "framing"}  # what hides an object cannot be told without depth


def _palette(ids: np.ndarray) -> bytes:
    values = ids.copy()
    values[values == 300] = 44  # a palette has 256 colours
    image = Image.fromarray(values.astype(np.uint8), "P")
    image.putpalette([channel for k in range(256) for channel in (k * 37 % 256, k * 11 % 256, 9)])
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def test_palette_id_maps_are_read_by_index(tmp_path: Path, root: Path) -> None:
    folder = write_spheres(tmp_path / "source" / "room")
    for number, pose in enumerate(ring()):
        write(folder / "instances" / f"{number:03d}.png", _palette(shown(pose)[0]))
    objects = [
        {"id": 44 if s.id == 300 else s.id, "label": s.label, "uid": str(s.id)} for s in SPHERES
    ]
    (folder / "objects.json").write_text(json.dumps({"objects": objects}))
    summary = run(tmp_path / "source", tmp_path / "root")
    assert not summary.problems
    for path in sorted(root.glob("validation/room/uid_*/*_mask.png")):
        assert (tmp_path / "root" / path.relative_to(root)).read_bytes() == path.read_bytes()


def _scaled(factor: float) -> Callable[[Float64], Float64]:
    def of(pose: Float64) -> Float64:
        pose = pose.copy()
        pose[:3, 3] *= factor
        return pose @ FLIP

    return of


WRONG: dict[str, tuple[Callable[[Any], Any], str]] = {
    "OpenCV axes": (lambda pose: pose, "add --axes opencv"),
    "world-to-camera": (lambda pose: np.linalg.inv(pose @ FLIP), "add --poses world-to-camera"),
    "OpenCV world-to-camera": (np.linalg.inv, "add --poses world-to-camera --axes opencv"),
    "millimetres": (_scaled(1000), "add --scale 0.001"),
}


@pytest.mark.parametrize("depth", [True, False])
@pytest.mark.parametrize("wrong", WRONG)
def test_poses_of_another_convention_are_named(wrong: str, depth: bool, tmp_path: Path) -> None:
    matrix, cure = WRONG[wrong]
    write_spheres(tmp_path / "source" / "room", depth=depth, matrix=matrix)
    summary = run(tmp_path / "source", tmp_path / "root")
    assert summary.skipped == 1 and summary.objects == 0
    (problem,) = summary.problems
    assert cure in problem.reason and "\n" not in problem.reason
    assert not list((tmp_path / "root").rglob("*.png"))


@pytest.mark.parametrize(
    ("wrong", "read"),
    [
        ("OpenCV axes", ReadOptions(axes="opencv")),
        ("world-to-camera", ReadOptions(poses="world-to-camera")),
        ("OpenCV world-to-camera", ReadOptions(poses="world-to-camera", axes="opencv")),
        ("millimetres", ReadOptions(scale=0.001)),
    ],
)
def test_the_named_option_mends_it(
    wrong: str, read: ReadOptions, root: Path, tmp_path: Path
) -> None:
    write_spheres(tmp_path / "source" / "room", matrix=WRONG[wrong][0])
    assert run(tmp_path / "source", tmp_path / "root", read=read).objects == 4
    ours, theirs = scene_json(tmp_path / "root"), scene_json(root)
    for frame, entry in theirs["frames"].items():
        pose = ours["frames"][frame]["camera_to_world"]
        assert np.allclose(pose, entry["camera_to_world"], atol=1e-6)


def test_depth_in_another_unit_is_named(spheres: Path, tmp_path: Path) -> None:
    summary = run(spheres, tmp_path / "root", read=ReadOptions(depth_scale=1.0))
    assert summary.skipped == 1 and "--depth-scale" in summary.problems[0].reason


def test_poses_of_another_scene_fit_nothing(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)

    def other(pose: Float64) -> Float64:
        return look_at(rng.uniform(-3, 3, 3), rng.uniform(-1, 1, 3)) @ FLIP

    write_spheres(tmp_path / "source" / "room", matrix=other)
    summary = run(tmp_path / "source", tmp_path / "root")
    assert summary.skipped == 1
    assert "do not fit the depth and masks in any convention" in summary.problems[0].reason


def _edit_transforms(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    path = folder / "transforms.json"
    value = json.loads(path.read_text())
    change(value)
    path.write_text(json.dumps(value))


def _first(key: str, value: Any) -> Callable[[Path], object]:
    return lambda folder: _edit_transforms(folder, lambda t: t["frames"][0].update({key: value}))


PARTLY: dict[str, tuple[Callable[[Path], object], str]] = {
    "a missing image": (lambda f: (f / "images/000.png").unlink(), "file is missing"),
    "an unreadable image": (lambda f: (f / "images/000.png").write_bytes(b"x"), "image cannot be used"),
    "an unreadable id map": (lambda f: (f / "instances/000.png").write_bytes(b"x"), "cannot be decoded"),
    "an id map in colours": (
        lambda f: write(f / "instances/000.png", encode_png(picture(shown(ring()[0])[0], 0))),
        "an id map in colours",
    ),
    "an id map of another shape": (
        lambda f: write(f / "instances/000.png", grey_png(np.ones((50, 50), np.int32))),
        "of another shape",
    ),
    "no id map": (lambda f: (f / "instances/000.png").unlink(), "no id map"),
    "depth of 8 bits": (
        lambda f: write(f / "depth/000.png", encode_png(np.zeros((4, 4, 3), np.uint8))),
        "its depth is not used",
    ),
    "no pose": (
        lambda f: _edit_transforms(f, lambda t: t["frames"][0].pop("transform_matrix")),
        "frame has no pose",
    ),
    "a pose with NaN": (_first("transform_matrix", [[float("nan")] * 4] * 4), "finite numbers"),
    "a mirrored pose": (_first("transform_matrix", np.diag([1, 1, -1, 1]).tolist()), "mirrored"),
    "a fisheye": (_first("camera_model", "OPENCV_FISHEYE"), "is no pinhole"),
    "a frame listed twice": (
        lambda f: _edit_transforms(f, lambda t: t["frames"].append(t["frames"][0])), "listed twice",
    ),
    "an id without a name": (
        lambda f: (f / "objects.json").write_text(
            json.dumps({str(s.id): s.label for s in SPHERES if s.id != 5})
        ),
        "does not name the ids 5",
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", PARTLY)
def test_bad_frames_are_left_out_and_named(fault: str, spheres: Path, tmp_path: Path) -> None:
    break_it, reason = PARTLY[fault]
    shutil.copytree(spheres, tmp_path / "source")
    break_it(tmp_path / "source" / "room")
    summary = run(tmp_path / "source", tmp_path / "root")
    assert summary.objects == 4 and summary.skipped == 0
    assert [reason in problem.reason for problem in summary.problems] == [True]
    assert not audit(tmp_path / "root").problems


WHOLLY: dict[str, tuple[Callable[[Path], object], str]] = {
    "no list of objects": (lambda f: (f / "objects.json").unlink(), "is missing: it gives the label"),
    "a malformed list": (lambda f: (f / "objects.json").write_text("[3]"), "expected"),
    "no id that is named": (
        lambda f: (f / "objects.json").write_text('{"77": "cup"}'), "names none of the ids",
    ),
    "no ids": (lambda f: shutil.rmtree(f / "instances"), "has no instance ids"),
    "not JSON": (lambda f: (f / "transforms.json").write_text("{"), "cannot read this JSON file"),
    "no frames": (lambda f: (f / "transforms.json").write_text("{}"), "has no list 'frames'"),
    "no images": (lambda f: shutil.rmtree(f / "images"), "no frame of it can be used"),
    "no focal length": (lambda f: _edit_transforms(f, lambda t: t.pop("fl_x")), "no focal length"),
}  # fmt: skip


@pytest.mark.parametrize("fault", WHOLLY)
def test_a_scene_that_cannot_be_used_is_skipped(fault: str, spheres: Path, tmp_path: Path) -> None:
    break_it, reason = WHOLLY[fault]
    shutil.copytree(spheres, tmp_path / "source")
    shutil.copytree(tmp_path / "source" / "room", tmp_path / "source" / "second")
    break_it(tmp_path / "source" / "room")
    options = ChoiceOptions(objects=1, views=3)
    summary = run(tmp_path / "source", tmp_path / "root", choice=options)
    assert summary.skipped == 1 and summary.made == 1
    assert reason in summary.problems[-1].reason
    assert [p.name for p in (tmp_path / "root" / "validation").iterdir()] == ["second"]
