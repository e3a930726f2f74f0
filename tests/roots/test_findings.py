"""Every finding: a root that has it, what the audit says of it, and that a build says the same."""

from __future__ import annotations

import json
import os
import random
import re
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

import x3spatial as x3
from helpers.paths import REPOSITORY
from helpers.roots import box_mask, make_root, photo, write_view
from x3spatial.io.images import encode_png, read_rgb
from x3spatial.roots import findings
from x3spatial.roots.findings import Finding, Level, Problem, all_findings, grouped

sys.path.insert(0, str(REPOSITORY / "scripts"))

SCENE = Path("validation", "validation_0")
OBJECT = SCENE / "uid_0"
Plant = Callable[[Path], object]


def rename(old: str, new: str) -> Plant:
    return lambda root: (root / OBJECT / old).rename(root / OBJECT / new)


def write(name: str | Path, text: str) -> Plant:
    return lambda root: (root / name).write_text(text)


def remove(*names: str) -> Plant:
    def plant(root: Path) -> None:
        for name in names:
            (root / OBJECT / name).unlink()

    return plant


def folder(name: str | Path) -> Plant:
    return lambda root: (root / name).mkdir()


def view(parent: Path, rank: int = 1, frame: str | None = None) -> Plant:
    return lambda root: write_view(root / parent, rank, box_mask(5, 5, 20, 20), frame=frame)


def copy(old: str, new: str) -> Plant:
    return lambda root: (root / OBJECT / new).write_bytes((root / OBJECT / old).read_bytes())


def cut(name: str) -> Plant:
    def plant(root: Path) -> None:
        path = root / OBJECT / name
        path.write_bytes(path.read_bytes()[:-20])

    return plant


def image(name: str, pixels: npt.NDArray[np.uint8]) -> Plant:
    return lambda root: Image.fromarray(pixels).save(root / OBJECT / name, "PNG")


def alpha(
    colour: npt.NDArray[np.bool_] | int, mask: npt.NDArray[np.bool_]
) -> npt.NDArray[np.uint8]:
    """An RGBA image: ``colour`` as grey, ``mask`` as alpha."""
    grey = np.broadcast_to(colour, mask.shape).astype(np.uint8) * 255
    return np.stack([grey, grey, grey, mask.astype(np.uint8) * 255], axis=2)


def noisy(mask: npt.NDArray[np.bool_], quality: int = 60) -> npt.NDArray[np.uint8]:
    """The mask after JPEG compression."""
    import io

    stream = io.BytesIO()
    Image.fromarray(mask.astype(np.uint8) * 255).save(stream, "JPEG", quality=quality)
    return np.array(Image.open(stream))


def palette(root: Path) -> None:
    indices = Image.fromarray(BOX.astype(np.uint8)).convert("P")
    indices.putpalette([0] * 768)
    indices.save(root / OBJECT / MASK)


def oriented(root: Path) -> None:
    path = root / OBJECT / ORIGINAL
    tag = Image.Exif()
    tag[0x0112] = 6
    with Image.open(path) as opened:
        opened.copy().save(path, "PNG", exif=tag)


def sixteen(factor: int) -> Plant:
    def plant(root: Path) -> None:
        pixels = photo(3)[..., 0].astype(np.uint16) * factor
        Image.fromarray(pixels).save(root / OBJECT / "03_000030_original.png")
        (root / OBJECT / "03_000030_inpainted.png").unlink()

    return plant


def to_train(name: str) -> Plant:
    """The scene's second object in the train split, under another scene's name."""

    def plant(root: Path) -> None:
        view(Path("train", name, "uid_7"))(root)

    return plant


def rescans(root: Path) -> None:
    view(Path("train", "scene0001_00", "uid_1"))(root)
    view(Path("validation", "scene0001_02", "uid_1"))(root)


