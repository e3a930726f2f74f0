"""The JSON Schemas of task files and results files, generated from their dataclasses.

``python -m x3spatial.formats.schemas docs/schemas`` writes them.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import get_type_hints

from x3spatial.formats.json_schema import (
    class_text,
    described_type,
    field_texts,
    object_schema,
)
from x3spatial.formats.results_file import FORMAT, ResultsFile
from x3spatial.formats.task_file import TaskRecord
from x3spatial.formats.typed_json import Json
from x3spatial.io.files import write_json
from x3spatial.tasks.spec import TASKS

_DRAFT = "https://json-schema.org/draft/2020-12/schema"


def results_schema() -> Json:
    """The schema of a results file, formats 1 and 2."""
    defs: dict[str, Json] = {}
    body = object_schema(ResultsFile, defs)
    title = f"x3spatial results file, format {FORMAT}"
    return {"$schema": _DRAFT, "title": title, **body, "$defs": defs}


def task_schema() -> Json:
    """The schema of a task file. Records of other builders may lack most fields and contain others."""
    defs: dict[str, Json] = {}
    texts = field_texts(TaskRecord)
    properties: dict[str, Json] = {}
    for name, hint in get_type_hints(TaskRecord).items():
        if name == "prompt":
            properties["conversations"] = {
                "description": "The question and the ground-truth answer; further turns are ignored.",
                "type": "array",
                "prefixItems": [
                    _turn("human", texts["prompt"]),
                    _turn("gpt", texts["answer"]),
                ],
                "minItems": 2,
            }
        elif name != "answer":
            properties[name] = described_type(hint, texts.get(name), defs)
    properties["id"]["minLength"] = 1
    properties["task"]["enum"] = list(TASKS)
    for shape in properties["image"]["anyOf"]:
        shape["minItems" if shape["type"] == "array" else "minLength"] = 1
    record = {
        "description": class_text(TaskRecord),
        "type": "object",
        "properties": properties,
        "required": ["id", "image", "conversations"],
    }
    return {
        "$schema": _DRAFT,
        "title": "x3spatial task file",
        "type": "array",
        "items": {"$ref": "#/$defs/TaskRecord"},
        "$defs": {"TaskRecord": record, **defs},
    }


def _turn(speaker: str, text: str) -> Json:
    return {
        "description": text,
        "type": "object",
        "properties": {"from": {"const": speaker}, "value": {"type": "string", "minLength": 1}},
        "required": ["from", "value"],
    }


SCHEMAS: Mapping[str, Callable[[], Json]] = {
    "results.schema.json": results_schema,
    "task.schema.json": task_schema,
}
"""File name → function that generates its schema."""


def write_schemas(folder: Path) -> list[Path]:
    """Write all schemas into ``folder`` and return the files."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, make in SCHEMAS.items():
        write_json(folder / name, make())
    return [folder / name for name in SCHEMAS]


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m x3spatial.formats.schemas DIR")
    for path in write_schemas(Path(sys.argv[1])):
        print(path)
