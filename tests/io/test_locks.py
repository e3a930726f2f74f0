"""The one lock: who is refused, what ends it, and file systems that have none."""

from __future__ import annotations

import errno
import fcntl
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from helpers.paths import SRC
from x3spatial.errors import UserError
from x3spatial.io import locks
from x3spatial.io.locks import lock_dir, lock_file

_HOLD = """
import subprocess, sys, time
from multiprocessing import get_context
from pathlib import Path
from x3spatial.io.locks import lock_dir

def live(begun):
    begun.set()
    time.sleep(60)

if __name__ == "__main__":
    with lock_dir(Path(sys.argv[1]), "--out-dir"):
        pids = []
        if sys.argv[2:] == ["program"]:
            pids.append(subprocess.Popen(["sleep", "60"]).pid)
        elif sys.argv[2:]:
            context = get_context(sys.argv[2])
            begun = context.Event()
            process = context.Process(target=live, args=(begun,))
            process.start()
            begun.wait()
            pids.append(process.pid)
        print(*pids, flush=True)
        time.sleep(60)
"""


@contextmanager
def held(folder: Path, *child: str) -> Iterator[tuple[subprocess.Popen[str], list[int]]]:
    """Another process that holds ``folder``, and the process numbers of its child."""
    script = folder.parent / "hold.py"
    script.write_text(_HOLD)
    holder = subprocess.Popen(
        [sys.executable, str(script), str(folder), *child],
        env={**os.environ, "PYTHONPATH": str(SRC)}, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    pids: list[int] = []
    try:
        assert holder.stdout is not None
        pids = [int(word) for word in holder.stdout.readline().split()]
        yield holder, pids
    finally:
        holder.kill()
        holder.wait()
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, 9)
        assert holder.stdout is not None
        holder.stdout.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


def _try(folder: Path) -> None:
    with lock_dir(folder, "--out-dir"):
        pass


def test_a_held_folder_is_refused_until_its_holder_is_killed(folder: Path) -> None:
    with held(folder) as (holder, _):
        with pytest.raises(UserError, match=r"--out-dir .*out: another x3 run is writing there"):
            _try(folder)
        holder.kill()
        holder.wait()
        _try(folder)


@pytest.mark.parametrize("kind", ["spawn", "fork", "program"])
def test_a_child_that_outlives_the_holder_does_not_keep_the_lock(folder: Path, kind: str) -> None:
    with held(folder, kind) as (holder, pids):
        with pytest.raises(UserError, match="another x3 run"):
            _try(folder)
        holder.kill()
        holder.wait()
        os.kill(pids[0], 0)  # it lives
        _try(folder)


def test_two_runs_of_one_process_are_kept_apart(folder: Path) -> None:
    with lock_dir(folder, "--out-dir"):
        with pytest.raises(UserError, match="another x3 run"):
            _try(folder)
        with pytest.raises(UserError, match="another x3 run"):  # the refused one freed nothing
            _try(folder)
    _try(folder)


def test_reading_the_locked_file_does_not_free_it(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    with lock_file(path, "held"):
        path.read_bytes()
        with pytest.raises(UserError, match="held"), lock_file(path, "held"):
            pass


@pytest.mark.parametrize("code", [errno.EAGAIN, errno.EWOULDBLOCK, errno.EACCES])
def test_errors_of_a_locked_file(folder: Path, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    _fail_with(monkeypatch, code)
    with pytest.raises(UserError, match="another x3 run"):
        _try(folder)


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL])
def test_a_file_system_without_locks_is_supported(
    folder: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    _fail_with(monkeypatch, code)
    reached = False
    with lock_dir(folder, "--out-dir"):
        reached = True
    assert reached


def test_a_system_without_locks_is_supported(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "_HAS_LOCKS", False)
    with lock_dir(folder, "--out-dir"), lock_dir(folder, "--out-dir"):
        assert list(folder.iterdir()) == []


def _fail_with(monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    def fail(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(fcntl, "flock", fail)


def test_a_lock_file_is_neither_followed_nor_truncated(folder: Path) -> None:
    precious = folder.parent / "precious"
    precious.write_text("content")
    lock = folder / ".x3-lock"
    lock.symlink_to(precious)
    with pytest.raises(UserError, match=r"\.x3-lock: is a symbolic link"):
        _try(folder)
    lock.unlink()
    lock.symlink_to(folder.parent / "nowhere")
    with pytest.raises(UserError, match="is a symbolic link"):
        _try(folder)
    assert not (folder.parent / "nowhere").exists()
    lock.unlink()
    lock.write_text("content")
    _try(folder)
    assert (precious.read_text(), lock.read_text()) == ("content", "content")


def test_a_lock_file_that_cannot_be_opened_is_named(folder: Path) -> None:
    (folder / ".x3-lock").mkdir()
    with pytest.raises(UserError, match=r"\.x3-lock: cannot lock: Is a directory"):
        _try(folder)


def test_a_lock_file_removed_by_its_holder_is_recreated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the journal of a run that ends between our opening and our lock."""
    path = tmp_path / "journal"
    real, calls = fcntl.flock, 0

    def removing(file: int, operation: int) -> None:
        nonlocal calls
        calls += 1
        if calls == 1:
            path.unlink()
        real(file, operation)

    monkeypatch.setattr(fcntl, "flock", removing)
    with lock_file(path, "held"):
        assert path.exists()
        with pytest.raises(UserError, match="held"), lock_file(path, "held"):
            pass
    assert calls == 3


def test_errors_in_the_block_are_raised(folder: Path) -> None:
    with pytest.raises(PermissionError), lock_dir(folder, "--out-dir"):
        raise PermissionError(errno.EACCES, "inside")
    _try(folder)
