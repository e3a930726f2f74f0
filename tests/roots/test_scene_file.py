"""``scene.json``: read once, and malformed contents are reported, never taken for missing ones."""

from __future__ import annotations

import json
import os
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import x3spatial as x3
from helpers.roots import make_root
from x3spatial.roots.layout import list_root
from x3spatial.roots.scene_file import SceneFileError, parse_scene_file, read_scene_file

POSE = [[1, 0, 0, 1.5], [0, 1, 0, 2], [0, 0, 1, 3], [0, 0, 0, 1]]
PINHOLE = {"width": 96, "height": 72, "fx": 48, "fy": 48, "cx": 48, "cy": 36}
SIGHT = {"pixels": 0, "visible_fraction": 0.0, "in_frame_fraction": 0.5, "absent_by": "both"}


def about(**changes: Any) -> dict[str, Any]:
    """A small valid file."""
    return {
        "format": 2,
        "frames": {"000010": {"camera_to_world": POSE}, "000020": {"camera_to_world": POSE}},
        "objects": [{"uid": 0, "label": "cup", "box": [[0, 0, 0], [1, 1, 1]], "views": None}],
        "pixels": {"000010": {"0": 5}},
        "visibility": {"0": {"000010": {"pixels": 5}, "000020": SIGHT}},
        "overlap": {"0": {"000010": {"000020": 0.25}}},
        **changes,
    }


MALFORMED: dict[str, tuple[dict[str, Any], str]] = {
    "format": (about(format=3), "'format' is 3; known are 1 to 2"),
    "frames": (about(frames=["000010"]), "'frames' is not an object"),
    "pose": (about(frames={"1": {"camera_to_world": POSE[:3]}}),
             "'frames.1.camera_to_world' is not a list of 4 values"),
    "nan": (about(frames={"1": {"camera_to_world": [[float("nan")] * 4] * 4}}),
            "'frames.1.camera_to_world' is not a finite number"),
    "objects": (about(objects=None), "'objects' is not a list"),
    "uid": (about(objects=[{"label": "cup"}]), "'objects.uid' is missing"),
    "twice": (about(objects=[{"uid": 1}, {"uid": "1"}]), "'objects' holds a uid twice"),
    "box": (about(objects=[{"uid": 1, "box": [[0, 0], [1, 1]]}]),
            "'objects.box' is not a list of 3 values"),
    "pixels": (about(pixels={"1": {"0": 2.5}}), "'pixels.1.0' is not a whole number"),
    "negative": (about(pixels={"1": {"0": -1}}), "'pixels.1.0' is negative"),
    "share": (about(visibility={"0": {"1": {**SIGHT, "visible_fraction": 1.5}}}),
              "'visibility.0.1.visible_fraction' is 1.5, not from 0 to 1"),
    "word": (about(visibility={"0": {"1": {**SIGHT, "absent_by": "fog"}}}),
             "'visibility.0.1.absent_by' is 'fog', not one of 'framing', 'occlusion', 'both'"),
    "both": (about(visibility={"0": {"1": {**SIGHT, "pixels": 7}}}),
             "'visibility.0.1.absent_by' is 'both', but pixels is 7"),
    "overlap": (about(overlap={"0": {"1": {"2": "all"}}}), "'overlap.0.1.2' is not a number"),
    "beyond": (about(overlap={"0": {"1": {"2": 2}}}), "'overlap.0.1.2' is 2, not from 0 to 1"),
    "intrinsics": (about(intrinsics={**PINHOLE, "fx": 0}),
                   "'intrinsics' is not that of a pinhole camera"),
    "focal": (about(intrinsics={**PINHOLE, "fx": "1"}), "'intrinsics.fx' is not a number"),
    "views": (about(objects=[{"uid": 1, "views": [{"frame": "1", "pixels": -2}]}]),
              "'visibility.1.1.pixels' is negative"),
}  # fmt: skip


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_root(tmp_path / "root", splits=("validation",), objects=2)


def write(root: Path, value: Any) -> Path:
    path = root / "validation" / "validation_0" / "scene.json"
    path.write_text(json.dumps(value))
    return path


@pytest.mark.parametrize("kind", MALFORMED)
def test_malformed_contents_name_their_key(kind: str) -> None:
    value, reason = MALFORMED[kind]
    with pytest.raises(SceneFileError) as raised:
        parse_scene_file(value)
    assert str(raised.value) == reason


