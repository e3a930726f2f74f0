"""Decoys: where they lie, how much they change, and what they leave alone."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.roots import box_mask
from x3spatial.arrays import Bool, UInt8
from x3spatial.builder.decoys import MARGIN, REMOVABLE, find_decoy
from x3spatial.builder.options import BuildOptions
from x3spatial.builder.run import build_tasks
from x3spatial.errors import UserError
from x3spatial.inpainting import inpaint
from x3spatial.io.images import encode_mask_png, encode_png
from x3spatial.roots.neighbours import Outline

WIDTH, HEIGHT = 96, 72


def wall(seed: int) -> UInt8:
    """A picture that is plain on the left and has strong stripes on the right."""
    rng = np.random.default_rng(seed)
    image = np.full((HEIGHT, WIDTH, 3), rng.integers(60, 200, 3), np.uint8)
    image[:, WIDTH // 2 :: 6] = rng.integers(0, 256, 3)
    image[::9, WIDTH // 2 :] = rng.integers(0, 256, 3)
    return image


def change(one: UInt8, other: UInt8, where: Bool) -> float:
    difference = one.astype(np.float64) - other
    return float(np.sqrt((difference**2).mean(axis=2))[where].mean())


@settings(max_examples=12, deadline=None)
@given(
    st.integers(0, 2**32), st.integers(0, 60), st.integers(0, 80), st.integers(1, 30),
    st.integers(0, 80), st.integers(0, 60),
)  # fmt: skip
def test_a_decoy_has_the_objects_shape_away_from_all_objects(
    seed: int, top: int, left: int, size: int, other_left: int, other_top: int
) -> None:
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[top : top + size, left : left + size] = True
    other = box_mask(other_left, other_top, other_left + 9, other_top + 9, WIDTH, HEIGHT)
    before = wall(seed)
    removed = before.copy()
    removed[mask] = 255 - removed[mask]
    decoy = find_decoy(before, removed, mask, seed, others=[other])
    if decoy is None:
        assert size > 20  # small objects always leave room
        return
    margin = max(1, round(MARGIN * WIDTH))
    kernel = np.ones((2 * margin + 1, 2 * margin + 1), np.uint8)
    wide = cv2.dilate(mask.astype(np.uint8), kernel) > 0
    near = cv2.dilate((mask | other).astype(np.uint8), kernel) > 0
    assert decoy.hole.sum() == wide.sum() and not (decoy.hole & near).any()
    again = find_decoy(before, removed, mask, seed, others=[other])
    assert again is not None and np.array_equal(decoy.hole, again.hole)


@pytest.mark.parametrize("size", [1, 3])
def test_its_trace_is_as_strong_as_the_removals_where_the_image_allows_it(size: int) -> None:
    """Also in an image that is larger than the sketches on which the places are compared."""
    found = []
    for seed in range(3):
        before = wall(seed).repeat(size, axis=0).repeat(size, axis=1)
        height, width = before.shape[:2]
        mask = box_mask(4 * size, 20 * size, 18 * size, 34 * size, width, height)
        removed = before.copy()
        removed[mask] = np.clip(before[mask].astype(int) + 20, 0, 255)
        decoy = find_decoy(before, removed, mask, seed)
        assert decoy is not None
        trace = change(before, inpaint(before, decoy.hole), decoy.hole)
        margin = max(1, round(MARGIN * width))
        kernel = np.ones((2 * margin + 1, 2 * margin + 1), np.uint8)
        wide = cv2.dilate(mask.astype(np.uint8), kernel) > 0
        assert decoy.ratio == pytest.approx((trace + 1) / (change(before, removed, wide) + 1))
        found.append(decoy.ratio)
    assert 0.7 < np.median(found) < 1.4


def test_a_place_where_nothing_can_be_seen_is_the_last_choice() -> None:
    before = np.full((HEIGHT, WIDTH, 3), 120, np.uint8)
    mask = box_mask(2, 2, 12, 12, WIDTH, HEIGHT)
    removed = before.copy()
    removed[mask] = 0
    plain = find_decoy(before, removed, mask, 0)
    assert plain is not None and plain.ratio < 0.1 and not plain.is_equal
    before[40:70:2, 60:90] = 30
    striped = find_decoy(before, removed, mask, 0)
    assert striped is not None and striped.ratio > 0.3


def test_no_other_object_loses_half_of_what_is_seen_of_it() -> None:
    before = np.full((HEIGHT, WIDTH, 3), 120, np.uint8)
    mask = box_mask(2, 2, 16, 16, WIDTH, HEIGHT)
    removed = before.copy()
    removed[mask] = 30
    vase = box_mask(60, 40, 70, 50, WIDTH, HEIGHT)
    before[vase] = 30  # filling it would be the best match
    tempted = find_decoy(before, removed, mask, 0)
    assert tempted is not None and (tempted.hole & vase).sum() > 0.9 * vase.sum()
    for visible in (1.0, 0.3):  # of its box, the rest is hidden
        outline = Outline(60 / 96, 40 / 72, 70 / 96, 50 / 72, visible * vase.mean())
        decoy = find_decoy(before, removed, mask, 0, outlines=[outline])
        assert decoy is not None
        assert (decoy.hole & vase).sum() < REMOVABLE * visible * vase.sum()


def test_an_object_that_fills_the_image_has_no_decoy() -> None:
    image = wall(0)
    assert find_decoy(image, image, np.ones((HEIGHT, WIDTH), bool), 0) is None


def root_of_two(folder: Path) -> Path:
    """A scene with two objects in one frame; only the second one's place has anything to be seen."""
    before = np.full((HEIGHT, WIDTH, 3), 120, np.uint8)
    masks = [box_mask(4, 4, 20, 20, WIDTH, HEIGHT), box_mask(60, 40, 76, 56, WIDTH, HEIGHT)]
    for mask in masks:
        before[mask] = 30
    for uid, mask in enumerate(masks, start=1):
        place = folder / "validation" / "room" / f"uid_{uid}"
        place.mkdir(parents=True)
        removed = before.copy()
        removed[mask] = 120
        (place / "01_000010_original.png").write_bytes(encode_png(before))
        (place / "01_000010_inpainted.png").write_bytes(encode_png(removed))
        (place / "01_000010_mask.png").write_bytes(encode_mask_png(mask))
    return folder


