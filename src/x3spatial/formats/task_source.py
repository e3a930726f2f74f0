"""Where the records of a task file come from: a JSON file, or a set of a pack with the same content."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path, PurePath
from typing import Any

from x3spatial.errors import UserError
from x3spatial.io.files import read_manifest, sha256_file, sha256_json
from x3spatial.io.json_stream import iter_array
from x3spatial.io.locations import local_path
from x3spatial.io.packs import find_set, is_pack, places_of


@dataclass(frozen=True, slots=True)
class BuildFacts:
    """What is known of the build of a task file; None where it has no ``build.json`` beside it."""

    identity: str | None = None
    """Hash of settings that affect the images but are not in the records, such as the overlay."""
    seed: int | None = None
    sha256: str | None = None
    """Of ``build.json``."""

    def to_json(self) -> dict[str, Any]:
        """As the manifest of a pack holds them."""
        return asdict(self)


def is_task_source(path: Path) -> bool:
    """Whether ``path`` is a file, or a pack or one of its sets."""
    return local_path(path).is_file() or is_pack(path)


def source_at(path: str | Path) -> Path:
    """The absolute path of a task file or set, or its URL; a pack with one set means that set.

    Raises:
        UserError: it is a pack that is damaged or holds several sets.
    """
    packed = find_set(Path(path))
    if packed is not None:
        return Path(packed.place)
    return Path(os.path.abspath(local_path(path)))  # noqa: PTH100 - symbolic links are not resolved


def recorded_path(path: Path) -> str:
    """How results name a task file: its absolute path, or the path or URL of a set."""
    packed = find_set(path)
    return str(local_path(path).absolute()) if packed is None else packed.place


def sets_of(path: Path) -> list[Path]:
    """The sets of a pack; ``path`` itself if it is a task file or a set.

    Raises:
        UserError: it is a pack that is damaged.
    """
    return [Path(place) for place in places_of(path)] or [path]


def file_name(path: PurePath) -> str:
    """The name of the task file: that of a set has no ending, and its task file had one."""
    return path.name if path.suffix else f"{path.name}.json"


def iter_values(
    path: Path, *, what: str = "task file", decoder: json.JSONDecoder | None = None
) -> Iterator[Any]:
    """The records of a task file as JSON values, in file order and one at a time.

    Args:
        path: a JSON file, or a set of a pack.
        what: how messages call it.
        decoder: decodes the elements of a JSON file, as in ``iter_array``.

    Raises:
        UserError: it is missing, unreadable or damaged.
    """
    packed = find_set(path)
    if packed is not None:
        yield from packed.values()
        return
    path = local_path(path)
    _refuse_parquet(path)
    yield from iter_array(path, what=what, decoder=decoder)


def data_sha256(path: Path) -> str:
    """What identifies the data: the hash of the task file; of a pack that of the file it was made from.

    Raises:
        UserError: it is a pack that is damaged.
        OSError: it cannot be read.
    """
    packed = find_set(path)
    return sha256_file(local_path(path)) if packed is None else packed.info.data_sha256


def data_bytes(path: Path) -> int:
    """The size of a task file, or of the files of a set."""
    packed = find_set(path)
    if packed is None:
        return local_path(path).stat().st_size
    return sum(stored.bytes for stored in (*packed.info.shards, packed.info.index))


def build_facts(path: Path) -> BuildFacts:
    """What is known of the build that made a task file.

    Raises:
        UserError: it is a pack that is damaged.
    """
    packed = find_set(path)
    if packed is not None:
        found = packed.info.build or {}
        return BuildFacts(found.get("identity"), found.get("seed"), found.get("sha256"))
    file = local_path(path).parent / "build.json"
    manifest = read_manifest(file)
    if manifest is None:
        return BuildFacts(sha256=sha256_file(file) if file.is_file() else None)
    prompts = {name: prompt["sha256"] for name, prompt in manifest.get("prompts", {}).items()}
    # Formats 1 and 2 have the same images: results on builds of both can be compared.
    images = 1 if manifest.get("format") == 2 else manifest.get("format")
    parameters = manifest.get("parameters")
    seed = parameters.get("seed") if isinstance(parameters, dict) else None
    return BuildFacts(
        sha256_json([images, parameters, prompts]),
        seed if isinstance(seed, int) else None,
        sha256_file(file),
    )


def _refuse_parquet(path: Path) -> None:
    """Say what to name in place of a shard, or of a folder of foreign Parquet.

    Raises:
        UserError: ``path`` is one of them.
    """
    if path.suffix == ".parquet" and path.is_file():
        raise UserError(
            f"{path}: is a Parquet file; name its set, {path.parent}, if x3 pack wrote it"
        )
    if path.is_dir() and next(path.glob("*.parquet"), None) is not None:
        raise UserError(
            f"{path}: holds Parquet files but no x3-pack.json beside or above them: x3 pack did not write"
            " them, or did not finish"
        )
