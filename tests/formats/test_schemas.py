"""The published JSON Schemas: made from the code, held against real files, and able to refuse."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from helpers.golden_run import GOLDEN, write_golden_run
from helpers.paths import REPOSITORY
from helpers.task_sets import Scripted
from x3spatial.builder.options import BuildOptions
from x3spatial.builder.run import build_tasks
from x3spatial.evaluation.run import evaluate
from x3spatial.formats.schemas import SCHEMAS, write_schemas
from x3spatial.formats.task_file import read_records, read_tasks
from x3spatial.tasks.spec import TASKS

FOLDER = REPOSITORY / "docs/schemas"


def validator(name: str) -> Draft202012Validator:
    schema = json.loads((FOLDER / name).read_text())
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


RESULTS, TASK = validator("results.schema.json"), validator("task.schema.json")


@pytest.fixture(scope="module")
def tasks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every task of the small root."""
    out = tmp_path_factory.mktemp("tasks")
    build_tasks(
        data_root=REPOSITORY / "tests/fixtures/x3-small/root",
        out_dir=out,
        options=BuildOptions(tasks=tuple(TASKS)),
        workers=1,
    )
    return out


def test_the_files_are_what_the_code_makes(tmp_path: Path) -> None:
    """If not: ``python -m x3spatial.formats.schemas docs/schemas``."""
    assert [path.name for path in write_schemas(tmp_path)] == list(SCHEMAS)
    for name in SCHEMAS:
        assert (FOLDER / name).read_text() == (tmp_path / name).read_text()
    assert {path.name for path in FOLDER.iterdir()} == set(SCHEMAS)


def test_task_files_fit(tasks: Path) -> None:
    found = set()
    for path in sorted(tasks.glob("t*.json")):
        value = json.loads(path.read_text())
        TASK.validate(value)
        found |= {record["task"] for record in value}
        assert read_tasks(str(path)) == read_records(path)
    assert found == set(TASKS)


@pytest.mark.parametrize("model", ["oracle", "centre", "scripted"])
def test_results_fit(model: str, tasks: Path, tmp_path: Path) -> None:
    count = 0
    for data in sorted(tasks.glob("t*_val_*.json")):
        ids = [record.id for record in read_records(data)]
        failing = Scripted({id: RuntimeError("no answer") for id in ids[::3]})
        for scoring in ("x3", "roborefer"):
            evaluate(
                data_json=data,
                output_json=tmp_path / data.name,
                model=failing if model == "scripted" else model,
                scoring=scoring,
                workers=1,
            )
            value = json.loads((tmp_path / data.name).read_text())
            RESULTS.validate(value)
            errors = [entry for entry in value["results"] if "error" in entry]
            assert bool(errors) == (model == "scripted" and bool(ids))
        count += 1
    assert count == len(TASKS)


def test_results_of_both_formats_fit(tmp_path: Path) -> None:
    RESULTS.validate(json.loads(GOLDEN.read_text()))
    RESULTS.validate(json.loads(write_golden_run(tmp_path).read_text()))


def drop(*keys: str | int) -> Callable[[Any], None]:
    def change(value: Any) -> None:
        for key in keys[:-1]:
            value = value[key]
        del value[keys[-1]]

    return change


def put(new: Any, *keys: str | int) -> Callable[[Any], None]:
    def change(value: Any) -> None:
        for key in keys[:-1]:
            value = value[key]
        value[keys[-1]] = new

    return change


@pytest.mark.parametrize(
    "change",
    [
        put(3, "format"),
        drop("metrics"),
        drop("metrics", "hit_at_mask"),
        put("high", "metrics", "hit_at_mask"),
        put([0.1], "ci95", "hit_at_mask"),
        put("room", "ci_unit"),
        put({"centre": {"hit_at_mask": "x"}}, "chance"),
        drop("by_mask_area", 0, "area_to"),
        put(-1, "by_mask_area", 0, "samples"),
        put("x4", "scoring", "rule"),
        drop("problems", 0, "reason"),
        put("64", "settings", "max_new_tokens"),
        drop("model", "privileged"),
        put(5, "data", "sha256"),
        drop("run", "host"),
        put({}, "results"),
        put("fine", "results", 0, "status"),
        drop("results", 0, "gt"),
        drop("results", 0, "hit_mask"),
        put([0.5], "results", 0, "pred_parsed", "coord"),
        put([[1.5, 2]], "results", 0, "pixel_sizes"),
        put(1, "results", 0, "contradictory"),
        put(1, "results", 0, "hit_masc"),
    ],
)  # fmt: skip
def test_a_broken_results_file_does_not_fit(change: Callable[[Any], None]) -> None:
    value = json.loads(GOLDEN.read_text())
    change(value)
    assert not RESULTS.is_valid(value)


@pytest.mark.parametrize(
    "change",
    [
        drop("id"),
        put("", "id"),
        put("t9", "task"),
        put([], "image"),
        put("", "image"),
        put(["a", None], "image"),
        drop("conversations"),
        drop("conversations", 1),
        put("gpt", "conversations", 0, "from"),
        put("", "conversations", 1, "value"),
        put([0.1], "reference_point"),
        put(7, "scene"),
        put([[640]], "image_sizes"),
        put("small", "mask_area_fraction"),
    ],
)
def test_a_broken_task_file_does_not_fit(change: Callable[[Any], None], tasks: Path) -> None:
    value = json.loads((tasks / "t1_val_concat.json").read_text())
    assert TASK.is_valid(value)
    change(value[1])
    assert not TASK.is_valid(value)
    assert not TASK.is_valid(value[0])


def test_every_class_is_described() -> None:
    for name, make in SCHEMAS.items():
        for title, schema in make()["$defs"].items():
            assert schema["description"], (name, title)


def keys(schema: Any) -> set[str]:
    """Every property that a schema names."""
    if isinstance(schema, list):
        return set().union(*map(keys, schema))
    if not isinstance(schema, dict):
        return set()
    own = schema.get("properties", {})
    return set(own).union(*map(keys, schema.values()))


@pytest.mark.parametrize("name", SCHEMAS)
def test_every_field_is_in_the_docs(name: str) -> None:
    text = (REPOSITORY / "docs/formats.md").read_text()
    found = keys(SCHEMAS[name]()) - {"from", "value"}
    assert [key for key in sorted(found) if f"`{key}`" not in text] == []
