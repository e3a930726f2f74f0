"""``x3 crop``: views cropped around their objects."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.roots import box_mask, make_root, tree_bytes
from x3spatial.errors import UserError
from x3spatial.io.images import read_mask, read_rgb, resize_rgb
from x3spatial.roots.audit.run import audit
from x3spatial.roots.crop_root import MIN_SIDE, crop_root
from x3spatial.roots.crops import draw_crop, extent
from x3spatial.roots.layout import list_object, list_root
from x3spatial.tasks.ground_truth import sample_seed

pytestmark = pytest.mark.filterwarnings("error")


def test_a_cropped_root_is_a_valid_data_root(tmp_path: Path) -> None:
    root = make_root(tmp_path / "root")
    label = root / "train/train_0/train_0_uid_0_five_frames.json"
    label.write_text(json.dumps({"label": "blue mug"}))
    out = tmp_path / "out"
    summary = crop_root(data_root=root, out_dir=out, times=(1.5, 3.0), workers=1)
    assert (summary.objects, summary.made, summary.views) == (4, 4, 12)
    assert not summary.problems
    assert not audit(data_root=out, workers=1).problems
    for key in list_root(root).objects:
        before = list_object(key, list_root(root).folder(key))
        after = list_object(key, list_root(out).folder(key))
        assert (before.label, len(before.views)) == (after.label, len(after.views))
        for old, new in zip(before.views, after.views, strict=True):
            assert (old.rank, old.frame, old.files.keys()) == (
                new.rank,
                new.frame,
                new.files.keys(),
            )
            was, now = read_mask(old.files["mask"]), read_mask(new.files["mask"])
            assert now.shape == was.shape
            assert now.any() == was.any()
            if was.any():
                # The crop is 1.5 to 3 times the extent, so the extent is 1/3 to 2/3 of the crop.
                assert 1 / 3 - 0.1 < extent(now) < 1 / 1.5 + 0.1
            assert not np.array_equal(
                read_rgb(old.files["original"]), read_rgb(new.files["original"])
            )


def test_all_files_of_a_view_get_the_same_crop(tmp_path: Path) -> None:
    root = make_root(tmp_path / "root", splits=("train",), objects=1)
    crop_root(data_root=root, out_dir=tmp_path / "out", times=(2, 2), workers=1)
    for path in (tmp_path / "out").rglob("*_mask.png"):
        stem = str(path).removesuffix("_mask.png")
        mask = read_mask(path)
        assert np.array_equal(mask, read_mask(Path(f"{stem}_mask_dialated.png")))
        original, inpainted = (
            read_rgb(Path(f"{stem}_original.png")),
            read_rgb(Path(f"{stem}_inpainted.png")),
        )
        # make_root inverts the removed pixels; outside the mask only resizing spreads differences.
        changed = np.abs(original.astype(int) - inpainted).max(axis=2) > 16
        if mask.any():
            assert changed[mask].mean() > 0.8
            assert changed[~mask].mean() < 0.2
        else:
            assert not changed.any()


def test_the_crop_has_the_size_that_the_mask_and_times_give(tmp_path: Path) -> None:
    root = make_root(tmp_path / "root", splits=("train",), objects=1, views=1)
    crop_root(data_root=root, out_dir=tmp_path / "out", times=(2, 2), workers=1)
    (old,), (new,) = (list(r.rglob("*_original.png")) for r in (root, tmp_path / "out"))
    image, cropped = read_rgb(old), read_rgb(new)
    # The extent is 11 of 48 rows (more than 10 of 64 columns); twice that is 22 rows and 29 columns.
    found = [
        (y, x)
        for y in range(48 - 22 + 1)
        for x in range(64 - 29 + 1)
        if np.array_equal(
            resize_rgb(np.ascontiguousarray(image[y : y + 22, x : x + 29]), 64, 48), cropped
        )
    ]
    assert len(found) == 1
    (y, x) = found[0]
    assert y <= 10 and y + 22 >= 21  # contains the object, rows 10..20
    assert x <= 14 and x + 29 >= 24  # columns 14..23


def test_same_bytes_for_any_workers_and_after_interruptions(tmp_path: Path) -> None:
    root = make_root(tmp_path / "root")
    crop_root(data_root=root, out_dir=tmp_path / "a", times=(1, 4), seed=3, workers=1)
    first = tree_bytes(tmp_path / "a")
    shutil.rmtree(tmp_path / "a/train/train_0/uid_0")
    (tmp_path / "a/train/train_0/.uid_0.part").mkdir()
    again = crop_root(data_root=root, out_dir=tmp_path / "a", times=(1, 4), seed=3, workers=2)
    assert (again.objects, again.made) == (4, 1)
    assert {k: v for k, v in tree_bytes(tmp_path / "a").items() if ".part" not in k} == first
    other = crop_root(data_root=root, out_dir=tmp_path / "b", times=(1, 4), seed=4, workers=1)
    assert other.made == 4
    assert tree_bytes(tmp_path / "b") != first


def test_roots_made_by_x3_zoom_are_continued(tmp_path: Path) -> None:
    """The command's first name stays in file names and in the seed of the draws."""
    root = make_root(tmp_path / "root", splits=("train",), objects=1, views=1)
    out = tmp_path / "out"
    crop_root(data_root=root, out_dir=out, times=(1, 4), seed=5, workers=1)
    assert (out / "zoom.json").is_file()
    assert (out / "train/train_0/uid_0/.zoom.json").is_file()
    view = Path("train/train_0/uid_0/01_000010")
    original, mask = read_rgb(root / f"{view}_original.png"), read_mask(root / f"{view}_mask.png")
    rng = np.random.default_rng(sample_seed(5, "train", "train_0", "0", view.name, "zoom"))
    crop = np.ascontiguousarray(original[draw_crop(mask, (1, 4), rng, min_side=MIN_SIDE)])
    assert np.array_equal(resize_rgb(crop, 64, 48), read_rgb(out / f"{view}_original.png"))


