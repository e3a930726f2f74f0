"""Moves the images of all shards of an export, and writes its outputs from their samples."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

from x3spatial.engine.shard_notes import Note, first_difference
from x3spatial.engine.shard_sets import ShardSet
from x3spatial.errors import UserError
from x3spatial.exporters.image_paths import IMAGES, ImagePlacer
from x3spatial.exporters.manifest import previous_manifest
from x3spatial.exporters.plan import ExportPlan, absolute, is_held, plan_export
from x3spatial.exporters.samples import Box, Sample
from x3spatial.exporters.sampling import Tally, located
from x3spatial.exporters.shards import IMAGE_NAMES, lines_of
from x3spatial.exporters.summary import ExportSummary
from x3spatial.exporters.writing import claimed_outputs, write_export
from x3spatial.formats.image_paths import with_paths
from x3spatial.formats.task_file import TaskRecord, iter_records
from x3spatial.io.files import make_dir, read_json
from x3spatial.io.locks import lock_dir
from x3spatial.io.opening import open_regular

_CHUNK = 1 << 20


def merge(shards: ShardSet, workers: int) -> ExportSummary:
    """Write the outputs of an export.

    Raises:
        UserError: a task file or a package changed, samples or images of a shard are missing, or the folder
            holds files of others.
    """
    del workers  # one stream of samples
    plan = _plan(shards)
    out_dir = plan.out_dir
    with lock_dir(out_dir, "OUT"):
        tally = Tally()
        copies = [_check(note, shards, plan, tally) for note in shards.notes]
        with claimed_outputs(plan, previous_manifest(out_dir)):
            if tally.copies:
                make_dir(out_dir / IMAGES, "OUT")
            for note, names in zip(shards.notes, copies, strict=True):
                for name in names:
                    if (note.folder / IMAGES / name).exists():  # an interrupted merge moved some
                        os.replace(note.folder / IMAGES / name, out_dir / IMAGES / name)
            made = _Samples(shards, plan)
            manifest = write_export(plan, made.of, lambda: tally)
    return ExportSummary(out_dir, manifest, written=True)


def _plan(shards: ShardSet) -> ExportPlan:
    what = shards.identity["what"]
    options = what["options"]
    plan = plan_export(
        [source["path"] for source in what["sources"]],
        absolute(shards.out),
        options["to"],
        paths=options["paths"],
        points=options["points"],
        image_folder=options["image_folder"],
        image_root=options.get("image_root"),
        min_pixels=options["min_pixels"],
        max_pixels=options["max_pixels"],
        license=options.get("license"),
        title=options.get("title"),
        limit=options["limit"],
    )
    changed = first_difference(json.loads(json.dumps(plan.what)), what)
    if changed is not None:
        raise UserError(
            f"{shards.out}: its shards were exported otherwise than x3 merge would ({changed}); restore the"
            " task files and packages of the shards, or run all shards again with --fresh"
        )
    return plan


def _check(note: Note, shards: ShardSet, plan: ExportPlan, tally: Tally) -> list[str]:
    """Check that the files of a shard are there, and add what it counted.

    Returns:
        The names of its copied images.

    Raises:
        UserError: they are not.
    """
    for number, records in enumerate(note.found["records"]):
        path = lines_of(note.folder, number)
        try:
            with open_regular(path) as file:
                found = sum(chunk.count(b"\n") for chunk in iter(lambda: file.read(_CHUNK), b""))
        except OSError as error:
            raise shards.refusal(note, f"{path}: {error.strerror}") from None
        if found != records:
            raise shards.refusal(note, f"{path} holds {found} of its {records} samples")
    names = read_json(note.folder / IMAGE_NAMES)
    copies: list[str] = names["copies"]
    for name in copies:
        if not any((folder / IMAGES / name).is_file() for folder in (note.folder, plan.out_dir)):
            raise shards.refusal(note, f"{note.folder / IMAGES / name} is missing")
    tally.counts.update(note.found["counts"])
    tally.copies.update(copies)
    tally.turned.update(names["turned"])
    tally.longer += note.found["longer"]
    tally.unsafe += note.found["unsafe"]
    return copies


class _Samples:
    """The samples of all shards, in the order of the task files."""

    def __init__(self, shards: ShardSet, plan: ExportPlan) -> None:
        self._shards = shards
        self._plan = plan
        self._placer = ImagePlacer(plan.paths, plan.out_dir)
        self._numbers = {source: number for number, source in enumerate(plan.outputs)}

    def of(self, source: Path) -> Iterator[Sample]:
        """The samples of one task file."""
        number = self._numbers[source]
        lines = [_lines(lines_of(note.folder, number)) for note in self._shards.notes]
        paths = self._plan.located(source)
        for place, listed in enumerate(islice(iter_records(source), self._plan.limit)):
            if is_held(self._plan.form, listed):
                record = with_paths(listed, paths.find)
                where = f"{source}: record {record.id}"
                yield self._sample(record, next(lines[place % len(lines)]), where)

    def _sample(self, record: TaskRecord, made: dict[str, Any], where: str) -> Sample:
        again = self._placer.placed_before
        files = [located(path) for path in record.images]
        images = tuple(
            again(file, path, where) for file, path in zip(files, made["images"], strict=True)
        )
        boxes = made["boxes"]
        sample = Sample(
            record,
            images,
            made["prompt"],
            made["answer"],
            boxes=None if boxes is None else tuple(Box(*box) for box in boxes),
            names=tuple(made["names"]),
            sizes=tuple((width, height) for width, height in made["sizes"]),
        )
        if made["mask"] is not None:
            assert record.query_mask is not None, "its shard had it"
            mask = self._placer.mask_placed_before(located(record.query_mask), made["mask"], where)
            sample = replace(sample, query_mask=mask)
        if made["placed"] is not None:
            sample = replace(sample, placed=TaskRecord.from_json(made["placed"]))
        return sample


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    """The lines of a shard, which is not kept open: there may be more shards than open files."""
    offset, rest = 0, b""
    while True:
        with open_regular(path) as file:
            file.seek(offset)
            data = file.read(_CHUNK)
        if not data:
            return
        offset += len(data)
        *whole, rest = (rest + data).split(b"\n")
        for line in whole:
            yield json.loads(line)
