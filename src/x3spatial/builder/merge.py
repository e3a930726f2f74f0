"""Moves what all shards of a build made into the output folder, and ends the build."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from x3spatial.builder.jobs import ObjectResult
from x3spatial.builder.manifest import MANIFEST, build_provenance, object_provenance
from x3spatial.builder.options import BuildOptions
from x3spatial.builder.pending import check_ours, chosen_objects, chosen_templates
from x3spatial.builder.run import build_tasks
from x3spatial.builder.state import JOURNAL, BuildState, size_of
from x3spatial.builder.summary import BuildSummary
from x3spatial.engine.shard_notes import Note, first_difference
from x3spatial.engine.shard_sets import ShardSet
from x3spatial.errors import UserError
from x3spatial.io.journal import Journal
from x3spatial.io.locks import lock_dir
from x3spatial.roots.layout import ObjectKey, RootListing


def merge(shards: ShardSet, workers: int) -> BuildSummary:
    """Move images and journals of all shards into the output folder, and write the task files.

    Raises:
        UserError: the data root or the versions of packages are not those of the shards any more, objects or
            images are missing, or the output folder cannot be used.
    """
    identity = shards.identity
    options = _options(identity["options"])
    root = Path(identity["root"])
    listing = chosen_objects(root, options)
    out_dir = Path(os.path.abspath(shards.out))  # noqa: PTH100
    present = listing.identity()
    changed = first_difference(present, {name: identity[name] for name in present})
    if changed is not None:
        raise UserError(
            f"{root}: holds other objects than when the shards of {out_dir} were built ({changed}); run all"
            " shards again with --fresh"
        )
    here = build_provenance(root, out_dir, options, chosen_templates(options))
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
