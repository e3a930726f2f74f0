"""``x3 pack``: task files with their images inside, as one folder of Parquet shards."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from x3spatial.engine.local import default_workers, map_unordered
from x3spatial.errors import UserError
from x3spatial.formats.hub import check_license
from x3spatial.formats.image_paths import ImagePaths
from x3spatial.formats.task_file import check_exists
from x3spatial.formats.task_source import build_facts, data_sha256, file_name, source_at
from x3spatial.io.files import sha256_file
from x3spatial.io.locations import folder_at
from x3spatial.io.packs import FORMAT, PackedSet, open_pack
from x3spatial.packs.card import card, shard_bytes
from x3spatial.packs.output import INDEX, Output, claimed, shard_name
from x3spatial.packs.plan import ShardPlan, plan_shards
from x3spatial.packs.shard import (
    MemberPlace,
    WrittenShard,
    contents,
    require_pyarrow,
    write_shard,
)
from x3spatial.packs.sizes import parse_size
from x3spatial.progress import progress
from x3spatial.tables import Table, Tabular

SHARD_SIZE = "500M"
_SET_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_TAKEN = frozenset({"README"})


@dataclass(frozen=True, slots=True, repr=False)
class PackSummary(Tabular):
    """A pack."""

    place: str
    """Its path or URL."""
    manifest: dict[str, Any]
    written: bool
    """False if an equal finished pack was there."""
    shards_kept: int
    """Shards that an earlier, interrupted run had finished."""

    @property
    def samples(self) -> int:
        """Number of samples in all sets."""
        return sum(int(each["records"]) for each in self.manifest["sets"].values())

    @property
    def bytes(self) -> int:
        """Bytes of all shards."""
        return sum(map(shard_bytes, self.manifest["sets"].values()))

    def table(self) -> Table:
        """A row per set."""
        rows = tuple(
            (
                name, f"{each['records']:,}", f"{each['images']:,}", str(len(each["shards"])),
                f"{shard_bytes(each) / 1e6:,.1f}",
            )
            for name, each in self.manifest["sets"].items()
        )  # fmt: skip
        return Table(self.place, ("set", "samples", "images", "shards", "MB"), rows)


@dataclass(frozen=True, slots=True)
class _Source:
    """A task file and the name of its set."""

    name: str
    path: Path
    paths: ImagePaths
    sha256: str


def pack(
    tasks: str | Path | Sequence[str | Path],
    out: str | Path,
    *,
    shard_size: str = SHARD_SIZE,
    license: str | None = None,
    image_folder: str | Path | None = None,
    image_root: str | Path | None = None,
    workers: int | None = None,
    fresh: bool = False,
) -> PackSummary:
    """Write task files and every file that they name as one pack, which ``datasets.load_dataset`` opens.

    The bytes of images and masks are kept; only orientation tags are left out. The pack has the same bytes
    from any number of workers. A run that was killed is continued by the same call: finished shards are kept.

    Args:
        tasks: a task file, or several; each becomes a set, named after the file.
        out: the folder to write, or a URL of fsspec.
        shard_size: bytes of a shard, with K, M or G.
        license: an identifier of the Hub for the card, such as ``cc-by-4.0``.
        image_folder: base folder for relative image and mask paths.
        image_root: where the data root is now, if it was moved after the build.
        workers: threads; None for one per CPU.
        fresh: write again what an earlier run finished.

    Raises:
        UserError: an option, a task file, a record or an image cannot be used, or ``out`` holds something
            else.
    """
    size = parse_size(str(shard_size), "--shard-size")
    check_license(license)
    version = require_pyarrow("x3 pack")
    sources = _sources(tasks, image_folder, image_root)
    folder = folder_at(out)
    workers = default_workers() if workers is None else workers
    settings = {"shard_size": size, "license": license}
    with claimed(folder):
        output = Output(folder, [source.name for source in sources])
        if not fresh and _still_holds(output, sources, settings, workers):
            assert output.manifest is not None
            return PackSummary(folder.place, output.manifest, False, 0)
        output.begin(settings, fresh=fresh)
        sets: dict[str, Any] = {}
        kept = 0
        for source in sources:
            sets[source.name], reused = _write_set(source, output, size, workers)
            kept += reused
        manifest = {"format": FORMAT, "pyarrow": version, **settings, "sets": sets}
        output.finish(manifest, card(sets, license))
    opened = open_pack(folder.place, again=True)
    assert opened is not None
    for each in opened.sets.values():
        each.check()
    return PackSummary(folder.place, manifest, True, kept)


def _sources(
    tasks: str | Path | Sequence[str | Path],
    image_folder: str | Path | None,
    image_root: str | Path | None,
) -> list[_Source]:
    given = [tasks] if isinstance(tasks, str | Path) else list(tasks)
    if not given:
        raise UserError("TASKS: give at least one task file")
    found: dict[str, _Source] = {}
    for path in given:
        check_exists(Path(path))
        source = source_at(path)
        name = Path(file_name(source)).stem
        if not _SET_NAME.fullmatch(name) or name in _TAKEN:
            raise UserError(
                f"{path}: {name!r} cannot name a set; rename the file to letters, digits, '.', '_' and '-'"
            )
        if name in found:
            raise UserError(f"{path}: {found[name].path} has the same name; rename one of them")
        paths = ImagePaths(
            source,
            None if image_folder is None else Path(image_folder),
            None if image_root is None else Path(image_root),
        )
        if source.is_dir() and not paths.in_pack:
            raise UserError(f"{path}: is a folder; name one of the task files in it")
        found[name] = _Source(name, source, paths, data_sha256(source))
    return list(found.values())


def _write_set(
    source: _Source, output: Output, shard_size: int, workers: int
) -> tuple[dict[str, Any], int]:
    """Write a set; returns its entry in the manifest and the number of kept shards."""
    seen: dict[str, None] = {}
    splits: dict[str, None] = {}

    def plans() -> Iterator[ShardPlan]:
        for plan in plan_shards(source.path, source.paths, shard_size):
            for group in plan.groups:
                for row in group:
                    seen[row.record.task] = None
                    if row.record.split is not None:
                        splits[row.record.split] = None
            yield plan

    shards: dict[int, WrittenShard] = {}
    kept = 0
    with progress(f"packing {source.name}", 0) as advance:
        work = partial(_shard, source.name, output)
        for number, shard, reused in map_unordered(work, plans(), workers):
            shards[number] = shard
            kept += reused
            advance()
    members = _members([shards[number] for number in sorted(shards)], source)
    index = f"{source.name}/{INDEX}"
    with output.folder.new_file(index) as part:
        _write_index(members, part)
        stored = {"file": index, "bytes": part.stat().st_size, "sha256": sha256_file(part)}
    listed = [
        {
            "file": shard_name(source.name, number),
            "rows": shards[number].rows,
            "bytes": shards[number].bytes,
            "sha256": shards[number].sha256,
        }
        for number in sorted(shards)
    ]
    build = build_facts(source.path)
    entry = {
        "records": sum(shard.rows for shard in shards.values()),
        "images": len(members),
        "tasks": list(seen),
        "split": next(iter(splits), None),
        "data_sha256": source.sha256,
        "build": None if build.sha256 is None and build.identity is None else build.to_json(),
        "orientation_tags_removed": sum(shard.tags_removed for shard in shards.values()),
        "shards": listed,
        "index": stored,
    }
    return entry, kept


def _shard(set_name: str, output: Output, plan: ShardPlan) -> tuple[int, WrittenShard, bool]:
    """Write a shard, unless an earlier run did."""
    fingerprint = plan.fingerprint()
    earlier = output.finished(set_name, plan.number, fingerprint)
    if earlier is not None:
        return plan.number, earlier, True
    with output.folder.new_file(shard_name(set_name, plan.number)) as part:
        written = write_shard(plan, part)
    output.keep(set_name, plan.number, fingerprint, written)
    return plan.number, written, False


def _members(shards: Sequence[WrittenShard], source: _Source) -> list[tuple[MemberPlace, int]]:
    """All members by name, each in the first shard that has it.

    Raises:
        UserError: two shards have different bytes of one file.
    """
    found: dict[str, tuple[MemberPlace, int]] = {}
    for number, shard in enumerate(shards):
        for member in shard.members:
            first, _ = found.setdefault(member.name, (member, number))
            if (first.size, first.crc32) != (member.size, member.crc32):
                raise UserError(
                    f"{source.path}: {member.name} was changed while it was packed; pack again with --fresh"
                )
    return [found[name] for name in sorted(found)]


def _write_index(members: Sequence[tuple[MemberPlace, int]], part: Path) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    columns = {
        "name": pa.array([member.name for member, _ in members], pa.string()),
        "shard": pa.array([shard for _, shard in members], pa.int32()),
        "offset": pa.array([member.offset for member, _ in members], pa.int64()),
        "size": pa.array([member.size for member, _ in members], pa.int64()),
        "crc32": pa.array([member.crc32 for member, _ in members], pa.int64()),
    }
    with part.open("wb") as file:
        parquet.write_table(
            pa.table(columns),
            file,
            compression="zstd",
            write_page_checksum=True,
            use_dictionary=False,
        )


def _still_holds(
    output: Output, sources: Sequence[_Source], settings: dict[str, Any], workers: int
) -> bool:
    """Whether a finished pack of the same task files, settings and images is there; reads all images."""
    manifest = output.manifest
    if manifest is None or any(manifest.get(name) != value for name, value in settings.items()):
        return False
    try:
        pack = open_pack(output.folder.place, again=True)
        if pack is None or set(pack.sets) != {source.name for source in sources}:
            return False
        for source in sources:
            packed = pack.sets[source.name]
            packed.check()
            if packed.info.data_sha256 != source.sha256:
                return False
            plans = plan_shards(source.path, source.paths, settings["shard_size"])
            same = list(map_unordered(partial(_holds, packed), plans, workers))
            if not all(same) or len(same) != len(packed.info.shards):
                return False
    except UserError:
        return False
    return True


def _holds(packed: PackedSet, plan: ShardPlan) -> bool:
    """Whether a set has the files of a shard as they are now."""
    if plan.number >= len(packed.info.shards) or packed.info.shards[plan.number].rows != plan.rows:
        return False
    for name, data in contents(plan):
        if name not in packed:
            return False
        place = packed.find(name)
        if (place.size, place.crc32) != (len(data), zlib.crc32(data)):
            return False
    return True
