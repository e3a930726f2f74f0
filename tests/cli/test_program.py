"""What every command does about signals, closed streams and errors, in real processes."""

from __future__ import annotations

import os
import signal
import struct
import subprocess
import sys
import time
import zlib
from pathlib import Path
from typing import Any

import pytest

from helpers.roots import make_root
from x3spatial.cli import run
from x3spatial.program import reporting, signals

INTERRUPTED = "x3: interrupted; the same command continues where it stopped\n"
X3 = (sys.executable, "-m", "x3spatial")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_root(tmp_path_factory.mktemp("program") / "root")


def shell(line: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    line = f"set -o pipefail; {line.replace('x3 ', ' '.join(X3) + ' ', 1)}"
    return subprocess.run(
        ["bash", "-c", line], capture_output=True, text=True, cwd=cwd, check=False
    )


def start(*arguments: object, **settings: Any) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*X3, *map(str, arguments)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        **settings,
    )


SWALLOWS = """
import sys, time
from x3spatial.program import run_program

def work():
    try:
        print("ready", flush=True)
        time.sleep(20)
    except BaseException:  # as some libraries do while they are imported
        pass
    try:
        time.sleep(20)
    finally:
        time.sleep(1.2)  # cleaning up is not disturbed
        print("clean", flush=True)
    return 0

run_program(work)
"""


def test_an_interrupt_that_a_library_swallows_comes_again() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", SWALLOWS], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=15)
    assert (process.returncode, errors) == (signals.EXIT_CODE, INTERRUPTED)
    assert output.endswith("clean\n")


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
@pytest.mark.parametrize("when", ["importing", "working"])
def test_signals_end_a_command_as_ctrl_c_does(name: str, when: str, tmp_path: Path) -> None:
    process = start("scenes", tmp_path / "out", "--train", 50, "--fast", "--workers", 2)
    if when == "importing":
        time.sleep(0.3)
    else:
        while not list((tmp_path / "out").rglob("*.png")):
            time.sleep(0.05)
    process.send_signal(getattr(signal, name))
    _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (signals.EXIT_CODE, INTERRUPTED)


@pytest.mark.parametrize("delay", [0.5, 0.9, 1.3])
def test_ctrl_c_while_workers_start_is_one_line(delay: float, tmp_path: Path) -> None:
    process = start("scenes", tmp_path / "out", "--train", 50, "--fast", "--workers", 2)
    time.sleep(delay)
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (signals.EXIT_CODE, INTERRUPTED)


def test_signals_that_are_ignored_stay_ignored(root: Path, tmp_path: Path) -> None:
    """``nohup``."""
    process = start(
        "build", root, "-o", tmp_path / "out",
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN),
    )  # fmt: skip
    for _ in range(10):
        process.send_signal(signal.SIGHUP)
        time.sleep(0.05)
    assert process.wait(60) == 0
    process.communicate()


STUCK = """
import signal, sys, time
from x3spatial.program import run_program, signals

signals._UNHANDLED, signals._CLEANUP = 0.3, 0.6

class Slow:
    def __del__(self):
        time.sleep(2)  # an exception in here is ignored

def swallows():
    Slow()
    time.sleep(60)

def cleans_up():
    try:
        time.sleep(60)
    finally:
        time.sleep(60)

def never_returns_to_python():
    signal.signal(signal.SIGTERM, lambda *_: time.sleep(60))
    time.sleep(60)

run_program(globals()[sys.argv[1]])
"""


@pytest.mark.parametrize("how", ["swallows", "cleans_up", "never_returns_to_python"])
def test_a_program_that_does_not_end_is_ended(how: str) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", STUCK, how], stderr=subprocess.PIPE, text=True
    )
    time.sleep(1)
    process.terminate()
    _, errors = process.communicate(timeout=20)
    assert (process.returncode, errors) == (signals.EXIT_CODE, INTERRUPTED)