def same_bytes(root: Path) -> None:
    view(Path("train", "other", "uid_7"))(root)
    target = root / "train" / "other" / "uid_7"
    (target / ORIGINAL).write_bytes((root / OBJECT / ORIGINAL).read_bytes())
    pixels = read_rgb(target / ORIGINAL)
    pixels[5:21, 5:21] = 255 - pixels[5:21, 5:21]
    (target / INPAINTED).write_bytes(encode_png(pixels))


def same_view_names(root: Path) -> None:
    view(OBJECT, 4, "0000")(root)
    for path in list((root / OBJECT).glob("04_0000_*")):
        name = path.name.replace("04_0000_", "040_000_")
        path.with_name(name).write_bytes(path.read_bytes())


def no_inpainted(root: Path) -> None:
    for path in root.rglob("*_inpainted.png"):
        path.unlink()


def labels(**values: int) -> Plant:
    """Masks of values in the boxes ``object`` (the object) and ``other`` (elsewhere), or ``border``."""
    pixels = np.zeros((48, 64), np.uint8)
    pixels[8:24, 8:30] = values.get("border", 0)
    pixels[10:22, 10:28] = values.get("object", 0)
    pixels[38:46, 40:60] = values.get("other", 0)
    return image(MASK, pixels)


ORIGINAL, INPAINTED = "01_000010_original.png", "01_000010_inpainted.png"
MASK, DILATED = "01_000010_mask.png", "01_000010_mask_dialated.png"
BOX = box_mask(14, 10, 23, 20)
NOISE = np.random.default_rng(0).integers(0, 255, (48, 64, 3), dtype=np.uint8)

