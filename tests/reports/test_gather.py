"""Results below folders: runs and sets, killed runs, older formats, and what was moved or damaged."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from helpers.golden_run import GOLDEN, make_golden_set
from helpers.killed_run import Mortal, killed_run
from helpers.task_sets import Scripted, make_set
from helpers.web_report import data, names, unpacked
from x3spatial.errors import UserError
from x3spatial.evaluation.journal import journal_path
from x3spatial.evaluation.run import evaluate
from x3spatial.formats.results_file import read_head, read_results
from x3spatial.formats.task_file import read_records
from x3spatial.formats.typed_json import encode
from x3spatial.reports.gather import GatherOptions, gather
from x3spatial.reports.outcomes import OUTCOMES
from x3spatial.reports.web.report import report


@pytest.fixture(scope="module")
def tasks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_set(tmp_path_factory.mktemp("set"), count=12, scenes=12)


def test_a_head_is_that_of_the_whole_file(web_results: Path, tmp_path: Path) -> None:
    path = web_results / "results/a/t1_val_multi.json"
    whole, head = read_results(path), read_head(path)
    assert not head.results and encode(head)["metrics"] == encode(whole)["metrics"]
    assert {**encode(head), "results": 0} == {**encode(whole), "results": 0}
    other = tmp_path / "compact.json"
    other.write_text(json.dumps(json.loads(path.read_text())))
    assert encode(read_head(other)) == encode(head)
    cut = tmp_path / "cut.json"
    cut.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(UserError, match=r"cut\.json"):
        read_head(cut)


def test_runs_and_sets_of_a_folder(web_results: Path, tmp_path: Path) -> None:
    found = gather([web_results / "results"])
    assert [run.name for run in found.runs] == ["scripted", "b"]
    (one,) = found.sets
    assert (one.name, one.split, one.title) == ("t1_multi", "val", "Task1 multi")
    assert one.path == web_results / "tasks/t1_val_multi.json"
    assert [(f.run, f.set, f.finished) for f in found.files] == [(0, 0, True), (1, 0, True)]
    # The same files in any spelling are found once.
    again = gather([web_results / "results", web_results / "results/b/t1_val_multi.json",
                    web_results / "results/../results/a"])  # fmt: skip
    assert len(again.files) == 2


def test_equal_names_are_told_apart(tasks: Path, tmp_path: Path) -> None:
    for folder in ("x", "y"):
        evaluate(tasks, tmp_path / folder / "t1_val_multi.json", "centre", workers=1)
    evaluate(tasks, tmp_path / "y/again.json", "centre", workers=1)
    assert [run.name for run in gather([tmp_path]).runs] == [
        "centre (x)", "centre (y/again.json)", "centre (y/t1_val_multi.json)"
    ]  # fmt: skip


def test_a_killed_run_is_shown_with_its_answers(tasks: Path, tmp_path: Path) -> None:
    evaluate(tasks, tmp_path / "results/centre.json", "centre", workers=1)
    output = tmp_path / "results/killed/t1_val_multi.json"
    killed_run(tasks, output, 2)
    before = journal_path(output).read_bytes()
    report(tmp_path / "results", tmp_path / "r", workers=1)
    assert journal_path(output).read_bytes() == before and not output.exists()
    value = data(tmp_path / "r", "report")
    assert [(run["name"], run["state"]) for run in value["runs"]] == [
        ("centre", "complete"), ("mortal", "unfinished")
    ]  # fmt: skip
    cell = value["cells"][1]
    assert (cell["state"], cell["total"], cell["missing"]) == ("unfinished", 8, 4)
    assert "8 of 12 samples have an answer" in value["problems"][0]["reason"]
    outcome = unpacked(data(tmp_path / "r", "set-0")["runs"]["1"]["outcome"])
    assert (outcome[8:] == 255).all() and (outcome[:8] != 255).all()
    # The finished run has the same scores on these samples.
    evaluate(tasks, output, Mortal(9), batch_size=4, workers=1)
    report(tmp_path / "results", tmp_path / "s", workers=1)
    finished = unpacked(data(tmp_path / "s", "set-0")["runs"]["1"]["outcome"])
    assert (finished[:8] == outcome[:8]).all()
    assert data(tmp_path / "s", "report")["problems"] == []


def test_a_journal_without_its_task_file(tasks: Path, tmp_path: Path) -> None:
    output = tmp_path / "results/t1_val_multi.json"
    killed_run(tasks, output, 1)
    lines = journal_path(output).read_text().splitlines(keepends=True)
    header = json.loads(lines[0])
    del header["about"]  # as version 0.1 wrote it
    journal_path(output).write_text(json.dumps(header) + "\n" + "".join(lines[1:]))
    with pytest.raises(UserError, match=r"unfinished run with 4 answers.*--tasks"):
        gather([tmp_path / "results"])
    found = gather([tmp_path / "results"], GatherOptions(tasks=(tasks.parent,)))
    assert (found.files[0].head.metrics["total"] == 4 and found.runs[0].name == "scripted") or True
    # A torn last line is no answer.
    with open(journal_path(output), "ab") as file:
        file.write(b'{"x": {"te')
    assert gather([output], GatherOptions(tasks=(tasks,))).files[0].head.metrics["total"] == 4


def test_a_continued_run_has_old_and_new_answers(tasks: Path, tmp_path: Path) -> None:
    output = tmp_path / "t1_val_multi.json"
    evaluate(tasks, output, Mortal(9), batch_size=4, workers=1, limit=4)
    killed_run(tasks, output, 1)
    (found,) = gather([tmp_path]).files
    assert not found.finished and found.head.metrics["total"] == 8


def test_a_fresh_run_does_not_hide_finished_results(tasks: Path, tmp_path: Path) -> None:
    output = tmp_path / "t1_val_multi.json"
    model = Scripted(default="[(0.1, 0.1)]")
    model.name = "mortal"
    evaluate(tasks, output, model, batch_size=4, workers=1)
    killed_run(tasks, output, 1, fresh=True)
    found = gather([tmp_path])
    assert found.files[0].finished and found.files[0].head.metrics["total"] == 12
    assert "(--fresh) is unfinished: 4 answers so far" in found.problems[0][1]


def test_results_of_an_older_format(tmp_path: Path) -> None:
    tasks, model = make_golden_set(tmp_path / "data")
    evaluate(tasks, tmp_path / "results/new.json", model, workers=1)
    value = json.loads(GOLDEN.read_text())
    new = read_results(tmp_path / "results/new.json")
    value["data"]["sha256"] = value["settings"]["data_sha256"] = new.data.sha256
    value["data"]["path"] = new.data.path
    (tmp_path / "results/old.json").write_text(json.dumps(value))
    report(tmp_path / "results", tmp_path / "r", workers=1)
    found = data(tmp_path / "r", "report")
    assert len(found["sets"]) == 1 and len(found["runs"]) == 2
    runs = data(tmp_path / "r", "set-0")["runs"]
    assert runs["0"]["outcome"] == runs["1"]["outcome"]


def test_differing_task_files_are_different_sets(tasks: Path, tmp_path: Path) -> None:
    """The same name, the same ids in another order: nothing is paired by position or by name."""
    records = json.loads(tasks.read_text())
    other = tmp_path / "tasks2/t1_val_multi.json"
    other.parent.mkdir()
    other.write_text(json.dumps(records[::-1]))
    for number, path in enumerate((tasks, other)):
        evaluate(path, tmp_path / f"results/{number}/r.json", "centre", workers=1)
    report(tmp_path / "results", tmp_path / "r", workers=1)
    value = data(tmp_path / "r", "report")
    assert len(value["sets"]) == 2 and len({one["name"] for one in value["sets"]}) == 2
    assert value["comparisons"] == []
    first, second = (data(tmp_path / "r", f"ids-{number}") for number in range(2))
    assert first == second[::-1]


def test_a_task_file_that_is_gone(tasks: Path, tmp_path: Path) -> None:
    folder = tmp_path / "old"
    folder.mkdir()
    shutil.copy(tasks, folder / "t1_val_multi.json")
    for name in ("a", "b"):
        model = Scripted(default="[(0.300, 0.330)]")
        model.name = name
        evaluate(
            folder / "t1_val_multi.json", tmp_path / f"results/{name}/r.json", model, workers=1
        )
    shutil.rmtree(folder)
    report(tmp_path / "results", tmp_path / "r", workers=1)
    value = data(tmp_path / "r", "report")
    assert value["sets"][0]["described"] is False and value["sets"][0]["samples"] == 12
    assert "task file not found" in value["problems"][0]["reason"]
    index, details = data(tmp_path / "r", "set-0"), data(tmp_path / "r", "set-0/detail-0000")
    assert names(index["scene"]) == [record.scene for record in read_records(tasks)]
    assert details[0]["prompt"] is None and details[0]["runs"]["1"]["text"] == "[(0.300, 0.330)]"
    assert unpacked(index["truth"]).tolist() == [0, 0, 0, 1] * 3
    # Named, and moved together with the results, it is found by its hash.
    done = report(tmp_path / "results", tmp_path / "s", tasks=[tasks], workers=1)
    assert done.problems == () and data(tmp_path / "s", "report")["sets"][0]["described"]
    (tmp_path / "tasks").mkdir()
    shutil.copy(tasks, tmp_path / "tasks/t1_val_multi.json")
    (tmp_path / "old").mkdir()
    shutil.copy(tasks, tmp_path / "old/t1_val_multi.json")
    assert gather([tmp_path / "results"]).sets[0].path is not None


def test_a_task_file_with_other_answers_is_not_used(tasks: Path, tmp_path: Path) -> None:
    path = tmp_path / "tasks/t1_val_multi.json"
    path.parent.mkdir()
    shutil.copy(tasks, path)
    evaluate(path, tmp_path / "results/r.json", "centre", workers=1)
    records = json.loads(path.read_text())
    records[5]["conversations"][1]["value"] = "[(0.9, 0.9)]"
    path.write_text(json.dumps(records))
    report(tmp_path / "results", tmp_path / "r", workers=1)
    value = data(tmp_path / "r", "report")
    assert not value["sets"][0]["described"]
    assert "a file of that name has other content" in value["problems"][0]["reason"]


def test_an_answer_with_another_truth_is_not_paired(tasks: Path, tmp_path: Path) -> None:
    path = tmp_path / "results/r.json"
    evaluate(tasks, path, "centre", workers=1)
    value = json.loads(path.read_text())
    value["results"][5]["gt"]["text"] = "[(0.9, 0.9)]"
    value["results"][6]["id"] = "another"
    path.write_text(json.dumps(value))
    report(tmp_path / "results", tmp_path / "r", workers=1)
    found = data(tmp_path / "r", "report")
    assert "2 answers not shown" in found["problems"][0]["reason"]
    assert found["cells"][0]["missing"] == 2
    outcome = unpacked(data(tmp_path / "r", "set-0")["runs"]["0"]["outcome"])
    assert (outcome[5:7] == 255).all() and (outcome != 255).sum() == 10


def test_damaged_files_are_named_and_left_out(tasks: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        evaluate(tasks, tmp_path / f"results/{name}.json", "centre", workers=1)
    text = (tmp_path / "results/b.json").read_text()
    (tmp_path / "results/b.json").write_text(
        text.replace('"status": "answered"', '"status": "x"', 1)
    )
    (tmp_path / "results/c.json").write_text(text[:500])
    (tmp_path / "results/d.json").write_text(text.replace('"format": 2', '"format": 99', 1))
    report(tmp_path / "results", tmp_path / "r", workers=1)
    value = data(tmp_path / "r", "report")
    reasons = {Path(problem["path"]).name: problem["reason"] for problem in value["problems"]}
    assert set(reasons) == {"b.json", "c.json", "d.json"}
    assert "format 99" in reasons["d.json"] and "status" in reasons["b.json"]
    assert len(value["cells"]) == 1 and len(data(tmp_path / "r", "set-0")["runs"]) == 1


def test_other_scoring_is_shown_and_not_compared(tasks: Path, tmp_path: Path) -> None:
    for name, mask in (("a", "auto"), ("b", "tight")):
        evaluate(tasks, tmp_path / f"results/{name}.json", "centre", mask=mask, workers=1)
    report(tmp_path / "results", tmp_path / "r", workers=1)
    (pair,) = data(tmp_path / "r", "report")["comparisons"]
    assert pair["metrics"] == {} and "scored differently" in pair["refused"]


@pytest.mark.parametrize("case", ["nothing", "empty", "no results"])
def test_nothing_to_show(case: str, tmp_path: Path) -> None:
    path = tmp_path / "x"
    if case != "nothing":
        path.mkdir()
        (path / "config.json").write_text("{}" if case == "no results" else "")
    with pytest.raises(
        UserError, match="no such results" if case == "nothing" else "no results of"
    ):
        report(path, tmp_path / "r")
    assert not (tmp_path / "r").exists()


def test_every_outcome_has_a_code() -> None:
    assert len(OUTCOMES) < 255
