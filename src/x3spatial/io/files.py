"""Atomic file writing.

Files are written to a temporary file beside the target (``.{name}.part``) and then renamed. The temporary
name depends only on the name of the target, so a killed run leaves at most one part file per target, which
the next run replaces. What else has that name, such as a symbolic link, is never written through.
"""

from __future__ import annotations

import errno
import filecmp
import hashlib
import json
import logging
import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from x3spatial.errors import UserError
from x3spatial.io.opening import open_part, open_regular, open_text, part_path, refuse_link, touch
from x3spatial.io.paths import check_utf8

_LOG = logging.getLogger(__name__)

PROBE = ".x3-probe"
"""A file that ``make_dir`` writes and removes; one that stays is that of a killed process."""


_OS_ERROR = re.compile(r"\(os error (\d+)\)")
"""In messages of libraries written in Rust (safetensors, tokenizers)."""
_TORCH_WRITER = re.compile("inline_container|PytorchStreamWriter|iostream error")
"""In messages of ``torch.save``, which do not say why a file could not be written."""


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Errors of writing in the block become ``OSError`` with the name of ``path``.

    The error of a write has no name, because the file is open already; libraries raise types of their own.

    Raises:
        OSError: the disk is full, a limit is reached, or something else of the system.
    """
    try:
        yield
    except OSError as error:
        if error.filename is None and error.errno is not None:
            error.filename = os.fspath(path)
        raise
    except Exception as error:
        if found := _OS_ERROR.search(str(error)):
            number = int(found[1])
            raise OSError(number, os.strerror(number), os.fspath(path)) from error
        if isinstance(error, RuntimeError) and _TORCH_WRITER.search(str(error)):
            raise OSError(
                errno.EIO, "a file could not be completed; is the disk full?", os.fspath(path)
            ) from error
        raise


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """The temporary file for ``path``, which is renamed after the block; an error removes it.

    Raises:
        UserError: a symbolic link has the name of the temporary file.
        OSError: it cannot be written; the error names ``path``.
    """
    part = part_path(path)
    refuse_link(part)
    with naming(path):
        try:
            yield part
            os.replace(part, path)
        except BaseException:
            with suppress(OSError):
                part.unlink(missing_ok=True)
            raise


def write_bytes(path: Path, data: bytes, *, fsync: bool = False) -> None:
    """Replace ``path`` by ``data`` atomically; ``fsync`` for files whose loss would go unnoticed.

    Raises:
        UserError: a symbolic link has the name of the temporary file.
        OSError: it cannot be written.
    """
    with replacing(path), open_part(path) as file:
        file.write(data)
        file.flush()
        if fsync:
            os.fsync(file.fileno())


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


def read_json(
    path: Path,
    *,
    what: str = "JSON file",
    pairs_hook: Callable[[list[tuple[str, Any]]], Any] | None = None,
) -> Any:
    """Parse ``path``.

    Args:
        path: the file, UTF-8 with or without a byte order mark.
        what: how messages call it.
        pairs_hook: makes an object of its keys and values; None: a dictionary, the last of equal keys counts.

    Raises:
        UserError: the file is missing, unreadable or not JSON.
    """
    try:
        with open_text(path) as file:
            return json.load(file, object_pairs_hook=pairs_hook)
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
        UserError: the folder cannot be created or written to, or its name is not UTF-8; the message names
            ``option``.
    """
    check_utf8(path, option)
    try:
        path.mkdir(parents=True, exist_ok=True)
        touch(path / PROBE)
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
def replacing_dir(path: Path) -> Iterator[Path]:
    """The empty temporary folder for ``path``, which takes its place after the block; an error removes it.

    Raises:
        UserError: a symbolic link has the name of the temporary folder.
        OSError: it cannot be written; the error names ``path``.
    """
    part = part_path(path)
    try:
        with naming(path):
            empty_dir(part)
            yield part
            shutil.rmtree(path, ignore_errors=True)
            os.replace(part, path)
    finally:
        shutil.rmtree(part, ignore_errors=True)


@contextmanager
def new_dir(path: Path, option: str) -> Iterator[Path]:
    """A temporary folder whose entries are moved to the new folder ``path`` after the block.

    It is created inside ``path``, which may be the current folder or a mount point. Remains of a killed run
    in it are deleted. A run that was killed while it moved the entries, or after that, has left some of them
    in ``path``: those that equal the new ones stay.

    Raises:
        UserError: ``path`` cannot be created, or contains something else than the block writes.
        OSError: an entry cannot be written; the error has a name.
    """
    make_dir(path, option)
    part = path / ".part"
    before = {entry.name for entry in path.iterdir() if entry != part}
    if before and not (part.exists() or (path / "config.json").is_file()):
        raise UserError(f"{path}: not empty; name a new folder")
    empty_dir(part)
    try:
        with naming(path):
            yield part
        made = {entry.name for entry in part.iterdir()}
        for name in sorted(before):
            if name not in made or not _equal(part / name, path / name):
                raise UserError(
                    f"{path}: not empty: {name} is not what this command writes; name a new folder"
                )
        if made and made == before:
            _LOG.info("%s: already there, equal", path)
        for name in sorted(made - before):
            (part / name).rename(path / name)
    finally:
        shutil.rmtree(part)


def _equal(one: Path, other: Path) -> bool:
    """Whether two files or folders have the same content."""
    if one.is_dir() != other.is_dir():
        return False
    if one.is_file():
        return other.is_file() and filecmp.cmp(one, other, shallow=False)
    names = {entry.name for entry in one.iterdir()}
    return names == {entry.name for entry in other.iterdir()} and all(
        _equal(one / name, other / name) for name in names
    )


def check_output(path: Path, option: str, sources: Iterable[Path] = ()) -> None:
    """Check before any work that ``path`` can be written as a file; its folder is created.

    Raises:
        UserError: ``path`` is not a regular file, is one of the input files ``sources``, or cannot be
            written (its name may be too long); the message names ``option``.
    """
    check_utf8(path, option)
    sources = list(sources)
    for source in sources:
        check_utf8(source, "input")
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
        touch(path.with_name(f".{path.name}.x3-probe"))
    except OSError as error:
        reason = error.strerror or str(error)
        raise UserError(f"{option} {path}: cannot write there: {reason}") from None
