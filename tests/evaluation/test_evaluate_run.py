"""The runner: batches, retries, resuming, refusing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from helpers.paths import TESTS
from helpers.task_sets import (
    ConcurrentScripted,
    Scripted,
    box_mask,
    make_record,
    make_set,
    write_set,
)
from x3spatial.cli import tables
from x3spatial.errors import UserError
from x3spatial.evaluation.journal import journal_path
from x3spatial.evaluation.result import EvalResult
from x3spatial.evaluation.run import evaluate
from x3spatial.formats.results_file import MaskProblem
from x3spatial.models.base import Model, Output
from x3spatial.models.baselines.oracle import Oracle


def run(folder: Path, model: str | Model, name: str = "out.json", **options: Any) -> EvalResult:
    return evaluate(
        data_json=folder / "t1_val_multi.json",
        output_json=folder / name,
        model=model,
        **{"batch_size": 4, "workers": 2, **options},
    )


def output(folder: Path, name: str = "out.json") -> dict[str, Any]:
    """The results file without the one part that may differ between runs."""
    value: dict[str, Any] = json.loads((folder / name).read_text())
    assert value.pop("run")["seconds"] >= 0
    return value


def ids(folder: Path) -> list[str]:
    return [record["id"] for record in json.loads((folder / "t1_val_multi.json").read_text())]


def test_oracle_is_perfect_and_marked(tmp_path: Path) -> None:
    make_set(tmp_path)
    result = run(tmp_path, "oracle")
    assert (result.errors, result.asked, result.kept) == (0, 12, 0)
    found = output(tmp_path)
    assert found["model"]["privileged"] is True
    assert found["model"]["kind"] == "oracle"
    metrics = found["metrics"]
    assert (metrics["total"], metrics["visible_gt"], metrics["gt_not_visible"]) == (12, 9, 3)
    assert (metrics["hit_at_mask"], metrics["not_visible_accuracy"]) == (1.0, 1.0)
    assert metrics["mean_l2_error"] == 0.0
    assert [entry["id"] for entry in found["results"]] == ids(tmp_path)
    assert not journal_path(tmp_path / "out.json").exists()
    assert set(found) >= {"settings", "versions", "data", "chance", "ci95", "ci_unit", "scoring"}
    assert found["data"]["build"] is None


@pytest.mark.parametrize("kind", ["oracle", "centre", "uniform", "always-not-visible"])
def test_batches_workers_and_order_change_nothing(tmp_path: Path, kind: str) -> None:
    make_set(tmp_path)
    run(tmp_path, kind, "a.json", batch_size=1, workers=1)
    run(tmp_path, kind, "b.json", batch_size=5, workers=3)
    assert output(tmp_path, "a.json") == output(tmp_path, "b.json")


def test_seed_decides_the_draw(tmp_path: Path) -> None:
    make_set(tmp_path)
    run(tmp_path, "uniform", "a.json", seed=0)
    run(tmp_path, "uniform", "b.json", seed=1)
    texts = [
        [r["pred_text"] for r in output(tmp_path, name)["results"]] for name in ("a.json", "b.json")
    ]
    assert texts[0] != texts[1]


@pytest.mark.parametrize("kind", [Scripted, ConcurrentScripted])
def test_a_bad_sample_costs_one_sample(tmp_path: Path, kind: type[Scripted]) -> None:
    make_set(tmp_path)
    bad = ids(tmp_path)[2]
    model = kind({bad: RuntimeError("CUDA out of memory")})
    result = run(tmp_path, model)
    assert result.errors == 1
    assert result.first_error == f"{bad}: RuntimeError: CUDA out of memory"
    assert sum(batch == [bad] for batch in model.batches) == 2  # alone, and once more
    assert not model.closed  # the caller's, to ask about the next set
    found = output(tmp_path)
    assert (found["metrics"]["errors"], found["metrics"]["total"]) == (1, 12)
    assert found["metrics"]["visible_gt"] + found["metrics"]["gt_not_visible"] == 11
    entry = found["results"][2]
    assert (entry["status"], entry["pred_text"]) == ("error", None)

    # The same command again asks only that one, and then nothing.
    mended = kind()
    result = run(tmp_path, mended)
    assert (mended.asked, result.errors, result.kept) == ([bad], 0, 11)
    again = kind()
    result = run(tmp_path, again)
    assert (again.asked, result.asked, result.kept) == ([], 0, 12)
    run(tmp_path, kind(), "whole.json")
    assert output(tmp_path) == output(tmp_path, "whole.json")


def test_a_transient_error_is_retried(tmp_path: Path) -> None:
    make_set(tmp_path)

    class Flaky(Scripted):
        def answer(self, questions: Any, prepared: Any) -> list[str]:
            texts = super().answer(questions, prepared)
            if len(self.batches) in (1, 2):
                raise TimeoutError("busy")
            return texts

    assert run(tmp_path, Flaky()).errors == 0


def test_wrong_number_of_answers_is_an_error(tmp_path: Path) -> None:
    make_set(tmp_path)

    class Short(Scripted):
        def answer(self, questions: Any, prepared: Any) -> list[str]:
            return super().answer(questions, prepared)[1:]

    result = run(tmp_path, Short())
    assert result.errors == 12
    assert "gave 0 answers to 1" in (result.first_error or "")


def test_prepare_may_fail(tmp_path: Path) -> None:
    make_set(tmp_path)
    bad = ids(tmp_path)[5]

    class Picky(Scripted):
        def prepare(self, questions: Any) -> None:
            if any(question.id == bad for question in questions):
                raise ValueError("bad pixels")

    result = run(tmp_path, Picky())
    assert (result.errors, result.first_error) == (1, f"{bad}: ValueError: bad pixels")


def test_a_user_error_stops_the_run_and_keeps_what_was_answered(tmp_path: Path) -> None:
    make_set(tmp_path)
    stop = ids(tmp_path)[8]
    with pytest.raises(UserError, match="no server"):
        run(tmp_path, Scripted({stop: UserError("no server at :8000")}))
    rest = Scripted()
    run(tmp_path, rest)
    assert rest.asked == ids(tmp_path)[8:]


def test_interrupt_leaves_a_resumable_journal(tmp_path: Path) -> None:
    make_set(tmp_path)

    class Interrupted(Scripted):
        def answer(self, questions: Any, prepared: Any) -> list[str]:
            if len(self.batches) == 1:
                raise KeyboardInterrupt
            return super().answer(questions, prepared)

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, Interrupted())
    assert journal_path(tmp_path / "out.json").exists()
    rest = Scripted()
    run(tmp_path, rest)
    assert rest.asked == ids(tmp_path)[4:]


def test_a_missing_image_is_that_samples_error(tmp_path: Path) -> None:
    make_set(tmp_path)
    record = json.loads((tmp_path / "t1_val_multi.json").read_text())[1]
    Path(record["image"][0]).unlink()
    model = Scripted()
    result = run(tmp_path, model)
    assert result.errors == 1
    assert result.first_error == f"{record['id']}: {record['image'][0]}: file is missing"
    assert record["id"] not in model.asked


def test_a_missing_mask_is_reported_and_not_counted(tmp_path: Path) -> None:
    make_set(tmp_path)
    record = json.loads((tmp_path / "t1_val_multi.json").read_text())[0]
    Path(record["query_mask"]).unlink()
    result = run(tmp_path, "oracle")
    assert result.errors == 0
    assert result.problems == (MaskProblem(record["query_mask"], "file is missing"),)
    assert (result.metrics["missing_mask"], result.metrics["hit_at_mask_total"]) == (1, 8)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"seed": 3}, "--seed was 0, is 3"),
        ({"max_new_tokens": 32}, "--max-new-tokens"),
        ({"model": Scripted(version="2")}, "--model (its files"),
        ({"model": "centre"}, "--model was scripted, is centre"),
    ],
)
@pytest.mark.parametrize("finished", [True, False])
def test_other_settings_are_refused(
    tmp_path: Path, change: dict[str, Any], named: str, finished: bool
) -> None:
    make_set(tmp_path)
    if finished:
        run(tmp_path, Scripted())
    else:
        with pytest.raises(UserError):
            run(tmp_path, Scripted({ids(tmp_path)[8]: UserError("stop")}))
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    with pytest.raises(UserError, match="--fresh") as error:
        run(tmp_path, **{"model": Scripted(), **change})
    assert named in str(error.value)
    assert "\n" not in str(error.value)
    after = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    assert before == after
    result = run(tmp_path, **{"model": Scripted(), **change}, fresh=True)
    assert (result.asked, result.kept) == (12, 0)


def test_other_data_is_refused(tmp_path: Path) -> None:
    make_set(tmp_path)
    run(tmp_path, Scripted())
    make_set(tmp_path, count=8)
    with pytest.raises(UserError, match="content of TASKS"):
        run(tmp_path, Scripted())


def test_a_file_that_is_not_a_results_file_is_not_overwritten(tmp_path: Path) -> None:
    make_set(tmp_path)
    model = Scripted()
    for text in ("[]", "{", '{"metrics": 1}', ""):
        (tmp_path / "out.json").write_text(text)
        for fresh in (False, True):
            with pytest.raises(UserError, match=r"--out .*; remove it, or write elsewhere"):
                run(tmp_path, model, fresh=fresh)
        assert (tmp_path / "out.json").read_text() == text
    assert model.asked == []


@pytest.mark.parametrize("fresh", [False, True])
def test_the_task_file_is_not_the_output(tmp_path: Path, fresh: bool) -> None:
    before = make_set(tmp_path).read_text()
    with pytest.raises(UserError, match=r"--out .*also an input file"):
        run(tmp_path, Scripted(), "t1_val_multi.json", fresh=fresh)
    assert (tmp_path / "t1_val_multi.json").read_text() == before


def test_an_output_that_cannot_be_written_is_refused_before_asking(tmp_path: Path) -> None:
    make_set(tmp_path)
    (tmp_path / "folder").mkdir()
    before = set(tmp_path.iterdir())
    model = Scripted()
    for name, reason in (("folder", "is a folder"), ("x" * 405, "name too long")):
        with pytest.raises(UserError, match=f"--out .*(?i:{reason})"):
            run(tmp_path, model, name)
    assert model.asked == [] and set(tmp_path.iterdir()) == before


def test_a_damaged_output_is_replaced_by_fresh_alone(tmp_path: Path) -> None:
    make_set(tmp_path)
    run(tmp_path, Scripted())
    value = json.loads((tmp_path / "out.json").read_text())
    del value["results"][1]["id"]
    (tmp_path / "out.json").write_text(json.dumps(value))
    with pytest.raises(UserError, match=r"result 2: 'id' is missing; .* use --fresh"):
        run(tmp_path, Scripted())
    assert run(tmp_path, Scripted(), fresh=True).asked == 12


@pytest.mark.parametrize("kind", ["copy-reference", "sift"])
def test_records_without_what_a_model_needs_are_refused(tmp_path: Path, kind: str) -> None:
    make_set(tmp_path, named=False)
    first = ids(tmp_path)[0]
    with pytest.raises(UserError, match=f"{kind} needs the field 'ref_mask', which record {first}"):
        run(tmp_path, kind)
    assert not (tmp_path / "out.json").exists()
    run(tmp_path, "centre")
    assert output(tmp_path)["chance"]["copy-reference"] is None


def test_limit_grows_but_does_not_drop_answers(tmp_path: Path) -> None:
    make_set(tmp_path)
    run(tmp_path, Scripted(), limit=5)
    assert output(tmp_path)["metrics"]["total"] == 5
    more = Scripted()
    run(tmp_path, more)
    assert more.asked == ids(tmp_path)[5:]
    with pytest.raises(UserError, match="--limit 5"):
        run(tmp_path, Scripted(), limit=5)


def test_scoring_may_change_without_asking(tmp_path: Path) -> None:
    make_set(tmp_path)
    run(tmp_path, Scripted())
    model = Scripted()
    result = run(tmp_path, model, scoring="roborefer", mask="dilated")
    assert model.asked == []
    assert result.metrics["hit_at_mask_total"] == 0  # the set has no dilated masks
    assert result.metrics["missing_mask"] == 9
    scoring = output(tmp_path)["scoring"]
    assert scoring == {"rule": "roborefer", "mask": "dilated", "mask_kinds": {"dilated": 12}}


def test_an_empty_set_is_nulls(tmp_path: Path) -> None:
    write_set(tmp_path / "t1_val_multi.json", [])
    result = run(tmp_path, "oracle")
    assert (result.errors, result.metrics["total"], result.metrics["hit_at_mask"]) == (0, 0, None)
    assert output(tmp_path)["results"] == []


def test_relative_paths_lie_in_the_image_folder(tmp_path: Path) -> None:
    record = make_record(tmp_path, "01", box_mask(20, 20, 2, 2, 6, 6)).to_json()
    text = json.dumps([record]).replace(f"{tmp_path}/", "")
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks" / "t1_val_multi.json").write_text(text)
    with pytest.raises(UserError, match="--image-folder"):
        run(tmp_path / "tasks", Scripted())
    result = run(tmp_path / "tasks", Scripted(), image_folder=tmp_path)
    assert (result.errors, result.metrics["hit_at_mask"]) == (0, 1.0)


def test_unsupported_task_and_bad_options(tmp_path: Path) -> None:
    make_set(tmp_path)
    refused: tuple[tuple[Any, dict[str, Any], str], ...] = (
        ("pixel-diff", {}, "cannot answer t1_multi"),
        ("oracel", {}, "unknown kind 'oracel'; did you mean oracle?"),
        ("oracle", {"scoring": "x4"}, "--scoring x4"),
        ("oracle", {"mask": "big"}, "--mask big"),
        ("oracle", {"limit": 0}, "--limit 0"),
        ("oracle", {"batch_size": 0}, "--batch-size 0"),
        ("oracle", {"model_options": {"beams": 2}}, "unknown option --beams"),
        ("centre:7", {}, "takes no argument"),
        ("oracle:7", {}, "--model oracle:7: no such convention; known are unit, "),
        (Oracle, {}, r"model Oracle: a class; create it: model=Oracle\(\)"),
    )
    for model, options, message in refused:
        with pytest.raises(UserError, match=message):
            run(tmp_path, model, **options)
    assert not (tmp_path / "out.json").exists()


def test_text_that_utf8_cannot_hold(tmp_path: Path) -> None:
    make_set(tmp_path)
    result = run(tmp_path, Scripted(default="[(0.3, 0.3)] \ud800"))
    assert result.errors == 0
    assert output(tmp_path)["results"][0]["pred_text"] == "[(0.3, 0.3)] \\ud800"


def test_two_runs_cannot_share_an_output(tmp_path: Path) -> None:
    make_set(tmp_path)

    class Nested(Scripted):
        def answer(self, questions: Any, prepared: Any) -> list[str]:
            with pytest.raises(UserError, match="another run"):
                run(tmp_path, Scripted())
            return super().answer(questions, prepared)

    assert run(tmp_path, Nested()).errors == 0


def test_killed_runs_resume_to_the_same_output(tmp_path: Path) -> None:
    data = make_set(tmp_path, count=40)
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(TESTS), str(TESTS.parent / "src")]),
    }

    def command(name: str, log: str) -> list[str]:
        script = str(TESTS / "helpers" / "slow_eval.py")
        return [sys.executable, script, str(data), str(tmp_path / name), str(tmp_path / log), "2"]

    subprocess.run(command("whole.json", "whole.log"), env=environment, check=True)
    journal = journal_path(tmp_path / "killed.json")
    for answered in (3, 9):
        process = subprocess.Popen(command("killed.json", "killed.log"), env=environment)
        deadline = time.monotonic() + 60
        while not journal.exists() or journal.read_bytes().count(b"\n") <= answered:
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert not (tmp_path / "killed.json").exists()
    with open(journal, "ab") as file:
        file.write(b'{"torn": ')
    subprocess.run(command("killed.json", "killed.log"), env=environment, check=True)
    assert output(tmp_path, "killed.json") == output(tmp_path, "whole.json")
    # Only the batches under way when a run was killed were asked twice.
    assert len((tmp_path / "killed.log").read_text().split()) <= 40 + 2 * 2
    assert not journal.exists()


def test_a_killed_fresh_run_does_not_fall_back_on_the_old_output(tmp_path: Path) -> None:
    make_set(tmp_path)
    run(tmp_path, Scripted(default="[(0.1, 0.1)]"))
    with pytest.raises(UserError):
        run(tmp_path, Scripted({ids(tmp_path)[8]: UserError("stop")}), fresh=True)
    assert output(tmp_path)["results"][0]["pred_text"] == "[(0.1, 0.1)]"  # still whole
    rest = Scripted()
    run(tmp_path, rest)
    assert rest.asked == ids(tmp_path)[8:]
    assert {r["pred_text"] for r in output(tmp_path)["results"]} == {"[(0.300, 0.300)]"}


@pytest.mark.parametrize(
    ("finish", "cut_off"), [("length", 12), ("max_new_tokens", 12), ("stop", 0)]
)
def test_answers_that_the_token_limit_ended_are_counted_and_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, finish: str, cut_off: int
) -> None:
    class Ended(Scripted):
        def answer(self, batch: Any, prepared: Any) -> list[Any]:
            texts = super().answer(batch, prepared)
            return [Output(str(text), details={"finish": finish}) for text in texts]

    make_set(tmp_path)
    result = run(tmp_path, Ended())
    assert result.metrics["cut_off"] == cut_off
    outcome = tables.outcome_of(result, "ended")
    outcome.warn()
    assert outcome.code == 0
    said = "12 of 12 answers were ended by the token limit; raise --max-new-tokens"
    assert (said in caplog.text) is bool(cut_off)
