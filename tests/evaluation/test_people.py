"""Answers of people: tokens, participants, times, files of several persons; agreement of two of them."""

from __future__ import annotations

import csv
import json
import math
import random
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import x3spatial as x3
from helpers.task_sets import make_set
from x3spatial.cli import run as command
from x3spatial.errors import UserError
from x3spatial.evaluation.agreement import Agreement, AgreementRow, _kappa, _share
from x3spatial.evaluation.statistics.intervals import Clusters
from x3spatial.formats.results_file import ResultsFile, read_results
from x3spatial.formats.sample_tokens import SampleTokens
from x3spatial.formats.task_file import TaskRecord, read_records


@pytest.fixture(scope="module")
def tasks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_set(tmp_path_factory.mktemp("people"), count=48, scenes=16)


@pytest.fixture(scope="module")
def records(tasks: Path) -> list[TaskRecord]:
    return read_records(tasks)


Line = dict[str, Any]


def lines_of(
    records: list[TaskRecord], who: str, text: Callable[[int, TaskRecord], str | None]
) -> list[Line]:
    """What a page of x3 ask saves, all questions in another order than the task file's."""
    tokens = SampleTokens(records)
    lines = [
        {"id": tokens.of(r.id), "text": text(n, r), "seconds": 1.5 + n, "participant": who}
        for n, r in enumerate(records)
    ]
    random.Random(3).shuffle(lines)
    return lines


def write(path: Path, *parts: Iterable[Line]) -> Path:
    path.write_text("".join(f"{json.dumps(line)}\n" for part in parts for line in part))
    return path


def right(number: int, record: TaskRecord) -> str:
    return record.answer


def often_right(number: int, record: TaskRecord) -> str:
    return record.answer if number % 5 > 1 else "NOT_VISIBLE"


def test_a_page_of_answers_is_scored_without_a_convention(
    tasks: Path, records: list[TaskRecord], tmp_path: Path
) -> None:
    answers = write(tmp_path / "answers-Ann.jsonl", lines_of(records, "Ann", right))
    result = x3.score_answers(tasks, answers, tmp_path / "ann.json")
    assert result.metrics["hit_at_mask"] == result.metrics["balanced_accuracy"] == 1.0
    file = read_results(tmp_path / "ann.json")
    assert (file.model.name, file.model.kind, file.settings.model) == (
        "Ann",
        "people",
        "people:Ann",
    )
    assert file.model.convention == "unit" and not file.model.privileged
    assert [entry.id for entry in file.results] == [record.id for record in records]
    assert file.results[3].details == {"participant": "Ann", "seconds": 4.5}
    about = file.model.describe["answers"]
    assert (about["participant"], about["median_seconds"]) == ("Ann", 25.0)
    # It is read like a model's.
    model = x3.evaluate(tasks, tmp_path / "centre.json", "centre", workers=1)
    assert x3.compare(tmp_path / "ann.json", tmp_path / "centre.json").samples == len(records)
    assert model.metrics["total"] == result.metrics["total"]
    again = x3.score(tmp_path / "ann.json", tasks, tmp_path / "again.json")
    assert again.metrics == result.metrics
    assert read_results(tmp_path / "again.json").results[3].details["seconds"] == 4.5


