"""File locks that prevent two runs from writing to the same output.

``flock`` is used instead of a POSIX lock (``lockf``). A process loses a POSIX lock when it closes any
descriptor of the file, for example after reading a locked journal, and POSIX locks do not exclude two runs in
one process. A disadvantage of ``flock`` is that a forked child also holds the lock and may outlive its
parent; therefore the lock files are closed in forked children. Spawned processes and other programs do not
inherit them.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path

from x3spatial.errors import UserError

try:
    import fcntl
except ImportError:  # Windows
    _HAS_LOCKS = False
else:
    _HAS_LOCKS = True

LOCK = ".x3-lock"
"""Name of the file that ``lock_dir`` locks."""
_HELD_BY_ANOTHER = frozenset({errno.EAGAIN, errno.EWOULDBLOCK, errno.EACCES})
"""Errors that mean "locked"; any other error means that the file system does not support locks."""

_open_locks: set[FileIO] = set()


def _close_in_child() -> None:
    for file in _open_locks:
        file.close()  # closes the child's copy; the parent keeps its lock
    _open_locks.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_close_in_child)


@contextmanager
def lock_file(path: Path, refusal: str) -> Iterator[None]:
    """Lock the file ``path`` for this run; it is created if missing, and its content is not changed.

    The lock is released at the end of the block or of the process. Without support for locks (Windows, some
    network file systems) nothing is locked, and the user has to avoid concurrent runs.

    Args:
        path: the lock file; its holder may remove it while it is locked.
        refusal: the error message if another run holds the lock.

    Raises:
        UserError: another run holds the lock, or ``path`` is a symbolic link or cannot be opened.
    """
    if not _HAS_LOCKS:
        yield
        return
    file = _locked(path, refusal)
    _open_locks.add(file)
    try:
        yield
    finally:
        _open_locks.discard(file)
        file.close()


@contextmanager
def lock_dir(path: Path, option: str) -> Iterator[None]:
    """Lock the folder ``path`` for this run, so that two runs do not mix their files in it.

    Raises:
        UserError: another run holds the lock; the message names ``option``.
    """
    refusal = f"{option} {path}: another x3 run is writing there; wait for it or stop it"
    with lock_file(path / LOCK, refusal):
        yield


def _locked(path: Path, refusal: str) -> FileIO:
    """Open ``path`` and lock it if its file system supports locks.

    Raises:
        UserError: another run holds the lock, or ``path`` is a symbolic link or cannot be opened.
    """
    while True:
        file = _open(path)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in _HELD_BY_ANOTHER:
                return file
            file.close()
            raise UserError(refusal) from None
        if _is_at(file, path):
            return file
        file.close()  # its holder removed it before it was locked here, so the lock has no effect


def _open(path: Path) -> FileIO:
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW  # an exclusive lock on NFS requires write access
    try:
        return FileIO(os.open(path, flags, 0o666), "r+")
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise UserError(f"{path}: is a symbolic link, not a lock file; remove it") from None
        raise UserError(f"{path}: cannot lock: {error.strerror}") from None


def _is_at(file: FileIO, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.lstat())
    except FileNotFoundError:
        return False
