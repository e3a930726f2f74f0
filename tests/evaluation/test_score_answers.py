"""Answers that were made elsewhere: forms of files, ids, conventions, and equality with an evaluation."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import x3spatial as x3
from helpers.roots import make_root
from helpers.task_sets import Scripted, make_set
from x3spatial.cli import run as command
from x3spatial.conventions.registry import CONVENTIONS
from x3spatial.errors import UserError
from x3spatial.evaluation.questions import question_of
from x3spatial.formats.answers import registry
from x3spatial.formats.answers.base import AnswerFields, AnswersReader, AnswerText, BadEntry
from x3spatial.formats.task_file import TaskRecord, read_records
from x3spatial.tasks.geometry import Point

TEXTS = (
    "<think>NOT_VISIBLE? No: [(0.9, 0.9)].</think>[(0.2, 0.35)]",
    "[(0.25, 0.35)]<|im_end|>\nuser [(0.9, 0.9)]",
    "NOT\\_VISIBLE",
    "I cannot see it.",
    "[(1.4, 0.35)]",
    "[(0.25, 0.35)] or NOT_VISIBLE",
)


@pytest.fixture(scope="module")
def tasks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_set(tmp_path_factory.mktemp("answers"), count=24, scenes=12)


def texts_of(tasks: Path) -> dict[str, str]:
    return {r.id: TEXTS[i % len(TEXTS)] for i, r in enumerate(read_records(tasks))}


def plain(result: Any) -> list[dict[str, Any]]:
    """The samples without what only a run that opened the images knows."""
    return [
        {**dataclasses.asdict(entry), "images_seen": None}
        for entry in result.results_file().results
    ]


def as_json_list(texts: dict[str, str]) -> str:
    return json.dumps([{"id": id, "text": text} for id, text in texts.items()])


def as_declared_list(texts: dict[str, str]) -> str:
    return json.dumps({"convention": "unit", "answers": json.loads(as_json_list(texts))})


def as_csv(texts: dict[str, str], delimiter: str = ",") -> str:
    out = io.StringIO()
    rows = csv.writer(out, delimiter=delimiter)
    rows.writerows([("label", "question_id", "answer"), *(("x", *row) for row in texts.items())])
    return out.getvalue()


def as_lines(*fields: str) -> Callable[[dict[str, str]], str]:
    def lines(texts: dict[str, str]) -> str:
        rows = [json.dumps(dict(zip(fields, row, strict=True))) for row in texts.items()]
        return "\n".join(rows) + "\n\n"

    return lines


def as_batch(texts: dict[str, str]) -> str:
    lines = []
    for id, text in texts.items():
        message = {"role": "assistant", "content": text}
        response = {"status_code": 200, "body": {"choices": [{"index": 0, "message": message}]}}
        lines.append(json.dumps({"id": "r", "custom_id": id, "response": response, "error": None}))
    return "\n".join(lines)


FORMS: dict[str, Callable[[dict[str, str]], str]] = {
    "list.json": as_json_list,
    "ids.json": json.dumps,
    "declared.json": as_declared_list,
    "lines.jsonl": as_lines("id", "pred_text"),
    "prediction.JSONL": as_lines("question_id", "prediction"),
    "response.ndjson": as_lines("sample_id", "response"),
    "output.jsonl": as_lines("id", "output"),
    "answer.csv": as_csv,
    "answer.tsv": lambda texts: as_csv(texts, "\t"),
    "batch.jsonl": as_batch,
}


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_every_form_scores_as_an_evaluation_does(
    name: str, mark: str, tasks: Path, tmp_path: Path
) -> None:
    texts = texts_of(tasks)
    asked = x3.evaluate(tasks, tmp_path / "asked.json", Scripted(texts), workers=1)
    answers = tmp_path / name
    answers.write_text(mark + FORMS[name](texts), encoding="utf-8")
    convention = None if name == "declared.json" else "unit"
    scored = x3.score_answers(tasks, answers, tmp_path / "r.json", convention=convention)
    assert (scored.metrics, scored.ci95, scored.chance) == (asked.metrics, asked.ci95, asked.chance)
    assert plain(scored) == plain(asked)
    assert scored.errors == 0
    assert scored.matched is not None
    assert scored.matched.lines() == []
    # Whatever reads results reads these.
    differences = x3.compare(tmp_path / "asked.json", tmp_path / "r.json").differences
    assert {row.difference for row in differences} <= {0.0, None}
    again = x3.score(tmp_path / "r.json", tasks, tmp_path / "again.json")
    assert again.metrics == scored.metrics
    first = x3.read_results(tmp_path / "r.json")
    assert x3.read_results(tmp_path / "again.json").results == first.results
    assert first.settings.max_new_tokens is None


def test_a_mapping_in_python_needs_no_file(tasks: Path, tmp_path: Path) -> None:
    texts = texts_of(tasks)
    asked = x3.evaluate(tasks, tmp_path / "asked.json", Scripted(texts), workers=1)
    for given in (tasks, x3.read_tasks(tasks)):
        scored = x3.score_answers(given, texts, convention="unit", model_name="mine")
        assert scored.metrics == asked.metrics
        assert (scored.output_json, scored.model) == (None, "mine")
        assert "mine" in repr(scored)
        assert len(scored.to_dataframe()) == len(texts)
    with pytest.raises(UserError, match=r"--convention: nothing says .* not guessed; .*molmo-100"):
        x3.score_answers(tasks, texts)


def test_one_text_is_scored_as_the_set_is(tasks: Path) -> None:
    texts = texts_of(tasks)
    whole = x3.score_answers(tasks, texts, convention="unit", mask="tight").results_file()
    for record, entry in zip(x3.read_tasks(tasks), whole.results, strict=True):
        text = texts[record.id]
        assert x3.score_text(record, text, convention="unit", mask="tight") == entry
        assert x3.score_text(record.to_json(), text, convention="unit", mask="tight") == entry
    with pytest.raises(UserError, match="record: field 'image'"):
        x3.score_text({"id": "a"}, "x", convention="unit")


@pytest.mark.parametrize("name", [n for n, one in CONVENTIONS.items() if one.answers == "point"])
@pytest.mark.parametrize("task", ["t1_multi", "t1_concat", "t2b_multi"])
def test_right_answers_of_every_convention_hit(name: str, task: str, tmp_path: Path) -> None:
    """Also in the whole side-by-side image, and in pixels of the image or of the resized image."""
    root = make_root(tmp_path / "root", splits=("validation",))
    x3.build_tasks(root, tmp_path / "tasks", workers=1)
    file = tmp_path / f"tasks/{task.replace('_', '_val_')}.json"
    convention = CONVENTIONS[name]
    answers: dict[str, Any] = {}
    for record in read_records(file):
        sizes = record.image_sizes if convention.pixels == "sent" else ((280, 224),) * 2
        if convention.pixels is None:
            sizes = ()
        truth = CONVENTIONS["unit"].parse(record.answer, question_of(record, None))
        text = "NOT_VISIBLE"
        if isinstance(truth.point, Point):
            text = convention.format_answer(truth.point, question_of(record, None), sizes, 3)[0]
        answers[record.id] = text
        if convention.pixels == "resized":
            sizes = sizes[: len(record.images)]
            answers[record.id] = {"text": text, "pixel_sizes": [list(size) for size in sizes]}
    scored = x3.score_answers(file, answers, convention=name)
    assert scored.metrics["hit_at_mask"] == 1.0
    assert scored.metrics["errors"] == scored.metrics["parse_failures"] == 0


def test_resized_pixels_follow_the_stated_limits(tasks: Path) -> None:
    record = x3.read_tasks(tasks)[0]  # 32 x 24 pixels
    text = '[{"point_2d": [30, 30]}]'
    usual = x3.score_text(record, text, convention="qwen2.5-px")
    assert usual.pixel_sizes[-1] == (84, 56)
    larger = x3.score_text(record, text, convention="qwen2.5-px", min_pixels=112 * 112)
    assert larger.pixel_sizes[-1] == (140, 112)
    given = x3.score_text(record, text, convention="qwen2.5-px", pixel_sizes=[(60, 60)] * 2)
    assert given.pred_parsed.coord == (0.5, 0.5)
    with pytest.raises(UserError, match=r"pixel_sizes has 1 sizes for 2 image\(s\)"):
        x3.score_text(record, text, convention="qwen2.5-px", pixel_sizes=[(60, 60)])
    with pytest.raises(UserError, match="--min-pixels 20: is more than --max-pixels 10"):
        x3.score_text(record, text, convention="unit", min_pixels=20, max_pixels=10)


def test_ids_missing_unknown_and_repeated_are_counted_and_named(
    tasks: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ids = list(texts_of(tasks))
    lines: list[Any] = [{"id": id, "text": "[(0.2, 0.35)]"} for id in ids[4:]]
    lines += [{"id": "nobody", "text": "[(0.2, 0.35)]"}]
    lines += [{"id": ids[4], "text": "[(0.2, 0.35)]"}]  # again, equal
    lines += [{"id": ids[1], "text": "[(0.1, 0.1)]"}, {"id": ids[1], "text": "NOT_VISIBLE"}]
    lines += [{"id": ids[2], "text": None}, {"id": ids[3]}, {"text": "[(0.1, 0.1)]"}, [1]]
    lines += [{"id": ids[3], "text": ["[(0.1, 0.1)]"]}]
    text = "\n".join(map(json.dumps, lines)) + '\n{"id": "cut", "te\n'
    text += f'{{"id": "{ids[3]}", "text": "a", "text": "b"}}\n'
    (tmp_path / "a.jsonl").write_text(text)
    out = tmp_path / "r.json"
    arguments = ["score", str(tmp_path / "a.jsonl"), str(tasks), "-o", str(out)]
    assert command([*arguments, "--convention", "unit"]) == 1
    scored = x3.score_answers(tasks, tmp_path / "a.jsonl", convention="unit")
    assert scored.metrics["errors"] == 4
    assert scored.metrics["total"] == len(ids)
    assert scored.metrics["parse_failures"] == 0
    by_id = {entry.id: entry for entry in scored.results_file().results}
    assert by_id[ids[0]].error == "no answer in the file of answers"
    assert by_id[ids[1]].error == "2 different answers (line 23, line 24)"
    assert by_id[ids[2]].error == "line 25: the answer is null"
    assert by_id[ids[4]].status == "answered"
    matched = scored.matched
    assert matched is not None
    assert matched.entries == len(lines) + 2
    assert matched.missing == tuple(ids[:4])
    assert matched.unknown == ("line 21: nobody",)
    assert set(matched.repeated) == {ids[1], ids[4]}
    reasons = [
        f"line 26: id '{ids[3]}' has no field text",
        "line 27: no field id",
        "line 28: expected an object with an id and a text, found a list",
        f"line 29: field 'text' of id '{ids[3]}' is a list, not a text",
        "line 30: is not JSON",
        "line 31: field 'text' occurs twice",
    ]
    assert len(matched.unreadable) == len(reasons)
    for found, reason in zip(matched.unreadable, reasons, strict=True):
        assert found.startswith(reason)
    printed = capsys.readouterr().err
    for line in matched.lines():
        assert line in printed
    assert f"4 samples without an answer: {ids[0]}; {ids[1]}; {ids[2]}; and 1 more" in printed
    stored = json.loads(out.read_text())["model"]["describe"]["answers"]
    assert (stored["missing"], stored["unknown"], stored["repeated"]) == (4, 1, 2)


def test_the_same_id_twice_in_one_object_is_not_one_answer(tasks: Path, tmp_path: Path) -> None:
    first = next(iter(texts_of(tasks)))
    path = tmp_path / "a.json"
    path.write_text(f'{{"{first}": "[(0.1, 0.1)]", "{first}": "NOT_VISIBLE"}}')
    scored = x3.score_answers(tasks, path, convention="unit")
    assert scored.matched is not None
    assert scored.matched.repeated == (first,)
    assert scored.errors == 24


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("a.json", '[{"id": "ID", "answer": "a", "prediction": "b"}]',
         r"a.json: entry 1: has 'prediction' and 'answer', which differ; .* --text-field"),
        ("a.csv", "id,sample_id,text\nID,other,x\n", "'id' and 'sample_id', which differ; .*--id-field"),
        ("a.csv", "id,text,text\nID,x,y\n", "a column name occurs twice"),
        ("a.csv", 'id,text\nID,"x\n', "cannot read this file of answers: unexpected end of data"),
        ("a.json", '{"id": "ID", "text": "x"}', "looks like one answer of several lines"),
        ("a.json", '{"id": "ID", "text": "x"}\n{"id": "ID2", "text": "x"}', "name it .jsonl"),
        ("a.json", '[{"id": "ID", "text": "x"}', "cannot read this file of answers"),
        ("a.json", '{"convention": "unit", "answers": 5}', "neither a list nor an object"),
        ("a.json", '{"convention": "molmo-100", "answers": []}', "declares 'molmo-100'; leave one"),
        ("a.json", '{"nobody": "[(0.1, 0.1)]"}', r"no answer belongs to .* \(entry 1: nobody\)"),
        ("a.jsonl", "", "no answer belongs to a sample .*there are no answers"),
        ("a.txt", "ID [(0.1, 0.1)]", "no known form of answers; known are .*CSV or TSV"),
        ("a.json", "[" * 100_000, "nested too deep"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_refused(
    name: str, text: str, reason: str, tasks: Path, tmp_path: Path
) -> None:
    first = next(iter(texts_of(tasks)))
    (tmp_path / name).write_text(text.replace("ID", first, 1))
    with pytest.raises(UserError, match=reason):
        x3.score_answers(tasks, tmp_path / name, tmp_path / "r.json", convention="unit")
    assert not (tmp_path / "r.json").exists()


def test_fields_can_be_named(tasks: Path, tmp_path: Path) -> None:
    texts = texts_of(tasks)
    rows = [{"key": i, "id": "x", "answer": "gold", "said": t} for i, t in texts.items()]
    (tmp_path / "a.json").write_text(json.dumps(rows))
    scored = x3.score_answers(
        tasks, tmp_path / "a.json", convention="unit", id_field="key", text_field="said"
    )
    assert scored.metrics == x3.score_answers(tasks, texts, convention="unit").metrics


def test_answers_of_x3_eval_are_not_replaced(
    tasks: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, answers = tmp_path / "r.json", tmp_path / "a.json"
    x3.evaluate(tasks, out, "centre", workers=1)
    before = out.read_bytes()
    answers.write_text(json.dumps(texts_of(tasks)))
    common = ["score", str(answers), str(tasks), "--convention", "unit"]
    for extra, reason in (
        (["-o", str(out)], "holds answers of x3 eval"),
        (["-o", str(answers)], "is also an input file"),
        ([], "--out: name the results file to write"),
    ):
        assert command([*common, *extra]) == 2
        assert reason in capsys.readouterr().err
    assert command(["score", str(out), str(tasks), "--convention", "unit"]) == 2
    assert "--convention: is for answers made elsewhere" in capsys.readouterr().err
    assert out.read_bytes() == before
    for _ in range(2):  # what it wrote itself it replaces
        assert command([*common, "-o", str(tmp_path / "own.json")]) == 0


def test_a_reader_of_another_format_is_one_class(tasks: Path, tmp_path: Path) -> None:
    class Log(AnswersReader):
        describes = "a toy log"

        def recognizes(self, path: Path, head: str) -> bool:
            return head.startswith("LOG")

        def read(self, path: Path, fields: AnswerFields) -> Iterator[AnswerText | BadEntry]:
            for line in path.read_text().splitlines()[1:]:
                id, _, text = line.partition("=")
                yield AnswerText(line, id, text)

    texts = dict.fromkeys(texts_of(tasks), "[(0.2, 0.35)]")
    (tmp_path / "a.log").write_text("\n".join(["LOG", *(f"{i}={t}" for i, t in texts.items())]))
    registry.register("toy", Log())
    try:
        scored = x3.score_answers(tasks, tmp_path / "a.log", convention="unit")
    finally:
        registry.unregister("toy")
    assert scored.metrics == x3.score_answers(tasks, texts, convention="unit").metrics


def test_scoring_needs_no_torch(tasks: Path) -> None:
    probe = (
        "import sys, x3spatial as x3\n"
        f"tasks = x3.read_tasks({str(tasks)!r})\n"
        "x3.score_answers(tasks, {tasks[0].id: '[[1, 2]]'}, convention='internvl-1000')\n"
        "x3.score_text(tasks[0], 'x', convention='unit')\n"
        "sys.exit(', '.join({'torch', 'transformers', 'openai'} & set(sys.modules)) or 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", probe], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_records_of_other_builders_have_no_sizes(tmp_path: Path) -> None:
    """The image's own size is read where the convention counts its pixels."""
    file = make_set(tmp_path, count=1, named=False)
    record = read_records(file)[0]
    assert isinstance(record, TaskRecord)
    assert record.image_sizes == ()
    entry = x3.score_text(
        {**record.to_json(), "question": "Where is it?"}, "[(16, 12)]", convention="pixel"
    )
    assert entry.pred_parsed.coord == (0.5, 0.5)