PLANTS: dict[str, Plant] = {
    "NOT_A_SPLIT": folder("valid"),
    "SPLIT_NOT_A_FOLDER": lambda root: (root / "test").symlink_to("/mnt/not/mounted"),
    "SPLIT_EMPTY": folder("test"),
    "FOLDER_UNREADABLE": lambda root: (root / SCENE / "uid_0").rename(root / SCENE / "uid_closed"),
    "FILE_AMONG_SCENES": write("validation/notes.txt", "x"),
    "SCENE_LEVEL_MISSING": view(Path("validation", "uid_5")),
    "NOT_AN_OBJECT": folder(SCENE / "object_7"),
    "NOT_UTF8": lambda root: (root / SCENE / os.fsdecode(b"uid_\xff")).mkdir(),
    "SAME_OBJECT_IDS": lambda root: [
        view(Path("validation", scene, f"uid_{uid}"))(root)
        for scene, uid in (("a", "x_uidx"), ("a_uidx", "x"))
    ],
    "SCENE_FILE_UNREADABLE": write(SCENE / "scene.json", "{"),
    "SCENE_FILE_MALFORMED": write(SCENE / "scene.json", '{"frames": {"000010": []}}'),
    "PLACE_INVALID": write(SCENE / "scene.json", '{"place": 5}'),
    "OBJECT_EMPTY": folder(SCENE / "uid_9"),
    "MISNAMED": copy(ORIGINAL, "04_000040_rgb.png"),
    "NOT_A_FILE": lambda root: (root / OBJECT / "04_000040_original.png").symlink_to("nowhere"),
    "WRONG_ENDING": rename(MASK, "01_000010_mask.tiff"),
    "FRAME_TOO_LONG": view(OBJECT, 4, "f" * 116),
    "TWO_FILES": copy(ORIGINAL, "01_000011_original.png"),
    "TWO_FRAMES": rename(MASK, "01_000099_mask.png"),
    "SAME_VIEW_NAMES": same_view_names,
    "LABEL_UNREADABLE": write(SCENE / "validation_0_uid_0_five_frames.json", "["),
    "LABEL_INVALID": write(SCENE / "validation_0_uid_0_five_frames.json", '{"label": null}'),
    "LABEL_NOT_UNICODE": write(
        SCENE / "validation_0_uid_0_five_frames.json", '{"label": "\\ud800"}'
    ),
    "ORIGINAL_MISSING": remove("02_000020_original.png"),
    "MASK_MISSING": remove("02_000020_mask.png", "02_000020_mask_dialated.png"),
    "MASK_DAMAGED": cut("02_000020_mask.png"),
    "ORIGINAL_DAMAGED": cut("02_000020_original.png"),
    "MASK_SIZE": image("02_000020_mask_dialated.png", np.zeros((64, 48), np.uint8)),
    "INPAINTED_MISSING": remove(INPAINTED),
    "INPAINTED_DAMAGED": cut(INPAINTED),
    "INPAINTED_SIZE": image(INPAINTED, NOISE[:24]),
    "NO_ANCHOR": remove(ORIGINAL),
    "DAMAGED": cut("03_000030_inpainted.png"),
    "OTHER_SIZE": image("03_000030_inpainted.png", NOISE[:24]),
    "INPAINTED_IDENTICAL": copy(ORIGINAL, INPAINTED),
    "INPAINTED_OTHER_VIEW": image(INPAINTED, NOISE),
    "MASK_IN_ALPHA": image(MASK, alpha(1, BOX)),
    "MASK_OTHER_THAN_ALPHA": image(MASK, alpha(NOISE[..., 0] > 20, BOX)),
    "MASK_FULL": image(DILATED, np.full((48, 64), 255, np.uint8)),
    "MASK_PALETTE_BLACK": palette,
    "MASK_FAINT": image(MASK, noisy(BOX)),
    "MASK_FAINT_ONLY": image("02_000020_mask.png", np.arange(3072).reshape(48, 64).astype(np.uint8) % 3),
    "MASK_LABELS": labels(object=1, other=2),
    "MASK_EMPTY_TWIN": image(MASK, np.zeros((48, 64), np.uint8)),
    "SIXTEEN_BIT_DARK": sixteen(1),
    "SCENE_IN_TWO_SPLITS": to_train("validation_0"),
    "PLACE_IN_TWO_SPLITS": rescans,
    "SAME_BYTES": same_bytes,
    "NO_INPAINTED": no_inpainted,
    "ORIENTATION": oriented,
    "SIXTEEN_BIT": sixteen(257),
    "MASK_LARGE": image(DILATED, np.uint8(255) * box_mask(0, 0, 63, 40)),
    "MASK_SOFT": image(MASK, np.uint8(200) * BOX + np.uint8(50) * box_mask(13, 9, 24, 21)),
    "MASK_VALUES": labels(object=255, border=254),
    "MASK_OTHER_VALUE": image("02_000020_mask.png", np.uint8(1) * BOX),
    "MASK_ALPHA_DIFFERS": image(MASK, alpha(BOX, box_mask(12, 8, 25, 22))),
    "MASK_NOT_INSIDE": image(DILATED, np.uint8(255) * box_mask(16, 12, 20, 18)),
}  # fmt: skip


def is_of(found: Finding, problem: Problem) -> bool:
    parts = re.split(r"(?<!{){\w+[^}]*}(?!})", found.text)
    escaped = [re.escape(part.replace("{{", "{").replace("}}", "}")) for part in parts]
    return re.match(".*".join(escaped), problem.reason) is not None


