"""Task1 with the marked view cropped around its object."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.roots import box_mask, make_root, photo, tree_bytes
from x3spatial.builder.options import BuildOptions
from x3spatial.builder.render import crop_reference, mark
from x3spatial.builder.run import build_tasks
from x3spatial.errors import UserError
from x3spatial.formats.task_file import read_records
from x3spatial.io.images import read_mask, read_rgb, resize_rgb
from x3spatial.tasks.ground_truth import sample_seed

ONLY = {"tasks": ("t1", "t2a"), "emit_concat": False}


def build(root: Path, out: Path, *, workers: int = 1, **options: Any) -> None:
    given_options = BuildOptions(seed=42, **{**ONLY, **options})
    build_tasks(data_root=root, out_dir=out, options=given_options, workers=workers)


def test_only_the_marked_view_changes(tmp_path: Path) -> None:
    root = make_root(tmp_path / "root")
    build(root, tmp_path / "whole")
    build(root, tmp_path / "close", crop_reference=(1.5, 3.0))
    # Another number of workers gives the same bytes.
    build(root, tmp_path / "again", crop_reference=(1.5, 3.0), workers=2)
    marked = sorted((tmp_path / "close").rglob("*_marked.png"))
    assert marked
    for path in marked:
        twin = tmp_path / "again" / path.relative_to(tmp_path / "close")
        assert twin.read_bytes() == path.read_bytes()
    for name in ("t1_val_multi.json", "t2a_val_multi.json", "t1_train_multi.json"):
        whole = read_records(tmp_path / "whole" / name)
        close = read_records(tmp_path / "close" / name)
        assert [r.id for r in close] == [r.id for r in whole]
        for before, after in zip(whole, close, strict=True):
            assert after.answer == before.answer
            assert after.images[1:] == before.images[1:]
            assert after.image_sizes == before.image_sizes
            assert (after.ref_mask, after.query_mask) == (before.ref_mask, before.query_mask)
            old, new = read_rgb(Path(before.images[0])), read_rgb(Path(after.images[0]))
            assert new.shape == old.shape
            # The marked share of the image grows.
            assert _redness(new) > _redness(old)
    assert (
        "closeup" not in json.loads((tmp_path / "whole" / "build.json").read_text())["parameters"]
    )


def test_crops_of_x3_build_closeup_stay_the_same(tmp_path: Path) -> None:
    """The option's first name stays in the seed of the draws and in the manifest."""
    root = make_root(tmp_path / "root", splits=("validation",), objects=1)
    build(root, tmp_path / "out", crop_reference=(1.5, 3.0))
    record = read_records(tmp_path / "out" / "t1_val_multi.json")[0]
    mask = read_mask(Path(str(record.ref_mask)))
    marked = mark(read_rgb(Path(str(record.ref_original))), mask, 0.45)
    view = f"{record.ref_rank}{record.ref_frame}"
    seed = sample_seed(42, "validation", "validation_0", "0", view, "closeup")
    expected = crop_reference(marked, mask, (1.5, 3.0), seed)
    assert np.array_equal(read_rgb(Path(record.images[0])), expected)
    manifest = json.loads((tmp_path / "out" / "build.json").read_text())
    assert manifest["parameters"]["closeup"] == [1.5, 3.0]


def test_another_range_gives_other_images(tmp_path: Path) -> None:
    root = make_root(tmp_path / "root")
    build(root, tmp_path / "out", crop_reference=(1.5, 3.0))
    first = tree_bytes(tmp_path / "out")
    build(root, tmp_path / "out", crop_reference=(1.0, 1.2))
    second = tree_bytes(tmp_path / "out")
    assert any(first[name] != second[name] for name in first if name.endswith("_marked.png"))


@given(
    st.integers(0, 63), st.integers(0, 47), st.integers(0, 63), st.integers(0, 47),
    st.floats(1, 4), st.floats(1, 10), st.integers(0, 2**32),
)  # fmt: skip
def test_the_object_stays_in_the_image(
    x0: int, y0: int, x1: int, y1: int, least: float, more: float, seed: int
) -> None:
    mask = box_mask(min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1))
    image = np.full((48, 64, 3), 255, np.uint8)
    image[mask] = 0
    cut = crop_reference(image, mask, (least, least * more), seed)
    assert cut.shape == image.shape
    # The whole object, no smaller than before (except for its blurred edge).
    assert (cut < 128).mean() >= 0.8 * mask.mean()


def test_the_result_is_a_crop_of_the_marked_view() -> None:
    image, mask = photo(3), box_mask(20, 10, 29, 19)
    marked = mark(image, mask, 0.45)
    assert np.array_equal(crop_reference(marked, mask, (50, 50), 1), marked)
    # The extent is 10 of 48 rows (more than 10 of 64 columns); 1.2 times that is 16 x 12 pixels.
    cut = crop_reference(marked, mask, (1.2, 1.2), 1)
    parts = [marked[y : y + 12, x : x + 16] for y in range(8, 11) for x in range(14, 21)]
    found = [np.array_equal(cut, resize_rgb(part.copy(), 64, 48)) for part in parts]
    assert found.count(True) == 1
    assert len({crop_reference(marked, mask, (1, 4), seed).tobytes() for seed in range(8)}) > 5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"crop_reference": (0.5, 2.0)}, r"--crop-reference 0.5 2: expected MIN MAX with 1 <= MIN"),
        ({"crop_reference": (3.0, 2.0)}, r"--crop-reference 3 2: expected"),
        ({"crop_reference": (1.0, float("inf"))}, r"--crop-reference 1 inf: expected"),
        (
            {"crop_reference": (1.0, 2.0), "tasks": ("t0", "t1")},
            "not t0_marked; use --tasks t1,t2a",
        ),
        ({"crop_reference": (1.0, 2.0), "tasks": ("t2b",)}, "not t2b_multi"),
        ({"crop_reference": (1.0, 2.0), "emit_concat": True}, "not t1_concat; .*--emit-concat 0"),
    ],
)
def test_invalid_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        BuildOptions(**{**ONLY, **options})


def _redness(image: np.ndarray) -> float:
    colours = image.astype(float)
    return float((colours[..., 0] - colours[..., 1:].mean(-1)).mean())
