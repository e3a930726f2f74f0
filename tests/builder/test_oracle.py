"""The oracle is perfect on every set of every root: a fixture, generated ones, and rendered rooms."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from helpers.perfect import check_oracle, check_perfect
from helpers.roots import hash_text, photo
from helpers.task_sets import make_set
from x3spatial.builder.options import BuildOptions
from x3spatial.evaluation.run import evaluate
from x3spatial.io.images import encode_mask_png, encode_png
from x3spatial.tasks.spec import TASKS, choose_tasks

EVERYTHING = "framing=9,occlusion=9,both=9,other_scene=1"
SIZES = ((64, 48), (33, 17), (17, 40), (1203, 5))
"""Sides of images, one so wide that three decimals do not reach each pixel."""


@pytest.mark.parametrize(
    ("dilated", "decoys"),
    [
        (True, False),
        pytest.param(False, True, marks=pytest.mark.slow),
        pytest.param(True, True, marks=pytest.mark.slow),
    ],
)
def test_on_the_fixture(small_root: Path, tmp_path: Path, dilated: bool, decoys: bool) -> None:
    options = BuildOptions(use_dilated_mask=dilated, decoys=decoys, negatives=EVERYTHING)
    made = check_oracle(small_root, tmp_path, options)
    assert all(made[task] for task in choose_tasks(["hard"]))


@st.composite
def shapes(draw: st.DrawFn, width: int, height: int) -> Any:
    """A mask: a box, a ring, a line, scattered pixels, or nothing."""
    kind = draw(st.sampled_from(["box", "ring", "line", "dots", "box", "none"]))
    mask = np.zeros((height, width), bool)
    x, y = draw(st.integers(0, width - 1)), draw(st.integers(0, height - 1))
    right = min(width, x + draw(st.integers(1, 8)))
    low = min(height, y + draw(st.integers(1, 8)))
    if kind == "line":
        low = y + 1
    mask[y:low, x:right] = kind != "none"
    if kind == "ring":
        mask[y + 1 : low - 1, x + 1 : right - 1] = False
    if kind == "dots":
        mask &= np.indices(mask.shape).sum(axis=0) % 2 == (x + y) % 2
    return mask


@st.composite
def roots(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Scenes of objects and views; a scene with a ``scene.json`` knows the other views of its folder."""
    scenes = []
    for number in range(draw(st.integers(1, 3))):
        size = draw(st.sampled_from(SIZES))
        views = draw(st.integers(1, 3))
        objects = [
            [draw(shapes(*size)) for _ in range(views)] for _ in range(draw(st.integers(1, 2)))
        ]
        scenes.append({
            "split": draw(st.sampled_from(["train", "validation"])), "name": f"s{number}", "size": size,
            "objects": objects, "known": draw(st.booleans()),
            # The frames of each object are its own, or those of the first.
            "shared": draw(st.booleans()), "inpainted": draw(st.booleans()),
            "dilated": draw(st.booleans()), "reason": draw(st.sampled_from(["framing", "occlusion", "both"])),
        })  # fmt: skip
    return scenes


def write_scene(root: Path, scene: dict[str, Any]) -> None:
    folder = root / scene["split"] / scene["name"]
    frames: dict[str, dict[int, Any]] = {}
    for uid, masks in enumerate(scene["objects"]):
        (folder / f"uid_{uid}").mkdir(parents=True)
        for rank, mask in enumerate(masks, start=1):
            frame = f"{rank:03d}" if scene["shared"] else f"{uid}{rank:02d}"
            frames.setdefault(frame, {})[uid] = mask
            stem = folder / f"uid_{uid}" / f"{rank:02d}_{frame}"
            image = photo(hash_text(scene["name"] + frame), *scene["size"])
            files = {"original": encode_png(image), "mask": encode_mask_png(mask)}
            if scene["dilated"]:
                wide = cv2.dilate(mask.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
                files["mask_dialated"] = encode_mask_png(wide)
            if scene["inpainted"]:
                removed = image.copy()
                removed[mask] = 255 - removed[mask]
                files["inpainted"] = encode_png(removed)
            for kind, data in files.items():
                stem.with_name(f"{stem.name}_{kind}.png").write_bytes(data)
    if scene["known"]:
        visibility = {
            str(uid): {
                frame: {
                    "pixels": (pixels := int(masks[uid].sum()) if uid in masks else 0),
                    "absent_by": None if pixels else scene["reason"],
                }
                for frame, masks in frames.items()
            }
            for uid in range(len(scene["objects"]))
        }
        objects = [{"uid": uid, "label": "thing"} for uid in range(len(scene["objects"]))]
        about = {"format": 2, "objects": objects, "visibility": visibility}
        (folder / "scene.json").write_text(json.dumps(about))


@settings(
    max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(scenes=roots(), mode=st.sampled_from(["anchor", "allpairs"]), dilated=st.booleans(),
       decoys=st.booleans(), concat=st.booleans())  # fmt: skip
def test_on_generated_roots(
    scenes: list[dict[str, Any]], mode: str, dilated: bool, decoys: bool, concat: bool,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:  # fmt: skip
    folder = tmp_path_factory.mktemp("generated")
    for scene in scenes:
        write_scene(folder / "root", scene)
    options = BuildOptions(
        tasks=("all",), mode=mode, use_dilated_mask=dilated, decoys=decoys, emit_concat=concat,
        negatives=EVERYTHING,
    )  # fmt: skip
    try:
        check_oracle(folder / "root", folder, options)
    finally:
        shutil.rmtree(folder)


@pytest.mark.slow
def test_on_rendered_rooms(tmp_path: Path) -> None:
    pytest.importorskip("numba")
    from x3spatial.synth.generate import render_scenes

    render_scenes(
        tmp_path / "root", {"train": 2, "validation": 2}, width=112, height=112, samples=1
    )
    for dilated, decoys in ((False, True), (True, False)):
        options = BuildOptions(
            tasks=("all",), mode="allpairs", use_dilated_mask=dilated, decoys=decoys
        )
        made = check_oracle(tmp_path / "root", tmp_path / str(dilated), options)
        assert all(made[task] for task in TASKS)


def test_what_is_not_perfect_is_found(tmp_path: Path) -> None:
    data = make_set(tmp_path)
    evaluate(data, tmp_path / "centre.json", model="centre", workers=1)
    with pytest.raises(AssertionError):
        check_perfect(tmp_path / "centre.json", dilated=False)