def test_only_the_questions_of_the_page_are_scored(
    tasks: Path, records: list[TaskRecord], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = lines_of(records, "Ann", right)[:20]
    lines[0] |= {"text": None, "seconds": None}  # skipped
    answers = write(tmp_path / "a.jsonl", lines)
    code = command(["score", str(answers), str(tasks), "-o", str(tmp_path / "r.json")])
    printed = capsys.readouterr()
    assert code == 1 and "1 sample without an answer" in printed.err
    file = read_results(tmp_path / "r.json")
    assert (file.metrics["total"], file.metrics["errors"]) == (20, 1)
    asked = {line["id"] for line in lines}
    tokens = SampleTokens(records)
    assert {tokens.of(entry.id) for entry in file.results} == asked
    # Compared with a model over the common samples alone.
    x3.evaluate(tasks, tmp_path / "centre.json", "centre", workers=1)
    compared = x3.compare(tmp_path / "r.json", tmp_path / "centre.json")
    assert (compared.samples, compared.left_out) == (19, len(records) - 19)


def test_answers_of_another_page_belong_to_nothing(tasks: Path, tmp_path: Path) -> None:
    other = make_set(tmp_path / "other", count=8)
    answers = write(tmp_path / "a.jsonl", lines_of(read_records(other), "Ann", right))
    with pytest.raises(UserError, match="choose the task file that was asked"):
        x3.score_answers(tasks, answers, tmp_path / "r.json")
    assert not (tmp_path / "r.json").exists()


def test_several_persons_in_one_file_or_folder(
    tasks: Path, records: list[TaskRecord], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ann, ben = lines_of(records, "Ann", right), lines_of(records, "ann b/../c", often_right)
    both = write(tmp_path / "both.jsonl", ann, ben)
    assert command(["score", str(both), str(tasks), "-o", str(tmp_path / "r.json")]) == 2
    assert "those of 2 persons (Ann, ann b/../c): name one with --participant" in (
        capsys.readouterr().err
    )
    assert command(["score", str(both), str(tasks), "-o", str(tmp_path / "people")]) == 0
    folder = tmp_path / "answers"
    folder.mkdir()
    write(folder / "1.jsonl", ann)
    with open(folder / "2.csv", "w", newline="") as file:
        rows = csv.DictWriter(file, ["id", "text", "seconds", "participant"])
        rows.writeheader()
        rows.writerows(ben)
    found = x3.score_people(tasks, folder, tmp_path / "people2")
    assert list(found) == ["Ann", "ann b/../c"]
    files = sorted(
        p.relative_to(tmp_path / "people") for p in (tmp_path / "people").rglob("*.json")
    )
    assert len(files) == 2 and all(len(file.parts) == 2 for file in files)
    for name in files:
        one, other = (read_results(tmp_path / of / name) for of in ("people", "people2"))
        assert one.metrics == other.metrics and one.results == other.results
    own = x3.score_answers(tasks, both, tmp_path / "one.json", participant="ann b/../c")
    hits = own.metrics["hit_at_mask"]
    assert own.model == "ann b/../c" and hits is not None and hits < 1.0
    with pytest.raises(UserError, match="--participant Zoe: the answers name Ann"):
        x3.score_answers(tasks, both, tmp_path / "one.json", participant="Zoe")


def test_answers_with_plain_ids_may_name_people_too(
    tasks: Path, records: list[TaskRecord], tmp_path: Path
) -> None:
    lines = [
        {"id": r.id, "text": f"({r.answer})", "participant": 7, "seconds": "2.5"}
        for r in records[1:]
    ]
    lines += [{"id": records[0].id, "text": "x", "participant": 7, "seconds": "soon"}]
    answers = write(tmp_path / "a.jsonl", lines)
    with pytest.raises(UserError, match="--convention: nothing says"):
        x3.score_answers(tasks, answers, tmp_path / "r.json")
    result = x3.score_answers(tasks, answers, tmp_path / "r.json", convention="unit")
    assert result.matched is not None and result.model == "7"
    # All samples were asked, as far as anyone knows.
    assert result.metrics["total"] == len(records) and result.matched.missing == (records[0].id,)
    assert "field 'seconds' is not a time" in result.matched.unreadable[0]
    assert read_results(tmp_path / "r.json").results[1].details == {
        "participant": "7", "seconds": 2.5,
    }  # fmt: skip


def test_another_convention_is_refused(
    tasks: Path, records: list[TaskRecord], tmp_path: Path
) -> None:
    answers = write(tmp_path / "a.jsonl", lines_of(records, "Ann", right))
    with pytest.raises(UserError, match="--convention pixel: pages of x3 ask write 'unit'"):
        x3.score_answers(tasks, answers, tmp_path / "r.json", convention="pixel")


def test_one_question_twice_is_named(
    tasks: Path, records: list[TaskRecord], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = lines_of(records, "Ann", right)
    twice = {**lines[0], "text": "[(0.9, 0.9)]"}
    answers = write(tmp_path / "a.jsonl", lines, [twice])
    assert command(["score", str(answers), str(tasks), "-o", str(tmp_path / "r.json")]) == 1
    tokens = SampleTokens(records).ids(records)
    assert f"1 id with more than one answer: {tokens[lines[0]['id']]}" in capsys.readouterr().err


# Agreement


def scored(
    tasks: Path, folder: Path, **texts: Callable[[int, TaskRecord], str | None]
) -> list[Path]:
    records = read_records(tasks)
    paths = []
    for who, text in texts.items():
        answers = write(folder / f"{who}.jsonl", lines_of(records, who, text))
        paths.append(folder / f"{who}.json")
        x3.score_answers(tasks, answers, paths[-1])
    return paths


def rows_of(found: Agreement) -> dict[str, AgreementRow]:
    return {row.name: row for row in found.rows}


def test_two_people_agree_as_counted_by_hand(tasks: Path, tmp_path: Path) -> None:
    one, other = scored(tasks, tmp_path, Ann=right, Ben=often_right)
    found = rows_of(x3.agreement(one, other))
    a: ResultsFile = read_results(one)
    b: ResultsFile = read_results(other)
    absent = np.array([[bool(e.pred_parsed.is_not_visible) for e in f.results] for f in (a, b)])
    assert found["visibility"].value == pytest.approx((absent[0] == absent[1]).mean())
    expected = absent.mean(axis=1).prod() + (1 - absent).mean(axis=1).prod()
    assert found["visibility_kappa"].value == pytest.approx(
        ((absent[0] == absent[1]).mean() - expected) / (1 - expected)
    )
    hit = np.array([[e.hit_mask for e in f.results if e.hit_mask is not None] for f in (a, b)])
    assert found["hit"].value == pytest.approx((hit[0] == hit[1]).mean())
    assert found["hit"].samples == hit.shape[1] < len(a.results)
    for row in (found["visibility"], found["visibility_kappa"], found["hit"]):
        assert row.ci95 is not None and row.value is not None
        assert row.ci95[0] < row.value < row.ci95[1]
    # Where both point they point to the truth.
    assert found["distance"].value == 0.0 and found["within_005"].value == 1.0
    assert found["within_005"].ci95 is not None  # Wilson's: 1 is not known for certain
    assert rows_of(x3.agreement(other, one))["visibility_kappa"] == found["visibility_kappa"]


def test_the_same_answers_agree_completely(tasks: Path, tmp_path: Path) -> None:
    one, other = scored(tasks, tmp_path, Ann=right, Ben=right)
    found = rows_of(x3.agreement(one, other))
    assert found["visibility"].value == found["visibility_kappa"].value == 1.0
    assert found["visibility"].ci95 is not None and found["visibility"].ci95[0] < 1.0
    assert found["visibility_kappa"].ci95 is None
    # Both always hit: kappa says nothing.
    assert found["hit"].value == 1.0 and found["hit_kappa"].value is None


def test_distances_are_those_in_the_query_image(tmp_path: Path) -> None:
    tasks = make_set(tmp_path / "concat", count=16, scenes=16, task="t1_concat")
    shifted = lambda n, r: "[(0.8, 0.5)]"  # noqa: E731
    other = lambda n, r: "[(0.6, 0.5)]"  # noqa: E731
    one, two = scored(tasks, tmp_path, Ann=shifted, Ben=other)
    assert rows_of(x3.agreement(one, two))["distance"].value == pytest.approx(0.4)


def test_what_does_not_belong_together_is_refused(
    tasks: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (one,) = scored(tasks, tmp_path, Ann=right)
    other_tasks = make_set(tmp_path / "other", count=8)
    (other,) = scored(other_tasks, tmp_path, Ben=right)
    with pytest.raises(UserError, match="made from different data"):
        x3.agreement(one, other)
    assert command(["agreement", str(one)]) == 2
    assert "name at least two results files" in capsys.readouterr().err


def test_the_command_compares_each_pair(
    tasks: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = scored(tasks, tmp_path, Ann=right, Ben=often_right, Cid=right)
    assert command(["agreement", *map(str, paths)]) == 0
    printed = capsys.readouterr().out
    assert printed.count("kappa: visible or not") == 3
    assert command(["agreement", *map(str, paths[:2]), "--json"]) == 0
    value = json.loads(capsys.readouterr().out)
    assert value["rows"][0]["name"] == "visibility" and value["samples"] == 48


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=40))
def test_kappa_is_that_of_the_definition(pairs: list[tuple[bool, bool]]) -> None:
    a, b = np.array(pairs).T
    everything = np.ones(len(a), np.bool_)
    clusters = Clusters("scene", np.arange(len(a)), len(a), np.arange(len(a)))
    counts = np.ones((1, len(a)))
    (value,) = _kappa(a, b, everything).drawn(clusters, counts)
    (share,) = _share(a == b, everything).drawn(clusters, counts)
    both, only_a, only_b = (a & b).mean(), (a & ~b).mean(), (~a & b).mean()
    neither = 1 - both - only_a - only_b
    chance = (both + only_a) * (both + only_b) + (neither + only_a) * (neither + only_b)
    assert share == pytest.approx(both + neither)
    if math.isclose(chance, 1.0):
        assert np.isnan(value)
    else:
        assert value == pytest.approx((both + neither - chance) / (1 - chance))
