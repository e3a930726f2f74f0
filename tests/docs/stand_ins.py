"""What a reader of the pages has: a data root, task files, results; and, where a block names them, files of
the reader's own (photos, masks, answers, a log)."""

from __future__ import annotations

import json
import re
import shutil
import stat
import sys
from collections.abc import Callable
from pathlib import Path

from helpers.paths import REPOSITORY
from importers.test_photos import labelme, photos
from x3spatial.builder.run import build_tasks
from x3spatial.evaluation.run import evaluate
from x3spatial.exporters.run import export
from x3spatial.formats.sample_tokens import SampleTokens
from x3spatial.formats.task_file import TaskRecord, read_records
from x3spatial.synth.layouts.run import render_scans

SET = "t1_val_multi.json"
_LINKED = ("scripts", "tools", "configs", "src", "tests")
"""Folders of a clone that commands name from its top."""


def clone(folder: Path) -> Path:
    """Let ``folder`` look like a clone of the repository, with ``x3`` and ``python`` in its ``.bin``."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in _LINKED:
        (folder / name).symlink_to(REPOSITORY / name)
    programs = folder / ".bin"
    programs.mkdir()
    _program(programs / "python", f'exec "{sys.executable}" "$@"')
    _program(
        programs / "x3",
        f'[ "$1" != view ] || exec "{sys.executable}" "{Path(__file__).with_name("view_once.py")}" "$@"\n'
        f'exec "{sys.executable}" -m x3spatial "$@"',
    )
    return folder


def _program(path: Path, text: str) -> None:
    path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def with_views(folder: Path) -> Path:
    """A clone with views in ``data/views``, task files in ``tasks``, and a baseline's results in ``eval``."""
    fixture = REPOSITORY / "tests" / "fixtures" / "x3-small" / "root"
    shutil.copytree(fixture, clone(folder) / "data" / "views")
    build_tasks(data_root=folder / "data" / "views", out_dir=folder / "tasks")
    evaluate(data_json=folder / "tasks" / SET, output_json=folder / "eval" / SET, model="centre")
    return folder


def provide(text: str, folder: Path) -> None:
    """Make the reader's files that a block names and that are not there yet."""
    for pattern, make in _FILES.items():
        for found in re.finditer(pattern, text):
            path = folder / found[1]
            if not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                make(path, folder)


def _records(folder: Path) -> list[TaskRecord]:
    return read_records(folder / "tasks" / SET)


def _results(path: Path, folder: Path) -> None:
    evaluate(data_json=folder / "tasks" / SET, output_json=path, model="centre")


def _answers(path: Path, folder: Path) -> None:
    """In the convention qwen3-1000, as the page says."""
    text = json.dumps([{"point_2d": [500, 500], "label": "x"}])
    _lines(path, [{"id": record.id, "text": text} for record in _records(folder)])


def _of_person(path: Path, folder: Path) -> None:
    """As the page of ``x3 ask`` saves them."""
    records = _records(folder)
    tokens = SampleTokens(records)
    name = path.stem.removeprefix("answers-")
    _lines(
        path,
        [
            {"id": tokens.of(r.id), "text": r.answer, "seconds": 2.5, "participant": name}
            for r in records
        ],
    )


def _of_people(path: Path, folder: Path) -> None:
    for name in ("Ann", "Ben"):
        path.mkdir(exist_ok=True)
        _of_person(path / f"answers-{name}.jsonl", folder)


def _log(path: Path, folder: Path) -> None:
    """As lmms-eval writes it for our task."""
    lines = []
    for row, record in enumerate(_records(folder)):
        answer = {"id": record.id, "text": "[(0.5, 0.5)]"}
        values = {"target": record.answer, "filtered_resps": answer["text"], "hit_at_mask": answer}
        lines.append({"doc_id": row, **values})
    _lines(path, lines)


def _lines(path: Path, values: list[dict[str, object]]) -> None:
    path.write_text("".join(json.dumps(value) + "\n" for value in values), encoding="utf-8")


def _room(path: Path, folder: Path) -> None:
    labelme(photos(path))


def _rooms(path: Path, folder: Path) -> None:
    for name in ("kitchen", "hall"):
        labelme(photos(path / name))


def _scans(path: Path, folder: Path) -> None:
    render_scans(path, "transforms", {"validation": 1}, frames=12, fast=True)


def _negatives(path: Path, folder: Path) -> None:
    """An export of negatives, beside what the page exported before."""
    tasks = folder / ".negatives"
    build_tasks(data_root=folder / "data" / "views", out_dir=tasks, tasks=("t1_negatives",))
    export([tasks / f"{path.name}.json"], tasks / "export", to="hf-datasets")
    shutil.copytree(tasks / "export" / path.name, path)


_FILES: dict[str, Callable[[Path, Path], None]] = {
    r"x3 score (answers\.jsonl)": _answers,
    r"x3 score (answers-\w+\.jsonl)": _of_person,
    r"x3 score (answers)/ ": _of_people,
    r"\"(results/mine/t1_val_multi\.json)\"": _results,
    r"(logs/\S+\.jsonl)": _log,
    r"x3 import photos (my-room)\b": _room,
    r"x3 import photos (rooms)\b": _rooms,
    r"x3 import posed (my-scans)\b": _scans,
    r"(export/t1_train_negatives)\b": _negatives,
}
"""What names a file of the reader's → how its stand-in is made."""
