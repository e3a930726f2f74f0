"""Where the images of a task file lie: relative paths, and data roots and task files that were moved."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path, PurePath
from typing import Any

from x3spatial.errors import UserError
from x3spatial.formats.task_file import TaskRecord
from x3spatial.io.locations import local_path
from x3spatial.io.members import MemberPath, file_at, member_text
from x3spatial.io.packs import find_set

MARKED, CONCAT, PAIRS = IMAGE_FOLDERS = ("marked_abs", "concat_abs", "pairs_abs")
"""Folders of the images that a build makes, beside its task files."""
PATH_CHOICES = ("absolute", "relative")
"""How a build writes paths: absolute, or relative to the folder of the task file."""
PATH_FIELDS = ("query_original", "ref_original", "ref_mask", "query_mask")
"""The fields of a record that hold a path, besides ``image``."""
_NEIGHBOURS = 4096
"""Paths that are found once: the records of one object, which name the same files, stand together."""
_BELOW_ROOT = 4
"""Number of parts of ``{split}/{scene}/uid_{uid}/{file}``."""


def with_paths(record: TaskRecord, change: Callable[[str], str]) -> TaskRecord:
    """``record`` with every path replaced by ``change`` of it."""
    image = record.image
    named = {name: getattr(record, name) for name in PATH_FIELDS}
    changed: dict[str, Any] = {
        name: None if path is None else change(path) for name, path in named.items()
    }
    changed["image"] = change(image) if isinstance(image, str) else tuple(map(change, image))
    if changed == {**named, "image": image}:
        return record  # as usual: the paths are absolute
    return replace(record, **changed)


class RelativePaths:
    """Writes paths relative to the folder of the task files, as ``ImagePaths`` reads them.

    Args:
        tasks_dir: the folder of the task files.
        data_root: the data root. Symbolic links above both folders are resolved, those below are not.
    """

    def __init__(self, tasks_dir: Path, data_root: Path) -> None:
        self._tasks_dir = tasks_dir
        self._root = data_root
        here = os.path.realpath(tasks_dir)
        self._to_root = PurePath(os.path.relpath(os.path.realpath(data_root), here))

    def __call__(self, path: str) -> str:
        """``path`` of a file below one of the folders, relative to the first."""
        file = PurePath(path)
        if file.is_relative_to(self._tasks_dir):
            return file.relative_to(self._tasks_dir).as_posix()
        return (self._to_root / file.relative_to(self._root)).as_posix()


class ImagePaths:
    """Finds the files that the records of a task file name.

    Relative paths are relative to ``image_folder``. Without one (or with ``/``, the document's spelling of
    "paths are absolute") they are relative to the folder of the task file; if the first such path does not
    exist there, to the working directory, and then to ``/``.

    With ``image_root``, a path that ends in ``{split}/{scene}/uid_{uid}/{file}`` is looked for below that
    root, and an image that the build made in the folder of the task file: both may have been moved.

    The files of a pack's records lie inside of it, so it takes neither.

    Args:
        data_json: the task file, or a set of a pack.
        image_folder: base folder for relative paths, or None.
        image_root: where the data root is now; None: where the records say.

    Raises:
        UserError: ``image_root`` is not a folder, or ``data_json`` is a pack and needs none.
    """

    def __init__(
        self, data_json: Path, image_folder: Path | None = None, image_root: Path | None = None
    ) -> None:
        given = image_folder is not None and str(image_folder) != os.sep
        self._packed = find_set(data_json)
        if self._packed is not None and (given or image_root is not None):
            option = "--image-folder" if given else "--image-root"
            raise UserError(
                f"{option} {image_folder if given else image_root}: {self._packed.place} is a pack, whose"
                " images are inside; leave the option out"
            )
        if image_root is not None and not image_root.is_dir():
            raise UserError(f"--image-root {image_root}: no such folder")
        # Links are resolved: ".." in a relative path means the parents of the folder itself, not of its link.
        self._tasks = Path(os.path.realpath(local_path(data_json).parent))
        self._base = Path(os.path.realpath(image_folder)) if image_folder and given else None
        self._root = image_root
        self._found: Path | None = None
        self._built = {name for name in IMAGE_FOLDERS if (self._tasks / name).is_dir()}

    @property
    def in_pack(self) -> bool:
        """Whether the files lie inside of a pack."""
        return self._packed is not None

    def find(self, path: str) -> str:
        """The path of the file that ``path`` of a record names; it may not exist."""
        if self._packed is not None:
            return member_text(self._packed, path)
        if self._root is not None:
            made, below = below_root(path)
            if below and not made:
                return str(self._root.joinpath(*below))
            if made in self._built:
                return str(self._tasks.joinpath(made, *below))
        if _is_absolute(path):
            return path
        return os.path.normpath(self.folder(path) / path)

    def folder(self, path: str) -> Path:
        """The folder that relative paths are relative to; ``path`` is the first of them."""
        if self._base is not None:
            return self._base
        if self._found is None:
            places = (self._tasks, Path.cwd(), Path(os.sep))
            self._found = next((p for p in places if _exists(p / path)), self._tasks)
        return self._found

    def records(self, records: Iterable[TaskRecord]) -> list[TaskRecord]:
        """The records with the paths of their files."""
        find = lru_cache(_NEIGHBOURS)(self.find)
        return [with_paths(record, find) for record in records]


def below_root(path: str) -> tuple[str, tuple[str, ...]]:
    """What ``path`` says of the place of its file, wherever data root and build lie.

    Returns:
        The one of ``IMAGE_FOLDERS`` that it lies in, or ``""``, and its parts ``{split}``, ``{scene}``,
        ``uid_{uid}`` and ``{file}``; no parts if it does not end in such ones.
    """
    parts = PurePath(path).parts
    below = parts[-_BELOW_ROOT:]
    if len(below) < _BELOW_ROOT or not below[-2].startswith("uid_"):
        return "", ()
    made = next(
        (part for part in parts[-_BELOW_ROOT - 1 : -_BELOW_ROOT] if part in IMAGE_FOLDERS), ""
    )
    return made, below


def default_folder(data_json: Path, records: Iterable[TaskRecord]) -> str | None:
    """The folder of relative paths without an ``image_folder``; None if all paths are absolute, or inside of
    a pack.
    """
    if find_set(data_json) is not None:
        return None
    for record in records:
        named = (getattr(record, name) for name in PATH_FIELDS)
        for path in (*record.images, *named):
            if path is not None and not _is_absolute(path):
                return str(ImagePaths(data_json).folder(path))
    return None


def check_present(
    data_json: Path, samples: Iterable[Sequence[str]], *, option: str = "--image-root"
) -> None:
    """Check that the files of at least one sample exist, which takes one look if nothing is wrong.

    Args:
        data_json: the task file, for the message.
        samples: for each sample the paths of its files.
        option: the option that says where they are now.

    Raises:
        UserError: every sample lacks a file; the message names the first one and what can be done.
    """
    first: str | None = None
    count = 0
    for paths in samples:
        missing = next((path for path in paths if not _exists(path)), None)
        if missing is None:
            return
        first = first or missing
        count += 1
    if first is not None:
        raise UserError(
            f"{data_json}: the files of all {count} samples are missing, {first} first; if the folders were"
            f" moved, name the data root with {option} (relative paths: --image-folder), or build again"
            " with x3 build"
        )


def _is_absolute(path: str) -> bool:
    return os.path.isabs(path)  # noqa: PTH117 - a tenth of the time of a Path, and files name millions


def _exists(path: str | Path) -> bool:
    file = file_at(path)
    if isinstance(file, MemberPath):
        return file.exists()
    return os.path.exists(path)  # noqa: PTH110 - Path.exists() raises for names that are too long
