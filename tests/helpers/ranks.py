"""Real processes of one evaluation: ranks that are forked from a process that has imported torch."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from helpers.processes import environment, wait_until
from helpers.task_sets import make_set

COUNT = 40


def free_port() -> int:
    """A port that nothing uses now."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port: int = bound.getsockname()[1]
        return port


def of_rank(rank: int, world: int, port: int) -> dict[str, str]:
    """What a launcher sets."""
    return {
        "RANK": str(rank), "WORLD_SIZE": str(world), "LOCAL_RANK": str(rank),
        "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port),
    }  # fmt: skip


@dataclass
class Zygote:
    """The process that forks ranks."""

    process: subprocess.Popen[str] = field(
        default_factory=lambda: subprocess.Popen(
            [sys.executable, "-m", "helpers.rank_zygote"],
            env=environment(TORCH_CPP_LOG_LEVEL="FATAL"), text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )
    )  # fmt: skip

    def ask(self, **line: Any) -> int | None:
        """What it prints for a line."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(json.dumps(line) + "\n")
        self.process.stdin.flush()
        answer: int | None = json.loads(self.process.stdout.readline())
        return answer

    def end(self) -> None:
        """End it."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(timeout=60)
        assert self.process.stdout is not None
        self.process.stdout.close()


@dataclass
class Rank:
    """One forked process."""

    zygote: Zygote
    pid: int
    stderr: Path

    def poll(self) -> int | None:
        """Its exit code; None while it runs."""
        return self.zygote.ask(wait=self.pid)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal."""
        os.kill(self.pid, number)

    def finish(self, seconds: float = 90) -> tuple[int, str]:
        """Its exit code and what it wrote to stderr."""
        deadline = time.monotonic() + seconds
        while (code := self.poll()) is None:
            assert time.monotonic() < deadline, self.stderr.read_text()
            time.sleep(0.02)
        return code, self.stderr.read_text()


class Launch:
    """Evaluations of one set by some processes."""

    def __init__(self, folder: Path, zygote: Zygote) -> None:
        self.folder = folder
        self.zygote = zygote
        self.data = make_set(folder, count=COUNT)
        self.output = folder / "out.json"
        self.log = folder / "asked.log"
        self.started: list[Rank] = []

    def given(self, **given: Any) -> dict[str, Any]:
        """The arguments of ``rank_eval.main``."""
        paths = {"data": str(self.data), "output": str(self.output), "log": str(self.log)}
        return {**paths, **given}

    def start(self, variables: dict[str, str], **given: Any) -> Rank:
        """Start one process."""
        stderr = self.folder / f"stderr-{len(self.started)}.txt"
        pid = self.zygote.ask(environment=variables, given=self.given(**given), stderr=str(stderr))
        assert pid is not None
        self.started.append(Rank(self.zygote, pid, stderr))
        return self.started[-1]

    def all(self, world: int, **given: Any) -> list[Rank]:
        """Start all processes of a launch."""
        if world == 1:
            return [self.start({}, **given)]
        port = free_port()
        return [self.start(of_rank(rank, world, port), **given) for rank in range(world)]

    def asked(self) -> list[tuple[str, str]]:
        """(rank, id) of every question asked, as often as it was."""
        if not self.log.exists():
            return []
        lines = self.log.read_text().splitlines()
        return [(rank, id) for rank, _, id in (line.partition(" ") for line in lines)]

    def texts(self) -> dict[str, str]:
        """Sample id → answer in the results."""
        return {e["id"]: e["pred_text"] for e in json.loads(self.output.read_text())["results"]}

    def wait_until(self, true: Callable[[], bool]) -> None:
        """Wait for something, at most a minute."""
        wait_until(true, 60)

    def journals(self) -> list[Path]:
        """The journals of all ranks."""
        return sorted(self.folder.glob(".out.json*.journal"))

    def answered(self) -> set[str]:
        """The ids in all journals."""
        return {
            id
            for journal in self.journals()
            for line in journal.read_text().splitlines()[1:]
            if line.endswith("}")
            for id in json.loads(line)
        }

    def leftovers(self) -> list[str]:
        """Hidden files beside the results."""
        return sorted(path.name for path in self.folder.iterdir() if path.name.startswith("."))

    def end(self) -> None:
        """End what still runs."""
        for rank in self.started:
            if rank.poll() is None:
                rank.signal(signal.SIGKILL)
                rank.finish()


def finish(ranks: Sequence[Rank]) -> list[tuple[int, str]]:
    """(exit code, stderr) of each."""
    return [rank.finish() for rank in ranks]