def test_forked_children_end_with_a_killed_process(tmp_path: Path) -> None:
    code = (
        "import os, time\nfrom x3spatial.engine.parent import end_forks_with_this_process\n"
        "end_forks_with_this_process()\npid = os.fork()\n"
        "if pid: print(pid, flush=True)\ntime.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    child = int(process.stdout.readline())
    time.sleep(0.5)
    process.kill()
    process.communicate()
    _wait_until_gone([child])


def _wait_until_gone(pids: list[int], seconds: float = 5) -> None:
    end = time.monotonic() + seconds
    while alive := [pid for pid in pids if _runs(pid)]:
        assert time.monotonic() < end, alive
        time.sleep(0.05)


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize(
    ("line", "code", "message"),
    [
        ("x3 build {root} -o {out} | true", 0, ""),
        ("x3 build {root} -o {out} | head -c 1 > /dev/null", 0, ""),
        ("x3 build {root} -o {out} >&-", 0, ""),
        ("x3 build {root} -o {out} >&- 2>&- <&-", 0, ""),
        ("x3 build {root} -o {out} > /dev/full", 2, "x3: standard output: No space left on device"),
        ("x3 audit {root}/train >&-", 2, "x3: "),
        ("x3 audit {root}/train 2>&-", 2, ""),
        ("x3 audit {root}/train 2>/dev/full", 2, ""),
    ],
)
def test_output_that_nobody_reads(
    line: str, code: int, message: str, root: Path, tmp_path: Path
) -> None:
    done = shell(line.format(root=root, out=tmp_path / "out"))
    assert done.returncode == code and done.stderr.startswith(message), done
    assert len(done.stderr.splitlines()) == bool(message) and not done.stdout
    if "build" in line:
        assert (tmp_path / "out" / "build.json").is_file()
        assert run(["audit", str(root)]) == 0


def test_a_folder_that_is_gone(root: Path, tmp_path: Path) -> None:
    (tmp_path / "gone").mkdir()
    line = f"x3 build {root} -o out"
    done = shell(
        f"rmdir {tmp_path}/gone; {line.replace('x3 ', ' '.join(X3) + ' ')}", tmp_path / "gone"
    )
    assert done.returncode == 2
    assert done.stderr == "x3: the current folder has been deleted; change to another one\n"


def test_codecs_print_nothing(root: Path, tmp_path: Path) -> None:
    """A PNG with right checksums and wrong data: libpng would print a line without the file's name."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    folder = make_root(tmp_path / "root") / "validation" / "validation_0" / "uid_0"
    broken = next(folder.glob("*_original.png"))
    header = struct.pack(">IIBBBBB", 64, 48, 8, 2, 0, 0, 0)
    broken.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", b"no deflate")
        + chunk(b"IEND", b"")
    )
    done = shell(f"x3 build {tmp_path}/root -o {tmp_path}/out")
    assert "libpng" not in done.stderr and str(broken) in done.stderr


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (OSError(28, "No space left on device", "a/b"), 2,
         "x3: a/b: No space left on device; make room, then the same command continues"),
        (PermissionError(13, "Permission denied", b"a\xff"), 2, "x3: a\\udcff: Permission denied"),
        (OSError(24, "Too many open files", "x"), 2,
         "x3: x: Too many open files; use fewer workers, or raise the limit with ulimit -n"),
        (MemoryError(), 2, "x3: out of memory; use fewer workers"),
        (RecursionError("maximum recursion depth exceeded"), 2, "x3: data is nested too deep"),
        (UnicodeEncodeError("utf-8", "M\udcfcller", 1, 2, "surrogates not allowed"), 2,
         "x3: 'M\\udcfcller' is not valid Unicode"),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"), 2, "x3: text that is not UTF-8"),
        (KeyError("x"), 1, "x3: internal error: KeyError: 'x' (please report it; X3_DEBUG=1 prints"),
    ],
)  # fmt: skip
def test_errors_are_one_line(
    error: Exception, code: int, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def work() -> int:
        raise error

    assert reporting.guarded(work) == code
    (found,) = capsys.readouterr().err.encode("utf-8", "backslashreplace").decode().splitlines()
    assert found.startswith(line)
    assert reporting.guarded(work, debug=lambda: True) == code
    printed = capsys.readouterr().err.splitlines()
    assert printed[0].startswith("Traceback") and printed[-1].startswith(line[:20])


def test_a_line_is_a_line() -> None:
    assert reporting.one_line("a\nb\x1b[31mc\x07\x9b") == "a b\\x1b[31mc\\x07\\x9b"
    long = reporting.one_line("x" * 100_000 + " the fix")
    assert len(long) < 2001 and long.endswith(" the fix")


@pytest.mark.parametrize("step", ["signals.install", "streams.protect"])
def test_a_signal_during_the_first_steps_is_an_interrupt(step: str) -> None:
    """It arrived where nothing would have caught it, and was a traceback."""
    code = (
        "from x3spatial.program import run_program, signals, streams\n"
        "def interrupted(): raise KeyboardInterrupt\n"
        f"{step} = interrupted\n"
        "run_program(lambda: 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (signals.EXIT_CODE, INTERRUPTED)


def test_an_interrupted_program_ends_before_its_objects_are_freed() -> None:
    """Threads that torch left behind aborted the process then, with a line of their own on stderr."""
    code = (
        "import os\n"
        "from x3spatial.program import run_program\n"
        "class Freed:\n"
        "    def __del__(self, write=os.write): write(2, b'freed')\n"
        "freed = Freed()\n"
        "def work():\n"
        "    import atexit\n"
        "    atexit.register(print, 'left', flush=True)\n"
        "    raise KeyboardInterrupt\n"
        "run_program(work)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (signals.EXIT_CODE, INTERRUPTED)
    assert done.stdout == "left\n"
