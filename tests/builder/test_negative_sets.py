"""t1_negatives on whole roots: ids painted into the pixels, and rays cast into rendered rooms."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from helpers.painted_rooms import HEIGHT, WIDTH, painted_root
from x3spatial.builder.options import BuildOptions
from x3spatial.builder.run import build_tasks
from x3spatial.evaluation.run import evaluate
from x3spatial.evaluation.scoring.masks import MaskFinder
from x3spatial.formats.task_file import TaskRecord, read_records
from x3spatial.io.images import read_mask, read_rgb

EVERYTHING = "framing=1000,occlusion=1000,both=1000,other_scene=3"


@pytest.fixture(scope="module")
def painted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return painted_root(tmp_path_factory.mktemp("painted"), 12)


def build(root: Path, out: Path, **options: Any) -> tuple[list[TaskRecord], dict[str, Any]]:
    given = {"tasks": ("t1_multi", "t2a_multi", "t1_negatives"), "mode": "allpairs", **options}
    summary = build_tasks(data_root=root, out_dir=out, options=BuildOptions(**given))
    counts: dict[str, Any] = summary.manifest["counts"]["validation"]
    return read_records(out / "t1_val_negatives.json"), counts


def test_no_negative_shows_its_object(painted: Path, tmp_path: Path) -> None:
    negatives, counts = build(painted, tmp_path / "t", negatives=EVERYTHING)
    assert len(negatives) > 300
    own = {
        (r.scene, r.uid, r.query_frame) for r in read_records(tmp_path / "t" / "t1_val_multi.json")
    }
    for record in negatives:
        colour = int(record.uid or 0) * 20
        shown = read_rgb(Path(record.images[1]))
        same_room = f"/{record.scene}/" in record.images[1]
        assert same_room == (record.absence != "other_scene")
        if same_room:
            assert not (shown[:, :, 0] == colour).any()
            assert (record.scene, record.uid, record.query_frame) not in own
        assert record.answer == "NOT_VISIBLE" and record.verified == "geometry"
        assert record.query_mask is None and record.image_sizes == ((WIDTH, HEIGHT),) * 2
        marked = read_rgb(Path(record.images[0]))
        assert (marked[read_mask(Path(record.ref_mask or ""))][:, 0] > 100).all()
    ids = [record.id for record in negatives]
    assert len(set(ids)) == len(ids)
    assert counts["negatives"]["made"] == Counter(r.absence for r in negatives)


def test_the_masks_of_another_object_are_not_taken(painted: Path, tmp_path: Path) -> None:
    negatives, _ = build(painted, tmp_path / "t")
    for choice in ("auto", "tight", "dilated"):
        finder = MaskFinder(choice, None)
        assert all(finder.masks(record).chosen is None for record in negatives)


def test_lookalikes_are_counted(painted: Path, tmp_path: Path) -> None:
    negatives, _ = build(painted, tmp_path / "t", negatives=EVERYTHING)
    for record in negatives:
        ids = read_rgb(Path(record.images[1]))[:, :, 0] // 20
        there = set(np.unique(ids)) - {0}
        if record.absence != "other_scene":
            there -= {int(record.uid or 0)}
        alike = [uid for uid in there if uid % 2 == int(record.uid or 0) % 2]
        assert record.strata is not None and record.strata.lookalikes == len(alike)


def test_shares_of_the_positives(painted: Path, tmp_path: Path) -> None:
    negatives, counts = build(painted, tmp_path / "t")
    wanted = round(0.2 * counts["positives"])
    made, missing = counts["negatives"]["made"], counts["negatives"]["missing"]
    for kind in ("framing", "occlusion", "other_scene"):
        assert made.get(kind, 0) + missing.get(kind, 0) == wanted
    assert sum(made.values()) == len(negatives) == counts["samples"]["t1_negatives"]


def test_one_scene_without_its_file_has_none(tmp_path: Path) -> None:
    root = painted_root(tmp_path / "root", 1)
    next(root.rglob("scene.json")).unlink()
    summary = build_tasks(root, tmp_path / "t", tasks=("t1_multi", "t1_negatives"), mode="allpairs")
    counts = summary.manifest["counts"]["validation"]["negatives"]
    assert counts["made"] == {} and counts["missing"]["other_scene"] > 0
    assert not (tmp_path / "t" / "t1_val_negatives.json").exists()
    assert [one.reason for one in summary.not_made] == [
        "all views are of one place, and no scene.json knows what they show"
    ]


def test_the_same_bytes_for_any_number_of_workers_and_when_continued(
    painted: Path, tmp_path: Path
) -> None:
    out = tmp_path / "t"
    build(painted, out)
    whole = (out / "t1_val_negatives.json").read_bytes()
    (out / "t1_val_negatives.json").unlink()
    options = BuildOptions(tasks=("t1_multi", "t2a_multi", "t1_negatives"), mode="allpairs")
    again = build_tasks(data_root=painted, out_dir=out, options=options, workers=3)
    assert again.objects_built == 0
    assert (out / "t1_val_negatives.json").read_bytes() == whole


def test_relative_paths(painted: Path, tmp_path: Path) -> None:
    negatives, _ = build(painted, tmp_path / "t", paths="relative")
    for record in negatives[:5]:
        assert not any(Path(path).is_absolute() for path in record.images)
    result = evaluate(
        data_json=tmp_path / "t" / "t1_val_negatives.json",
        output_json=tmp_path / "r.json",
        model="centre",
    )
    assert result.metrics["errors"] == 0 and result.metrics["not_visible_accuracy"] == 0.0