@pytest.mark.parametrize("value", [[], 3, "x", None])
def test_another_value_than_an_object_is_malformed(value: Any) -> None:
    with pytest.raises(SceneFileError, match="is not an object"):
        parse_scene_file(value)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
                    lambda inner: st.lists(inner) | st.dictionaries(
                        st.sampled_from(["frames", "objects", "uid", "box", "overlap", "pixels", "visibility",
                                         "views", "format", "camera_to_world", "a"]), inner),
                    max_leaves=12))  # fmt: skip
def test_any_json_is_read_or_refused(value: Any) -> None:
    try:
        parse_scene_file(value)
    except SceneFileError as error:
        assert "\n" not in str(error)


@given(
    st.tuples(*[st.floats(-3, 3)] * 3), st.tuples(*[st.floats(0.01, 2)] * 3), st.integers(0, 2**16)
)
def test_a_box_lies_within_its_extent(
    low: tuple[float, ...], size: tuple[float, ...], seed: int
) -> None:
    """Points of the box that the image shows lie in the extent, boxes around the camera too."""
    scene = parse_scene_file(about(intrinsics=PINHOLE))
    assert scene is not None
    camera = scene.cameras["000010"]  # at (1.5, 2, 3), looking along z
    at = np.array([1.5, 2, 3])
    box = np.array([low, np.add(low, size)]) + at
    points = np.random.default_rng(seed).uniform(box[0], box[1], (64, 3)) - at
    points = points[points[:, 2] > 0.001]
    flat = points[:, :2] / points[:, 2:] * [48 / 96, 48 / 72] + 0.5
    shown = flat[((flat >= 0) & (flat <= 1)).all(axis=1)]
    extent = camera.extent(box)
    if extent is None:
        assert len(points) == 0
        return
    left, top, right, bottom = extent
    assert 0 <= left <= right <= 1 and 0 <= top <= bottom <= 1
    assert (shown >= np.array([left, top]) - 1e-9).all()
    assert (shown <= np.array([right, bottom]) + 1e-9).all()
    if low[2] > 0.01:  # all of it in front of the camera: the extent is as tight as the corners
        corners = np.array(list(product(*(box - at).T)))
        flat = np.clip(corners[:, :2] / corners[:, 2:] * [48 / 96, 48 / 72] + 0.5, 0, 1)
        assert np.allclose([*flat.min(axis=0), *flat.max(axis=0)], extent)


def test_audit_and_build_report_it_and_go_on(root: Path, tmp_path: Path) -> None:
    plain = x3.build_tasks(root, tmp_path / "plain")
    path = write(root, {**about(overlap=[]), "place": "hall"})
    reason = "scene.json: 'overlap' is not an object; the scene has no strata"
    assert [tuple(problem) for problem in x3.audit(root).problems] == [(str(path), reason)]
    built = x3.build_tasks(root, tmp_path / "t")
    assert built.manifest["skipped"] == [{"path": str(path), "reason": reason}]
    assert built.manifest["skipped_total"] == 1 and built.records == plain.records
    found = x3.read_tasks(tmp_path / "t" / "t1_val_multi.json")
    # The place is known all the same.
    assert {record.place for record in found} == {"hall"}
    assert {record.strata for record in found} == {None}
    # Mended, the same build has strata and no problem.
    write(root, about())
    again = x3.build_tasks(root, tmp_path / "t")
    assert again.manifest["skipped_total"] == 0 and again.objects_built == 2
    records = x3.read_tasks(tmp_path / "t" / "t1_val_multi.json")
    assert all(record.strata is not None for record in records)
    (pair,) = (r for r in records if (r.uid, r.query_frame) == ("0", "000020"))
    assert pair.strata is not None and pair.strata.overlap == 0.25


def test_a_file_that_knows_nothing_gives_no_strata(root: Path, tmp_path: Path) -> None:
    values: list[dict[str, Any]] = [{}, {"views": {}}, {"place": "hall"}]
    for value in values:
        path = write(root, value)
        assert read_scene_file(path.parent) is None
        assert x3.audit(root).problems == []
    x3.build_tasks(root, tmp_path / "t")
    assert {r.strata for r in x3.read_tasks(tmp_path / "t" / "t1_val_multi.json")} == {None}


def test_a_build_reads_each_file_once(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(root, about())
    opened: list[str] = []
    real = os.open

    def watching(path: Any, *args: Any, **kwargs: Any) -> int:
        opened.append(os.fspath(path) if not isinstance(path, int) else "")
        return real(path, *args, **kwargs)

    monkeypatch.setattr(os, "open", watching)
    options = x3.BuildOptions(tasks=("t1", "hard"))
    x3.build_tasks(root, tmp_path / "t", options)
    assert [str(path).endswith("scene.json") for path in opened].count(True) == 1
    listing = list_root(root)
    assert list(listing.scenes) == [("validation", "validation_0")]
