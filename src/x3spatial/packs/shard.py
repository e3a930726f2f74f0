"""Writing one shard, and where its images stand in it.

The bytes of images are columns without compression whose dictionaries hold each different image of a row
group once, one after the other. So rows repeat an image for nothing, readers of Parquet see it in each of
them, and an image is a range of the file.
"""

from __future__ import annotations

import hashlib
import mmap
import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from x3spatial.errors import UserError, packages_of
from x3spatial.io.files import naming
from x3spatial.io.images import ImageError, read_bytes
from x3spatial.io.members import file_at
from x3spatial.io.orientation import without_orientation
from x3spatial.io.packs import EXTRA
from x3spatial.packs.columns import (
    AREA,
    IMAGE_COLUMNS,
    IMAGES,
    LISTS,
    MASKS,
    OTHERS,
    PLAIN,
    POINT,
    bytes_leaf,
    features,
    leaves,
    plain_values,
)
from x3spatial.packs.plan import Member, Row, ShardPlan

_HEADER_BYTES = 256
"""The header of a dictionary page is shorter."""
_PAGE_LIMIT = 1 << 30
"""Larger than any row group: a dictionary that is given up would store images in every row."""


@dataclass(frozen=True, slots=True)
class MemberPlace:
    """A member's place in its shard."""

    name: str
    offset: int
    size: int
    crc32: int


@dataclass(frozen=True, slots=True)
class WrittenShard:
    """A finished shard."""

    rows: int
    bytes: int
    sha256: str
    members: tuple[MemberPlace, ...]
    tags_removed: int
    """Images whose orientation tag was left out."""


@dataclass(slots=True)
class _Column:
    """The images of a column in one row group: different contents, and which of them stand where."""

    blobs: list[bytes] = field(default_factory=list)
    numbers: dict[bytes, int] = field(default_factory=dict)
    names: dict[str, int] = field(default_factory=dict)
    """Member → number of its content."""

    def add(self, name: str, data: bytes) -> int:
        number = self.numbers.setdefault(hashlib.sha256(data).digest(), len(self.blobs))
        if number == len(self.blobs):
            self.blobs.append(data)
        self.names[name] = number
        return number

    def written(self) -> _Written:
        """What finds them in the file, without the bytes."""
        if not self.blobs:
            return _Written(b"", (), {})
        first = struct.pack("<I", len(self.blobs[0])) + self.blobs[0][:_HEADER_BYTES]
        contents = tuple((len(blob), zlib.crc32(blob)) for blob in self.blobs)
        return _Written(first, contents, self.names)


@dataclass(frozen=True, slots=True)
class _Written:
    """The images of a column in a row group that was written."""

    first: bytes
    """How the first value begins: its length and some bytes."""
    contents: tuple[tuple[int, int], ...]
    """(size, CRC-32) in the order of the file."""
    names: dict[str, int]


def require_pyarrow(wanted_by: str) -> str:
    """The version of pyarrow.

    Raises:
        UserError: it is not installed.
    """
    with packages_of(EXTRA, wanted_by):
        import pyarrow
        import pyarrow.parquet
    return str(pyarrow.__version__)


def write_shard(plan: ShardPlan, part: Path) -> WrittenShard:
    """Write a shard to the new file ``part``.

    Raises:
        UserError: a file is not an image, or cannot be read.
        OSError: the shard cannot be written.
    """
    from pyarrow import parquet

    reader = _Reader()
    stored: set[str] = {
        m.name
        for group in plan.groups
        for row in group
        for m in (*row.images, row.ref_mask, row.query_mask)
        if m is not None
    }
    columns: list[dict[str, _Written]] = []
    flat = dict.fromkeys(leaves(), "zstd")
    images = [bytes_leaf(column) for column in IMAGE_COLUMNS]
    with (
        naming(part),
        part.open("wb") as file,
        parquet.ParquetWriter(
            file,
            _table((), _Reader(), set())[0].schema,
            compression={**flat, **dict.fromkeys(images, "none")},
            use_dictionary=images,
            dictionary_pagesize_limit=_PAGE_LIMIT,
            write_statistics=["id"],
            write_page_checksum=True,
            store_schema=False,  # it would say "dictionary", and readers would see numbers
        ) as writer,
    ):
        for group in plan.groups or ((),):
            table, found = _table(group, reader, stored)
            writer.write_table(table, row_group_size=max(1, len(group)))
            columns.append({name: each.written() for name, each in found.items()})
        writer.add_key_value_metadata({"huggingface": features()})
    return _located(plan, part, columns, reader.tags_removed)


class _Reader:
    """Reads the files of one shard, each as often as row groups need it."""

    def __init__(self) -> None:
        self._turned: set[str] = set()

    @property
    def tags_removed(self) -> int:
        return len(self._turned)

    def read(self, member: Member, id: str) -> bytes:
        try:
            stored = read_bytes(file_at(member.file))
            # datasets would apply the tag, but points refer to the stored pixels.
            data, _ = without_orientation(stored, member.name)
        except ImageError as error:
            raise UserError(f"record {id}: {member.file}: {error.reason}") from None
        if data is not stored:
            self._turned.add(member.name)
        return data


