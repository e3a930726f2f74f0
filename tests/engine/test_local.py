"""Threads and processes: every result, prefetch, exceptions, interrupts, and workers that die."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from helpers.paths import SRC
from helpers.processes import wait_until
from helpers.units import dies_once, name, three_dies, units
from x3spatial.engine.local import LocalEngine, map_unordered
from x3spatial.errors import UnitsFailed, UserError


@pytest.mark.parametrize(("workers", "threads"), [(1, False), (3, True), (2, False)])
def test_every_item_gives_one_result(workers: int, threads: bool) -> None:
    results = list(LocalEngine().map(math.sqrt, range(50), workers=workers, threads=threads))
    assert sorted(results) == [math.sqrt(number) for number in range(50)]


def test_results_come_as_they_are_completed() -> None:
    go = threading.Event()

    def work(number: int) -> int:
        if number == 0:
            assert go.wait(30)
        return number

    results = map_unordered(work, range(4), 2)
    early = [next(results) for _ in range(3)]
    go.set()
    assert sorted(early) == [1, 2, 3] and list(results) == [0]


def test_four_items_per_worker_are_in_flight() -> None:
    read: list[int] = []
    gate = threading.Semaphore(0)

    def items() -> Iterator[int]:
        for number in range(100):
            read.append(number)
            yield number

    def work(number: int) -> int:
        assert gate.acquire(timeout=30)
        return number

    results = map_unordered(work, items(), 2)
    for consumed in range(1, 20):
        gate.release()
        next(results)
        assert len(read) == 8 + consumed
    gate.release(100)
    assert len(list(results)) == 100 - 19


def test_an_exception_stops_the_run() -> None:
    read: list[int] = []

    def items() -> Iterator[int]:
        for number in range(1000):
            read.append(number)
            yield number

    def work(number: int) -> int:
        if number == 5:
            raise ValueError("five")
        return number

    with pytest.raises(ValueError, match="five"):
        list(map_unordered(work, items(), 2))
    assert len(read) < 50


def test_an_early_end_interrupts_threads_that_wait() -> None:
    freed, waiting = threading.Event(), threading.Event()
    calls: list[None] = []

    def work(number: int) -> int:
        if number == 0:
            assert waiting.wait(30)
            raise KeyboardInterrupt
        waiting.set()
        assert freed.wait(30)
        return number

    def interrupt() -> None:
        calls.append(None)
        if len(calls) == 2:  # the first one reached nobody
            freed.set()

    with pytest.raises(KeyboardInterrupt):
        list(map_unordered(work, range(2), 2, interrupt=interrupt))
    assert len(calls) == 2


def test_zero_workers_are_refused() -> None:
    with pytest.raises(UserError, match="--workers 0: must be at least 1"):
        list(map_unordered(math.sqrt, [1], 0))


def test_a_unit_whose_process_died_is_tried_again(tmp_path: Path) -> None:
    todo = units(tmp_path, 6)
    assert sorted(LocalEngine().map(dies_once, todo, workers=2)) == [0, 1, 4, 9, 16, 25]
    assert [unit.tries for unit in todo] == [1, 1, 1, 2, 1, 1]  # only the one that died


def test_a_unit_whose_process_always_dies_is_named(tmp_path: Path) -> None:
    found = []
    with pytest.raises(UnitsFailed, match="unit 3: its worker process died each time") as caught:
        for value in LocalEngine().map(three_dies, units(tmp_path, 6), workers=2, name=name):
            found.append(value)
    assert sorted(found) == [0, 1, 4, 16, 25]
    assert caught.value.exit_code == 2 and "\n" not in str(caught.value)


def _script(folder: Path, text: str) -> list[str]:
    path = folder / "script.py"
    path.write_text(text)
    return [sys.executable, str(path)]


def test_a_script_without_a_main_guard_gets_a_message(tmp_path: Path) -> None:
    script = _script(
        tmp_path,
        "import math\n"
        "from x3spatial.engine.local import LocalEngine\n"
        "list(LocalEngine().map(math.sqrt, [1, 4], workers=2))\n",
    )
    done = subprocess.run(
        script, env={"PYTHONPATH": str(SRC)}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    # Python's tracker of semaphores may warn after it, if a worker was ended while it started.
    assert "the calling script has no `if __name__ == '__main__':` guard" in done.stderr


def test_workers_die_with_a_killed_parent(tmp_path: Path) -> None:
    script = _script(
        tmp_path,
        "import os, pathlib, time\n"
        "from x3spatial.engine.local import LocalEngine\n"
        "def work(number):\n"
        f"    pathlib.Path({str(tmp_path)!r}, f'{{os.getpid()}}.pid').touch()\n"
        "    time.sleep(60)\n"
        "if __name__ == '__main__':\n"
        "    list(LocalEngine().map(work, range(2), workers=2))\n",
    )
    parent = subprocess.Popen(script, env={"PYTHONPATH": str(SRC)})
    try:
        wait_until(lambda: len(list(tmp_path.glob("*.pid"))) == 2, 60)
    finally:
        parent.send_signal(signal.SIGKILL)
        parent.wait()
    workers = [int(path.stem) for path in tmp_path.glob("*.pid")]
    wait_until(lambda: not any(_lives(worker) for worker in workers), 60)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{pid}/stat")
    return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] != "Z"
