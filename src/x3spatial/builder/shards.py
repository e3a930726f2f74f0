"""Shards of ``x3 build``: each builds its objects; merging writes the task files of all.

A shard is a journal and images, as a build keeps them, in a folder of its own. Its records refer to the
output folder, where merging moves the images and appends the journals. What is left then is the end of a
build that finds every object done, so its files are those of a single build.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from x3spatial.builder.jobs import ObjectResult
from x3spatial.builder.manifest import (
    MANIFEST,
    build_provenance,
    object_provenance,
    sorted_counts,
)
from x3spatial.builder.options import BuildOptions
from x3spatial.builder.run import (
    BuildSummary,
    build_pending,
    build_tasks,
    check_ours,
    chosen_objects,
    chosen_templates,
    is_up_to_date,
)
from x3spatial.builder.state import JOURNAL, BuildState, size_of
from x3spatial.engine.shard_notes import Note, digest, first_difference, open_shard
from x3spatial.engine.shard_sets import ShardSet
from x3spatial.engine.shards import Shard
from x3spatial.errors import UserError
from x3spatial.io.files import read_manifest
from x3spatial.io.journal import Journal
from x3spatial.io.locks import lock_dir
from x3spatial.roots.findings import Problem
from x3spatial.roots.layout import ObjectKey, RootListing
from x3spatial.roots.views import split_missing_inpainted
from x3spatial.tasks.prompts import Template
from x3spatial.tasks.spec import TASKS

KIND = "build"


def build_shard(
    shard: Shard,
    listing: RootListing,
    out_dir: Path,
    options: BuildOptions,
    templates: dict[str, Template],
    workers: int,
    *,
    fresh: bool,
    out_option: str,
) -> BuildSummary:
    """Build the objects of one shard that are current neither in it nor in ``out_dir``.

    Args:
        shard: which one.
        listing: all objects of the build.
        out_dir: the output of the whole build.
        options: those of the build.
        templates: the prompt templates of the chosen tasks.
        workers: threads.
        fresh: build the objects of earlier runs again.
        out_option: how errors name ``out_dir``.

    Raises:
        UserError: see ``open_shard``.
    """
    provenance = build_provenance(listing.root, out_dir, options, templates)
    of_objects = object_provenance(provenance)
    manifest = read_manifest(out_dir / MANIFEST)
    if manifest is not None and not fresh:
        whole = BuildState(out_dir, listing, of_objects, fresh)
        if not whole.todo and is_up_to_date(manifest, provenance, out_dir, listing, whole):
            return BuildSummary(out_dir, manifest, 0)  # merged already
    keys = tuple(shard.of(listing.objects))
    earlier = BuildState(out_dir, replace(listing, objects=keys), of_objects, fresh)
    mine = replace(listing, objects=tuple(earlier.todo))
    identity = {
        "options": asdict(options) | {"prompts": options.prompts and str(options.prompts)},
        "root": str(listing.root),
        **_inputs(listing),
        "provenance": provenance,
    }
    with open_shard(shard, out_dir, KIND, identity, fresh=fresh, option=out_option) as part:
        state = BuildState(part.folder, mine, of_objects, fresh=False)
        with state.journal.open():
            build_pending(state, mine, out_dir, options, templates, workers)
        state.finish()
        of_shard = _facts(state, listing, options, is_first=shard.k == 1)
        part.finish(len(keys), {"objects_built": len(mine.objects), **of_shard})
    return BuildSummary(part.folder, {**provenance, **of_shard}, len(state.todo))


def _inputs(listing: RootListing) -> dict[str, Any]:
    return {
        "objects": len(listing.objects),
        "listing": digest([list(key) for key in listing.objects]),
    }


def _facts(
    state: BuildState, listing: RootListing, options: BuildOptions, *, is_first: bool
) -> dict[str, Any]:
    """What a manifest says of the objects of one shard; the first also tells of the root."""
    totals: dict[str, Counter[str]] = {split: Counter() for split in listing.splits}
    samples: dict[str, Counter[str]] = {split: Counter() for split in listing.splits}
    problems: list[Problem] = list(listing.problems) if is_first else []
    for result in state.results():
        totals[result.key.split].update({"objects": 1, **result.counts})
        problems += result.problems
        for name, records in result.records.items():
            if not TASKS[name].across_objects:
                samples[result.key.split][name] += len(records)
    problems, _ = split_missing_inpainted(listing.root, problems, any_inpainted=state.any_inpainted)
    counts = {
        split: {
            **sorted_counts(total),
            "samples": {task.name: samples[split][task.name] for task in options.chosen},
        }
        for split, total in totals.items()
    }
    return {
        "counts": counts,
        "files": {},
        "skipped_total": len(problems),
        "skipped": [problem._asdict() for problem in problems],
    }


def merge(shards: ShardSet, workers: int) -> BuildSummary:
    """Move images and journals of all shards into the output folder, and write the task files.

    Raises:
        UserError: the data root or the versions of packages are not those of the shards any more, objects or
            images are missing, or the output folder cannot be used.
    """
    out_dir, identity = shards.out, shards.identity
    options = _options(identity["options"])
    root = Path(identity["root"])
    listing = chosen_objects(root, options)
    out_dir = Path(os.path.abspath(out_dir))  # noqa: PTH100
    changed = first_difference(
        _inputs(listing), {name: identity[name] for name in _inputs(listing)}
    )
    if changed is not None:
        raise UserError(
            f"{root}: holds other objects than when the shards of {out_dir} were built ({changed}); run all"
            " shards again with --fresh"
        )
    here = build_provenance(root, Path(out_dir), options, chosen_templates(options))
    changed = first_difference(here, identity["provenance"])
    if changed is not None:
        raise UserError(
            f"{out_dir}: its shards were built otherwise than x3 merge would ({changed}); merge with the"
            " packages and prompts of the shards, or run all shards again with --fresh"
        )
    built = 0
    with lock_dir(out_dir, "OUT"):
        check_ours(out_dir, "OUT")
        state = BuildState(out_dir, listing, object_provenance(here), fresh=False)
        todo = set(state.todo)
        for note in shards.notes:
            _check(note, shards, listing, state, todo)
        # The folder is incomplete from here on, so it must not have a manifest.
        (out_dir / MANIFEST).unlink(missing_ok=True)
        with state.journal.open():
            state.void_stale()
            for note in shards.notes:
                built += int(note.found["objects_built"])
                for result in _results(note):
                    if result.key in todo:
                        _move(result, note.folder, out_dir)
                        state.add(result)
    try:
        summary = build_tasks(root, out_dir, options, workers=workers, out_option="OUT")
    except UserError:
        if (out_dir / MANIFEST).exists():  # complete, but without a sample
            shards.remove()
        raise
    return replace(summary, objects_built=built)


def _options(stored: dict[str, Any]) -> BuildOptions:
    values: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in stored.items()
    }
    return BuildOptions(**values)


def _results(note: Note) -> Iterator[ObjectResult]:
    for _, value in Journal(note.folder / JOURNAL).entries():
        if "void" not in value:
            yield ObjectResult.from_json(value)


def _check(
    note: Note, shards: ShardSet, listing: RootListing, state: BuildState, todo: set[ObjectKey]
) -> None:
    """Check that a shard has a current result of each of its objects that the output lacks."""
    missing = {key for key in note.shard.of(listing.objects) if key in todo}
    for result in _results(note):
        if result.key not in missing:
            continue
        missing.remove(result.key)
        if result.fingerprint != state.fingerprint(result.key):
            raise shards.refusal(note, f"files of {result.key} in {listing.root} changed since")
        for path, size in result.images.items():
            if size not in (size_of(note.folder / path), size_of(shards.out / path)):
                raise shards.refusal(note, f"{note.folder / path} is missing or damaged")
    if missing:
        raise shards.refusal(note, f"{min(missing)} is not there")


def _move(result: ObjectResult, folder: Path, out_dir: Path) -> None:
    for path in result.images:
        if (folder / path).exists():  # an interrupted merge moved some
            (out_dir / path).parent.mkdir(parents=True, exist_ok=True)
            os.replace(folder / path, out_dir / path)