def contents(plan: ShardPlan) -> Iterator[tuple[str, bytes]]:
    """Name and bytes of every file of a shard, as they are packed.

    Raises:
        UserError: a file is not an image, or cannot be read.
    """
    reader = _Reader()
    seen: set[str] = set()
    for group in plan.groups:
        for row in group:
            for member in row.members:
                if member.name not in seen:
                    seen.add(member.name)
                    yield member.name, reader.read(member, row.record.id)


def _table(
    group: Sequence[Row], reader: _Reader, stored: set[str]
) -> tuple[Any, dict[str, _Column]]:
    """A row group, and the images of its columns.

    Args:
        group: its rows.
        reader: reads their files.
        stored: names that the shard holds or will hold; others are added when they are written.
    """
    import pyarrow as pa

    found = {column: _Column() for column in IMAGE_COLUMNS}
    cells: dict[str, list[list[tuple[int, str]]]] = {column: [] for column in IMAGE_COLUMNS}
    data: dict[str, bytes] = {}
    for row in group:
        others = [m for m in row.others if m.name not in stored]
        stored.update(m.name for m in others)
        for column, members in (
            (IMAGES, row.images),
            *zip(MASKS, ((row.ref_mask,), (row.query_mask,)), strict=True),
            (OTHERS, others),
        ):
            cell = []
            for member in members:
                if member is None:
                    continue
                if member.name not in data:
                    data[member.name] = reader.read(member, row.record.id)
                cell.append((found[column].add(member.name, data[member.name]), member.name))
            cells[column].append(cell)
    plain = [plain_values(row.record, row.text) for row in group]
    arrays: dict[str, Any] = {}
    kinds = {POINT: pa.list_(pa.float64()), AREA: pa.float64()}
    for name in PLAIN:
        arrays[name] = pa.array([values[name] for values in plain], kinds.get(name, pa.string()))
    for column in IMAGE_COLUMNS:
        arrays[column] = _image_array(found[column], cells[column], several=column in LISTS)
    return pa.table(arrays), found


def _image_array(
    column: _Column, cells: Sequence[Sequence[tuple[int, str]]], *, several: bool
) -> Any:
    import pyarrow as pa

    if several:
        entries: list[tuple[int, str] | None] = [entry for cell in cells for entry in cell]
    else:
        entries = [cell[0] if cell else None for cell in cells]
    numbers = pa.array([None if e is None else e[0] for e in entries], pa.int32())
    names = pa.array([None if e is None else e[1] for e in entries], pa.string())
    data = pa.DictionaryArray.from_arrays(numbers, pa.array(column.blobs, pa.binary()))
    missing = pa.array([e is None for e in entries], pa.bool_())
    images = pa.StructArray.from_arrays([data, names], ["bytes", "path"], mask=missing)
    if not several:
        return images
    ends = [0]
    for cell in cells:
        ends.append(ends[-1] + len(cell))
    return pa.ListArray.from_arrays(pa.array(ends, pa.int32()), images)


def _located(
    plan: ShardPlan, part: Path, columns: Sequence[dict[str, _Written]], tags_removed: int
) -> WrittenShard:
    """Find the images in the file that was written, and hash it."""
    from pyarrow import parquet

    with parquet.ParquetFile(part) as opened:
        metadata = opened.metadata
    members: dict[str, MemberPlace] = {}
    with part.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as view:
        for number, found in enumerate(columns):
            group = metadata.row_group(number)
            chunks = {
                group.column(i).path_in_schema: group.column(i) for i in range(group.num_columns)
            }
            for column in IMAGE_COLUMNS:
                if not found[column].names:
                    continue
                start = chunks[bytes_leaf(column)].dictionary_page_offset
                places = list(_places(view, start, found[column]))
                for name, which in found[column].names.items():
                    offset, size, crc = places[which]
                    members.setdefault(name, MemberPlace(name, offset, size, crc))
        digest = hashlib.sha256(view).hexdigest()
        size = len(view)
    return WrittenShard(plan.rows, size, digest, tuple(members.values()), tags_removed)


def _places(view: mmap.mmap, start: int, written: _Written) -> Iterator[tuple[int, int, int]]:
    """(offset, size, CRC-32) of each value of a dictionary page: a length of four bytes, then the bytes."""
    place = view.find(written.first, start, start + _HEADER_BYTES + len(written.first))
    for size, crc in written.contents:
        begin = place + 4
        prefix, data = view[max(place, 0) : begin], view[begin : begin + size]
        if place < 0 or prefix != struct.pack("<I", size) or zlib.crc32(data) != crc:
            raise AssertionError("this version of pyarrow lays out dictionaries in another way")
        yield begin, size, crc
        place = begin + size
