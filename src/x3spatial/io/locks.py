"""The lock that keeps two runs from writing into one place.

``flock``, not a POSIX lock (``lockf``), because a POSIX lock is lost as soon as its process closes the file
anywhere else, as reading a locked journal does, and because it keeps no two runs of one process apart. What
``flock`` has against it, that a forked child holds the lock as well and may outlive its parent, is undone
here: a fork closes the lock files in the child. Spawned processes and other programs never get them.
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

_HELD_BY_ANOTHER = frozenset({errno.EAGAIN, errno.EWOULDBLOCK, errno.EACCES})
"""Any other error means that this file system has no locks, as some network file systems have none."""

_open_locks: set[FileIO] = set()


def _close_in_child() -> None:
    for file in _open_locks:
        file.close()  # closes the child's copy; the parent's lock stays
    _open_locks.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_close_in_child)


@contextmanager
def lock_file(path: Path, refusal: str) -> Iterator[None]:
    """Hold the file ``path`` for this run; it is created if missing and its content is not touched.

    The lock ends with the block or the process. Where there are no locks (Windows, some network file systems)
    nothing is held, and keeping runs apart is up to the user.

    Args:
        path: the file, which may be removed by its holder while it is held.
        refusal: the message of the error if another run holds it.

    Raises:
        UserError: another run holds it, or it is a symbolic link or cannot be opened.
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
    """Hold the folder ``path`` for this run: two runs that write into one folder would mix their files.

    Raises:
        UserError: another run holds it; the message names ``option``.
    """
    refusal = f"{option} {path}: another x3 run is writing there; wait for it or stop it"
    with lock_file(path / ".x3-lock", refusal):
        yield


def _locked(path: Path, refusal: str) -> FileIO:
    """``path``, open and locked as far as its file system has locks.

    Raises:
        UserError: as ``lock_file``.
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
        file.close()  # its holder removed it between our opening and our lock: it protects nothing


def _open(path: Path) -> FileIO:
    flags = (
        os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW
    )  # written to over NFS, an exclusive lock needs that
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
