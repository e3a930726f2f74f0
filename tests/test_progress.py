"""Progress: a bar on a terminal, lines in a log, nothing where it is switched off."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from helpers.paths import SRC
from x3spatial import progress as module
from x3spatial.progress import progress, progress_line, without_progress

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


def test_a_short_run_writes_nothing_into_a_log(
    capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO"), progress("working", 2) as advance:
        advance()
        advance(1)
    assert capfd.readouterr() == ("", "")
    assert caplog.messages == []


def test_a_log_gets_lines_while_a_unit_of_work_runs(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SECONDS_BETWEEN_LINES", 0.02)
    written = threading.Event()
    lines: list[str] = []

    def note(form: str, line: str) -> None:
        lines.append(line)
        written.set()

    monkeypatch.setattr(module._LOG, "info", note)
    with progress("working", 500, done=100) as advance:
        advance(20)
        assert written.wait(10)  # nothing advances meanwhile
    assert lines[0].startswith("working: 120 of 500 (24%), ")
    assert re.search(r", [\d.]+/s, \d+:\d\d left$", lines[0])
    count = len(lines)
    time.sleep(0.1)
    assert len(lines) == count  # the writer has ended


def test_lines_can_be_switched_off(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SECONDS_BETWEEN_LINES", 0.01)
    monkeypatch.setattr(module, "_enabled", False)
    with caplog.at_level("INFO"), progress("working", 2):
        time.sleep(0.1)
    assert caplog.messages == []


@pytest.mark.parametrize(
    ("done", "total", "now", "seconds", "line"),
    [
        (120, 500, 120, 30.0, "x: 120 of 500 (24%), 4.0/s, 1:35 left"),
        (120, 500, 20, 30.0, "x: 120 of 500 (24%), 0.7/s, 9:30 left"),  # 100 were there before
        (2, 5000, 2, 60.0, "x: 2 of 5,000 (0%), 2.0/min, 41:39:00 left"),
        (0, 500, 0, 95.0, "x: 0 of 500 (0%), running for 1:35"),
        (500, 500, 1, 3600.0, "x: 500 of 500 (100%), 0.0/min, 0:00 left"),
        (0, 0, 0, 30.0, "x: 0 of 0, running for 0:30"),
    ],
)
def test_the_line(done: int, total: int, now: int, seconds: float, line: str) -> None:
    assert progress_line("x", done, total, now, seconds) == line


def test_a_thread_that_nobody_waits_for_shows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[str] = []

    def note(label: str, total: int, done: int) -> object:
        shown.append(label)
        raise RuntimeError("drawn")

    monkeypatch.setattr(module, "_lines", note)
    monkeypatch.setattr(module, "_bar", note)
    with without_progress():
        with progress("here", 1) as advance:
            advance()
        with (
            ThreadPoolExecutor(1) as pool,
            pytest.raises(RuntimeError),
        ):
            pool.submit(progress("another thread", 1).__enter__).result()
    with pytest.raises(RuntimeError), progress("after", 1):
        pass
    assert shown == ["another thread", "after"]
