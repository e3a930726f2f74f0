"""Exports for harnesses: their files, and the functions that are called. tests/peers runs the real ones."""

from __future__ import annotations

import csv
import importlib.util
import json
import math
import shutil
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

import x3spatial as x3
from helpers.export_sets import four_set
from helpers.roots import make_root, tree_bytes
from helpers.task_sets import make_set, write_set
from x3spatial.errors import UserError
from x3spatial.exporters.harnesses.base import (
    BOX_METRICS,
    METRICS,
    QUESTIONS,
    TASK_FILE,
    harness_name,
)
from x3spatial.exporters.registry import FORMATS
from x3spatial.exporters.run import export
from x3spatial.harnesses.benchmark import Benchmark, exported, interleaved
from x3spatial.tasks.spec import TASKS

HARNESSES = ("lmms-eval", "vlmevalkit", "inspect")


@pytest.fixture(scope="module")
def tasks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("harnesses")
    x3.build_tasks(make_root(folder / "root", scenes=2), folder / "tasks", tasks=["t1", "t2b"])
    return folder / "tasks"


def module_of(path: Path) -> ModuleType:
    """As lmms-eval imports a file beside a YAML file."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def lmms_config(folder: Path) -> dict[str, Any]:
    """The YAML file as lmms-eval reads it: ``!function module.name``."""

    class Loader(yaml.SafeLoader):
        pass

    def function(loader: Any, node: Any) -> Any:
        module, name = loader.construct_scalar(node).split(".", 1)
        return getattr(module_of(folder / f"{module}.py"), name)

    Loader.add_constructor("!function", function)
    (file,) = folder.glob("*.yaml")
    config: dict[str, Any] = yaml.load(file.read_text(), Loader)
    return config


@pytest.mark.parametrize("to", HARNESSES)
def test_the_folder_can_be_moved_and_scores_itself(to: str, tasks: Path, tmp_path: Path) -> None:
    source = tasks / "t1_val_multi.json"
    export(source, tmp_path / "first", to, paths="copy")
    shutil.move(tmp_path / "first", tmp_path / "moved")
    folder = tmp_path / "moved" / source.stem
    records = x3.read_tasks(source)
    questions = exported(folder).questions()
    assert [row["id"] for row in questions] == [record.id for record in records]
    for row, record in zip(questions, records, strict=True):
        assert [Path(p).read_bytes() for p in row["images"]] == [
            Path(p).read_bytes() for p in record.images
        ]
        assert row["prompt"] == record.prompt
        assert row["scene"] == record.scene
    texts = {r.id: "[(0.3, 0.4)]" if i % 2 else r.answer for i, r in enumerate(records)}
    expected = x3.score_answers(source, texts, convention="unit")
    found = exported(folder).benchmark.figures(texts)
    for name, value in expected.metrics.items():
        if not name.startswith("hit_at_mask_tight"):  # copies of masks have other names
            assert found[name] == value or (value is None and math.isnan(found[name])), name
    for name, interval in expected.ci95.items():
        if interval is not None and not name.startswith("hit_at_mask_tight"):
            assert (found[f"{name}_ci95_low"], found[f"{name}_ci95_high"]) == interval
    uniform = expected.chance["uniform"]
    assert uniform is not None and found["chance_uniform_hit_at_mask"] == uniform["hit_at_mask"]


def test_the_functions_of_lmms_eval(tasks: Path, tmp_path: Path) -> None:
    export(tasks / "t1_val_multi.json", tmp_path, "lmms-eval")
    folder = tmp_path / "t1_val_multi"
    config = lmms_config(folder)
    assert config["task"] == "x3_t1_multi"
    assert config["generation_kwargs"]["until"] == []  # the default stops at a blank line
    with open(config["dataset_kwargs"]["data_files"]["test"]) as file:
        docs = [json.loads(line) for line in file]
    records = x3.read_tasks(tasks / "t1_val_multi.json")
    first = docs[0]
    pictures = config["doc_to_visual"](first)
    assert [picture.mode for picture in pictures] == ["RGB", "RGB"]
    assert config["doc_to_text"](first) == records[0].prompt
    assert config["doc_to_text"](first, {"post_prompt": "!"}) == f"{records[0].prompt}!"
    answers = [record.answer for record in records]
    logged = [config["process_results"](d, [t]) for d, t in zip(docs, answers, strict=True)]
    assert logged[0].keys() == METRICS.keys()
    names = [entry["metric"] for entry in config["metric_list"]]
    assert names == list(METRICS)
    figures = {
        entry["metric"]: entry["aggregation"]([log[entry["metric"]] for log in logged])
        for entry in config["metric_list"]
    }
    assert figures["hit_at_mask"] == figures["balanced_accuracy"] == 1.0
    assert figures["mean_l2_error"] == pytest.approx(0, abs=1e-3)
    # A harness with --limit asks some samples only.
    some = config["metric_list"][0]["aggregation"]([log["hit_at_mask"] for log in logged[:2]])
    assert some == 1.0
    with pytest.raises(AttributeError):
        module_of(folder / "x3_lmms_eval.py").no_such_metric  # noqa: B018


def test_every_metric_that_a_harness_shows_exists(tasks: Path) -> None:
    benchmark = Benchmark(tasks / "t1_val_multi.json", "unit")
    found = benchmark.figures({id: r.answer for id, r in benchmark.records.items()})
    assert METRICS.keys() <= found.keys()


def test_points_of_another_family_are_asked_and_read(tasks: Path, tmp_path: Path) -> None:
    export(tasks / "t1_val_multi.json", tmp_path, "inspect", point_format="qwen3-1000")
    source = exported(tmp_path / "t1_val_multi")
    rows = source.questions()
    assert all("point_2d" in row["prompt"] for row in rows)
    figures = source.benchmark.figures({row["id"]: row["answer"] for row in rows})
    assert figures["hit_at_mask"] == figures["balanced_accuracy"] == 1.0
    visible = next(row for row in rows if row["answer"] != "NOT_VISIBLE")
    score = source.benchmark.score(visible["id"], visible["answer"])
    assert (score["status"], score["hit_mask"], score["correct"]) == ("answered", 1, True)
    wrong = source.benchmark.score(visible["id"], "NOT_VISIBLE")
    assert (wrong["not_visible"], wrong["correct"]) == (True, False)


def test_boxes_are_asked_and_have_their_own_figures(tasks: Path, tmp_path: Path) -> None:
    source = tasks / "t1_val_multi.json"
    export(source, tmp_path, "lmms-eval", point_format="qwen3-box-1000")
    config = lmms_config(tmp_path / source.stem)
    assert [entry["metric"] for entry in config["metric_list"]] == list(BOX_METRICS)
    found = exported(tmp_path / source.stem)
    rows = found.questions()
    texts = {row["id"]: row["answer"] if n % 3 else "[]" for n, row in enumerate(rows)}
    expected = x3.score_answers(source, texts, convention="qwen3-box-1000")
    logged = [config["process_results"](row, [texts[row["id"]]]) for row in rows]
    assert logged[0].keys() == BOX_METRICS.keys()
    for entry in config["metric_list"]:
        name = entry["metric"]
        figure = entry["aggregation"]([log[name] for log in logged])
        if name in expected.metrics:
            assert figure == expected.metrics[name], name
        assert not math.isnan(figure) or "ci95" in name, name
    whole = expected.chance["whole-image"]
    figures = found.benchmark.figures(texts)
    assert whole is not None and figures["chance_whole-image_mean_iou"] == whole["mean_iou"]
    visible = next(row for row in rows if "bbox_2d" in row["answer"])
    score = found.benchmark.score(visible["id"], visible["answer"])
    assert score["correct"] is True and score["iou"] > 0.5 and score["point"] is None
    wrong = found.benchmark.score(visible["id"], '[{"bbox_2d": [0, 0, 10, 10]}]')
    assert (wrong["correct"], wrong["box"]) == (False, [0.0, 0.0, 0.01, 0.01])


@pytest.mark.parametrize("to", ["inspect", "vlmevalkit"])
def test_images_are_shown_after_their_names(to: str, tasks: Path, tmp_path: Path) -> None:
    family = "qwen3-pictures-1000"
    files = [tasks / "t1_val_multi.json", tasks / "t1_val_concat.json"]
    export(files, tmp_path, to, point_format=family)
    source = exported(tmp_path / "t1_val_multi")
    row = source.questions()[0]
    names = source.names(row)
    assert names == ("Picture 1: ", "Picture 2: ") and "Picture 2" in row["prompt"]
    assert interleaved(names, row["images"]) == [
        names[0], row["images"][0], names[1], row["images"][1],
    ]  # fmt: skip
    single = exported(tmp_path / "t1_val_concat")
    row = single.questions()[0]
    assert single.names(row) == () and interleaved((), row["images"]) == row["images"]
    # VLMEvalKit's own class would show the images without their names.
    assert not list(tmp_path.glob("t1_val_multi/*.tsv"))
    with pytest.raises(UserError, match=rf"--points {family}"):
        export(files, tmp_path / "other", "lmms-eval", point_format=family)


def test_the_tsv_of_vlmevalkit(tasks: Path, tmp_path: Path) -> None:
    export(tasks / "t2b_val_multi.json", tmp_path, "vlmevalkit")
    table = tmp_path / "t2b_val_multi" / "x3_t2b_multi_openended.tsv"
    with open(table, newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    records = x3.read_tasks(tasks / "t2b_val_multi.json")
    assert [row["index"] for row in rows] == [str(i) for i in range(len(records))]
    for row, record in zip(rows, records, strict=True):
        assert row["question"] == record.prompt and row["id"] == record.id
        paths = json.loads(row["image_path"])
        assert all(Path(path).is_absolute() and Path(path).is_file() for path in paths)


def test_the_file_of_inspect_names_a_task_per_set(tasks: Path, tmp_path: Path) -> None:
    files = [tasks / "t1_val_multi.json", tasks / "t1_train_multi.json"]
    export(files, tmp_path, "inspect")
    code = (tmp_path / "x3.py").read_text()
    compile(code, "x3.py", "exec")
    assert 'def x3_t1_multi() -> Task:\n    """t1_val_multi"""' in code
    assert 'return inspect_task(HERE / "t1_train_multi")' in code
    assert code.count("@task") == 2


def test_names_of_tasks() -> None:
    for name, spec in TASKS.items():
        assert harness_name(Path(spec.file("val")).stem) == f"x3_{name}"
    assert harness_name("t1_train_multi") == "x3_t1_train_multi"
    assert harness_name("mine") == "x3_mine"


@pytest.mark.parametrize("to", HARNESSES)
def test_exports_are_the_same_bytes_and_replace_only_themselves(
    to: str, tasks: Path, tmp_path: Path
) -> None:
    source = tasks / "t1_val_multi.json"
    export(source, tmp_path / "out", to, paths="copy")
    before = tree_bytes(tmp_path / "out")
    assert not export(source, tmp_path / "out", to, paths="copy").written
    export(source, tmp_path / "out", to, paths="copy", fresh=True)
    assert tree_bytes(tmp_path / "out") == before
    other = tmp_path / "other" / "t1_val_multi"
    other.mkdir(parents=True)
    (other / "mine.txt").write_text("keep")
    with pytest.raises(UserError, match="did not write"):
        export(source, tmp_path / "other", to)
    assert (other / "mine.txt").read_text() == "keep"


@pytest.mark.parametrize("to", HARNESSES)
def test_an_empty_set_is_left_out(
    to: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Harnesses stop at a set without samples, so it is left out and named, and the others are written."""
    empty = write_set(tmp_path / "tasks.json", [])
    summary = export([empty, four_set(tmp_path / "data")], tmp_path / "out", to)
    assert {name for name in summary.manifest["files"] if "." not in name} == {"mixed"}
    assert "tasks.json: has no sample" in caplog.text
    assert not (tmp_path / "out" / "tasks").exists()


