"""The folders of RefSpatial-Bench: what they hold, and that its rule gives the figures of x3 score."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import x3spatial as x3
from helpers.export_sets import four_set
from helpers.roots import make_root, tree_bytes
from helpers.task_sets import box_mask, make_record, write_set
from x3spatial.errors import UserError
from x3spatial.exporters.run import export

FIELDS = ["id", "object", "prompt", "suffix", "rgb_path", "mask_path", "category", "step"]


@pytest.fixture(scope="module")
def tasks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("refspatial")
    root = make_root(folder / "root", splits=("validation",), scenes=2, views=4)
    x3.build_tasks(root, folder / "tasks", tasks=["t1", "t2b"], mode="allpairs")
    return folder / "tasks"


def questions_of(folder: Path) -> list[dict[str, Any]]:
    questions: list[dict[str, Any]] = json.loads((folder / "question.json").read_text())
    return questions


def share_in_mask(text: str, path: Path) -> float:
    """The rule of the benchmark for points in brackets: pixel int(x * W), int(y * H), and the mean."""
    mask = np.asarray(Image.open(path)) > 0
    height, width = mask.shape
    found = re.findall(r"\((\d+\.\d+), (\d+\.\d+)\)", text)
    pixels = [(int(float(x) * width), int(float(y) * height)) for x, y in found]
    inside = [x < width and y < height and bool(mask[y, x]) for x, y in pixels]
    return sum(inside) / len(inside) if inside else 0.0


@pytest.mark.parametrize("stem", ["t1_val_concat", "t1_val_multi", "t2b_val_multi"])
def test_its_rule_gives_the_figures_of_x3_score(stem: str, tasks: Path, tmp_path: Path) -> None:
    source = tasks / f"{stem}.json"
    summary = export(source, tmp_path / "RefSpatial-Bench", "refspatial-bench")
    folder = tmp_path / "RefSpatial-Bench" / stem
    records = {record.id: record for record in x3.read_tasks(source)}
    questions = questions_of(folder)
    absent = {id for id, record in records.items() if record.answer == "NOT_VISIBLE"}
    assert [question["id"] for question in questions] == [id for id in records if id not in absent]
    assert summary.manifest["counts"].get("not_visible_left_out", 0) == len(absent)
    assert summary.records == len(questions)
    said, shares = {}, []
    for number, question in enumerate(questions):
        assert list(question) == FIELDS
        record = records[question["id"]]
        assert f"{question['prompt']} {question['suffix']}".split() == record.prompt.split()
        shown = question["rgb_path"]
        assert isinstance(shown, str) == record.is_concat
        for path, image in zip([shown] if record.is_concat else shown, record.images, strict=True):
            assert (folder / path).read_bytes() == Path(image).read_bytes()
        elsewhere = f"({0.04 * (number % 25):.3f}, {0.05 * (number % 20):.3f})"
        text = [record.answer, f"[{elsewhere}]", f"{record.answer} {elsewhere}", "none"][number % 4]
        said[record.id] = text
        shares.append(share_in_mask(text, folder / question["mask_path"]))
        assert share_in_mask(record.answer, folder / question["mask_path"]) == 1.0
    scored = x3.score_answers(source, said, convention="unit", scoring="roborefer")
    assert scored.metrics["hit_at_mask"] == pytest.approx(sum(shares) / len(shares), abs=1e-12)
    assert 0 < sum(shares) < len(shares)


def test_outputs_of_its_runner_are_scored_as_they_are(tasks: Path, tmp_path: Path) -> None:
    """RoboRefer writes a line per question, with the fields of the question and the answer in ``text``."""
    source = tasks / "t1_val_concat.json"
    export(source, tmp_path / "out", "refspatial-bench")
    lines = [
        {
            "question_id": question["id"], "prompt": question["prompt"],
            "object_name": question["object"], "suffix": question["suffix"], "instruction": "?",
            "text": "[(0.75, 0.5)]", "model_id": "RoboRefer", "rgb_path": question["rgb_path"],
            "mask_path": question["mask_path"], "category": "t1_concat", "step": 1,
        }
        for question in questions_of(tmp_path / "out/t1_val_concat")
    ]  # fmt: skip
    outputs = tmp_path / "t1_val_concat.jsonl"
    outputs.write_text("".join(json.dumps(line) + "\n" for line in lines))
    scored = x3.score_answers(source, outputs, convention="unit", scoring="roborefer")
    assert scored.matched is not None and not scored.matched.unknown
    assert scored.metrics["hit_at_mask_total"] == len(lines)


def test_files_are_stored_once_and_the_same_each_time(tasks: Path, tmp_path: Path) -> None:
    source = tasks / "t1_val_multi.json"
    export(source, tmp_path / "out", "refspatial-bench")
    before = tree_bytes(tmp_path / "out")
    folder = tmp_path / "out/t1_val_multi"
    shown = [path for question in questions_of(folder) for path in question["rgb_path"]]
    images = sorted((folder / "image").iterdir())
    assert len(images) == len({*shown}) < len(shown)
    assert len({path.read_bytes() for path in images}) == len(images)
    assert not export(source, tmp_path / "out", "refspatial-bench").written
    export(source, tmp_path / "out", "refspatial-bench", fresh=True)
    assert tree_bytes(tmp_path / "out") == before


def test_names_and_prompts_of_other_builders(tmp_path: Path) -> None:
    """A prompt of one line is not cut; masks of any kind are written as 8-bit grey."""
    record = make_record(tmp_path / "data", "01", box_mask(32, 24, 4, 5, 10, 11))
    source = write_set(tmp_path / "data/mine.json", [replace(record, label="lamp")])
    export(source, tmp_path / "out", "refspatial-bench")
    (question,) = questions_of(tmp_path / "out/mine")
    assert (question["object"], question["suffix"]) == ("lamp", "")
    assert question["prompt"] == record.prompt
    export(source, tmp_path / "out", "refspatial-bench", point_format="fraction")
    assert questions_of(tmp_path / "out/mine")[0]["suffix"]


def test_what_has_no_place_in_it(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    hidden = make_record(tmp_path / "data", "01", box_mask(32, 24, 4, 5, 10, 11) & False)
    empty = write_set(tmp_path / "data/hidden.json", [hidden])
    mixed = four_set(tmp_path / "four")
    summary = export([empty, mixed], tmp_path / "out", "refspatial-bench")
    assert {*summary.manifest["files"]} == {"mixed"}
    assert "hidden.json: has no sample with a visible object" in caplog.text
    assert summary.manifest["counts"]["not_visible_left_out"] == 1 and summary.records == 3
    with pytest.raises(UserError, match="--points qwen3-1000: --to refspatial-bench can have unit"):
        export(mixed, tmp_path / "more", "refspatial-bench", point_format="qwen3-1000")
    unnamed = make_record(tmp_path / "old", "01", box_mask(32, 24, 4, 5, 10, 11), named=False)
    source = write_set(tmp_path / "old/old.json", [unnamed])
    with pytest.raises(UserError, match="has no 'query_mask', which --to refspatial-bench needs"):
        export(source, tmp_path / "older", "refspatial-bench")
    assert not (tmp_path / "older/old").exists()
