"""Bad data is left out and reported by path and reason."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from helpers.roots import box_mask, make_root
from x3spatial.builder.run import build_tasks
from x3spatial.builder.summary import BuildSummary
from x3spatial.io.images import encode_mask_png, encode_png
from x3spatial.roots.audit.run import audit

OBJECT = Path("validation") / "validation_0" / "uid_0"


def build(root: Path) -> tuple[BuildSummary, list[tuple[str, str]]]:
    summary = build_tasks(data_root=root, out_dir=root.parent / "out", workers=1)
    skipped = [(Path(e["path"]).name, e["reason"]) for e in summary.manifest["skipped"]]
    return summary, skipped


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def flip_a_bit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0x10
    path.write_bytes(data)


def remove(path: Path) -> None:
    path.unlink()


def garbage(path: Path) -> None:
    path.write_bytes(b"not an image at all")


def empty(path: Path) -> None:
    path.write_bytes(b"")


def resize(path: Path) -> None:
    with Image.open(path) as image:
        smaller = image.resize((32, 24))
    smaller.save(path, "PNG")


def second_file(path: Path) -> None:
    (path.parent / path.name.replace("_000020_", "_000021_")).write_bytes(path.read_bytes())


# (kind of the file of view 2, damage to it, reported reason, remaining samples of object 0 per task)
VIEW_LOST = {"t1_multi": 1, "t2b_multi": 1}
ONLY_2B_LOST = {"t1_multi": 2, "t2b_multi": 1}
CASES: list[tuple[str, Callable[[Path], None], str, dict[str, int]]] = [
    ("original", remove, "original is missing", VIEW_LOST),
    ("original", truncate, "cut short", VIEW_LOST),
    ("original", flip_a_bit, "damaged", VIEW_LOST),
    ("original", garbage, "cannot be decoded", VIEW_LOST),
    ("original", empty, "empty", VIEW_LOST),
    ("original", second_file, "two files of one rank and kind", VIEW_LOST),
    ("mask", truncate, "cut short", VIEW_LOST),
    ("mask", resize, "mask is 32x24, original is 64x48", VIEW_LOST),
    ("mask", second_file, "two files of one rank and kind", VIEW_LOST),
    ("inpainted", remove, "inpainted image is missing", ONLY_2B_LOST),
    ("inpainted", garbage, "cannot be decoded", ONLY_2B_LOST),
    ("inpainted", resize, "inpainted image is 32x24", ONLY_2B_LOST),
    ("inpainted", second_file, "two files of one rank and kind", ONLY_2B_LOST),
]


@pytest.mark.parametrize(("kind", "damage", "reason", "remain"), CASES)
def test_damaged_files_are_left_out_and_reported(
    kind: str, damage: Callable[[Path], None], reason: str, remain: dict[str, int], tmp_path: Path
) -> None:
    root = make_root(tmp_path / "root")
    path = root / OBJECT / f"02_000020_{kind}.png"
    damage(path)
    summary, skipped = build(root)
    assert any(reason in found and name.startswith("02_0000") for name, found in skipped), skipped
    out = summary.out_dir
    for task, count in remain.items():
        name = {"t1_multi": "t1_val_multi.json", "t2b_multi": "t2b_val_multi.json"}[task]
        records = json.loads((out / name).read_text())
        assert sum(record["uid"] == "0" for record in records) == count
    problems = audit(data_root=root, workers=1).problems
    assert any("02_0000" in problem.path for problem in problems)


def test_a_view_without_any_mask_is_bad_data_and_not_a_not_visible_sample(tmp_path: Path) -> None:
    root = make_root(tmp_path / "root")
    for kind in ("mask", "mask_dialated"):
        (root / OBJECT / f"02_000020_{kind}.png").unlink()
    summary, skipped = build(root)
    assert skipped == [("02_000020_original.png", "view left out: it has no mask")]
    records = json.loads((summary.out_dir / "t2a_val_multi.json").read_text())
    assert {(r["uid"], r["query_rank"]) for r in records} == {("0", "03"), ("1", "03")}


def test_one_mask_is_enough_and_the_record_says_which(tmp_path: Path) -> None:
    root = make_root(tmp_path / "root")
    (root / OBJECT / "02_000020_mask.png").unlink()
    summary, skipped = build(root)
    assert skipped == []
    records = json.loads((summary.out_dir / "t1_val_multi.json").read_text())
    kinds = {(r["uid"], r["query_rank"]): r["query_mask_kind"] for r in records}
    assert kinds[("0", "02")] == "dilated" and kinds[("1", "02")] == "tight"


def test_names_that_do_not_fit_are_reported(tmp_path: Path) -> None:
    root = make_root(tmp_path / "root")
    (root / OBJECT / "2_000020_original.png").write_bytes(b"x")
    (root / OBJECT / "notes.txt").write_text("hello")
    (root / OBJECT / ".DS_Store").write_text("hidden files are ignored")
    (root / "validation" / "validation_0" / "object_7").mkdir()
    (root / "valid").mkdir()
    _, skipped = build(root)
    assert [name for name, _ in skipped] == [
        "valid",
        "object_7",
        "2_000020_original.png",
        "notes.txt",
    ]


@pytest.mark.skipif(sys.platform != "linux", reason="file systems that take any bytes as a name")
def test_names_that_are_not_utf8_are_reported(tmp_path: Path) -> None:
    root = make_root(tmp_path / "root")
    strange = [b"validation/sc\xff", b"validation/validation_0/uid_\xfe"]
    for name in strange:
        (root / os.fsdecode(name)).mkdir()
    (root / OBJECT / os.fsdecode(b"01_\xff_mask.png")).touch()
    summary, skipped = build(root)
    assert [reason for _, reason in skipped] == ["name is not valid UTF-8"] * 3
    paths = [entry["path"] for entry in summary.manifest["skipped"]]
    assert sum(path.endswith(("sc\\xff", "uid_\\xfe", "01_\\xff_mask.png")) for path in paths) == 3
    assert len(audit(data_root=root, workers=1).problems) == 3


def test_a_view_with_contradicting_frames_is_left_out(tmp_path: Path) -> None:
    root = make_root(tmp_path / "root")
    path = root / OBJECT / "02_000020_mask.png"
    path.rename(path.with_name("02_000099_mask.png"))
    _, skipped = build(root)
    assert len(skipped) == 1 and "different frames" in skipped[0][1]


def test_empty_references_are_counted_and_give_no_samples(tmp_path: Path) -> None:
    root = make_root(tmp_path / "root")
    blank = encode_mask_png(box_mask(0, 0, 0, 0) & False)
    (root / OBJECT / "01_000010_mask.png").write_bytes(blank)
    summary, skipped = build(root)
    assert skipped == []
    assert summary.manifest["counts"]["validation"]["pairs_with_empty_reference"] == 2
    records = json.loads((summary.out_dir / "t1_val_multi.json").read_text())
    assert {record["uid"] for record in records} == {"1"}
    report = audit(data_root=root, workers=1)
    assert report.problems == []
    # The dilated mask of that view is not empty, but the tight one decides.
    assert report.splits["validation"]["objects_with_empty_first_view"] == 1


def test_a_missing_anchor_is_reported_once(tmp_path: Path) -> None:
    root = make_root(tmp_path / "root")
    (root / OBJECT / "01_000010_original.png").unlink()
    _, skipped = build(root)
    assert [reason for name, reason in skipped if name == "uid_0"] == [
        "no usable view of rank 1 (--anchor-k): no Task1 or Task2A"
    ]


def save_as(path: Path, mode: str) -> None:
    with Image.open(path) as opened:
        image = opened.copy()
    if mode == "I;16":
        grey = np.asarray(image.convert("L")).astype(np.uint16) * 257
        Image.fromarray(grey).save(path, "PNG")
    else:
        image.convert(mode).save(path, "PNG")


@pytest.mark.parametrize("mode", ["RGBA", "P", "L", "LA", "I;16"])
def test_other_png_modes_are_decoded_correctly(mode: str, tmp_path: Path) -> None:
    root = make_root(tmp_path / "root")
    for kind in ("original", "mask", "inpainted"):
        save_as(root / OBJECT / f"01_000010_{kind}.png", mode)
    summary, skipped = build(root)
    assert skipped == []
    records = json.loads((summary.out_dir / "t1_val_multi.json").read_text())
    assert [r["conversations"][1]["value"] for r in records if r["uid"] == "0"] == [
        r["conversations"][1]["value"] for r in records if r["uid"] == "1"
    ]
    marked = Path(next(r for r in records if r["uid"] == "0")["image"][0])
    with Image.open(marked) as image:
        assert image.mode == "RGB"
    assert audit(data_root=root, workers=1).problems == []


class TestAudit:
    def test_clean_root(self, small_root: Path) -> None:
        report = audit(data_root=small_root, workers=2)
        assert report.problems == []
        assert report.splits["train"]["views_per_object"] == {"5": 4}
        assert report.splits["train"]["views_not_visible"] == 5
        assert report.splits["validation"]["sizes"] == {"96x72": 10}

    def test_identical_inpainted(self, tmp_path: Path) -> None:
        root = make_root(tmp_path / "root")
        original = (root / OBJECT / "01_000010_original.png").read_bytes()
        (root / OBJECT / "01_000010_inpainted.png").write_bytes(original)
        (problem,) = audit(data_root=root, workers=1).problems
        assert "identical to the original" in problem.reason

    def test_inpainted_of_another_view(self, tmp_path: Path) -> None:
        root = make_root(tmp_path / "root")
        noise = np.random.default_rng(0).integers(0, 255, (48, 64, 3), dtype=np.uint8)
        (root / OBJECT / "01_000010_inpainted.png").write_bytes(encode_png(noise))
        (problem,) = audit(data_root=root, workers=1).problems
        assert "not the same view" in problem.reason

    def test_leaks_between_splits(self, tmp_path: Path) -> None:
        root = make_root(tmp_path / "root")
        source = root / OBJECT / "01_000010_original.png"
        target = root / "train" / "validation_0" / "uid_9"
        target.mkdir(parents=True)
        for path in (root / OBJECT).iterdir():
            (target / path.name).write_bytes(path.read_bytes())
        problems = audit(data_root=root, workers=1).problems
        assert sum("scene is in two splits" in problem.reason for problem in problems) == 1
        same = [p for p in problems if "same image bytes" in p.reason]
        # Three originals and two inpainted images; the third inpainted one equals its original.
        assert len(same) == 5 and any(str(source) in problem.path for problem in same)

    def test_split_without_objects(self, tmp_path: Path) -> None:
        root = make_root(tmp_path / "root")
        (root / "test").mkdir()
        (problem,) = audit(data_root=root, workers=1).problems
        assert problem.reason == "split has no object"


def test_a_file_whose_state_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a folder that may be listed but not entered."""
    root = make_root(tmp_path / "root")

    def refusing(real: Callable[..., object]) -> Callable[..., object]:
        def call(path: Path, *given: object, **named: object) -> object:
            path = Path(path)
            if path.name == "02_000020_original.png" and "uid_0" in path.parts:
                raise PermissionError(13, "Permission denied")
            return real(path, *given, **named)

        return call

    monkeypatch.setattr(Path, "stat", refusing(Path.stat))
    monkeypatch.setattr(os, "open", refusing(os.open))
    _, skipped = build(root)
    assert skipped == [("02_000020_original.png", "view left out: original: Permission denied")] * 2
    assert {tuple(p)[1] for p in audit(data_root=root, workers=1).problems} == {skipped[0][1]}
    monkeypatch.undo()
    _, skipped = build(root)
    assert skipped == []
