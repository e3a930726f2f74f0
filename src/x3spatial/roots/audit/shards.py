"""Shards of ``x3 audit``: each stores what it found of its objects; merging makes the report of all."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from x3spatial.engine.shard_notes import Note, digest, open_shard
from x3spatial.engine.shard_sets import ShardSet
from x3spatial.engine.shards import Shard
from x3spatial.io.files import check_output
from x3spatial.io.journal import Journal
from x3spatial.roots.audit.objects import AuditedObject, AuditedView
from x3spatial.roots.audit.report import AuditedRoot, AuditReport
from x3spatial.roots.findings import Problem
from x3spatial.roots.layout import ObjectKey, RootListing

KIND = "audit"
_OBJECTS = "objects.jsonl"


def audit_shard(
    shard: Shard,
    out: Path,
    listing: RootListing,
    tasks: Sequence[str],
    problems: Sequence[Problem],
    audited: Callable[[Sequence[ObjectKey]], Iterator[AuditedObject]],
) -> AuditReport:
    """Audit the objects of one shard.

    Args:
        shard: which one.
        out: the report of the whole audit.
        listing: the whole root.
        tasks: names of the tasks that will be built.
        problems: those of the listing; the first shard reports them.
        audited: audits objects.

    Raises:
        UserError: see ``open_shard``.
    """
    identity = {
        "data_root": str(listing.root),
        "tasks": list(tasks),
        "splits": list(listing.splits),
        **listing.identity(),
        "problems": digest([list(problem) for problem in problems]),
    }
    keys = shard.of(listing.objects)
    found = AuditedRoot()
    with open_shard(shard, out, KIND, identity, is_file=True, fresh=True) as part:
        with Journal(part.folder / _OBJECTS).open(fresh=True) as journal:
            for item in audited(keys):
                journal.append(_to_json(item))
                found.add(item)
            journal.sync()
        part.finish(len(keys), {"problems": [list(problem) for problem in problems]})
    told = problems if shard.k == 1 else ()
    return found.report(listing.root, listing.splits, told)


def merge(shards: ShardSet, workers: int) -> AuditReport:
    """Write the report of all objects.

    Raises:
        UserError: objects of a shard are missing, or the report cannot be written.
    """
    del workers  # nothing is decoded
    check_output(shards.out, "OUT")
    found = AuditedRoot()
    for note in shards.notes:
        objects = 0
        for item in _read(note):
            found.add(item)
            objects += 1
        if objects != note.units:
            raise shards.refusal(note, f"{_OBJECTS} holds {objects} of its {note.units} objects")
    problems = [Problem(*problem) for problem in shards.notes[0].found["problems"]]
    report = found.report(
        Path(shards.identity["data_root"]), list(shards.identity["splits"]), problems
    )
    report.write(shards.out)
    return report


def _to_json(item: AuditedObject) -> dict[str, Any]:
    value = {**asdict(item), "key": list(item.key)}
    value["digests"] = [[data.hex(), path] for data, path in item.digests]
    return value


def _read(note: Note) -> Iterator[AuditedObject]:
    for _, value in Journal(note.folder / _OBJECTS).entries():
        yield AuditedObject(
            **{
                **value,
                "key": ObjectKey(*value["key"]),
                "views": [
                    AuditedView(**{**view, "size": tuple(view["size"])}) for view in value["views"]
                ],
                "problems": [Problem(*problem) for problem in value["problems"]],
                "notes": [Problem(*note) for note in value["notes"]],
                "digests": [(bytes.fromhex(data), path) for data, path in value["digests"]],
            }
        )
