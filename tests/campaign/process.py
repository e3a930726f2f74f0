"""Running commands through the zygote."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from helpers.paths import SRC, TESTS


@dataclass(frozen=True)
class Circumstances:
    """What a run has to bear, besides the files in its folder."""

    signal: tuple[int, float] | None = None
    """(number, seconds after the start)."""
    exec: bool = False
    """A new Python process in place of a fork: the imports belong to the run."""
    file_limit: int | None = None
    """Bytes of the largest file that can be written (RLIMIT_FSIZE)."""
    drop_rights: bool = False
    """Without root's right to read and write everything."""
    streams: str = "open"
    """stdout: ``open``, ``closed``, ``full`` (/dev/full) or ``broken`` (a pipe that nobody reads)."""
    remove_cwd: bool = False
    """The working folder has been deleted."""
    env: dict[str, str] = field(default_factory=dict)
    timeout: float = 60.0
    grace: float = 5.0
    """Seconds until processes that are still there count as left behind."""


@dataclass(frozen=True)
class Ran:
    """A run that has ended."""

    code: int
    """Exit code; negative: the signal that ended it."""
    out: str
    err: str
    seconds: float
    cpu: float
    """Seconds of CPU."""
    timed_out: bool
    megabytes: int
    left: list[str]
    """Command lines of processes that it left running."""
    signalled: bool
    """Whether the signal was sent before it ended."""


class Zygote:
    """The process that forks the runs; ``heavy``: with torch and what needs it in memory."""

    def __init__(self, *, heavy: bool) -> None:
        environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith(("X3_", "OPENAI_"))},
            "PYTHONPATH": os.pathsep.join([str(SRC), str(TESTS)]),
            "PYTHONHASHSEED": "0",
            "OMP_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",
            "CUDA_VISIBLE_DEVICES": "",
            "HF_HUB_OFFLINE": "1",
            "TOKENIZERS_PARALLELISM": "false",
            "COLUMNS": "100",
        }
        self._process = subprocess.Popen(
            [sys.executable, "-m", "campaign.zygote", *(["heavy"] if heavy else [])],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, text=True,
        )  # fmt: skip
        self._megabytes = 0

    def _reply(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the zygote ended with code {self._process.wait()}")
        reply: dict[str, Any] = json.loads(line)
        if "failed" in reply:
            raise RuntimeError(reply["failed"])
        return reply

    def run(self, arguments: Sequence[str], cwd: Path, given: Circumstances) -> Ran:
        """Run ``x3`` in the folder ``cwd``."""
        request = {
            **vars(given),
            "arguments": [os.fsencode(word).hex() for word in arguments],
            "cwd": str(cwd),
        }
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        if not self._megabytes:  # it says so when it has imported everything
            self._megabytes = self._reply()["megabytes"]
        reply = self._reply()
        reply["megabytes"] -= self._megabytes
        return Ran(**reply)

    def close(self) -> None:
        """End it."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()
