"""The folder of a run: its identity, the checkpoint to resume from, and atomic writing of checkpoints.

A checkpoint is written under a hidden name and renamed when it is complete and on disk, so that a folder
``checkpoint-N`` is always complete. Partial ones of a killed run are removed by the next start.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from isal import isal_zlib

from x3spatial.errors import UserError
from x3spatial.io.files import naming, read_json, write_json
from x3spatial.training.identity import RunIdentity
from x3spatial.training.options import named

RUN_FILE = "x3_run.json"
"""In the folder of a run: its identity, and whether it is finished."""
NOTE_FILE = "x3_training.json"
"""In every checkpoint: its base, data and settings. Written last."""
STATE_FILE = "trainer_state.json"

_CHECKPOINT = re.compile(r"checkpoint-(\d+)")
_BLOCK = 1 << 22
_PARTIAL = (".saving-", ".deleting-")
# Allowed in the folder of a new run: logs.
_HARMLESS = ("train.log", "runs")


def saving_dir(output_dir: Path, step: int) -> Path:
    """The folder in which the checkpoint of ``step`` is written."""
    return output_dir / f".saving-{step}"


def publish(output_dir: Path, step: int, note: Mapping[str, Any]) -> Path:
    """Write the note of a checkpoint and rename it; an existing one of the same step is replaced.

    The note lists every file with its size and CRC-32, so that a later start can detect damage. The files
    were just written and are read from memory, about 2 GB/s.
    """
    partial = saving_dir(output_dir, step)
    source, target = partial / f"checkpoint-{step}", output_dir / f"checkpoint-{step}"
    sizes: dict[str, int] = {}
    sums: dict[str, int] = {}
    for file in sorted(file for file in source.rglob("*") if file.is_file()):
        with open(file, "rb+") as stream:
            os.fsync(stream.fileno())
        name = file.relative_to(source).as_posix()
        sizes[name], sums[name] = file.stat().st_size, _crc32(file)
    write_json(source / NOTE_FILE, {**note, "files": sizes, "crc32": sums}, fsync=True)
    if target.exists():
        _remove(target)
    os.replace(source, target)
    shutil.rmtree(partial)
    return target


@contextmanager
def writing(output_dir: Path) -> Iterator[None]:
    """Convert errors of writing weights and states in the block to a ``UserError``.

    Raises:
        UserError: the disk is full, a limit is reached, or the folder cannot be written.
    """
    try:
        with naming(output_dir):
            yield
    except OSError as error:
        raise UserError(
            f"{named('output_dir')} {output_dir}: cannot write there: {error.strerror or error};"
            " make room, then the same command continues"
        ) from None


@contextmanager
def reading(checkpoint: str | Path | None) -> Iterator[None]:
    """Convert errors of reading a checkpoint's states in the block to a ``UserError``.

    Raises:
        UserError: a file of optimizer, scheduler or random states is missing or damaged.
    """
    try:
        yield
    except UserError:
        raise
    except (KeyboardInterrupt, MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:  # pickles and archives fail in many ways
        raise UserError(
            f"{checkpoint}: its optimizer, scheduler or random states are damaged"
            f" ({type(error).__name__}); delete this folder, then the same command continues from an"
            " earlier checkpoint"
        ) from error


def rotate(output_dir: Path, limit: int | None) -> None:
    """Remove the oldest checkpoints beyond ``limit``."""
    if limit is None or limit <= 0:
        return
    for folder in checkpoints(output_dir)[limit:]:
        _remove(folder)


def _remove(folder: Path) -> None:
    """Rename, then delete: a partially deleted checkpoint must not look complete."""
    doomed = folder.with_name(f".deleting-{folder.name}")
    shutil.rmtree(doomed, ignore_errors=True)
    os.replace(folder, doomed)
    shutil.rmtree(doomed)


def checkpoints(output_dir: Path) -> list[Path]:
    """The run's checkpoints, newest first."""
    found = [
        (int(match[1]), folder)
        for folder in output_dir.iterdir()
        if folder.is_dir() and (match := _CHECKPOINT.fullmatch(folder.name))
    ]
    return [folder for _, folder in sorted(found, reverse=True)]


def clean(output_dir: Path) -> None:
    """Remove the partial folders of a killed run."""
    for folder in output_dir.iterdir():
        if folder.is_dir() and folder.name.startswith(_PARTIAL):
            shutil.rmtree(folder)


def last_good(output_dir: Path) -> tuple[Path | None, list[Path]]:
    """The newest complete checkpoint, and newer damaged ones."""
    bad: list[Path] = []
    for folder in checkpoints(output_dir):
        if _is_whole(folder):
            return folder, bad
        bad.append(folder)
    return None, bad


def _is_whole(folder: Path) -> bool:
    """Whether all files are as they were written; those of version 0.1 have no sums, only sizes."""
    try:
        note = read_json(folder / NOTE_FILE)
        sizes: dict[str, int] = note["files"]
        sums: dict[str, int] = note.get("crc32", {})
        return all((folder / name).stat().st_size == size for name, size in sizes.items()) and all(
            _crc32(folder / name) == value for name, value in sums.items()
        )
    except (UserError, OSError, KeyError, TypeError, AttributeError, ValueError):
        return False


def _crc32(file: Path) -> int:
    value = 0
    with open(file, "rb") as stream:
        while block := stream.read(_BLOCK):
            value = isal_zlib.crc32(block, value)
    return value


def open_run(output_dir: Path, identity: RunIdentity) -> dict[str, Any] | None:
    """The run file of an earlier start of the same run; None if this is the first.

    A run that has written no checkpoint yet leaves nothing to continue: the folder may be used by another.

    Raises:
        UserError: the folder contains another run, or files of something else.
    """
    option = named("output_dir")
    if not output_dir.exists():
        return None
    if not output_dir.is_dir():
        raise UserError(f"{option} {output_dir}: is not a folder")
    file = output_dir / RUN_FILE
    if not file.is_file():
        others = sorted(
            entry.name
            for entry in output_dir.iterdir()
            if not entry.name.startswith(".") and entry.name not in _HARMLESS
        )
        if others:
            raise UserError(
                f"{option} {output_dir}: contains {others[0]}, which x3 sft did not write;"
                f" name a new folder with {option}"
            )
        return None
    run: dict[str, Any] = read_json(file, what="run file")
    changes = identity.changes(run.get("identity", {}))
    if changes and not run.get("finished") and not checkpoints(output_dir):
        return None
    if changes:
        raise UserError(
            f"{option} {output_dir}: contains another run ({'; '.join(changes)});"
            f" name a new folder with {option}, or repeat the earlier command to continue it"
        )
    return run


def write_run(output_dir: Path, identity: RunIdentity, *, finished: bool, **facts: Any) -> None:
    """Write the run file."""
    value = {"identity": identity.values, "finished": finished, **facts}
    write_json(output_dir / RUN_FILE, value, fsync=True)
