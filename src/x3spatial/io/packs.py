"""Reading packs: task files with their images inside, in Parquet shards (docs/packs.md).

A shard holds the bytes of images as they are, neither compressed nor cut, so the index of a set says at which
byte of which shard each image begins. Reading one costs one read of exactly its bytes: no row group is
decoded, nothing is kept in memory, and a URL is asked for that range only.
"""

from __future__ import annotations

import json
import os
import time
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from x3spatial.errors import UserError, packages_of
from x3spatial.io.json_stream import unique_keys
from x3spatial.io.locations import Folder, folder_at, local_path, url_of

MANIFEST = "x3-pack.json"
"""Written last; says what the pack holds."""
FORMAT = 1
EXTRA = "pack"
"""The extra with pyarrow."""
RECORD = "record"
"""The column with a record's JSON."""
_BATCH_ROWS = 256
_KNOWN_SECONDS = 60.0
"""So long a manifest behind a URL is not read again: one evaluation asks for its set a dozen times."""


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file of a pack; its name is relative to the pack."""

    file: str
    bytes: int
    sha256: str
    rows: int = 0


@dataclass(frozen=True, slots=True)
class SetInfo:
    """What the manifest says of one set, which is the content of one task file."""

    records: int
    data_sha256: str
    """Of the task file that was packed: results on it and on the pack are on the same data."""
    build: Mapping[str, Any] | None
    """Of its build: ``identity``, ``seed`` and ``sha256`` of the manifest; None if it has none."""
    shards: tuple[StoredFile, ...]
    index: StoredFile


@dataclass(frozen=True, slots=True)
class Place:
    """Where the bytes of an image stand."""

    shard: int
    offset: int
    size: int
    crc32: int


class PackedSet:
    """One set of a pack. Its members are named by relative paths; one instance per process and set."""

    def __init__(self, folder: Folder, name: str, info: SetInfo) -> None:
        self._folder = folder
        self.name = name
        self.info = info
        self._places: dict[str, Place] | None = None
        self._checked = False

    @property
    def place(self) -> str:
        """Its path or URL."""
        return self._folder.named(self.name)

    def __reduce__(self) -> tuple[Any, ...]:
        """Another process opens the pack itself."""
        return _reopened, (self._folder.place, self.name)

    def check(self, *, again: bool = True) -> None:
        """Check that all files are there in their sizes; ``again``: also if that was done before.

        Raises:
            UserError: one is not.
        """
        if self._checked and not again:
            return
        for stored in (*self.info.shards, self.info.index):
            self._check(stored)
        self._checked = True

    def _check(self, stored: StoredFile) -> None:
        size = self._folder.size(stored.file)
        named = self._folder.named(stored.file)
        if size is None:
            raise UserError(f"{named}: is missing; the pack is incomplete, copy or pack it again")
        if size != stored.bytes:
            raise UserError(
                f"{named}: has {size:,} bytes, {stored.bytes:,} were written; it was cut short or changed,"
                " copy or pack it again"
            )

    def values(self) -> Iterator[Any]:
        """The records as the JSON values of a task file; their paths are names of members.

        Raises:
            UserError: a shard is missing, damaged or not Parquet.
        """
        for shard in self.info.shards:
            for (text,) in self._rows(shard, RECORD):
                try:
                    yield json.loads(text, object_pairs_hook=unique_keys)
                except (TypeError, ValueError) as error:
                    raise self._damaged(shard, error) from None

    def __contains__(self, member: str) -> bool:
        return member in self._index()

    def find(self, member: str) -> Place:
        """Where a member stands.

        Raises:
            FileNotFoundError: there is none of this name.
        """
        try:
            return self._index()[member]
        except KeyError:
            raise FileNotFoundError(
                2, "no such image in the pack", f"{self.place}!/{member}"
            ) from None

    def read(self, member: str) -> bytes:
        """The bytes of a member's file, as they were packed.

        Raises:
            FileNotFoundError: there is none of this name.
            UserError: its shard is missing or was changed.
        """
        place = self.find(member)
        shard = self.info.shards[place.shard]
        try:
            data = self._folder.read(shard.file, place.offset, place.size)
        except FileNotFoundError:
            self._check(shard)
            raise
        except OSError as error:
            raise UserError(
                f"{self._folder.named(shard.file)}: {error.strerror or error}"
            ) from None
        if len(data) != place.size or zlib.crc32(data) != place.crc32:
            self._check(shard)
            raise self._damaged(shard, f"{member} has other bytes than were packed")
        return data

    def _index(self) -> dict[str, Place]:
        if (
            self._places is None
        ):  # twice in two threads does no harm; a lock would not survive forks
            index, count = self.info.index, len(self.info.shards)
            rows = self._rows(index, "name", *(each.name for each in fields(Place)))
            places = {name: Place(*rest) for name, *rest in rows}
            if any(not 0 <= place.shard < count for place in places.values()):
                raise self._damaged(index, "it names a shard that the manifest does not have")
            self._places = places
        return self._places

    def _rows(self, stored: StoredFile, *names: str) -> Iterator[tuple[Any, ...]]:
        """The values of columns row by row, a few hundred in memory."""
        with packages_of(EXTRA, self.place):
            import pyarrow
            from pyarrow import parquet
        try:
            with (
                self._folder.open(stored.file) as file,
                parquet.ParquetFile(file, page_checksum_verification=True) as table,
            ):
                for batch in table.iter_batches(_BATCH_ROWS, columns=list(names)):
                    columns = (batch.column(name).to_pylist() for name in names)
                    yield from zip(*columns, strict=True)
        except FileNotFoundError:
            self._check(stored)
            raise
        except (pyarrow.ArrowException, OSError, IndexError, KeyError, ValueError) as error:
            self._check(
                stored
            )  # a file that was cut short since says more than what is wrong in it
            raise self._damaged(stored, error) from None

    def _damaged(self, stored: StoredFile, why: object) -> UserError:
        reason = " ".join(str(why).split())[:200]
        return UserError(
            f"{self._folder.named(stored.file)}: is damaged or was not written by x3 pack: {reason};"
            " copy or pack it again"
        )


@dataclass(frozen=True, slots=True)
class Pack:
    """The sets of a pack."""

    folder: Folder
    manifest: bytes
    sets: Mapping[str, PackedSet]
    read_at: float
    """When the manifest was read, of ``time.monotonic``."""


_opened: dict[str, Pack] = {}
"""Place → pack. In another process, also a forked one, what is missing is opened again."""


def read_manifest(folder: Folder) -> tuple[bytes, dict[str, Any]] | None:
    """The bytes and value of a pack's manifest; None if there is none.

    Raises:
        UserError: it is none of ours, or of a later version.
    """
    try:
        data = folder.read(MANIFEST)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise UserError(f"{folder.named(MANIFEST)}: {error.strerror or error}") from None
    named = folder.named(MANIFEST)
    try:
        value = json.loads(data)
        format = value["format"]
    except (ValueError, TypeError, KeyError):
        raise UserError(f"{named}: is not a manifest of x3 pack; copy or pack it again") from None
    if format != FORMAT:
        raise UserError(
            f"{named}: has format {format!r}; this version of x3 reads {FORMAT}: update x3spatial"
        )
    return data, value


def open_pack(place: str | Path, *, again: bool = False) -> Pack | None:
    """The pack at a path or URL, checked; None if there is no manifest.

    On this machine the manifest is read each time, behind a URL after ``_KNOWN_SECONDS``, or ``again``.

    Raises:
        UserError: it is incomplete or damaged.
    """
    key = url_of(place) or os.path.abspath(local_path(place))  # noqa: PTH100 - links stay
    known = _opened.get(key)
    now = time.monotonic()
    known_now = known is not None and now - known.read_at < _KNOWN_SECONDS
    if known_now and not again and url_of(place) is not None:
        return known
    folder = folder_at(key) if known is None else known.folder
    found = read_manifest(folder)
    if found is None:
        _opened.pop(key, None)
        return None
    data, value = found
    if known is None or known.manifest != data:
        if known is not None:
            folder = folder_at(key)  # without the open files of the earlier pack
        try:
            sets = {
                str(name): PackedSet(folder, name, _info(v)) for name, v in value["sets"].items()
            }
        except (KeyError, TypeError, ValueError, AttributeError):
            named = folder.named(MANIFEST)
            raise UserError(f"{named}: is damaged; copy or pack it again") from None
        known = Pack(folder, data, sets, now)
    known = _opened[key] = replace(known, read_at=now)
    return known


def _info(value: Mapping[str, Any]) -> SetInfo:
    stored = [
        StoredFile(str(v["file"]), int(v["bytes"]), str(v["sha256"]), int(v.get("rows", 0)))
        for v in (*value["shards"], value["index"])
    ]
    for file in stored:
        if file.file.startswith(("/", "..")) or "/../" in file.file or "\\" in file.file:
            raise ValueError("a path that leaves the pack")
    return SetInfo(
        int(value["records"]),
        str(value["data_sha256"]),
        value.get("build"),
        tuple(stored[:-1]),
        stored[-1],
    )


def is_pack(path: Path) -> bool:
    """Whether ``path`` is a pack with one set or more, or one of its sets."""
    try:
        return _pack_of(path) is not None
    except UserError:
        return True


def _pack_of(path: Path) -> tuple[Pack, str | None] | None:
    """The pack that ``path`` is or is a set of, and the name of the set; None: neither."""
    if url_of(path) is None and not local_path(path).is_dir():
        return None
    if _is_known_set(path):
        above = open_pack(path.parent)
        if above is not None and path.name in above.sets:
            return above, path.name
    pack = open_pack(path)
    if pack is not None:
        return pack, None
    above = open_pack(path.parent)
    return None if above is None or path.name not in above.sets else (above, path.name)


def _is_known_set(path: Path) -> bool:
    """Whether ``path`` is a URL of a set that was opened before, so that no manifest is sought in it."""
    above = url_of(path.parent)
    known = None if above is None else _opened.get(above)
    return known is not None and path.name in known.sets


def find_set(path: Path) -> PackedSet | None:
    """The set that ``path`` names: ``PACK/SET``, or a pack with one set. None: it is no pack.

    All its files are checked by size, behind a URL once.

    Raises:
        UserError: a URL without a pack, a pack with several sets, or a damaged one.
    """
    found = _pack_of(path)
    if found is None:
        url = url_of(path)
        if url is not None:
            raise UserError(f"{url}: no pack of x3 pack is there ({MANIFEST} is missing)")
        return None
    pack, name = found
    if name is None:
        if len(pack.sets) != 1:
            raise UserError(
                f"{pack.folder.place}: holds {len(pack.sets)} sets; name one of them:"
                f" {', '.join(pack.folder.named(each) for each in pack.sets)}"
            )
        (name,) = pack.sets
    chosen = pack.sets[name]
    chosen.check(again=url_of(path) is None)
    return chosen


def _reopened(place: str, name: str) -> PackedSet:
    packed = known_set(place, name)
    if packed is None:
        raise UserError(f"{place}: the pack is no longer there")
    return packed


def places_of(path: Path) -> list[str]:
    """The paths or URLs of the sets of the pack that ``path`` is; of none if it is a set or no pack.

    Raises:
        UserError: it is damaged.
    """
    found = _pack_of(path)
    return [] if found is None or found[1] else [each.place for each in found[0].sets.values()]


def known_set(place: str, name: str) -> PackedSet | None:
    """The set of a pack, which is opened in this process if it is not yet; None if there is none."""
    key = url_of(place) or os.path.abspath(place)  # noqa: PTH100
    pack = _opened.get(key)
    if pack is None:
        if url_of(place) is None and not (Path(place) / MANIFEST).is_file():
            return None
        pack = open_pack(place)
    return None if pack is None else pack.sets.get(name)
