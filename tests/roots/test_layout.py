"""What a listing takes for views and objects, and what it reports of everything else."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from PIL import Image

import x3spatial as x3
from helpers.roots import box_mask, make_root, write_view
from x3spatial.roots.layout import ObjectKey, list_object, list_root


def reasons(root: Path) -> dict[str, str]:
    """Problems of a listing, objects included: file name → reason."""
    listing = list_root(root)
    problems = list(listing.problems)
    for key in listing.objects:
        problems += list_object(key, listing.folder(key)).problems
    return {Path(path).name: reason for path, reason in problems}


def as_jpeg(path: Path, ending: str) -> Path:
    """The image as a JPEG of another ending in its place."""
    target = path.with_name(path.name.removesuffix(".png") + ending)
    Image.open(path).save(target, "JPEG", quality=95)
    path.unlink()
    return target


@pytest.mark.parametrize("ending", [".jpg", ".JPG", ".jpeg", ".PNG"])
def test_photographs_are_read(tmp_path: Path, ending: str) -> None:
    """From audit to a score: originals and inpainted images as cameras write them."""
    root = make_root(tmp_path / "root")
    for path in sorted(root.rglob("*.png")):
        if path.name.endswith(("_original.png", "_inpainted.png")):
            if ending == ".PNG":
                path.rename(path.with_suffix(ending))
            else:
                as_jpeg(path, ending)
    assert x3.audit(root).problems == []
    built = x3.build_tasks(root, tmp_path / "tasks")
    assert built.manifest["skipped_total"] == 0
    for name in ("t1_val_multi", "t1_val_concat", "t2b_val_multi"):
        data = tmp_path / "tasks" / f"{name}.json"
        assert x3.read_tasks(data)[0].ref_original is not None
        run = x3.evaluate(data, tmp_path / f"{name}.json", model="oracle")
        assert run.metrics["hit_at_mask"] == 1.0 and run.metrics["errors"] == 0
    # Records of other builders: kind of task and mask follow from the names.
    values = json.loads((tmp_path / "tasks" / "t2b_val_multi.json").read_text())
    for value in values:
        for field in ("task", "query_mask", "query_mask_kind"):
            del value[field]
    (tmp_path / "foreign.json").write_text(json.dumps(values))
    assert {record.task for record in x3.read_tasks(tmp_path / "foreign.json")} == {"t2b_multi"}
    run = x3.evaluate(tmp_path / "foreign.json", tmp_path / "f.json", model="oracle")
    assert run.metrics["hit_at_mask_total"] == len(values) and run.metrics["hit_at_mask"] == 1.0


def test_other_endings_are_named_with_the_cure(tmp_path: Path) -> None:
    root = make_root(tmp_path / "root")
    folder = root / "validation" / "validation_0" / "uid_0"
    for old, new in (
        ("01_000010_original.png", "01_000010_original.webp"),
        ("02_000020_mask.png", "02_000020_mask.jpg"),
        ("03_000030_mask_dialated.png", "03_000030_mask_dialated.TIFF"),
    ):
        (folder / old).rename(folder / new)
    found = reasons(root)
    assert found["01_000010_original.webp"] == (
        "original files must be .png or .jpg or .jpeg, not .webp; convert it"
    )
    assert "must be .png, not .jpg" in found["02_000020_mask.jpg"]
    assert "must be .png, not .TIFF" in found["03_000030_mask_dialated.TIFF"]


def test_two_endings_of_one_image_are_two_files(tmp_path: Path) -> None:
    root = make_root(tmp_path / "root")
    folder = root / "validation" / "validation_0" / "uid_0"
    path = folder / "01_000010_original.png"
    Image.open(path).save(folder / "01_000010_original.jpg")
    assert "two files of one rank and kind" in reasons(root)["01_000010_original.jpg"]


def test_objects_whose_ids_would_be_equal(tmp_path: Path) -> None:
    """Scene ``a`` with uid ``x_uidx`` and scene ``a_uidx`` with uid ``x``."""
    root = tmp_path / "root"
    for scene, uid in (("a", "x_uidx"), ("a_uidx", "x"), ("b", "x")):
        for rank in (1, 2):
            folder = root / "validation" / scene / f"uid_{uid}"
            write_view(folder, rank, box_mask(5, 5, 20, 20))
    listing = list_root(root)
    assert listing.objects == (
        ObjectKey("validation", "a", "x_uidx"), ObjectKey("validation", "b", "x"),
    )  # fmt: skip
    ((path, reason),) = listing.problems
    assert path.endswith("a_uidx/uid_x") and "same ids" in reason and "a/uid_x_uidx" in reason
    assert any("same ids" in problem.reason for problem in x3.audit(root).problems)
    x3.build_tasks(root, tmp_path / "tasks")
    records = x3.read_tasks(tmp_path / "tasks" / "t1_val_multi.json")  # refuses equal ids
    assert {record.scene for record in records} == {"a", "b"}


def test_views_whose_names_would_be_equal(tmp_path: Path) -> None:
    """``01_0000`` and ``010_000``: without a check two pairs write one concat image."""
    root = tmp_path / "root"
    folder = root / "validation" / "s" / "uid_1"
    write_view(folder, 1, box_mask(5, 5, 20, 20), frame="0000")
    write_view(folder, 2, box_mask(9, 9, 24, 24), frame="7")
    for path in list(folder.glob("01_0000_*")):
        path.with_name(path.name.replace("01_0000_", "010_000_")).write_bytes(path.read_bytes())
    assert any("same name" in reason for reason in reasons(root).values())
    options = x3.BuildOptions(mode="allpairs")
    x3.build_tasks(root, tmp_path / "t", options)
    records = x3.read_tasks(tmp_path / "t" / "t1_val_concat.json")
    images = {record.image for record in records}
    assert len(images) == len(records) == 2
    assert {record.query_rank for record in records} == {"01", "02"}


def test_a_split_that_is_not_there_after_all(tmp_path: Path) -> None:
    root = make_root(tmp_path / "root", splits=("validation",))
    (root / "train").symlink_to("/mnt/not/mounted")
    assert "broken link" in reasons(root)["train"]
    (root / "train").unlink()
    (root / "train").touch()
    assert "not a folder" in reasons(root)["train"]
    assert any("not a folder" in problem.reason for problem in x3.audit(root).problems)


@pytest.mark.parametrize("where", ["", "validation", "validation/validation_0",
                                   "validation/validation_0/uid_0"])  # fmt: skip
@pytest.mark.parametrize("name", ["loop", "01_000099_original.png", "uid_9", "x_five_frames.json"])
def test_a_link_to_itself_costs_only_itself(tmp_path: Path, where: str, name: str) -> None:
    root = make_root(tmp_path / "root")
    (root / where / name).symlink_to(name)
    before = x3.build_tasks(make_root(tmp_path / "clean"), tmp_path / "a").records
    assert x3.build_tasks(root, tmp_path / "b").records == before
    x3.audit(root)


def test_a_folder_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = make_root(tmp_path / "root", objects=2)
    closed = root / "validation" / "validation_0" / "uid_0"
    real = os.scandir

    def scandir(path: str | Path) -> object:
        if Path(path) == closed:
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    report = x3.audit(root)
    assert any(
        problem.path == str(closed) and "Permission denied" in problem.reason
        for problem in report.problems
    )
    x3.build_tasks(root, tmp_path / "t")
    records = x3.read_tasks(tmp_path / "t" / "t1_val_multi.json")
    assert {record.uid for record in records} == {"1"}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[" * 6000, "nested too deep"),
        ('{"label": "\\ud800"}', "not valid Unicode"),
        ("{", "cannot be read"),
    ],
)
def test_labels_that_cannot_be_used(tmp_path: Path, text: str, reason: str) -> None:
    root = make_root(tmp_path / "root")
    label = root / "validation" / "validation_0" / "validation_0_uid_0_five_frames.json"
    label.write_text(text)
    assert reason in reasons(root)[label.name]
    x3.build_tasks(root, tmp_path / "t")
    assert {r.label for r in x3.read_tasks(tmp_path / "t" / "t1_val_multi.json")} == {None}


def test_a_frame_name_that_is_too_long_for_a_pair(tmp_path: Path) -> None:
    root = tmp_path / "root"
    folder = root / "validation" / "s" / "uid_1"
    for rank, length in ((1, 115), (2, 115), (3, 116)):
        write_view(folder, rank, box_mask(5, 5, 20, 20), frame=str(rank) * length)
    assert {"more than 115 bytes" in reason for reason in reasons(root).values()} == {True}
    built = x3.build_tasks(root, tmp_path / "t")
    assert built.manifest["counts"]["validation"]["samples"]["t1_concat"] == 1
