"""Progress bars: drawn on a terminal alone, and not where they are switched off."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from helpers.paths import SRC
from x3spatial.progress import progress

_SCRIPT = """
import sys
from x3spatial.progress import progress, show_bars
show_bars(sys.argv[1] == "on")
with progress("working", 3) as advance:
    for _ in range(3):
        advance()
"""


def on_a_terminal(switch: str) -> str:
    """What is drawn on a terminal."""
    pty = pytest.importorskip("pty")
    ours, theirs = pty.openpty()
    environment = {"PYTHONPATH": str(SRC), "TERM": "xterm", "COLUMNS": "80"}
    subprocess.run(
        [sys.executable, "-c", _SCRIPT, switch], env=environment, stderr=theirs, check=True
    )
    os.write(theirs, b"end")
    os.close(theirs)
    with os.fdopen(ours, "rb", buffering=0) as file:
        drawn = b""
        while not drawn.endswith(b"end"):
            drawn += file.read(4096)
    return drawn.removesuffix(b"end").decode()


def test_a_terminal_shows_a_bar_unless_it_is_switched_off() -> None:
    assert "working" in on_a_terminal("on")
    assert on_a_terminal("off") == ""


def test_a_pipe_shows_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    with progress("working", 2) as advance:
        advance()
        advance(1)
    assert capfd.readouterr() == ("", "")
