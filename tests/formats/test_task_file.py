"""The task file: which fields a record has, in which order, and what a reader makes of them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from x3spatial.errors import UserError
from x3spatial.formats.task_file import TaskRecord, read_tasks

RECORD = TaskRecord(
    id="a",
    task="t1_concat",
    image="/d/a.jpg",
    prompt="Where?",
    answer="[(0.750, 0.500)]",
    reference_point=(0.25, 0.5),
    scene="s",
    image_sizes=((64, 24),),
    mask_area_fraction=0.25,
)
KEYS = [
    "id", "task", "image", "query_original", "conversations", "question", "reference_point", "split", "scene",
    "uid", "label", "ref_rank", "ref_frame", "query_rank", "query_frame", "ref_original", "ref_mask",
    "query_mask", "query_mask_kind", "image_sizes", "mask_area_fraction",
]  # fmt: skip


def test_the_order_of_the_fields_stays() -> None:
    value = RECORD.to_json()
    assert list(value) == KEYS
    assert value["conversations"] == [
        {"from": "human", "value": "Where?"},
        {"from": "gpt", "value": "[(0.750, 0.500)]"},
    ]
    assert (value["image"], value["reference_point"], value["image_sizes"]) == (
        "/d/a.jpg", [0.25, 0.5], [[64, 24]],
    )  # fmt: skip


def test_a_record_without_a_reference_point_does_not_name_it() -> None:
    value = replace(RECORD, task="t1_multi", image=("a", "b"), reference_point=None).to_json()
    assert list(value) == [key for key in KEYS if key != "reference_point"]
    assert value["image"] == ["a", "b"]


@pytest.mark.parametrize("name", KEYS[7:19])
def test_every_text_is_read_and_nothing_else(name: str, tmp_path: Path) -> None:
    changes: dict[str, Any] = {name: "x"}
    value = replace(RECORD, **changes).to_json()
    path = tmp_path / "tasks.json"
    path.write_text(json.dumps([value]))
    assert getattr(read_tasks(str(path))[0], name) == "x"
    path.write_text(json.dumps([{**value, name: 5}]))
    with pytest.raises(UserError, match=f"tasks.json: record 1: field '{name}' must be a string"):
        read_tasks(path)
