"""The task file that results were made from, wherever it is now: recognised by its hash."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePath

from x3spatial.errors import UserError
from x3spatial.formats.task_source import data_sha256, is_task_source, sets_of
from x3spatial.formats.task_source import file_name as name_of_file
from x3spatial.tasks.spec import TASKS

_SHORT_SPLITS = ("train", "val", "test")
_LEVELS = 4
"""Folders above the results, and parts of a recorded path, that are tried where both were moved together."""


def task_and_split(file_name: str) -> tuple[str | None, str | None]:
    """(task, short split) of a task file's name; (None, None) if no task has files of this name."""
    file_name = name_of_file(PurePath(file_name))  # a set of a pack has that of its task file
    for name, spec in TASKS.items():
        for split in _SHORT_SPLITS:
            if spec.file(split) == file_name:
                return name, split
    return None, None


class TaskFiles:
    """Finds task files by hash.

    Args:
        given: task files, or folders with them, that the user named.
        recorded: paths that results record.
        results: paths of the results.

    Raises:
        UserError: a path of ``given`` does not exist.
    """

    def __init__(
        self, given: Iterable[Path], recorded: Iterable[str], results: Iterable[Path]
    ) -> None:
        self._given: list[Path] = []
        for path in given:
            if is_task_source(path):
                self._given += sets_of(path)
            elif path.is_dir():
                self._given += [file for file in sorted(path.glob("*.json")) if file.is_file()]
            else:
                raise UserError(f"--tasks {path}: no such task file or folder")
        self._recorded = list(dict.fromkeys(map(Path, recorded)))
        self._hashes: dict[Path, str | None] = {}

    def find(self, sha256: str | None, recorded: str | None, *, near: Path) -> Path | None:
        """The file with this hash; None if it is in none of the places.

        Args:
            sha256: the hash of its bytes.
            recorded: its path when it was asked.
            near: the results, which may have been moved together with it.
        """
        if sha256 is None:
            return None
        for path in self._candidates(recorded, near):
            if self._hash(path) == sha256:
                return path
        return None

    def alike(self, recorded: str, *, near: Path) -> tuple[Path, ...]:
        """Existing files of the same name, whatever they hold."""
        name = name_of_file(PurePath(recorded))
        return tuple(
            dict.fromkeys(
                p
                for p in self._candidates(recorded, near)
                if name_of_file(p) == name and is_task_source(p)
            )
        )

    def _candidates(self, recorded: str | None, near: Path) -> Iterator[Path]:
        yield from self._given
        if recorded is not None:
            yield Path(recorded)
        yield from self._recorded
        if recorded is not None:
            parts = PurePath(recorded.replace("\\", "/")).parts
            for above in list(Path(os.path.realpath(near)).parents)[:_LEVELS]:
                for count in range(1, min(_LEVELS, len(parts))):
                    yield above.joinpath(*parts[-count:])

    def _hash(self, path: Path) -> str | None:
        if path not in self._hashes:
            try:
                self._hashes[path] = data_sha256(path)
            except (OSError, UserError):
                self._hashes[path] = None
        return self._hashes[path]
