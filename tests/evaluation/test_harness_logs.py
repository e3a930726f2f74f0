"""Logs of other harnesses: what `x3 score` reads of them, by id and by row."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

import x3spatial as x3
from helpers.task_sets import make_set
from x3spatial.cli import run as command
from x3spatial.errors import UserError
from x3spatial.formats.answers.base import one_text
from x3spatial.formats.task_file import TaskRecord, read_records

openpyxl = pytest.importorskip("openpyxl")


@pytest.fixture(scope="module")
def tasks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_set(tmp_path_factory.mktemp("logs"), count=12, scenes=12)


@pytest.fixture(scope="module")
def records(tasks: Path) -> list[TaskRecord]:
    return read_records(tasks)


def texts_of(records: list[TaskRecord]) -> list[str]:
    others = ["[(0.2, 0.35)]", "NOT_VISIBLE", "no idea", ""]
    return [r.answer if i % 3 == 0 else others[i % len(others)] for i, r in enumerate(records)]


def lmms_eval(records: list[TaskRecord], texts: list[str], *, ids: bool) -> str:
    """As lmms-eval 0.7 writes it: doc_id first, no doc, no resps where the filters change nothing."""
    lines = []
    for row, (record, text) in enumerate(zip(records, texts, strict=True)):
        line: dict[str, Any] = {"doc_id": row, "target": record.answer, "filtered_resps": text}
        if row % 2:
            line["resps"] = [[text]]
            line["filtered_resps"] = "what a filter left"
        line["doc_hash"] = "0" * 64
        if ids:
            line["hit_at_mask"] = {"id": record.id, "text": text}
        else:
            line["accuracy"] = 0.5
        lines.append(json.dumps(line) + "\n")
    return "".join(lines)


def sample(record: TaskRecord, text: str | list[dict[str, str]]) -> dict[str, Any]:
    message = {"role": "assistant", "content": text}
    return {"id": record.id, "epoch": 1, "output": {"choices": [{"message": message}]}}


def write_eval(path: Path, samples: list[dict[str, Any]], header: dict[str, Any] | None) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("_journal/start.json", "{}")
        for number, value in enumerate(samples):
            archive.writestr(f"samples/{number}_epoch_1.json", json.dumps(value))
        if header is not None:
            archive.writestr("header.json", json.dumps(header))


HEADER = {"version": 2, "status": "success", "eval": {"task": "x3", "model": "openai/some-model"}}


def write_workbook(path: Path, rows: list[list[Any]]) -> None:
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    book.save(path)


def write(name: str, folder: Path, records: list[TaskRecord]) -> Path:
    """The same answers in one of the forms."""
    texts, path = texts_of(records), folder / name
    if name.startswith("lmms"):
        path.write_text(lmms_eval(records, texts, ids="ids" in name))
    elif name == "run.eval":
        write_eval(path, [sample(r, t) for r, t in zip(records, texts, strict=True)], HEADER)
    elif name == "run.json":
        parts = [[{"type": "reasoning", "reasoning": "(0.9, 0.9)"}, {"type": "text", "text": t}]
                 for t in texts]  # fmt: skip
        samples = [sample(r, t) for r, t in zip(records, parts, strict=True)]
        path.write_text(json.dumps({**HEADER, "samples": samples}, indent=2))
    else:
        head = ["index", "id", "question", "answer", "prediction"]
        rows = [[i, r.id, "?", r.answer, t or None]
                for i, (r, t) in enumerate(zip(records, texts, strict=True))]  # fmt: skip
        write_workbook(path, [head, *rows])
    return path


@pytest.mark.parametrize("name", ["lmms-ids.jsonl", "lmms.jsonl", "run.eval", "run.json", "x.xlsx"])
def test_a_log_scores_like_its_texts(
    name: str, tasks: Path, records: list[TaskRecord], tmp_path: Path
) -> None:
    texts = dict(zip((r.id for r in records), texts_of(records), strict=True))
    expected = x3.score_answers(tasks, texts, convention="unit")
    found = x3.score_answers(tasks, write(name, tmp_path, records), convention="unit")
    assert found.metrics == expected.metrics
    assert found.matched is not None and found.matched.lines() == []
    if name.startswith("run"):
        assert found.model == "openai/some-model"


def test_rows_of_another_task_file_are_refused(
    tasks: Path, records: list[TaskRecord], tmp_path: Path
) -> None:
    """A log without ids says only the row and the target: both must fit."""
    log = tmp_path / "log.jsonl"
    other = [records[1], records[0], *records[2:]]
    assert records[0].answer != records[1].answer
    log.write_text(lmms_eval(other, texts_of(records), ids=False))
    result = x3.score_answers(tasks, log, convention="unit")
    assert result.matched is not None
    assert result.matched.unreadable[0] == (
        f"line 1: row 0: the log's target is '{records[1].answer}', the sample's answer"
        f" '{records[0].answer}'"
    )
    assert result.matched.missing == (records[0].id, records[1].id)
    more = lmms_eval(records, texts_of(records), ids=False).replace('"doc_id": 11', '"doc_id": 12')
    log.write_text(more)
    result = x3.score_answers(tasks, log, convention="unit")
    assert result.matched is not None
    assert result.matched.unreadable == (
        "line 12: row 12: the task file has 12 samples, from row 0",
    )
    assert result.matched.missing == (records[11].id,)


def test_what_is_no_answer_is_counted(
    tasks: Path, records: list[TaskRecord], tmp_path: Path
) -> None:
    log = tmp_path / "run.eval"
    failed = {**sample(records[0], ""), "error": {"message": "out of memory"}}
    no_choice = {"id": records[1].id, "output": {"choices": []}}
    write_eval(log, [failed, no_choice, {"epoch": 1}, sample(records[2], "NOT_VISIBLE")], None)
    result = x3.score_answers(tasks, log, convention="unit")
    assert result.metrics["errors"] == len(records) - 1
    assert result.matched is not None
    assert result.matched.unreadable == (
        "samples/2_epoch_1.json: is no sample of inspect_ai: no id or no output",
    )
    lines = tmp_path / "log.jsonl"
    lines.write_text(
        json.dumps({"doc_id": 0, "filtered_resps": ["a", "b"]}) + "\n"
        + json.dumps({"doc_id": True, "filtered_resps": "a"}) + "\nnot json\n"
        + json.dumps({"doc_id": 3, "filtered_resps": {"a": 1}}) + "\n"
        + json.dumps({"doc_id": 4, "filtered_resps": "NOT_VISIBLE"}) + "\n"
    )  # fmt: skip
    result = x3.score_answers(tasks, lines, convention="unit")
    assert result.matched is not None
    reasons = [entry.split(": ", 1)[1] for entry in result.matched.unreadable]
    assert reasons[0] == "has 2 different responses; log one per sample"
    assert reasons[1] == "is no sample of lmms-eval: no doc_id"
    assert reasons[2].startswith("is not JSON")
    assert reasons[3] == "a response is an object, not a text"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.eval", b"PK\x03\x04 damaged"),
        ("a.xlsx", b"PK\x03\x04 damaged"),
        ("a.json", b'{"version": 2, "status": "error", "eval": {"task": "t"}, "samples": null}'),
    ],
)
def test_damaged_logs_are_named(
    name: str, content: bytes, tasks: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / name
    log.write_bytes(content)
    out = str(tmp_path / "out.json")
    assert command(["score", str(log), str(tasks), "-o", out, "--convention", "unit"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"x3: {log}: ")


@pytest.mark.parametrize("name", ["run.eval", "x.xlsx"])
def test_what_unpacks_to_too_much_is_not_read(
    name: str,
    tasks: Path,
    records: list[TaskRecord],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from x3spatial.formats.answers import inspect_log, workbook

    log = write(name, tmp_path, records)
    for module in (inspect_log, workbook):
        monkeypatch.setattr(module, "MOST_BYTES", 100_000)
    assert x3.score_answers(tasks, log, convention="unit").matched is not None
    large = sample(records[0], "a" * 100_000)
    if name == "run.eval":
        write_eval(log, [large, *(sample(r, "(0.1, 0.1)") for r in records[1:])], HEADER)
        found = x3.score_answers(tasks, log, convention="unit").matched
        assert found is not None and found.missing == (records[0].id,)
        assert found.unreadable == ("samples/0_epoch_1.json: has more than 100,000 bytes",)
    else:
        write_workbook(log, [["id", "prediction"], *([str(n), f"a{n}" * 9] for n in range(5000))])
        with pytest.raises(
            x3.UserError, match=r"x\.xlsx: xl/\S+ in it has more than 100,000 bytes"
        ):
            x3.score_answers(tasks, log, convention="unit")


def test_a_number_for_a_text_in_a_workbook(
    tasks: Path, records: list[TaskRecord], tmp_path: Path
) -> None:
    """A cell may hold a number or another column's name may be chosen."""
    book = tmp_path / "x.xlsx"
    write_workbook(
        book, [["id", "prediction", "mine"], [records[0].id, 0.5, records[0].answer], [None] * 3]
    )
    result = x3.score_answers(tasks, book, convention="unit")
    assert result.metrics["parse_failures"] == 1
    result = x3.score_answers(tasks, book, convention="unit", text_field="mine")
    assert result.metrics["parse_failures"] == 0


@pytest.mark.parametrize(
    ("value", "expected"),
    [("a", "a"), (["a"], "a"), ([["a"], ["a"]], "a"), ([], None), (None, None), ([[], "b"], "b")],
)
def test_one_text(value: Any, expected: str | None) -> None:
    assert one_text(value) == expected


def test_several_texts_are_not_one() -> None:
    with pytest.raises(ValueError, match="2 different responses"):
        one_text(["a", ["b"]])
    with pytest.raises(ValueError, match="a number"):
        one_text([3])


def test_no_answer_at_all_is_refused(tasks: Path, tmp_path: Path) -> None:
    log = tmp_path / "run.eval"
    write_eval(log, [], HEADER)
    with pytest.raises(UserError, match="there are no answers"):
        x3.score_answers(tasks, log, convention="unit")
