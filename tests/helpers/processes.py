"""Commands in processes of their own, for tests that kill them or start several."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

from helpers.paths import SRC, TESTS

_LAUNCHER = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")


def environment(**variables: object) -> dict[str, str]:
    """The environment of a process that no launcher started, with ``variables``."""
    value = {k: v for k, v in os.environ.items() if k not in _LAUNCHER}
    value["PYTHONPATH"] = os.pathsep.join([str(TESTS), str(SRC)])
    return value | {name: str(text) for name, text in variables.items()}


def start(*command: object, **variables: object) -> subprocess.Popen[str]:
    """Start a command in ``environment``, whose output can be read."""
    return subprocess.Popen(
        list(map(str, command)), env=environment(COLUMNS=80, **variables),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def x3_command(*arguments: object, **variables: object) -> subprocess.Popen[str]:
    """Start ``x3``, as ``start`` does."""
    return start(sys.executable, "-m", "x3spatial", *arguments, **variables)


def wait_until(true: Callable[[], Any], seconds: float = 120) -> None:
    """Wait until a condition holds."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.02)
