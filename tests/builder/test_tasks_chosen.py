"""Selecting tasks (--tasks), and Task0, which is not built by default."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from helpers.roots import make_root, tree_bytes
from x3spatial.builder.options import BuildOptions
from x3spatial.builder.run import build_tasks
from x3spatial.builder.summary import BuildSummary
from x3spatial.errors import UserError
from x3spatial.evaluation.run import evaluate
from x3spatial.exporters.run import export
from x3spatial.formats.task_file import read_records
from x3spatial.io.images import read_mask, read_rgb
from x3spatial.reports.preview import preview
from x3spatial.tasks.answers import parse_unit
from x3spatial.tasks.geometry import hits


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_root(tmp_path / "root")


def build(root: Path, out: Path, *tasks: str, **options: Any) -> BuildSummary:
    if tasks:
        options["tasks"] = tasks
    return build_tasks(
        data_root=root, out_dir=out, options=BuildOptions(seed=42, **options), workers=1
    )


def files(out: Path) -> list[str]:
    return sorted(path.name for path in out.glob("t*.json"))


def without_run(out: Path) -> dict[str, bytes]:
    written = tree_bytes(out)
    manifest = json.loads(written.pop("build.json"))
    del manifest["run"]
    return {**written, "build.json": json.dumps(manifest).encode()}


def test_t0_has_every_view_that_shows_its_object(root: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    build(root, out, "t0")
    assert files(out) == ["t0_train_marked.json", "t0_val_marked.json"]
    records = read_records(out / "t0_val_marked.json")
    shown = [path for path in (root / "validation").rglob("*_mask.png") if read_mask(path).any()]
    assert len(records) == len(shown) > 2
    for record in records:
        name = f"A{record.ref_rank}{record.ref_frame}"
        assert record.id == f"T0_MARKED_{record.scene}_uid{record.uid}_{name}"
        (image,) = record.images
        assert not isinstance(record.image, str)
        assert record.query_original == record.ref_original
        assert record.ref_mask == record.query_mask
        height, width = read_rgb(Path(image)).shape[:2]
        assert record.image_sizes == ((width, height),)
        point = parse_unit(record.answer).point
        assert point is not None and hits(read_mask(Path(str(record.query_mask))), point)


def test_a_task_built_alone_equals_the_same_task_built_with_others(
    root: Path, tmp_path: Path
) -> None:
    build(root, tmp_path / "default")
    build(root, tmp_path / "all", "t0", "t2b", "t2a", "t1")
    build(root, tmp_path / "one", "t1_concat")
    assert files(tmp_path / "one") == ["t1_train_concat.json", "t1_val_concat.json"]
    assert len(files(tmp_path / "all")) == 10
    for name in files(tmp_path / "default"):
        default, every = ((tmp_path / out / name).read_text() for out in ("default", "all"))
        assert every.replace(str(tmp_path / "all"), str(tmp_path / "default")) == default
    manifest = json.loads((tmp_path / "default" / "build.json").read_text())
    assert "tasks" not in manifest["parameters"] and "t0_marked" not in manifest["prompts"]


def test_the_selection_can_change_in_one_folder(root: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    build(root, out)
    before = without_run(out)
    assert build(root, out, "t1", "t2a", "t2b").objects_built == 0  # equals the default
    more = build(root, out, "t1", "t2a", "t2b", "t0")
    assert more.objects_built > 0 and (out / "t0_val_marked.json").is_file()
    assert build(root, out, "t0", "t2b", "t2a", "t1").objects_built == 0
    build(root, out)
    assert without_run(out) == before


@pytest.mark.parametrize("tasks", [("t9",), ("t1", ""), ()])
def test_an_unknown_task_is_refused(tasks: tuple[str, ...]) -> None:
    with pytest.raises(UserError, match="--tasks"):
        BuildOptions(tasks=tasks)


def test_t0_can_be_evaluated_previewed_and_exported(root: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    build(root, out, "t0")
    task_file = out / "t0_val_marked.json"
    result = evaluate(data_json=task_file, output_json=tmp_path / "r.json", model="oracle")
    assert result.metrics["hit_at_mask"] == 1.0 and result.errors == 0
    assert result.chance["centre"] is not None and result.chance["uniform"] is not None
    # Copying the reference point would be the right answer here, so there is no such chance level.
    assert result.chance["copy-reference"] is None
    assert preview(data_json=task_file, output=tmp_path / "p.png").path.is_file()
    folder = tmp_path / "export"
    export(data_json=[task_file], out_dir=folder, to="sharegpt", point_format="thousand")
    exported = next(folder.rglob("*marked*.json"))
    assert "<image>" in exported.read_text()
