"""Scanned data sets: wrong conventions are named, damaged files are one line, moved objects are not used."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from x3spatial.cli import run as x3
from x3spatial.errors import UserError
from x3spatial.importers.meshes import CastMap, MeshScene
from x3spatial.importers.options import ReadOptions
from x3spatial.importers.registry import reader
from x3spatial.importers.scene import SceneError
from x3spatial.io.images import ImageError, read_mask
from x3spatial.io.ply import read_ply, write_ply

FLIP = np.diag([1.0, -1.0, -1.0, 1.0])


def first_scan(scans: Path, kind: str) -> Path:
    """The folder of the scan of the room as it is in the data root."""
    for mark in sorted((scans / kind).rglob("x3-scan.json")):
        if not json.loads(mark.read_text())["removed"]:
            return mark.parent
    raise AssertionError(kind)


@pytest.fixture
def copied(scans: Path, tmp_path: Path) -> Callable[[str], Path]:
    """Copies one scan of a kind, alone; it may be damaged."""

    def of(kind: str) -> Path:
        scan = first_scan(scans, kind)
        return Path(shutil.copytree(scan, tmp_path / kind / scan.name))

    return of


def opened(scan: Path, kind: str, options: ReadOptions | None = None) -> MeshScene:
    options = options or ReadOptions()
    module = reader(kind)
    scene = module.open_scene(module.find(scan, options).scenes[0], options)
    assert isinstance(scene, MeshScene)
    return scene


def edit_poses(scan: Path, change: Callable[[Any], Any], only: slice = slice(None)) -> None:
    for path in sorted((scan / "pose").glob("*.txt"))[only]:
        np.savetxt(path, change(np.loadtxt(path)))


def scaled(factor: float) -> Callable[[Any], Any]:
    def change(pose: Any) -> Any:
        pose[:3, 3] *= factor
        return pose

    return change


CONVENTIONS: dict[str, tuple[Callable[[Any], Any], ReadOptions]] = {
    "the cameras have opengl axes; add --axes opengl": (
        lambda pose: pose @ FLIP, ReadOptions(axes="opengl")),
    "the matrices are world-to-camera; add --poses world-to-camera": (
        np.linalg.inv, ReadOptions(poses="world-to-camera")),
    "the matrices are world-to-camera with opengl axes; add --poses world-to-camera --axes opengl": (
        lambda pose: np.linalg.inv(pose @ FLIP), ReadOptions(poses="world-to-camera", axes="opengl")),
    "the positions are in millimetres; add --scale 0.001": (scaled(1000), ReadOptions(scale=0.001)),
}  # fmt: skip


@pytest.mark.parametrize("message", CONVENTIONS)
def test_each_wrong_convention_is_refused_and_its_option_mends_it(
    message: str, copied: Callable[[str], Path]
) -> None:
    scan = copied("scannet")
    right = opened(scan, "scannet")
    change, options = CONVENTIONS[message]
    edit_poses(scan, change)
    with pytest.raises(SceneError) as caught:
        opened(scan, "scannet")
    assert caught.value.problem.reason.startswith(message)
    mended = opened(scan, "scannet", options)
    for frame, wanted in zip(mended.frames[:3], right.frames[:3], strict=True):
        assert frame.camera is not None and wanted.camera is not None
        assert np.allclose(frame.camera.camera_to_world, wanted.camera.camera_to_world, atol=1e-9)


def test_depth_in_another_unit(copied: Callable[[str], Path]) -> None:
    scan = copied("scannet")
    with pytest.raises(SceneError, match=r"kilometres; add --depth-scale 0\.001 \(mesh and depth"):
        opened(scan, "scannet", ReadOptions(depth_scale=0.000001))


def test_a_mesh_of_another_room_is_refused(copied: Callable[[str], Path]) -> None:
    scan = copied("scannet")
    path = scan / f"{scan.name}_vh_clean_2.ply"
    mesh = read_ply(path)
    write_ply(path, mesh.vertices * np.float32(1.7) - np.float32(2), mesh.faces, mesh.vertex)
    with pytest.raises(SceneError, match="check that mesh and frames belong together"):
        opened(scan, "scannet")


def test_without_depth_only_cameras_outside_of_the_mesh_are_noticed(
    copied: Callable[[str], Path],
) -> None:
    scan = copied("scannet")
    shutil.rmtree(scan / "depth")
    scene = opened(scan, "scannet")
    assert all(frame.depth is None for frame in scene.frames)
    edit_poses(scan, scaled(1000))
    with pytest.raises(SceneError, match=r"outside of the mesh; if so, .*add --scale 0\.001"):
        opened(scan, "scannet")


def test_frames_that_disagree_with_the_mesh_are_not_used(copied: Callable[[str], Path]) -> None:
    scan = copied("scannet")

    def aside(pose: Any) -> Any:
        pose[:2, 3] += 0.6
        return pose

    edit_poses(scan, aside, slice(4, 6))
    scene = opened(scan, "scannet")
    bad = [frame for frame in scene.frames if not usable(scene, frame)]
    assert len(bad) == 2
    loose = opened(scan, "scannet", ReadOptions(depth_disagree=1.0))
    assert all(usable(loose, frame) for frame in loose.frames)


def usable(scene: MeshScene, frame: Any) -> bool:
    try:
        scene.instances(frame, frame.size)
    except ImageError as error:
        assert "mesh and depth differ by more than 0.1 m in " in error.reason
        return False
    return True


def test_an_object_that_was_moved_is_not_used_in_that_frame(copied: Callable[[str], Path]) -> None:
    scan = copied("scannet")
    scene = opened(scan, "scannet")
    frame, uid = largest(scene)
    before = scene.instances(frame, frame.size)
    depth_path = scan / "depth" / f"{int(frame.name)}.png"
    depth = cv2.imread(str(depth_path), cv2.IMREAD_UNCHANGED)
    assert depth is not None
    mask = cv2.resize(before.mask(uid).astype(np.uint8), depth.shape[::-1]) > 0
    depth[mask] += 700  # the wall behind it is seen
    cv2.imwrite(str(depth_path), depth)
    scene = opened(scan, "scannet")
    frame = next(one for one in scene.frames if one.name == frame.name)
    after = scene.instances(frame, frame.size)
    assert uid in before.pixels() and uid not in after.pixels() and not after.mask(uid).any()
    sight = scene.sights(frame, frame.size, after, [uid])[uid]
    assert (sight.pixels, sight.absent_by) == (0, None)  # nothing is claimed
    assert [p.path for p in scene.problems] == [f"color/{int(frame.name)}.jpg"]
    scene.instances(frame, frame.size)
    assert len(scene.problems) == 1  # told once


def largest(scene: MeshScene) -> tuple[Any, str]:
    """A frame and an object of middling size in it, not structure."""
    best: tuple[int, Any, str] = (0, None, "")
    labels = {item.uid: item.label for item in scene.objects}
    for frame in scene.frames:
        cast = scene.instances(frame, frame.size)
        assert isinstance(cast, CastMap)
        for uid, count in cast.pixels().items():
            if labels[uid] not in ("wall", "floor", "ceiling", "rug") and best[0] < count < 2500:
                best = (count, frame, uid)
    return best[1], best[2]


def test_anonymised_parts_are_obeyed(scans: Path, copied: Callable[[str], Path]) -> None:
    scan = copied("scannetpp")
    scene = opened(scan, "scannetpp")
    frame, uid = largest(scene)
    mask_path = scan / "iphone/rgb_masks" / f"frame_{frame.name}.png"
    keep = cv2.imread(str(mask_path), cv2.IMREAD_UNCHANGED)
    assert keep is not None and keep.all()
    rows, columns = np.nonzero(scene.instances(frame, frame.size).mask(uid))
    half = columns < np.median(columns)
    keep[rows[half], columns[half]] = 0
    cv2.imwrite(str(mask_path), keep)
    after = opened(scan, "scannetpp").instances(frame, frame.size)
    assert uid not in after.pixels()
    blurred = [
        path for path in (scan / "iphone/rgb_masks").glob("*.png")
        if not read_mask(path).all()
    ]  # fmt: skip
    assert len(blurred) == 2  # this one, and one of the layout's own
    vertices = scan / "scans/mesh_aligned_0.05_mask.txt"
    vertices.write_text(" ".join(str(k) for k in range(10**6)))
    with pytest.raises(SceneError, match="names a vertex that is not one of"):
        opened(scan, "scannetpp")


def json_edit(path: Path, change: Callable[[Any], Any]) -> None:
    value = json.loads(path.read_text())
    changed = change(value)
    path.write_text(json.dumps(value if changed is None else changed))


def one_more_id(scan: Path) -> None:
    path = scan / "labels.instances.annotated.v2.ply"
    mesh = read_ply(path)
    ids = mesh.vertex["objectId"].copy()
    ids[:50] = 999
    write_ply(path, mesh.vertices, mesh.faces, {"objectId": ids})


def test_ids_that_no_annotation_names_are_reported(copied: Callable[[str], Path]) -> None:
    scan = copied("3rscan")
    one_more_id(scan)
    scene = opened(scan, "3rscan")
    assert [p.reason for p in scene.problems] == ["names no object for 1 ids of the mesh (999)"]
    assert scene.problems[0].path.endswith("semseg.v2.json")


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1000])


DAMAGES: dict[str, tuple[str, str, Callable[[Path], Any]]] = {
    "truncated mesh": ("scannet", "it is truncated", lambda s: cut(s / f"{s.name}_vh_clean_2.ply")),
    "mesh is no mesh": ("scannet", "is not a PLY file",
        lambda s: (s / f"{s.name}_vh_clean_2.ply").write_text("hello")),
    "segments of another mesh": ("scannet", "of another mesh?", lambda s: json_edit(
        s / f"{s.name}_vh_clean_2.0.010000.segs.json", lambda v: v.update(segIndices=v["segIndices"][1:]))),
    "no annotation": ("scannet", "no such", lambda s: (s / f"{s.name}.aggregation.json").unlink()),
    "ids twice": ("scannet", "twice", lambda s: json_edit(s / f"{s.name}.aggregation.json",
        lambda v: v["segGroups"].append(v["segGroups"][0]))),
    "no objects": ("scannet", "annotates no part of the mesh", lambda s: json_edit(
        s / f"{s.name}.aggregation.json", lambda v: {**v, "segGroups": []})),
    "no frames": ("scannet", "extract them with", lambda s: shutil.rmtree(s / "pose")),
    "no images": ("scannet", "has no frame with a pose and an image",
        lambda s: shutil.rmtree(s / "color")),
    "no intrinsics": ("scannet", "cannot be read",
        lambda s: (s / "intrinsic/intrinsic_color.txt").unlink()),
    "intrinsics": ("scannet", "has not 16 numbers",
        lambda s: (s / "intrinsic/intrinsic_color.txt").write_text("1 2 3")),
    "videos": ("scannetpp", "extract them with", lambda s: shutil.rmtree(s / "iphone/rgb")),
    "no colmap": ("scannetpp", "download iphone/colmap", lambda s: shutil.rmtree(s / "iphone/colmap")),
    "no sequence": ("3rscan", "neither sequence/_info.txt nor", lambda s: shutil.rmtree(s / "sequence")),
    "info": ("3rscan", "has no m_depthShift", lambda s: (s / "sequence/_info.txt").write_text(
        "\n".join(line for line in (s / "sequence/_info.txt").read_text().splitlines()
                  if "Shift" not in line))),
    "no ids": ("3rscan", "no property objectId", lambda s: write_ply(
        s / "labels.instances.annotated.v2.ply", np.zeros((3, 3), np.float32),
        np.array([[0, 1, 2]], np.int32))),
}  # fmt: skip


@pytest.mark.parametrize("name", DAMAGES)
def test_damaged_files_are_one_line(
    name: str,
    copied: Callable[[str], Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    kind, reason, damage = DAMAGES[name]
    scan = copied(kind)
    damage(scan)
    with pytest.raises(SceneError) as caught:
        opened(scan, kind)
    assert reason in caught.value.problem.reason and str(scan) in caught.value.problem.path
    assert "\n" not in caught.value.problem.reason
    if name == "truncated mesh":  # the same through the command
        out = tmp_path / "root"
        assert x3(["import", kind, str(scan), "-o", str(out), "--workers", "1"]) == 1
        assert reason in capsys.readouterr().err
        assert not [path for path in out.rglob("*") if path.is_file() and path.name[0] != "."]


def test_lost_tracking_and_missing_images_are_counted(copied: Callable[[str], Path]) -> None:
    scan = copied("scannet")
    poses = sorted((scan / "pose").glob("*.txt"))
    poses[0].write_text("-inf " * 16)
    np.savetxt(poses[1], np.diag([2.0, 1, 1, 1]))
    (scan / "color" / f"{poses[2].stem}.jpg").unlink()
    total = len(poses)
    scene = opened(scan, "scannet")
    assert len(scene.frames) == total - 3
    assert sorted(problem.reason for problem in scene.problems) == [
        "file is missing; the frame is not used",
        "the pose is no rotation and position",
        "the pose is not finite: tracking was lost",
    ]


def test_a_zipped_sequence_is_read_the_same(copied: Callable[[str], Path]) -> None:
    scan = copied("3rscan")
    plain = opened(scan, "3rscan")
    with zipfile.ZipFile(scan / "sequence.zip", "w") as packed:
        for path in sorted((scan / "sequence").iterdir()):
            packed.write(path, path.name)
    wanted = [(frame.name, frame.read()) for frame in plain.frames[:3]]
    shutil.rmtree(scan / "sequence")
    scene = opened(scan, "3rscan")
    for frame, (name, image) in zip(scene.frames, wanted, strict=False):
        assert frame.name == name and np.array_equal(frame.read(), image)
        scene.instances(frame, frame.size)
    scene.close()
    cut(scan / "sequence.zip")
    with pytest.raises(SceneError, match="cannot be read"):
        opened(scan, "3rscan")


def test_rescans_that_cannot_be_related(scans: Path, tmp_path: Path) -> None:
    source = tmp_path / "source"
    shutil.copytree(scans / "3rscan", source, ignore=shutil.ignore_patterns("*.jpg", "*.pgm"))
    index = source / "3RScan.json"
    rooms = json.loads(index.read_text())
    rooms[0]["scans"][0]["transform"][0] = 7
    rooms.append({"scans": []})
    index.write_text(json.dumps(rooms))
    found = reader("3rscan").find(source, ReadOptions())
    reasons = sorted(problem.reason for problem in found.problems)
    assert "column by column" in reasons[0] and "room 1 has no" in reasons[1]
    lone = rooms[0]["scans"][0]["reference"]
    assert [ref.extra["scans"] == [] for ref in found.scenes if ref.name == lone] == [True]
    index.write_text("{}")
    with pytest.raises(UserError, match="expected a list of rooms"):
        reader("3rscan").find(source, ReadOptions())
    index.unlink()
    found = reader("3rscan").find(source, ReadOptions())
    assert len(found.scenes) == 3 and "has no 3RScan.json" in found.problems[0].reason


def test_the_splits_of_the_data_sets_are_known(scans: Path, tmp_path: Path) -> None:
    for kind in ("scannet", "scannetpp", "3rscan"):
        for source in (scans / kind, first_scan(scans, kind)):
            refs = reader(kind).find(source, ReadOptions(split="test")).scenes
            assert {ref.split for ref in refs} == {"train"}
    alone = Path(shutil.copytree(first_scan(scans, "scannet"), tmp_path / "scene0000_00"))
    refs = reader("scannet").find(alone, replace(ReadOptions(), split="test")).scenes
    assert [(ref.name, ref.split) for ref in refs] == [("scene0000_00", "test")]
