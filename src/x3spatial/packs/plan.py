"""What goes into which shard, one at a time: that depends on the task file and the sizes of its images."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from x3spatial.errors import UserError
from x3spatial.formats.image_paths import PATH_FIELDS, ImagePaths, below_root, with_paths
from x3spatial.formats.mask_files import mask_candidates
from x3spatial.formats.record_fields import PATHS
from x3spatial.formats.task_file import TaskRecord, iter_with_values
from x3spatial.io.files import sha256_json
from x3spatial.io.members import MemberPath, file_at

_GROUP_BYTES = 8 << 20
"""A row group ends at the next object after so many bytes of different images, or those of a shard."""
_GROUP_ROWS = 128
"""Likewise, after so many rows."""
_GROUP_SHOWN_BYTES = 128 << 20
"""A row group ends also within an object before its rows hold so many bytes, repeated images included."""


@dataclass(frozen=True, slots=True)
class Member:
    """A file that goes into a pack."""

    name: str
    """In the pack: below the data root or the build's folder, if the path says so."""
    file: str
    size: int
    time: int
    """Modification time in nanoseconds."""


@dataclass(frozen=True, slots=True)
class Row:
    """A sample with its files."""

    record: TaskRecord
    text: str
    """The record's JSON, with names of members as paths."""
    images: tuple[Member, ...]
    ref_mask: Member | None
    query_mask: Member | None
    others: tuple[Member, ...]

    @property
    def members(self) -> tuple[Member, ...]:
        """All files."""
        masks = (mask for mask in (self.ref_mask, self.query_mask) if mask is not None)
        return (*self.images, *masks, *self.others)


@dataclass(frozen=True, slots=True)
class ShardPlan:
    """The rows of a shard, in row groups."""

    number: int
    groups: tuple[tuple[Row, ...], ...]

    @property
    def rows(self) -> int:
        """Number of samples."""
        return sum(map(len, self.groups))

    def fingerprint(self) -> str:
        """A hash that changes with the records, the paths, sizes and times of their files, and the groups."""
        digest = hashlib.sha256()
        for group in self.groups:
            digest.update(b"group\n")
            for row in group:
                files = [[m.name, m.file, m.size, m.time] for m in row.members]
                digest.update(json.dumps([row.text, files]).encode())
        return digest.hexdigest()


def plan_shards(source: Path, paths: ImagePaths, shard_bytes: int) -> Iterator[ShardPlan]:
    """The shards of a task file in order; one at least, also without a sample.

    Args:
        source: the task file.
        paths: finds its files.
        shard_bytes: a shard has at most so many bytes of images, if no row group has more.

    Raises:
        UserError: a record is malformed, or a file that it names is missing.
    """
    number, groups, size = 0, list[tuple[Row, ...]](), 0
    for group, group_size in _groups(_rows(source, paths), min(shard_bytes, _GROUP_BYTES)):
        if groups and size + group_size > shard_bytes:
            yield ShardPlan(number, tuple(groups))
            number, groups, size = number + 1, [], 0
        groups.append(group)
        size += group_size
    if groups or number == 0:
        yield ShardPlan(number, tuple(groups))


def _groups(rows: Iterator[Row], enough: int) -> Iterator[tuple[tuple[Row, ...], int]]:
    """Row groups, and the bytes of their different files.

    Samples of one object share images, which a row group stores once, so it ends between objects.
    """
    group: list[Row] = []
    sizes: dict[str, int] = {}
    shown = 0
    for row in rows:
        now = sum(member.size for member in row.members)
        if group:
            new_object = _object(row) != _object(group[-1])
            full = sum(sizes.values()) >= enough or len(group) >= _GROUP_ROWS
            if (new_object and full) or shown + now > _GROUP_SHOWN_BYTES:
                yield tuple(group), sum(sizes.values())
                group, sizes, shown = [], {}, 0
        group.append(row)
        sizes |= {member.name: member.size for member in row.members}
        shown += now
    if group:
        yield tuple(group), sum(sizes.values())


def _object(row: Row) -> tuple[str | None, str | None]:
    return row.record.scene, row.record.uid


def _rows(source: Path, paths: ImagePaths) -> Iterator[Row]:
    files = _Files()
    for value, stored in iter_with_values(source):
        where = f"{source}: record {stored.id}"
        yield _row(where, value, with_paths(stored, paths.find), paths, files)


def _row(
    where: str, value: dict[str, Any], record: TaskRecord, paths: ImagePaths, files: _Files
) -> Row:
    """A row; ``record`` has the paths of the files, ``value`` those of the task file."""
    images = tuple(files.named(path, where) for path in record.images)
    named = {
        path: files.named(path, where)
        for name in PATH_FIELDS
        if (path := getattr(record, name)) is not None
    }
    depths = value.get("depth") or []
    for path in map(paths.find, [depths] if isinstance(depths, str) else depths):
        named[path] = files.named(path, where)
    for choice in ("auto", "tight", "dilated"):
        for path in mask_candidates(record, choice):
            beside = files.beside(path)
            if beside is not None:
                named[path] = beside
    usual = next((path for path in mask_candidates(record, "auto") if path in named), None)
    query_mask = None if usual is None else named[usual]
    ref_mask = None if record.ref_mask is None else named[record.ref_mask]
    inside = {member.name for member in (*images, query_mask, ref_mask) if member is not None}
    others = {m.name: m for m in named.values() if m.name not in inside}

    def renamed(path: str) -> str:
        return files.named(paths.find(path), where).name

    changed = {
        name: _renamed(entry, renamed) if name in PATHS else entry for name, entry in value.items()
    }
    text = json.dumps(changed, ensure_ascii=False, separators=(",", ":"))
    return Row(
        with_paths(record, lambda path: files.named(path, where).name),
        text, images, ref_mask, query_mask, tuple(others.values()),
    )  # fmt: skip


def _renamed(entry: Any, change: Any) -> Any:
    if isinstance(entry, str):
        return change(entry)
    return [change(path) for path in entry] if isinstance(entry, list) else entry


class _Files:
    """The files of a task file, each looked at once, and their names in the pack."""

    def __init__(self) -> None:
        self._known: dict[str, Member | None] = {}
        self._folders: dict[str, str] = {}
        """Folder in the pack → the folder whose files are in it."""

    def named(self, path: str, where: str) -> Member:
        """A file that a record names.

        Raises:
            UserError: it is missing.
        """
        found = self.beside(path)
        if found is None:
            raise UserError(
                f"{where}: {path} is missing, and a pack holds every file that its records name; build again,"
                " or say where the data root is now with --image-root, or what relative paths are relative to"
                " with --image-folder"
            )
        return found

    def beside(self, path: str) -> Member | None:
        """A file that may be there; None if it is not."""
        if path not in self._known:
            self._known[path] = self._look(path)
        return self._known[path]

    def _look(self, path: str) -> Member | None:
        file = file_at(path)
        try:
            if not file.is_file():
                return None
            state = file.stat()
        except OSError:
            return None
        return Member(self._name(path, file), path, state.st_size, state.st_mtime_ns)

    def _name(self, path: str, file: Path) -> str:
        if isinstance(file, MemberPath):
            return path.partition("!/")[2]
        whole = PurePath(path)
        made, below = below_root(path)
        folder = "/".join((made, *below[:-1]) if made else below[:-1])
        source = str(whole.parent)
        if not folder or self._folders.setdefault(folder, source) != source:
            folder = f"files/{sha256_json(source)[:12]}"
        return f"{folder}/{whole.name}"
