"""Several processes at one evaluation: real ones, killed and continued in other numbers."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from helpers.processes import environment
from helpers.ranks import COUNT, Launch, Zygote, finish, free_port, of_rank
from helpers.task_sets import Scripted, make_set
from x3spatial.engine.world import World
from x3spatial.errors import UserError
from x3spatial.evaluation import rescore
from x3spatial.evaluation.journal import journal_path
from x3spatial.evaluation.run import evaluate
from x3spatial.merging import merge


@pytest.fixture(scope="module")
def zygote() -> Iterator[Zygote]:
    pytest.importorskip("torch.distributed")
    made = Zygote()
    yield made
    made.end()


@pytest.fixture
def launch(tmp_path: Path, zygote: Zygote) -> Iterator[Launch]:
    made = Launch(tmp_path, zygote)
    yield made
    made.end()


def test_two_ranks_write_what_one_process_writes(launch: Launch) -> None:
    done = finish(launch.all(2))
    assert [code for code, _ in done] == [0, 0], done
    together = json.loads(launch.output.read_text())
    run = together.pop("run")
    assert (run["processes"], run["asked"], run["engine"]) == (2, COUNT, "local")
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


@pytest.mark.parametrize("next_world", [1, pytest.param(2, marks=pytest.mark.slow), 3])
def test_a_killed_rank_loses_nothing(launch: Launch, next_world: int) -> None:
    """Rank 1 is killed: rank 0 notices when it waits, and whoever continues asks each of the rest once."""
    processes = launch.all(2, seconds=0.05)
    mine = journal_path(launch.output, World(1, 2))
    launch.wait_until(lambda: mine.exists() and mine.read_bytes().count(b"\n") > 3)
    processes[1].signal(signal.SIGKILL)
    code, message = processes[0].finish()
    assert code == 1 and "rank 0 of 2: rank 1 ended without finishing" in message
    assert message.count("\n") == 1
    assert not launch.output.exists()
    before = Counter(id for _, id in launch.asked())
    answered = launch.answered()
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


def test_a_killed_first_rank_stops_the_others(launch: Launch) -> None:
    processes = launch.all(3, seconds=0.1)
    launch.wait_until(lambda: {rank for rank, _ in launch.asked()} == {"0", "1", "2"})
    processes[0].signal(signal.SIGKILL)
    for code, message in finish(processes[1:]):
        assert code == 1 and message.count("\n") == 1
        assert "rank 0 has ended without finishing" in message or "ended without" in message
    asked = launch.asked()
    assert finish(launch.all(1))[0][0] == 0
    again = Counter(id for _, id in launch.asked())
    assert set(again) == set(launch.texts())
    # What was asked twice is what had not been written down yet by the one that was killed.
    assert sum(again.values()) <= COUNT + 2
    assert len(asked) < COUNT


@pytest.mark.slow
def test_killed_again_and_again_in_other_numbers(launch: Launch) -> None:
    for world, enough in ((3, 8), (2, 16), (1, 22)):
        processes = launch.all(world, seconds=0.05)
        launch.wait_until(lambda: len(launch.asked()) >= enough)  # noqa: B023
        for process in processes:
            process.signal(signal.SIGKILL)
        finish(processes)
    assert [code for code, _ in finish(launch.all(3))] == [0, 0, 0]
    asked = Counter(id for _, id in launch.asked())
    assert set(asked) == set(launch.texts()) and len(asked) == COUNT
    assert sum(asked.values()) <= COUNT + 2 * (3 + 2 + 1)  # the batches under way
    assert launch.leftovers() == []


@pytest.mark.slow
def test_fresh_discards_every_ranks_journal(launch: Launch) -> None:
    processes = launch.all(2, seconds=0.05)
    launch.wait_until(lambda: len(launch.asked()) > 10)
    for process in processes:
        process.signal(signal.SIGKILL)
    finish(processes)
    launch.log.unlink()
    assert [code for code, _ in finish(launch.all(3, fresh=True))] == [0, 0, 0]
    assert len(launch.asked()) == COUNT


def test_a_slow_rank_is_waited_for(launch: Launch) -> None:
    """It comes late to the rendezvous, and is stopped for a while in the middle of its share."""
    port = free_port()
    first = launch.start(of_rank(0, 2, port))
    time.sleep(0.5)
    assert first.poll() is None and launch.asked() == []  # all begin together
    second = launch.start(of_rank(1, 2, port), seconds=0.1)
    launch.wait_until(lambda: "1" in {rank for rank, _ in launch.asked()})
    second.signal(signal.SIGSTOP)
    time.sleep(2.0)
    assert first.poll() is None and not launch.output.exists()
    second.signal(signal.SIGCONT)
    assert [code for code, _ in finish([first, second])] == [0, 0]
    assert len(launch.asked()) == COUNT


def test_a_rank_that_does_not_finish_in_time(launch: Launch) -> None:
    """The timeout is that of waiting: the last gather gives up, and nothing is lost."""
    port = free_port()
    first = launch.start(of_rank(0, 2, port), timeout=2)
    second = launch.start(of_rank(1, 2, port), timeout=60, seconds=0.2)
    code, message = first.finish()
    assert code == 1 and "rank 1 did not finish within 2 s (--process-timeout)" in message
    code, message = second.finish()
    assert code == 1 and "rank 0" in message
    answered = launch.answered()
    launch.log.unlink()
    assert finish(launch.all(1))[0][0] == 0
    assert {id for _, id in launch.asked()} == set(launch.texts()) - answered


@pytest.mark.parametrize("rank", [0, 1])
def test_missing_ranks_time_out(launch: Launch, rank: int) -> None:
    code, message = launch.start(of_rank(rank, 2, free_port()), timeout=2).finish()
    assert code == 1 and message.count("\n") == 1
    assert "not all 2 processes came to 127.0.0.1:" in message and "within 2 s" in message


@pytest.mark.parametrize("rank", [0, 1])
def test_the_error_of_one_rank_ends_the_others(launch: Launch, rank: int) -> None:
    """Long before they have finished: they look between batches."""
    begun = time.monotonic()
    done = finish(launch.all(2, refuse=str(rank), seconds=1.0))
    assert time.monotonic() - begun < 15  # the share takes 20 s
    assert [code for code, _ in done] == ([2, 1] if rank == 0 else [1, 2]), done
    assert "no weights here" in done[rank][1]
    assert f"rank {rank} stopped: no weights here" in done[1 - rank][1]
    assert all(message.count("\n") == 1 for _, message in done)


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
    code, message = launch.start({}).finish()
    assert code == 2 and "another run is writing it" in message
    assert [code for code, _ in finish(processes)] == [0, 0]


def test_a_larger_limit_asks_the_rest(launch: Launch) -> None:
    assert [code for code, _ in finish(launch.all(2, limit=11))] == [0, 0]
    assert len(launch.asked()) == 11
    assert [code for code, _ in finish(launch.all(3))] == [0, 0, 0]
    assert len(launch.asked()) == COUNT


def test_ranks_of_a_shard_that_was_merged_ask_nothing(launch: Launch) -> None:
    for shard in ("1/2", "2/2"):
        assert [code for code, _ in finish(launch.all(2, shard=shard))] == [0, 0]
    merge(launch.output)
    assert len(launch.asked()) == COUNT
    launch.log.unlink()
    assert finish(launch.all(2, shard="1/2")) == [(0, ""), (0, "")]
    assert launch.asked() == [] and launch.leftovers() == []


def test_folders_that_are_not_shared_are_named(launch: Launch, tmp_path: Path) -> None:
    """Each machine has a folder of the same name: the journal of rank 0 is in one of them only."""
    port = free_port()
    other = tmp_path / "other"
    other.mkdir()
    first = launch.start(of_rank(0, 2, port))
    second = launch.start(of_rank(1, 2, port), output=str(other / "out.json"), visible=1)
    code, message = second.finish()
    assert code == 2 and "all processes must write into one shared folder" in message
    code, message = first.finish()
    assert code == 1 and "shared folder" in message


@pytest.mark.parametrize(
    ("variables", "named"),
    [
        ({}, "MASTER_ADDR is not set"),
        ({"MASTER_ADDR": "localhost"}, "MASTER_PORT is not set"),
        ({"MASTER_ADDR": "localhost", "MASTER_PORT": "x"}, "MASTER_PORT is 'x', not a port number"),
    ],
)
def test_where_to_meet_is_checked(tmp_path: Path, variables: dict[str, str], named: str) -> None:
    done = _centre(tmp_path, "", RANK=0, WORLD_SIZE=2, **variables)
    assert done.returncode == 2 and named in done.stderr and done.stderr.count("\n") == 1


def test_a_port_in_use_is_named(launch: Launch) -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        code, message = launch.start(of_rank(0, 2, port), timeout=5).finish()
    assert code == 2 and f"MASTER_PORT: 127.0.0.1:{port} is in use" in message


def test_without_torch_the_package_is_named(tmp_path: Path) -> None:
    """One process needs none; several say what to install."""
    block = "import sys; sys.modules['torch'] = None; "
    done = _centre(tmp_path, block, **of_rank(0, 2, 29999))
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert "RANK and WORLD_SIZE" in done.stderr and 'pip install "x3spatial[hf]"' in done.stderr
    done = _centre(tmp_path, block)
    assert done.returncode == 0, done.stderr


def _centre(tmp_path: Path, before: str, **variables: object) -> subprocess.CompletedProcess[str]:
    data = make_set(tmp_path, count=4)
    code = f"{before}from x3spatial.__main__ import main; main()"
    command = [
        sys.executable,
        "-c",
        code,
        "eval",
        data,
        "-o",
        tmp_path / "out.json",
        "--model",
        "centre",
    ]
    return subprocess.run(
        list(map(str, command)), env=environment(**variables), capture_output=True, text=True,
        check=False,
    )  # fmt: skip


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
