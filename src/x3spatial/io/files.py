"""Reading of regular files, and atomic writing.

Files are written to a temporary file beside the target (``.{name}.part``) and then renamed. The temporary
name depends only on the name of the target, so a killed run leaves at most one part file per target, which
the next run replaces. What else has that name, such as a symbolic link, is never written through.
"""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import shutil
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

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


def read_regular(path: Path) -> bytes:
    """The bytes of a regular file.

    Raises:
        OSError: see ``open_regular``.
    """
    with open_regular(path) as file:
        return file.read()


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
    for attempt in range(_ATTEMPTS):
        part = new_part(path)
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NO_LINK | _BINARY
            return os.fdopen(os.open(part, flags, 0o666), "wb")
        except FileExistsError:  # another process was faster
            if attempt == _ATTEMPTS - 1:
                raise
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


def _touch(path: Path) -> None:
    """Create and remove ``path``, also while another process does the same."""
    refuse_link(path)
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | _NO_LINK | _NO_WAIT, 0o666))
    path.unlink(missing_ok=True)


def write_bytes(path: Path, data: bytes, *, fsync: bool = False) -> None:
    """Replace ``path`` by ``data`` atomically; ``fsync`` for files whose loss would go unnoticed.

    Raises:
        UserError: a symbolic link has the name of the temporary file.
        OSError: it cannot be written.
    """
    part = part_path(path)
    with open_part(path) as file:
        file.write(data)
        if fsync:
            file.flush()
            os.fsync(file.fileno())
    os.replace(part, path)


def write_text(path: Path, text: str, *, fsync: bool = False) -> None:
    """Replace ``path`` by ``text`` (UTF-8) atomically."""
    write_bytes(path, text.encode(), fsync=fsync)


def write_json(path: Path, value: Any, *, fsync: bool = False) -> None:
    """Replace ``path`` by ``value`` as indented JSON atomically.

    Raises:
        ValueError: ``value`` contains NaN or an infinity.
    """
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    write_text(path, text + "\n", fsync=fsync)


def read_json(path: Path, *, what: str = "JSON file") -> Any:
    """Parse ``path``.

    Raises:
        UserError: the file is missing, unreadable or not JSON.
    """
    try:
        with open_text(path) as file:
            return json.load(file)
    except FileNotFoundError:
        raise UserError(f"{path}: no such {what}") from None
    except RecursionError:
        raise UserError(f"{path}: cannot read this {what}: nested too deep") from None
    except OSError as error:
        reason = error.strerror or error
        raise UserError(f"{path}: cannot read this {what}: {reason}") from None
    except (UnicodeDecodeError, ValueError) as error:
        raise UserError(f"{path}: cannot read this {what}: {error}") from None


def read_manifest(path: Path) -> dict[str, Any] | None:
    """The JSON object at ``path``, written by a finished run; None if it is missing or invalid."""
    if not path.is_file():
        return None
    try:
        value = read_json(path)
    except UserError:
        return None
    return value if isinstance(value, dict) else None


def sha256_file(path: Path) -> str:
    """Hex SHA-256 of a file's bytes."""
    with open_regular(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_json(value: Any) -> str:
    """Hex SHA-256 of a value's canonical JSON."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def make_dir(path: Path, option: str) -> None:
    """Create ``path`` and its parents, and check that files can be written there.

    Raises:
        UserError: the folder cannot be created or written to; the message names ``option``.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        _touch(path / ".x3-probe")
    except OSError as error:
        reason = error.strerror or str(error)
        raise UserError(f"{option} {path}: cannot write there: {reason}") from None


def empty_dir(path: Path) -> None:
    """Make ``path`` an empty folder; what a killed run left in it is deleted.

    Raises:
        UserError: it is a symbolic link.
        OSError: it cannot be emptied or created.
    """
    refuse_link(path)
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
    path.mkdir(parents=True)


@contextmanager
def new_dir(path: Path, option: str) -> Iterator[Path]:
    """A temporary folder whose entries are moved to the new folder ``path`` after the block.

    It is created inside ``path``, which may be the current folder or a mount point. Remains of a killed run
    in it are deleted.

    Raises:
        UserError: ``path`` cannot be created or written to, or is not empty.
    """
    make_dir(path, option)
    part = path / ".part"
    if any(entry != part for entry in path.iterdir()):
        raise UserError(f"{path}: not empty; name a new folder")
    empty_dir(part)
    try:
        yield part
        for entry in sorted(part.iterdir()):
            entry.rename(path / entry.name)
    finally:
        shutil.rmtree(part)


def check_output(path: Path, option: str, sources: Iterable[Path] = ()) -> None:
    """Check before any work that ``path`` can be written as a file; its folder is created.

    Raises:
        UserError: ``path`` is not a regular file, is one of the input files ``sources``, or cannot be
            written (its name may be too long); the message names ``option``.
    """
    make_dir(path.parent, option)
    try:
        if path.is_dir():
            raise UserError(f"{option} {path}: is a folder; name a file")
        if path.exists():
            if not path.is_file():
                raise UserError(f"{option} {path}: is no regular file; write elsewhere")
            for source in sources:
                if source.exists() and path.samefile(source):
                    raise UserError(f"{option} {path}: is also an input file; choose another path")
        # As long as the longest temporary name beside a target.
        _touch(path.with_name(f".{path.name}.x3-probe"))
    except OSError as error:
        reason = error.strerror or str(error)
        raise UserError(f"{option} {path}: cannot write there: {reason}") from None
