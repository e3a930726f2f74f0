"""x3-tiny, the checkpoint inside the package: found by its name, small, and able to answer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

from safetensors.torch import load_file

from x3spatial.models.roborefer.checkpoint import read_checkpoint
from x3spatial.models.roborefer.inspect import inspect
from x3spatial.models.roborefer.layout import SHIPPED, locate
from x3spatial.models.roborefer.tiny import PHRASES_OF
from x3spatial.tasks.spec import task_templates

FOLDER = locate(Path(SHIPPED))


def test_it_is_complete_and_small() -> None:
    report = inspect(path=Path(SHIPPED))
    assert report["layout"] == "upstream" and not report.get("problems")
    files = [file for file in FOLDER.rglob("*") if file.is_file()]
    weights = [file for file in files if file.suffix == ".safetensors"]
    assert {value.dtype.itemsize for file in weights for value in load_file(file).values()} == {2}
    assert sum(file.stat().st_size for file in weights) < 10e6
    # No code, no optimizer state, nothing of the machine that it was trained on.
    assert {file.suffix for file in files} <= {".json", ".jinja", ".md", ".safetensors", ".txt"}
    for file in files:
        if file.suffix in (".json", ".md"):
            text = file.read_text()
            assert "/root/" not in text and "/work/" not in text and "/tmp/" not in text, file
    card = (FOLDER / "README.md").read_text()
    for part in ("Intended use", "Out of scope", "Data", "Training", "Figures"):
        assert f"## {part}" in card


def test_a_folder_of_that_name_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert locate(Path(SHIPPED)) == FOLDER
    assert locate(tmp_path / "other") == tmp_path / "other"
    Path(SHIPPED).mkdir()
    assert locate(Path(SHIPPED)) == Path(SHIPPED)


def test_it_reads_the_built_in_prompts_as_it_learned_them() -> None:
    """A changed prompt file would be read letter by letter: then the model must be trained again."""
    from x3spatial.models.roborefer.processing import load_processor

    processor = load_processor(read_checkpoint(Path(SHIPPED)))
    for name in PHRASES_OF:
        template = task_templates()[name]
        ids = processor.tokenize(template.question)
        assert len(ids) == 1, f"{name}: the question is {len(ids)} tokens to x3-tiny"


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """Metrics on rooms that nobody trained on, by set."""
    from x3spatial.pipeline import zeroshot
    from x3spatial.synth.generate import render_scenes

    folder = tmp_path_factory.mktemp("tiny")
    render_scenes(out_dir=folder / "root", scenes={"validation": 12}, fast=True, seed=501)
    zeroshot(
        models=["roborefer:x3-tiny"], data_root=folder / "root", out_dir=folder / "tasks",
        eval_dir=folder / "results", batch_size=32, max_new_tokens=20,
    )  # fmt: skip
    return {
        file.stem: json.loads(file.read_text())["metrics"]
        for file in (folder / "results").glob("t*_val_*.json")
    }


@pytest.mark.slow
def test_it_points_where_chance_does_not(results: dict[str, dict[str, Any]]) -> None:
    """Far below its figures (here 0.82 and 0.43), far above chance (0.02): that it works, on any machine."""
    assert results["t2b_val_multi"]["hit_at_mask"] > 0.6
    assert results["t1_val_multi"]["hit_at_mask"] > 0.25
    for name in ("t1_val_multi", "t2a_val_multi", "t2b_val_multi"):
        assert results[name]["parse_failures"] == 0


def test_it_matches_what_is_easily_told_apart(tmp_path: Path) -> None:
    """Task1 of vivid pairs that nobody trained on: 0.78, and a balanced accuracy of 0.98.

    A model that finds shapes but takes any of them would hit about 0.47, and one that never says NOT_VISIBLE
    would have a balanced accuracy of 0.5.
    """
    from x3spatial.builder.options import BuildOptions
    from x3spatial.builder.run import build_tasks
    from x3spatial.evaluation.run import evaluate
    from x3spatial.synth.composites import make_composites

    make_composites(
        out_dir=tmp_path / "root", split="validation", scenes=40, shapes=(2, 2), radii=(12, 24),
        anywhere=True, colours="vivid", seed=502,
    )  # fmt: skip
    options = BuildOptions(seed=42, tasks=("t1",), emit_concat=False, crop_reference=(1.0, 4.0))
    build_tasks(data_root=tmp_path / "root", out_dir=tmp_path / "tasks", options=options)
    evaluate(
        data_json=tmp_path / "tasks" / "t1_val_multi.json", output_json=tmp_path / "r.json",
        model="roborefer:x3-tiny", batch_size=64, max_new_tokens=20,
    )  # fmt: skip
    metrics = json.loads((tmp_path / "r.json").read_text())["metrics"]
    assert metrics["hit_at_mask"] > 0.6
    assert metrics["balanced_accuracy"] > 0.85