def counts(root: Path, out: Path, **changes: Any) -> tuple[dict[str, Any], int]:
    options = replace(BuildOptions(tasks=("t2b", "t2b_unchanged"), decoys=True), **changes)
    summary = build_tasks(root, out, options)
    return summary.manifest["counts"]["validation"], summary.objects_built


def test_masks_of_the_scenes_other_objects_are_kept_free(tmp_path: Path) -> None:
    root, out = root_of_two(tmp_path / "root"), tmp_path / "tasks"
    found, built = counts(root, out)
    assert built == 2 and found["views_without_an_equal_decoy"] == 2
    assert counts(root, out)[1] == 0
    # The other object's mask decides where a decoy may lie: a build follows its change.
    path = root / "validation" / "room" / "uid_2" / "01_000010_mask.png"
    path.write_bytes(encode_mask_png(box_mask(90, 68, 92, 70, WIDTH, HEIGHT)))
    os.utime(path, ns=(1, 1))
    found, built = counts(root, out)
    assert built == 2 and found["views_without_an_equal_decoy"] == 0
    assert counts(root, tmp_path / "one", limit=1)[0]["views_without_an_equal_decoy"] == 0


def test_boxes_of_the_scene_file_are_kept_free(tmp_path: Path) -> None:
    root = root_of_two(tmp_path / "root")
    (root / "validation" / "room" / "uid_2" / "01_000010_mask.png").unlink()
    assert counts(root, tmp_path / "without")[0]["views_without_an_equal_decoy"] == 0
    focal = 48.0
    scale = 2.0 / focal  # metres per pixel at a depth of 2
    box = [[(60 - 48) * scale, (40 - 36) * scale, 2.0], [(76 - 48) * scale, (56 - 36) * scale, 2.0]]
    about = {
        "format": 2,
        "intrinsics": {"width": 96, "height": 72, "fx": focal, "fy": focal, "cx": 48, "cy": 36},
        "frames": {"000010": {"camera_to_world": np.eye(4).tolist()}},
        "objects": [{"uid": 2, "label": "box", "kind": "box", "box": box, "views": None}],
        "pixels": {"000010": {"2": 256}},
    }
    (root / "validation" / "room" / "scene.json").write_text(json.dumps(about))
    assert counts(root, tmp_path / "with")[0]["views_without_an_equal_decoy"] == 1


def test_without_equal_decoys_the_set_is_not_made(tmp_path: Path) -> None:
    root = root_of_two(tmp_path / "root")
    with pytest.raises(UserError, match=r"t2b_unchanged: .* about as much as the removal"):
        build_tasks(root, tmp_path / "t", BuildOptions(tasks=("t2b_unchanged",), decoys=True))
    assert build_tasks(root, tmp_path / "u", BuildOptions(tasks=("t2b_unchanged",))).records == 4
