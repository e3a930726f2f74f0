"""Several processes at one evaluation: real ones, killed and continued in other numbers."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from helpers.paths import TESTS
from helpers.roots import make_root
from helpers.task_sets import Scripted, make_set
from x3spatial.engine.world import World
from x3spatial.errors import UserError
from x3spatial.evaluation import rescore
from x3spatial.evaluation.journal import journal_path
from x3spatial.evaluation.run import evaluate

COUNT = 40
_RANK_VARIABLES = ("RANK", "WORLD_SIZE", "LOCAL_RANK")


def environment(rank: int | None = None, world: int | None = None) -> dict[str, str]:
    value = {k: v for k, v in os.environ.items() if k not in _RANK_VARIABLES}
    value["PYTHONPATH"] = os.pathsep.join([str(TESTS), str(TESTS.parent / "src")])
    if rank is not None:
        value |= {"RANK": str(rank), "WORLD_SIZE": str(world), "LOCAL_RANK": str(rank)}
    return value


class Launch:
    """Evaluations of one set by some processes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = make_set(folder, count=COUNT)
        self.output = folder / "out.json"
        self.log = folder / "asked.log"
        self.running: list[subprocess.Popen[str]] = []

    def start(self, rank: int | None, world: int | None, **given: Any) -> subprocess.Popen[str]:
        given = {
            "data": str(self.data), "output": str(self.output), "log": str(self.log), **given,
        }  # fmt: skip
        process = subprocess.Popen(
            [sys.executable, str(TESTS / "helpers" / "rank_eval.py"), json.dumps(given)],
            env=environment(rank, world), stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.running.append(process)
        return process

    def all(self, world: int, **given: Any) -> list[subprocess.Popen[str]]:
        if world == 1:
            return [self.start(None, None, **given)]
        return [self.start(rank, world, **given) for rank in range(world)]

    def asked(self) -> list[tuple[str, str]]:
        """(rank, id) of every question asked, as often as it was."""
        if not self.log.exists():
            return []
        lines = self.log.read_text().splitlines()
        return [(rank, id) for rank, _, id in (line.partition(" ") for line in lines)]

    def texts(self) -> dict[str, str]:
        return {e["id"]: e["pred_text"] for e in json.loads(self.output.read_text())["results"]}

    def wait_until(self, true: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 60
        while not true():
            assert time.monotonic() < deadline
            time.sleep(0.01)

    def journals(self) -> list[Path]:
        return sorted(self.folder.glob(".out.json*.journal"))

    def leftovers(self) -> list[str]:
        return sorted(path.name for path in self.folder.iterdir() if path.name.startswith("."))


def finish(processes: Sequence[subprocess.Popen[str]]) -> list[tuple[int, str]]:
    """(exit code, stderr) of each."""
    return [
        (process.returncode, err)
        for process in processes
        for err in [process.communicate(timeout=90)[1]]
    ]


@pytest.fixture
def launch(tmp_path: Path) -> Iterator[Launch]:
    made = Launch(tmp_path)
    yield made
    for process in made.running:
        if process.poll() is None:
            process.kill()
        process.communicate()


def test_two_ranks_write_what_one_process_writes(launch: Launch) -> None:
    done = finish(launch.all(2))
    assert [code for code, _ in done] == [0, 0], done
    together = json.loads(launch.output.read_text())
    assert together.pop("run")["processes"] == 2
    assert launch.leftovers() == []
    asked = launch.asked()
    assert sorted(id for _, id in asked) == sorted(launch.texts()) and len(asked) == COUNT
    assert {rank for rank, _ in asked} == {"0", "1"}
    for rank, id in asked:
        assert World(int(rank), 2).owns(id)
    launch.output.unlink()
    assert finish(launch.all(1))[0][0] == 0
    alone = json.loads(launch.output.read_text())
    assert alone.pop("run")["processes"] == 1
    assert alone == together


@pytest.mark.parametrize("next_world", [1, 2, 3])
def test_a_killed_rank_loses_nothing(launch: Launch, next_world: int) -> None:
    """Rank 1 is killed: rank 0 says so and exits 1, whoever continues asks each of the rest once."""
    processes = launch.all(2, seconds=0.05)
    mine = journal_path(launch.output, World(1, 2))
    launch.wait_until(lambda: mine.exists() and mine.read_bytes().count(b"\n") > 3)
    processes[1].send_signal(signal.SIGKILL)
    processes[1].wait()
    code, message = finish(processes[:1])[0]
    assert code == 1 and "rank 1 of 2: process" in message and "has ended" in message
    assert not launch.output.exists()
    before = Counter(id for _, id in launch.asked())
    answered = {
        id
        for journal in launch.journals()
        for line in journal.read_text().splitlines()[1:]
        for id in json.loads(line)
    }
    assert 8 < len(answered) < COUNT
    launch.log.unlink()
    assert [code for code, _ in finish(launch.all(next_world))] == [0] * next_world
    after = Counter(id for _, id in launch.asked())
    assert not answered & set(after) and set(after.values()) == {1}
    assert answered | set(after) == set(launch.texts())
    assert set(before) - answered <= set(after)  # at most the batch under way was asked twice
    assert launch.leftovers() == []
    launch.log.unlink()
    assert [code for code, _ in finish(launch.all(2))] == [0, 0]
    assert launch.asked() == []  # finished: nothing is left to ask


def test_a_killed_coordinator_stops_the_others(launch: Launch) -> None:
    processes = launch.all(3, seconds=0.1)
    launch.wait_until(lambda: {rank for rank, _ in launch.asked()} == {"0", "1", "2"})
    processes[0].send_signal(signal.SIGKILL)
    processes[0].wait()
    for code, message in finish(processes[1:]):
        assert code == 1 and "rank 0" in message and "has ended" in message
    asked = launch.asked()
    assert finish(launch.all(1))[0][0] == 0
    again = Counter(id for _, id in launch.asked())
    assert set(again) == set(launch.texts())
    # What was asked twice is what rank 0 had not written down yet when it was killed.
    assert sum(again.values()) <= COUNT + 2
    assert len(asked) < COUNT


def test_killed_again_and_again_in_other_numbers(launch: Launch) -> None:
    for world, enough in ((3, 8), (2, 16), (1, 22)):
        processes = launch.all(world, seconds=0.05)
        launch.wait_until(lambda: len(launch.asked()) >= enough)  # noqa: B023
        for process in processes:
            process.send_signal(signal.SIGKILL)
        for process in processes:
            process.wait()
    assert [code for code, _ in finish(launch.all(3))] == [0, 0, 0]
    asked = Counter(id for _, id in launch.asked())
    assert set(asked) == set(launch.texts()) and len(asked) == COUNT
    assert sum(asked.values()) <= COUNT + 2 * (3 + 2 + 1)  # the batches under way
    assert launch.leftovers() == []


def test_fresh_discards_every_ranks_journal(launch: Launch) -> None:
    processes = launch.all(2, seconds=0.05)
    launch.wait_until(lambda: len(launch.asked()) > 10)
    for process in processes:
        process.kill()
        process.wait()
    launch.log.unlink()
    assert [code for code, _ in finish(launch.all(3, fresh=True))] == [0, 0, 0]
    assert len(launch.asked()) == COUNT


def test_a_rank_that_comes_late_is_waited_for(launch: Launch) -> None:
    first = launch.start(0, 2)
    launch.wait_until(lambda: len(launch.asked()) > 10)
    time.sleep(1.0)
    assert first.poll() is None and not launch.output.exists()
    second = launch.start(1, 2)
    done = finish([first, second])
    assert [code for code, _ in done] == [0, 0]
    assert "waits for 1 of 1 others (ranks 1)" in done[0][1]
    assert len(launch.asked()) == COUNT


@pytest.mark.parametrize("rank", [0, 1])
def test_missing_ranks_time_out(launch: Launch, rank: int) -> None:
    code, message = finish([launch.start(rank, 2, timeout=2)])[0]
    assert code == 1 and "has not begun for 2 s (--process-timeout)" in message


def test_a_rank_without_a_heartbeat_counts_as_dead(launch: Launch) -> None:
    """A stopped process stands for one on a machine that is gone: its number says nothing there."""
    processes = launch.all(2, seconds=0.05, timeout=8)
    mine = journal_path(launch.output, World(1, 2))
    launch.wait_until(lambda: mine.exists() and mine.read_bytes().count(b"\n") > 2)
    processes[1].send_signal(signal.SIGSTOP)
    code, message = finish(processes[:1])[0]
    assert code == 1 and "sent no heartbeat for 8 s" in message
    # It comes back after all: it notices that it was given up.
    processes[1].send_signal(signal.SIGCONT)
    code, message = finish(processes[1:])[0]
    assert code == 1 and "rank 0" in message
    assert finish(launch.all(1))[0][0] == 0
    assert set(Counter(id for _, id in launch.asked()).values()) == {1}


def test_the_error_of_one_rank_reaches_the_others(launch: Launch) -> None:
    # Rank 1 first: one that begins after rank 0 has failed cannot know that, and waits for another.
    second = launch.start(1, 2, refuse="0")
    launch.wait_until(lambda: any(name.endswith(".status") for name in launch.leftovers()))
    done = finish([launch.start(0, 2, refuse="0"), second])
    assert [code for code, _ in done] == [2, 1]
    assert "rank 0 stopped: no weights here" in done[1][1]
    done = finish(launch.all(2, refuse="1", fresh=True))
    assert [code for code, _ in done] == [1, 2]
    assert "rank 1 of 2: no weights here" in done[0][1]
    assert [code for code, _ in finish(launch.all(2))] == [0, 0]
    assert launch.leftovers() == []


def test_an_unanswered_sample_is_everyones_exit_code(launch: Launch) -> None:
    bad = json.loads(launch.data.read_text())[5]["id"]
    assert [code for code, _ in finish(launch.all(2, bad=bad, batch_size=1))] == [1, 1]
    assert json.loads(launch.output.read_text())["metrics"]["errors"] == 1
    launch.log.unlink()
    assert [code for code, _ in finish(launch.all(3))] == [0, 0, 0]
    assert {id for _, id in launch.asked()} == {bad}


def test_another_run_at_the_same_output_is_refused(launch: Launch) -> None:
    processes = launch.all(2, seconds=0.1)
    launch.wait_until(lambda: len(launch.asked()) > 2)
    code, message = finish([launch.start(None, None)])[0]
    assert code == 2 and "another run is writing it" in message
    assert [code for code, _ in finish(processes)] == [0, 0]


def test_a_larger_limit_asks_the_rest(launch: Launch) -> None:
    assert [code for code, _ in finish(launch.all(2, limit=11))] == [0, 0]
    assert len(launch.asked()) == 11
    assert [code for code, _ in finish(launch.all(3))] == [0, 0, 0]
    assert len(launch.asked()) == COUNT


def test_killed_between_the_results_and_the_journals_end(tmp_path: Path) -> None:
    """The journals of a fresh run do not hide the results that it wrote."""
    data = make_set(tmp_path, count=12)
    out = tmp_path / "out.json"
    evaluate(data_json=data, output_json=out, model=Scripted(default="[(0.1, 0.1)]"))
    header = {
        "settings": json.loads(out.read_text())["settings"], "continues": False, "replaces": "0" * 64,
    }  # fmt: skip
    journal_path(out).write_text(json.dumps(header) + "\n")
    model = Scripted()
    evaluate(data_json=data, output_json=out, model=model)
    assert model.asked == []


def test_scoring_again_does_not_bring_discarded_answers_back(tmp_path: Path) -> None:
    data = make_set(tmp_path, count=12)
    out = tmp_path / "out.json"
    evaluate(data_json=data, output_json=out, model=Scripted(default="[(0.1, 0.1)]"))
    stop = json.loads(data.read_text())[0]["id"]
    with pytest.raises(UserError):
        stopping = Scripted({stop: UserError("stop")})
        evaluate(data_json=data, output_json=out, model=stopping, fresh=True)
    rescore.score(results=out, data_json=data, scoring="roborefer")
    rest = Scripted()
    evaluate(data_json=data, output_json=out, model=rest)
    assert len(rest.asked) == 12


def x3(rank: int | None, world: int, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "x3spatial", *map(str, arguments)],
        env=environment(rank, world), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def test_zeroshot_builds_once(tmp_path: Path) -> None:
    root = make_root(tmp_path / "root")
    common = ["zeroshot", "--model", "uniform", "--model", "oracle", "--data-root", root]

    def folders(name: str) -> list[object]:
        return ["--out-dir", tmp_path / "tasks", "--eval-dir", tmp_path / name]

    processes = [x3(rank, 3, *common, *folders("together")) for rank in range(3)]
    printed = [process.communicate(timeout=120) for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0], printed
    assert "objects built now" in printed[0][0]
    for rank in (1, 2):
        assert printed[rank][0].startswith(f"rank {rank} of 3: asked ")
        assert printed[rank][0].count("\n") == 1
    alone = x3(None, 1, *common, *folders("alone"))
    assert alone.communicate(timeout=120) and alone.returncode == 0
    together, single = (
        json.loads((tmp_path / name / "summary.json").read_text()) for name in ("together", "alone")
    )
    for summary in (together, single):
        for part in summary["sets"]:
            for cell in part["models"]:
                cell.pop("results", None)
    assert together == single
    assert not list((tmp_path / "together").rglob(".*"))


def test_every_rank_reports_a_failed_build(tmp_path: Path) -> None:
    common = ["zeroshot", "--model", "centre", "--out-dir", tmp_path / "none"]
    common += ["--eval-dir", tmp_path / "results"]
    second = x3(1, 2, *common)
    deadline = time.monotonic() + 60
    while not list((tmp_path / "results").glob(".*.status")):  # it waits for rank 0
        assert time.monotonic() < deadline
        time.sleep(0.01)
    processes = [x3(0, 2, *common), second]
    printed = [process.communicate(timeout=120)[1] for process in processes]
    assert [process.returncode for process in processes] == [2, 1]
    assert "t1_val_multi.json is missing" in printed[0]
    assert "rank 0 stopped" in printed[1] and printed[1].count("\n") == 1


def test_under_torchrun(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    data = make_set(tmp_path, count=12)
    command = [
        sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2",
        "-m", "x3spatial", "eval", "--data-json", data, "--output-json", tmp_path / "out.json",
        "--model", "oracle",
    ]  # fmt: skip
    done = subprocess.run(
        list(map(str, command)), env=environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "rank 1 of 2: asked" in done.stdout and "hit_at_mask" in done.stdout
    assert json.loads((tmp_path / "out.json").read_text())["metrics"]["hit_at_mask"] == 1.0


def test_each_process_of_a_machine_takes_a_gpu_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch")
    pytest.importorskip("transformers")
    from x3spatial.models.local.runtime import choose_device

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    for gpus, local_rank, chosen in ((4, "3", 3), (4, None, 0), (1, "3", 0), (2, "3", 1)):
        monkeypatch.setattr(torch.cuda, "device_count", lambda gpus=gpus: gpus)
        monkeypatch.delenv("LOCAL_RANK", raising=False)
        if local_rank is not None:
            monkeypatch.setenv("LOCAL_RANK", local_rank)
        assert choose_device("auto") == torch.device("cuda", chosen)
        assert choose_device("cpu") == torch.device("cpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device("auto") == torch.device("cpu")