@pytest.fixture
def closed_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder ``uid_closed`` cannot be read, whoever runs the tests."""
    real = os.scandir

    def scandir(path: str | Path) -> object:
        if Path(path).name == "uid_closed":
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)


def planted(tmp_path: Path, *names: str) -> Path:
    root = make_root(tmp_path / "root", objects=2)
    for name in names:
        PLANTS[name](root)
    return root


def left_out(root: Path, out: Path) -> set[Problem]:
    """What builds with either mask list."""
    found = set()
    for dilated in (False, True):
        built = x3.build_tasks(root, out / str(dilated), use_dilated_mask=dilated)
        found |= {Problem(**entry) for entry in built.manifest["skipped"]}
    return found


@pytest.mark.usefixtures("closed_folder")
@pytest.mark.parametrize("name", PLANTS)
def test_audit_and_build_say_the_same(name: str, tmp_path: Path) -> None:
    root = planted(tmp_path, name)
    report = x3.audit(root)
    found = all_findings()[name]
    listed = report.notes if found.level is Level.NOTE else report.problems
    assert any(is_of(found, problem) for problem in listed), (report.problems, report.notes)
    skipped = left_out(root, tmp_path)
    if found.level is Level.LEFT_OUT:
        assert set(report.problems) == skipped != set()
    else:
        # A build reports none of these, and nothing else is wrong with this root.
        assert skipped == set()
        assert len(report.problems) == (1 if found.level is Level.PROBLEM else 0)
        assert all(found.cure in problem.reason for problem in listed if is_of(found, problem))


def test_every_finding_has_a_root() -> None:
    assert set(PLANTS) == set(all_findings())


@pytest.mark.usefixtures("closed_folder")
@pytest.mark.parametrize("seed", range(12))
def test_a_build_never_reports_what_the_audit_did_not(seed: int, tmp_path: Path) -> None:
    """Several faults at once."""
    root = make_root(tmp_path / "root", objects=3)
    for name in random.Random(seed).sample(sorted(PLANTS), 5):
        try:
            PLANTS[name](root)
        except OSError:
            continue  # an earlier fault took its files
    assert left_out(root, tmp_path) <= set(x3.audit(root).problems)


def test_the_page_is_made_from_the_list() -> None:
    import make_findings

    page = (REPOSITORY / "docs" / "audit.md").read_text(encoding="utf-8")
    assert page == make_findings.findings_markdown(), "run: python scripts/make_findings.py"


MASKS = {
    "alpha on black": (alpha(0, BOX), "MASK_IN_ALPHA"),
    "alpha on white": (alpha(1, BOX), "MASK_IN_ALPHA"),
    "grey and alpha": (alpha(1, BOX)[..., [0, 3]], "MASK_IN_ALPHA"),
    "a cut-out photograph": (np.dstack([photo(1) | 1, BOX.astype(np.uint8) * 255]), "MASK_IN_ALPHA"),
    "JPEG 30": (noisy(BOX, 30), "MASK_FAINT"),
    "JPEG 75": (noisy(BOX, 75), "MASK_FAINT"),
    "JPEG in colour": (np.dstack([noisy(BOX, 40)] * 3), "MASK_FAINT"),
    "inverted": (np.uint8(255) * ~BOX, "MASK_LARGE"),
    "background 1": (np.uint8(254) * BOX + np.uint8(1), "MASK_FULL"),
    "ignore border 255": (np.uint8(1) * BOX + np.uint8(255) * (box_mask(8, 4, 29, 26) & ~BOX),
                          "MASK_LABELS"),
    "ignore region 255": (np.uint8(1) * BOX + np.uint8(255) * box_mask(40, 30, 60, 45), "MASK_LABELS"),
    "instances": (np.uint8(1) * BOX + np.uint8(2) * box_mask(40, 30, 60, 45), "MASK_LABELS"),
}  # fmt: skip


@pytest.mark.parametrize("name", MASKS)
def test_masks_that_are_not_clean(name: str, tmp_path: Path) -> None:
    pixels, expected = MASKS[name]
    root = make_root(tmp_path / "root")
    mode = "LA" if pixels.ndim == 3 and pixels.shape[2] == 2 else None
    target = root / OBJECT / MASK
    (Image.fromarray(pixels, mode) if mode else Image.fromarray(pixels)).save(target, "PNG")
    report = x3.audit(root)
    named = [p for p in (*report.problems, *report.notes) if p.path == str(target)]
    assert any(is_of(all_findings()[expected], problem) for problem in named), named


@pytest.mark.parametrize(
    "pixels",
    [
        np.uint8(1) * BOX,
        np.uint16(513) * BOX,
        np.dstack([np.uint8(200) * BOX, np.uint8(30) * BOX, np.uint8(0) * BOX]),
        np.dstack([np.uint8(255) * BOX] * 3 + [np.uint8(255) * np.ones_like(BOX, np.uint8)]),
        alpha(BOX, BOX),
        np.uint8(255) * (BOX | box_mask(40, 30, 60, 45)),
    ],
    ids=["ones", "16 bits", "one colour", "opaque", "alpha like colour", "two parts"],
)  # fmt: skip
def test_clean_masks_raise_no_alarm(pixels: npt.NDArray[np.uint8], tmp_path: Path) -> None:
    root = tmp_path / "root"
    for rank in (1, 2):
        write_view(root / OBJECT, rank, BOX)
        for kind in ("mask", "mask_dialated"):
            path = root / OBJECT / f"{rank:02d}_{rank * 10:06d}_{kind}.png"
            Image.fromarray(pixels).save(path, "PNG")
        original = photo(rank)
        (root / OBJECT / f"{rank:02d}_{rank * 10:06d}_original.png").write_bytes(
            encode_png(original)
        )
        original = original ^ (np.uint8(255) * (pixels.reshape(48, 64, -1)[..., :1] > 0))
        (root / OBJECT / f"{rank:02d}_{rank * 10:06d}_inpainted.png").write_bytes(
            encode_png(original)
        )
    report = x3.audit(root)
    assert report.problems == [] and report.notes == []


def test_a_root_without_inpainted_images(tmp_path: Path) -> None:
    """One note, not a problem per view; and nothing at all if no task needs them."""
    root = planted(tmp_path, "NO_INPAINTED")
    report = x3.audit(root)
    assert report.problems == []
    (note,) = report.notes
    assert note == findings.NO_INPAINTED.at(root) and note.path == str(root)
    assert x3.audit(root, tasks=["t1", "t2a"]).notes == []
    built = x3.build_tasks(root, tmp_path / "t")
    assert built.manifest["skipped"] == []
    assert built.manifest["notes"] == [note._asdict()]
    assert built.manifest["files"]["t1_val_multi.json"]["records"] > 0
    assert x3.build_tasks(root, tmp_path / "t").objects_built == 0
    built = x3.build_tasks(root, tmp_path / "t", tasks=("t1", "t2a"))
    assert built.manifest["skipped"] == [] and "notes" not in built.manifest


def test_one_inpainted_image_makes_the_others_missing(tmp_path: Path) -> None:
    root = planted(tmp_path, "NO_INPAINTED")
    target = root / OBJECT / INPAINTED
    target.write_bytes(encode_png(255 - photo(1)))
    x3.build_tasks(root, tmp_path / "t")
    missing = [p for p in x3.audit(root).problems if p.reason == findings.INPAINTED_MISSING.text]
    assert len(missing) == 7  # of eight views that show their object
    # The note was journalled per view: a later file of another object changes what is listed.
    target.unlink()
    x3.build_tasks(root, tmp_path / "t")
    write_view(root / "train" / "train_0" / "uid_1", 1, BOX)
    built = x3.build_tasks(root, tmp_path / "t")
    assert built.objects_built == 1 and built.manifest["skipped_total"] == 7


def test_tasks_limit_what_is_checked(tmp_path: Path) -> None:
    root = planted(tmp_path, "INPAINTED_DAMAGED")
    assert len(x3.audit(root).problems) == 1
    assert x3.audit(root, tasks=["t1"]).problems == []
    for path in (root / OBJECT).glob("01_*"):
        path.unlink()
    assert any("no usable view of rank 1" in p.reason for p in x3.audit(root).problems)
    assert x3.audit(root, tasks=["t2b"]).problems == []
    assert x3.build_tasks(root, tmp_path / "t", tasks=("t2b",)).manifest["skipped"] == []
    with pytest.raises(x3.UserError, match="--tasks t9"):
        x3.audit(root, tasks=["t9"])


def test_equal_reasons_are_one_line(tmp_path: Path) -> None:
    root = make_root(tmp_path / "root", objects=3)
    for path in root.rglob("*_original.png"):
        path.rename(path.with_name(path.name.replace("_original", "_rgb")))
    lines = [str(problem) for problem in grouped(x3.audit(root).problems)]
    assert sum("write 'original', not 'rgb'" in line for line in lines) == 1
    assert sum("original is missing (and 17 more like it)" in line for line in lines) == 1
    assert len(lines) == 3  # and no view of rank 1
    assert grouped([]) == []


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("01_000010_rgb.png", "write 'original', not 'rgb'"),
        ("01_000010_Original.png", "write 'original', not 'Original'"),
        ("01_000010_orignal.jpg", "write 'original', not 'orignal'"),
        ("01_000010_seg.png", "write 'mask', not 'seg'"),
        ("01_000010_mask_dilate.png", "write 'mask_dialated', not 'mask_dilate'"),
        ("01_000010_removed.png", "write 'inpainted', not 'removed'"),
        ("1_000010_original.png", "write the rank with two digits or more"),
        ("000010_original.png", "it needs the view's rank and a frame"),
        ("frame_000010_original.png", "it needs the view's rank and a frame"),
        ("01-000010-original.png", "join its parts with _"),
        ("01_000010.png", "no kind in it; known are original, inpainted, mask"),
        ("01_000010_normals.png", "unknown kind 'normals'; known are"),
    ],
)
def test_other_spellings_are_named(name: str, hint: str, tmp_path: Path) -> None:
    root = make_root(tmp_path / "root")
    (root / OBJECT / name).write_bytes(b"x")
    reasons = [p.reason for p in x3.audit(root).problems if p.path.endswith(name)]
    assert len(reasons) == 1 and reasons[0].startswith("name is not {NN}_{frame}_{kind}.png: ")
    assert hint in reasons[0]


def test_tags_of_jpeg_and_xmp(tmp_path: Path) -> None:
    root = make_root(tmp_path / "root")
    tag = Image.Exif()
    tag[0x0112] = 3
    path = root / OBJECT / "01_000010_original.jpg"
    with Image.open(root / OBJECT / ORIGINAL) as opened:
        opened.save(path, "JPEG", exif=tag, quality=95)
    (root / OBJECT / ORIGINAL).unlink()
    upright = Image.Exif()
    upright[0x0112] = 1
    with Image.open(root / OBJECT / "02_000020_original.png") as opened:
        pixels = opened.copy()
    pixels.save(root / OBJECT / "02_000020_original.png", "PNG", exif=upright)
    (note,) = x3.audit(root).notes
    assert note.path == str(path) and "orientation tag 3 (turned by 180 degrees)" in note.reason


def test_the_audit_of_a_stray_value_in_an_empty_mask(tmp_path: Path) -> None:
    """Faint noise where the object is absent makes it visible: named against the other views."""
    root = make_root(tmp_path / "root")
    stray = np.zeros((48, 64), np.uint8)
    stray[30:33, 40:44] = [[1, 2, 3, 2]] * 3
    Image.fromarray(stray).save(root / OBJECT / "03_000030_mask.png")
    (problem, _) = sorted(x3.audit(root).problems, key=lambda found: "inpainted" in found.reason)
    assert "only values up to 3, those of the object's other views reach 255" in problem.reason


def test_json_holds_problems_and_notes(tmp_path: Path) -> None:
    root = planted(tmp_path, "ORIENTATION", "MASK_FULL")
    value = json.loads(json.dumps(x3.audit(root).to_json()))
    assert (value["problems_total"], value["notes_total"]) == (1, 1)
    assert value["problems"][0]["path"].endswith(DILATED)
    assert value["notes"][0]["path"].endswith(ORIGINAL)
