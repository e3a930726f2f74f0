"""Shards of ``x3 build``: each builds its objects; merging writes the task files of all.

A shard is a journal and images, as a build keeps them, in a folder of its own. Its records refer to the
output folder, where merging moves the images and appends the journals. What is left then is the end of a
build that finds every object done, so its files are those of a single build.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from x3spatial.builder.manifest import MANIFEST, build_provenance, object_provenance, sorted_counts
from x3spatial.builder.options import BuildOptions
from x3spatial.builder.pending import build_pending, is_up_to_date
from x3spatial.builder.state import BuildState
from x3spatial.builder.summary import BuildSummary
from x3spatial.engine.base import Engine
from x3spatial.engine.registry import open_engine
from x3spatial.engine.shard_notes import open_shard
from x3spatial.engine.shards import Shard
from x3spatial.io.files import read_manifest
from x3spatial.roots.findings import Problem
from x3spatial.roots.layout import RootListing
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
    workers: int | None,
    *,
    engine: str | Engine,
    ray_address: str | None,
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
        workers: threads; None for those that the engine has.
        engine: a name in ``engine.registry.ENGINES``, or an engine that is open.
        ray_address: for ``ray``: the cluster to join.
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
        **listing.identity(),
        "provenance": provenance,
    }
    with open_shard(shard, out_dir, KIND, identity, fresh=fresh, option=out_option) as part:
        state = BuildState(part.folder, mine, of_objects, fresh=False)
        with open_engine(engine, ray_address) as opened, state.journal.open():
            build_pending(state, mine, out_dir, options, templates, opened, workers)
        of_shard = _facts(state, listing, options, is_first=shard.k == 1)
        state.finish()
        part.finish(len(keys), {"objects_built": len(mine.objects), **of_shard})
    return BuildSummary(part.folder, {**provenance, **of_shard}, len(state.todo))


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