def test_formats_whose_pixels_a_harness_does_not_tell(tmp_path: Path) -> None:
    source = four_set(tmp_path / "data")
    for to in HARNESSES:
        assert not {"qwen2.5-px", "placeholder"} & {*FORMATS[to].points()}
        with pytest.raises(UserError, match=r"--points qwen2\.5-px"):
            export(source, tmp_path / "out", to, point_format="qwen2.5-px")


def test_an_unreadable_mask_stops_the_figures(tmp_path: Path) -> None:
    """A harness would print NaN without a word."""
    source = make_set(tmp_path / "data", count=12, scenes=12)
    benchmark = Benchmark(source, "unit")
    texts: dict[str, str | None] = {id: r.answer for id, r in benchmark.records.items()}
    masks = {r.query_mask for r in benchmark.records.values() if r.query_mask}
    Path(sorted(masks)[0]).write_bytes(b"no image")
    with pytest.raises(UserError, match=r"mask .*export it again"):
        benchmark.figures(texts)


def test_what_a_benchmark_refuses(tasks: Path) -> None:
    benchmark = Benchmark(tasks / "t1_val_multi.json", "unit")
    with pytest.raises(UserError, match="'x': is not in the task file"):
        benchmark.score("x", "")
    id = next(iter(benchmark.records))
    with pytest.raises(UserError, match="nothing to score"):
        benchmark.figures({id: None})
    with pytest.raises(UserError, match="no-such"):
        Benchmark(tasks / "t1_val_multi.json", "no-such")


def test_the_package_needs_no_harness() -> None:
    assert not {"lmms_eval", "vlmeval", "inspect_ai"} & {*sys.modules}
    assert (Path(x3.__file__).parent / "exporters/harnesses/templates/x3.py.txt").is_file()
    assert QUESTIONS != TASK_FILE
