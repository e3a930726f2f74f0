"""Opening of files: never a pipe or a device for reading, and never through a link for writing."""

from __future__ import annotations

import errno
import io
import os
import stat
from pathlib import Path
from typing import IO

from x3spatial.errors import UserError

_NO_LINK = getattr(os, "O_NOFOLLOW", 0)
_NO_WAIT = getattr(os, "O_NONBLOCK", 0)
_BINARY = getattr(os, "O_BINARY", 0)
_ATTEMPTS = 100


def open_regular(path: Path) -> io.BufferedReader:
    """Open a regular file for reading. A pipe would block for ever, and a device may have no end.

    Raises:
        OSError: missing, unreadable, a folder, a pipe or a device, or no file can have this path.
    """
    try:
        number = os.open(path, os.O_RDONLY | _NO_WAIT | _BINARY)
    except ValueError as error:  # NUL, or a character that file names cannot have
        raise OSError(errno.EINVAL, f"no file can have this path ({error})") from None
    try:
        mode = os.fstat(number).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        if not stat.S_ISREG(mode):
            raise OSError(errno.EINVAL, "not a regular file", str(path))
        return os.fdopen(number, "rb")
    except BaseException:
        os.close(number)
        raise


def open_text(path: Path) -> IO[str]:
    """``open_regular`` of a UTF-8 text, with or without a byte order mark."""
    return io.TextIOWrapper(open_regular(path), encoding="utf-8-sig")


def part_path(path: Path) -> Path:
    """The temporary file for writing ``path``."""
    return path.with_name(f".{path.name}.part")


def new_part(path: Path) -> Path:
    """``part_path``, with nothing at that place.

    Raises:
        UserError: a symbolic link or a folder is there, which no run of ours leaves.
    """
    part = part_path(path)
    refuse_link(part)
    try:
        part.unlink(missing_ok=True)
    except (IsADirectoryError, PermissionError) as error:
        if not part.is_dir():
            raise
        raise UserError(f"{part}: cannot write there: {error.strerror}; remove it") from None
    return part


def open_part(path: Path) -> IO[bytes]:
    """A new, empty ``part_path`` for writing; a hard link that a victim shares is not written to.

    Raises:
        UserError: see ``new_part``.
        OSError: it cannot be created.
    """
    part = part_path(path)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NO_LINK | _BINARY
    for attempt in range(_ATTEMPTS):
        try:
            return os.fdopen(os.open(part, flags, 0o666), "wb")
        except FileExistsError:  # left by a killed run, or another process is faster
            if attempt == _ATTEMPTS - 1:
                raise
            new_part(path)
    raise AssertionError("unreachable")


def open_append(path: Path) -> IO[bytes]:
    """Open a file of ours for appending; it is created if missing.

    Raises:
        UserError: it is a symbolic link, a pipe or a device.
        OSError: it cannot be opened.
    """
    refuse_link(path)
    flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | _NO_LINK | _NO_WAIT | _BINARY
    number = os.open(path, flags, 0o666)
    if not stat.S_ISREG(os.fstat(number).st_mode):
        os.close(number)
        raise UserError(f"{path}: not a regular file; remove it")
    return os.fdopen(number, "ab")


def refuse_link(path: Path) -> None:
    """Check that ``path``, which is about to be written, does not lead elsewhere.

    Raises:
        UserError: it is a symbolic link.
    """
    if path.is_symlink():
        raise UserError(f"{path}: is a symbolic link, which x3 does not write through; remove it")


def touch(path: Path) -> None:
    """Create and remove ``path``, also while another process does the same."""
    refuse_link(path)
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | _NO_LINK | _NO_WAIT, 0o666))
    path.unlink(missing_ok=True)
