"""Evaluation started by torchrun, accelerate, and by hand as under Slurm: real launchers."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from helpers.processes import start, wait_until, x3_command
from helpers.ranks import free_port, of_rank
from helpers.roots import make_root
from helpers.task_sets import make_set

pytestmark = pytest.mark.slow

COUNT = 40
TORCHRUN = (sys.executable, "-m", "torch.distributed.run")


@pytest.fixture(autouse=True)
def needs_torch() -> None:
    pytest.importorskip("torch.distributed")


class Run:
    """Evaluations of one set by a model that notes what it is asked."""

    def __init__(self, folder: Path) -> None:
        self.data, self.output = make_set(folder, count=COUNT), folder / "out.json"
        self.log = folder / "asked.log"

    def eval(self, seconds: float = 0.0, **given: Any) -> tuple[object, ...]:
        """``-m x3spatial eval ...``."""
        arguments = json.dumps({"log": str(self.log), "seconds": seconds, **given})
        return (
            "-m", "x3spatial", "eval", self.data, "-o", self.output, "--batch-size", 2,
            "--model", f"helpers.ray_models:Noting:{arguments}",
        )  # fmt: skip

    def asked(self) -> list[tuple[int, str]]:
        """(process, id) of every question asked."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        return [(int(pid), id) for pid, _, id in (line.partition(" ") for line in lines)]

    def check(self) -> dict[str, Any]:
        """Check that every sample is answered; the object ``run``."""
        results = json.loads(self.output.read_text())
        assert results["metrics"]["errors"] == 0 and len(results["results"]) == COUNT
        assert not list(self.output.parent.glob(".*"))
        run: dict[str, Any] = results["run"]
        return run


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(tmp_path)


def test_torchrun_ends_all_when_a_rank_is_killed_and_another_number_continues(run: Run) -> None:
    spec = run.eval(0.2)
    process = start(*TORCHRUN, "--standalone", "--nproc-per-node", 3, *spec)
    wait_until(lambda: len({pid for pid, _ in run.asked()}) == 3)
    os.kill(run.asked()[0][0], signal.SIGKILL)
    _, err = process.communicate(timeout=180)
    assert process.returncode != 0 and not run.output.exists()
    assert "Signal 9" in err  # torchrun's own report
    answered = {
        id
        for journal in run.output.parent.glob(".*.journal")
        for line in journal.read_text().splitlines()[1:]
        for id in json.loads(line)
    }
    asked = {id for _, id in run.asked()}
    assert 0 < len(answered) < COUNT and len(asked - answered) <= 3 * 2
    run.log.unlink()
    process = start(*TORCHRUN, "--standalone", "--nproc-per-node", 2, *spec)
    out, err = process.communicate(timeout=180)
    assert process.returncode == 0, err
    again = Counter(id for _, id in run.asked())
    assert not answered & set(again) and set(again.values()) == {1}
    assert "rank 1 of 2: asked" in out and "hit_at_mask" in out
    assert run.check()["processes"] == 2


def test_two_agents_of_torchrun(run: Run) -> None:
    port = free_port()
    nodes = [
        start(
            *TORCHRUN, "--nnodes", 2, "--node-rank", node, "--nproc-per-node", 1,
            "--master-addr", "127.0.0.1", "--master-port", port, *run.eval(),
        )
        for node in (0, 1)
    ]  # fmt: skip
    for node in nodes:
        _, err = node.communicate(timeout=180)
        assert node.returncode == 0, err
    assert len({pid for pid, _ in run.asked()}) == 2
    assert run.check()["processes"] == 2


def test_accelerate(run: Run) -> None:
    pytest.importorskip("accelerate")
    process = start(
        sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", 2,
        "--num_machines", 1, "--mixed_precision", "no", "--dynamo_backend", "no",
        "--main_process_port", free_port(), *run.eval(),
    )  # fmt: skip
    _, err = process.communicate(timeout=180)
    assert process.returncode == 0, err
    assert run.check()["processes"] == 2


def test_started_by_hand_with_an_error_in_one_rank(run: Run) -> None:
    """As by srun, which ends nobody: each process ends by itself, with the reason in one line."""
    port = free_port()

    def ranks(**given: Any) -> list[subprocess.Popen[str]]:
        return [
            start(sys.executable, *run.eval(0.3, **given), **of_rank(rank, 2, port))
            for rank in (0, 1)
        ]

    for process in ranks(fault="load"):
        _, err = process.communicate(timeout=180)
        assert process.returncode in (1, 2) and err.count("\n") == 1
        assert "the weights are damaged" in err
    done = ranks()
    for process in done:
        _, err = process.communicate(timeout=180)
        assert process.returncode == 0, err
    assert run.check()["processes"] == 2


def test_zeroshot_builds_once(tmp_path: Path) -> None:
    root = make_root(tmp_path / "root")
    folders = ("--tasks-dir", tmp_path / "tasks", "-o", tmp_path / "results")
    common = ("zeroshot", root, "--model", "uniform", "--model", "oracle", *folders)
    port = free_port()
    processes = [x3_command(*common, **of_rank(rank, 2, port)) for rank in (0, 1)]
    printed = [process.communicate(timeout=180) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], printed
    assert "objects built now" in printed[0][0]
    assert printed[1][0].startswith("rank 1 of 2: asked ") and printed[1][0].count("\n") == 1
    together = _summary(tmp_path / "results")
    assert not list((tmp_path / "results").rglob(".*"))
    shutil.rmtree(tmp_path / "results")
    alone = x3_command(*common)
    alone.communicate(timeout=180)
    assert alone.returncode == 0 and _summary(tmp_path / "results") == together


def _summary(folder: Path) -> dict[str, Any]:
    summary: dict[str, Any] = json.loads((folder / "summary.json").read_text())
    return summary


def test_every_rank_reports_that_nothing_can_be_built(tmp_path: Path) -> None:
    common = ("zeroshot", "--model", "centre", "--tasks-dir", tmp_path, "-o", tmp_path / "results")
    port = free_port()
    processes = [x3_command(*common, **of_rank(rank, 2, port)) for rank in (0, 1)]
    printed = [process.communicate(timeout=180)[1] for process in processes]
    assert [process.returncode for process in processes] == [2, 1]
    assert all("t1_val_multi.json is missing" in text for text in printed)
    assert all(text.count("\n") == 1 for text in printed)
