"""Scans of one place: leakage between splits, and the clusters of the bootstrap."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import x3spatial as x3
from helpers.roots import box_mask, make_root, write_view
from x3spatial.evaluation.scoring.scores import Score
from x3spatial.evaluation.statistics.intervals import clusters_of
from x3spatial.roots.places import place_of


@pytest.mark.parametrize(
    ("scene", "place"),
    [
        ("scene0000_00", "scene0000"),
        ("scene0707_12", "scene0707"),
        ("scene0000", "scene0000"),
        ("scene0000_0", "scene0000_0"),
        ("scene0000_000", "scene0000_000"),
        ("scene000_00", "scene000_00"),
        ("Scene0000_00", "Scene0000_00"),
        ("my_scene0000_00", "my_scene0000_00"),
        ("scene0000_00_vh", "scene0000_00_vh"),
        ("0a5c013435", "0a5c013435"),
    ],
)
def test_only_names_of_rescans_name_a_place(scene: str, place: str) -> None:
    assert place_of(scene) == place
    assert place_of(scene, "hall") == "hall"


def scenes(root: Path, *names: str, places: dict[str, str] | None = None) -> Path:
    """A root of scenes ``split/scene`` with one object of two views each."""
    for name in names:
        for rank in (1, 2):
            write_view(root / name / "uid_1", rank, box_mask(5, 5, 20, 20))
    for name, place in (places or {}).items():
        (root / name / "scene.json").write_text(json.dumps({"place": place}))
    return root


@pytest.mark.parametrize(
    ("names", "places", "reason"),
    [
        (("train/scene0001_00", "validation/scene0001_02"), {},
         "scene0001, are in two splits: train/scene0001_00, validation/scene0001_02"),
        (("train/scene0001_00", "train/scene0001_01", "test/scene0001_00"), {},
         "train/scene0001_00, train/scene0001_01, test/scene0001_00"),
        (("train/a", "validation/b"), {"train/a": "hall", "validation/b": "hall"},
         "hall, are in two splits: train/a, validation/b"),
        (("train/scene0001_00", "validation/b"), {"validation/b": "scene0001"},
         "scene0001, are in two splits"),
        (("train/a", "validation/a"), {}, "scene is in two splits: train, validation"),
        (("train/scene0001_00", "validation/scene0002_00"), {}, None),
        (("train/scene0001_00", "train/scene0001_01", "validation/b"), {}, None),
        (("train/scene0001_00", "validation/scene0001_02"),
         {"train/scene0001_00": "x", "validation/scene0001_02": "y"}, None),
        (("train/a", "validation/b"), {}, None),
    ],
)  # fmt: skip
def test_leaks_between_splits(
    tmp_path: Path, names: tuple[str, ...], places: dict[str, str], reason: str | None
) -> None:
    problems = x3.audit(scenes(tmp_path / "root", *names, places=places)).problems
    if reason is None:
        assert problems == []
    else:
        (problem,) = problems
        assert reason in problem.reason and problem.path.endswith(names[-1])


def scores(*found: tuple[str, str | None]) -> list[Score]:
    return [
        Score(
            id=str(number), scene=scene, uid=str(number), place=place, status="answered",
            gt_text="", gt_point=None, gt_absent=True, pred_text="", pred_point=None,
            said_not_visible=True,
        )
        for number, (scene, place) in enumerate(found)
    ]  # fmt: skip


def test_clusters_are_places() -> None:
    rescans = scores(
        *((f"scene{place:04d}_{scan:02d}", None) for place in range(10) for scan in (0, 1))
    )
    clusters = clusters_of(rescans)
    assert (clusters.unit, clusters.count) == ("scene", 10)
    assert clusters.index.tolist() == [place for place in range(10) for _ in (0, 1)]
    # Ten scans of nine places are too few scenes.
    few = [("scene0000_00", None), *((f"scene{n:04d}_01", None) for n in range(9))]
    assert clusters_of(scores(*few)).unit == "object"
    declared = scores(*((f"s{n}", f"place {n // 2}") for n in range(20)))
    assert clusters_of(declared).count == 10
    other = scores(*((f"scene_{n:02d}", None) for n in range(12)))
    assert clusters_of(other).count == 12


def test_a_declared_place_reaches_records_and_results(tmp_path: Path) -> None:
    root = scenes(
        tmp_path / "root", "validation/a", "validation/b", places={"validation/a": "hall"}
    )
    x3.build_tasks(root, tmp_path / "t")
    data = tmp_path / "t" / "t1_val_multi.json"
    assert {record.scene: record.place for record in x3.read_tasks(data)} == {
        "a": "hall",
        "b": None,
    }
    assert ["place" in value for value in json.loads(data.read_text())] == [True, False]
    x3.evaluate(data, tmp_path / "r.json", model="centre")
    found = x3.read_results(tmp_path / "r.json").results
    assert {entry.scene: entry.place for entry in found} == {"a": "hall", "b": None}
    # Another place is another input: only that scene is built again.
    (root / "validation/a/scene.json").write_text('{"place": "attic"}')
    assert x3.build_tasks(root, tmp_path / "t").objects_built == 1
    assert {record.place for record in x3.read_tasks(data)} == {"attic", None}


def test_records_of_other_roots_keep_their_fields(tmp_path: Path) -> None:
    x3.build_tasks(make_root(tmp_path / "root"), tmp_path / "t")
    value = json.loads((tmp_path / "t" / "t1_val_multi.json").read_text())[0]
    assert list(value)[-1] == "mask_area_fraction"
