"""Composites: valid data roots with exact masks and removals."""

from __future__ import annotations

import colorsys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from helpers.roots import tree_bytes
from x3spatial.errors import UserError
from x3spatial.io.images import read_mask, read_rgb
from x3spatial.roots.audit.run import audit
from x3spatial.synth.composites import MIN_VISIBLE_PIXELS, SIDE, VIEWS, make_composites


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("flat") / "root"
    assert make_composites(out_dir=folder, scenes=4, seed=3, workers=1) == 4
    return folder


def test_composites_are_a_valid_data_root(root: Path) -> None:
    report = audit(data_root=root, workers=1)
    assert not report.problems
    facts = report.splits["train"]
    assert facts["scenes"] == 4 and facts["views"] == VIEWS * facts["objects"]
    assert 0 < facts["views_not_visible"] < facts["views"] / 2
    assert list(facts["sizes"]) == [f"{SIDE}x{SIDE}"]


def test_the_inpainted_image_differs_exactly_at_the_mask(root: Path) -> None:
    seen = 0
    for path in sorted(root.rglob("*_mask.png")):
        stem = path.name.removesuffix("_mask.png")
        mask = read_mask(path)
        original, inpainted = (
            read_rgb(path.with_name(f"{stem}_{kind}.png")).astype(int)
            for kind in ("original", "inpainted")
        )
        changed = np.abs(original - inpainted).max(axis=2) > 0
        if not mask.any():
            assert not changed.any()
            continue
        seen += 1
        assert mask.sum() >= MIN_VISIBLE_PIXELS
        assert changed[mask].mean() > 0.5  # parts of a shape may look like the background
        # The antialiased edge extends one pixel beyond the mask.
        wide = read_mask(path.with_name(f"{stem}_mask_dialated.png"))
        assert not changed[~wide].any()
        red = (original[..., 0] > 230) & (original[..., 1:] < 40).all(axis=2)
        assert not red.any()
    assert seen > 30


def test_bytes_are_reproducible_and_complete_scenes_are_kept(root: Path, tmp_path: Path) -> None:
    make_composites(out_dir=tmp_path / "b", scenes=4, seed=3, workers=2)
    assert tree_bytes(tmp_path / "b") == tree_bytes(root)
    (tmp_path / "b" / "train" / "flat_train_3_00002" / "scene.json").unlink()
    assert make_composites(out_dir=tmp_path / "b", scenes=5, seed=3, workers=1) == 2
    make_composites(out_dir=tmp_path / "c", scenes=1, seed=4, workers=1)
    first = next((tmp_path / "c").rglob("01_*_original.png"))
    assert first.read_bytes() not in tree_bytes(root).values()


def test_the_number_of_shapes_is_in_the_chosen_range(tmp_path: Path) -> None:
    make_composites(out_dir=tmp_path, scenes=12, shapes=(1, 2), workers=1)
    counts = [len(list(scene.glob("uid_*"))) for scene in (tmp_path / "train").iterdir()]
    assert set(counts) == {1, 2}
    for shapes in ((0, 3), (3, 2), (1, 13)):
        with pytest.raises(UserError, match=f"--shapes {shapes[0]} {shapes[1]}: expected"):
            make_composites(out_dir=tmp_path, scenes=1, shapes=shapes)


def test_shapes_stay_close_or_are_placed_anywhere(tmp_path: Path) -> None:
    def median_shift(folder: Path) -> float:
        """Median distance in pixels between an object's positions in view 1 and in another view."""
        distances = []
        for first in sorted(folder.rglob("01_*_mask.png")):
            here = np.argwhere(read_mask(first)).mean(axis=0)
            for other in sorted(first.parent.glob("0[234]_*_mask.png")):
                mask = read_mask(other)
                if mask.any():
                    distances.append(float(np.hypot(*(np.argwhere(mask).mean(axis=0) - here))))
        return float(np.median(distances))

    for name, anywhere in (("near", False), ("any", True)):
        make_composites(
            out_dir=tmp_path / name, scenes=8, shapes=(2, 3), anywhere=anywhere, seed=2, workers=1
        )
    assert median_shift(tmp_path / "near") < 16 < 35 < median_shift(tmp_path / "any")


def test_the_radii_of_shapes_are_in_the_chosen_range(tmp_path: Path) -> None:
    make_composites(out_dir=tmp_path / "small", scenes=6, radii=(3, 6), seed=1, workers=1)
    make_composites(out_dir=tmp_path / "large", scenes=6, radii=(16, 22), seed=1, workers=1)
    areas = {
        name: np.median([read_mask(p).sum() for p in (tmp_path / name).rglob("01_*_mask.png")])
        for name in ("small", "large")
    }
    assert areas["small"] < 80 < 300 < areas["large"]
    with pytest.raises(UserError, match="--radii 2 9: expected"):
        make_composites(out_dir=tmp_path, scenes=1, radii=(2, 9))


def test_vivid_shapes_have_one_colour_each_with_distinct_hues(tmp_path: Path) -> None:
    def colours(folder: Path) -> list[list[tuple[float, float, float]]]:
        """(hue, saturation, spread of hue) of every shape in view 1, scene by scene."""
        scenes = []
        for scene in sorted((folder / "train").iterdir()):
            found = []
            for mask in sorted(scene.glob("uid_*/01_*_mask.png")):
                inside = cv2.erode(read_mask(mask).astype(np.uint8), np.ones((3, 3)))
                pixels = read_rgb(Path(str(mask).replace("_mask", "_original")))[inside > 0]
                hsv = np.array([colorsys.rgb_to_hsv(*(p / 255)) for p in pixels])
                found.append((*np.median(hsv[:, :2], axis=0), np.ptp(hsv[:, 0])))
            scenes.append(found)
        return scenes

    options: dict[str, Any] = {"scenes": 10, "shapes": (2, 3), "radii": (10, 20), "workers": 1}
    make_composites(out_dir=tmp_path / "vivid", colours="vivid", **options)
    make_composites(out_dir=tmp_path / "muted", **options)
    for scene in colours(tmp_path / "vivid"):
        hues = sorted(hue for hue, _, _ in scene)
        assert all(0.05 < hue < 0.95 for hue in hues)  # none is as red as the marker
        assert min(np.diff(hues)) > 0.1
        assert all(saturation > 0.5 and spread < 0.03 for _, saturation, spread in scene)
    assert any(
        saturation < 0.3 for scene in colours(tmp_path / "muted") for _, saturation, _ in scene
    )
    with pytest.raises(UserError, match="--colours loud: expected muted or vivid"):
        make_composites(out_dir=tmp_path, scenes=1, colours="loud")


@pytest.mark.parametrize(("option", "value"), [("scenes", 0), ("seed", -1), ("split", "validate")])
def test_options_out_of_range_are_refused(tmp_path: Path, option: str, value: int | str) -> None:
    given: dict[str, Any] = {"scenes": 1, option: value}
    with pytest.raises(UserError, match=f"--{option} {value}"):
        make_composites(out_dir=tmp_path, **given)
    assert not list(tmp_path.iterdir())