def test_other_settings_need_fresh(tmp_path: Path) -> None:
    root = make_root(tmp_path / "root", splits=("train",))
    out = tmp_path / "out"
    crop_root(data_root=root, out_dir=out, times=(1, 4), workers=1)
    with pytest.raises(UserError, match=r"times \[1, 4\], not \[2, 4\]\); add --fresh"):
        crop_root(data_root=root, out_dir=out, times=(2, 4), workers=1)
    assert crop_root(data_root=root, out_dir=out, times=(2, 4), workers=1, fresh=True).made == 2


@pytest.mark.parametrize(
    ("given_options", "message"),
    [
        ({"times": (0.5, 2)}, "--times 0.5 2: expected"),
        ({"times": (3, 2)}, "--times 3 2: expected"),
        ({"times": (1, float("inf"))}, "--times 1 inf: expected"),
        ({"seed": -1}, "--seed -1"),
        ({"workers": 0}, "--workers 0"),
        ({"splits": ["test"]}, "--splits test"),
    ],
)
def test_options_out_of_range_are_refused(
    tmp_path: Path, given_options: dict[str, object], message: str
) -> None:
    root = make_root(tmp_path / "root", splits=("train",))
    options = {"times": (1, 2), **given_options}
    with pytest.raises(UserError, match=message):
        crop_root(data_root=root, out_dir=tmp_path / "out", **options)  # type: ignore[arg-type]


def test_the_source_and_other_files_are_never_overwritten(tmp_path: Path) -> None:
    root = make_root(tmp_path / "root", splits=("train",))
    before = tree_bytes(root)
    for out in (root, root / "train" / "zoomed"):
        with pytest.raises(UserError, match="lies in the data root"):
            crop_root(data_root=root, out_dir=out, times=(1, 2))
    crop_root(data_root=root, out_dir=tmp_path / "out", times=(1, 2), workers=1)
    (tmp_path / "out" / "notes").mkdir()
    crop_root(data_root=root, out_dir=tmp_path / "out", times=(1, 2), workers=1, fresh=True)
    assert (tmp_path / "out" / "notes").is_dir()
    (tmp_path / "mine" / "train").mkdir(parents=True)
    with pytest.raises(UserError, match="holds other files"):
        crop_root(data_root=root, out_dir=tmp_path / "mine", times=(1, 2), fresh=True)
    assert tree_bytes(root) == before
    assert (tmp_path / "mine" / "train").is_dir()


def test_bad_data_is_reported_and_left_out(tmp_path: Path) -> None:
    root = make_root(tmp_path / "root", splits=("train",), views=2)
    folder = root / "train/train_0"
    (folder / "uid_0/01_000010_original.png").write_bytes(b"nothing")
    (folder / "uid_0/02_000020_inpainted.png").unlink()
    for path in (folder / "uid_1").glob("*_mask*.png"):
        path.unlink()
    summary = crop_root(data_root=root, out_dir=tmp_path / "out", times=(1, 2), workers=1)
    assert (summary.objects, summary.views) == (1, 1)
    reported = {"/".join(Path(p.path).parts[-2:]): p.reason for p in summary.problems}
    # Every file is reported once.
    assert len({problem.path for problem in summary.problems}) == len(summary.problems)
    assert "cannot be decoded" in reported["uid_0/01_000010_original.png"]
    assert "missing" in reported["uid_0/02_000020_inpainted.png"]
    assert reported["train_0/uid_1"] == "object left out: it has no usable view"
    assert not (tmp_path / "out/train/train_0/uid_1").exists()
    assert not list((tmp_path / "out").rglob("*_inpainted.png"))
    # A second run keeps the finished objects and reports the same problems.
    again = crop_root(data_root=root, out_dir=tmp_path / "out", times=(1, 2), workers=1)
    assert (again.made, again.problems) == (0, summary.problems)


@given(
    st.integers(0, 63), st.integers(0, 47), st.integers(0, 63), st.integers(0, 47),
    st.floats(1, 4), st.floats(1, 10), st.integers(0, 2**32), st.booleans(),
)  # fmt: skip
def test_a_crop_lies_in_the_image_and_contains_the_object(
    x0: int, y0: int, x1: int, y1: int, least: float, more: float, seed: int, visible: bool
) -> None:
    mask = box_mask(min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)) & visible
    rows, columns = draw_crop(
        mask, (least, least * more), np.random.default_rng(seed), default_extent=0.2, min_side=16
    )
    assert 0 <= rows.start < rows.stop <= 48
    assert 0 <= columns.start < columns.stop <= 64
    assert mask[rows, columns].sum() == mask.sum()
    assert columns.stop - columns.start >= 16
    assert rows.stop - rows.start >= 16
    if not visible:
        assert (rows.stop - rows.start) / 48 <= min(1.0, max(1 / 3, 0.2 * least * more)) + 0.02
