"""Contents of contact sheets, and refused inputs and outputs."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from helpers.roots import make_root
from x3spatial.builder.run import build_tasks
from x3spatial.errors import UserError
from x3spatial.evaluation.run import evaluate
from x3spatial.reports.preview import ANSWER, OUTLINE, REFERENCE, TRUTH, preview


@pytest.fixture(scope="module")
def tasks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("preview")
    root = make_root(folder / "root", splits=("validation",))
    build_tasks(data_root=root, out_dir=folder / "tasks", workers=1)
    return folder / "tasks"


def colours(path: Path) -> set[tuple[int, ...]]:
    with Image.open(path) as image:
        return set(map(tuple, np.unique(np.asarray(image).reshape(-1, 3), axis=0).tolist()))


@pytest.mark.parametrize(
    "name", ["t1_val_multi", "t1_val_concat", "t2a_val_multi", "t2b_val_multi"]
)
def test_each_task_shows_its_marks(name: str, tasks: Path, tmp_path: Path) -> None:
    data = tasks / f"{name}.json"
    results = tmp_path / "r.json"
    evaluate(data_json=data, output_json=results, model="uniform", workers=1)
    path = preview(data_json=data, output=tmp_path / "p.png", results=results)
    seen = colours(path)
    assert ANSWER in seen
    assert (TRUTH in seen) == (OUTLINE in seen) == (name != "t2a_val_multi")
    assert (REFERENCE in seen) == (name == "t1_val_concat")


def test_samples_can_be_chosen_by_id(tasks: Path, tmp_path: Path) -> None:
    data = tasks / "t1_val_multi.json"
    record = json.loads(data.read_text())[0]
    one = preview(data_json=data, output=tmp_path / "one.png", ids=[record["id"]])
    all_of_them = preview(data_json=data, output=tmp_path / "all.png")
    with Image.open(one) as a, Image.open(all_of_them) as b:
        assert a.height < b.height
    with pytest.raises(UserError, match="no such sample"):
        preview(data_json=data, output=tmp_path / "x.png", ids=["nope"])


def test_damaged_results_or_those_of_other_samples_are_refused(tasks: Path, tmp_path: Path) -> None:
    data, results = tasks / "t1_val_multi.json", tmp_path / "r.json"
    evaluate(data_json=data, output_json=results, model="uniform", workers=1)
    with pytest.raises(UserError, match=r"has no answer to a sample of .*t2b_val_multi.json"):
        preview(data_json=tasks / "t2b_val_multi.json", output=tmp_path / "p.png", results=results)
    value = json.loads(results.read_text())
    for change in ({"pred_parsed": None}, {"pred_parsed": {"coord": ["a", "b"]}}, {"id": None}):
        entry = {**value["results"][1], **change}
        if entry["id"] is None:
            del entry["id"]
        results.write_text(json.dumps({**value, "results": [value["results"][0], entry]}))
        with pytest.raises(UserError, match=r"r.json: damaged results file: result 2: "):
            preview(data_json=data, output=tmp_path / "p.png", results=results)
    assert not (tmp_path / "p.png").exists()


def test_only_a_png_is_overwritten(tasks: Path, tmp_path: Path) -> None:
    data = tasks / "t1_val_multi.json"
    (tmp_path / "folder").mkdir()
    (tmp_path / "notes.txt").write_text("mine")
    before = set(tmp_path.iterdir())
    for output, reason in (
        (tmp_path / "folder", "is a folder"),
        (tmp_path / "notes.txt", "is a PNG; name a file"),
        (tmp_path / ("x" * 405), "name too long"),
        (data, "also an input file"),
    ):
        with pytest.raises(UserError, match=f"--out .*(?i:{reason})"):
            preview(data_json=data, output=output)
    assert set(tmp_path.iterdir()) == before
    assert (tmp_path / "notes.txt").read_text() == "mine"
    for _ in range(2):
        preview(data_json=data, output=tmp_path / "p.png", limit=1)
