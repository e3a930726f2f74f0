"""Builds a whole data root, in parallel and resumable.

The bytes written depend on neither the number of workers nor interruptions. Every finished object is
one line of a journal in the output folder: its records, its images and a fingerprint of its inputs
and of every parameter that decides the result. A later run reuses the lines whose fingerprint still
matches and whose images still exist, and builds the other objects. It then streams the task files
from the journal in sorted order and writes the manifest last.
"""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from x3spatial.builder.manifest import (
    MANIFEST,
    as_spelt_before,
    build_provenance,
    object_provenance,
    run_info,
)
from x3spatial.builder.not_made import is_asked_for, refuse_nothing
from x3spatial.builder.options import BuildOptions
from x3spatial.builder.pending import (
    build_pending,
    check_ours,
    chosen_objects,
    chosen_templates,
    is_up_to_date,
)
from x3spatial.builder.shards import build_shard
from x3spatial.builder.state import BuildState
from x3spatial.builder.summary import BuildSummary
from x3spatial.builder.task_files import write_task_files
from x3spatial.engine.base import Engine
from x3spatial.engine.registry import open_engine
from x3spatial.engine.shards import Shard, parse_shard
from x3spatial.inpainting import open_engine as open_inpainting
from x3spatial.io.files import make_dir, read_manifest, write_json
from x3spatial.io.locks import lock_dir
from x3spatial.io.paths import check_utf8
from x3spatial.roots.layout import outside_root
from x3spatial.roots.views import split_missing_inpainted


def build_tasks(
    data_root: str | Path,
    out_dir: str | Path,
    options: BuildOptions | None = None,
    *,
    workers: int | None = None,
    engine: str | Engine = "local",
    ray_address: str | None = None,
    fresh: bool = False,
    out_option: str = "--out",
    shard: str | Shard | None = None,
    **changes: Any,
) -> BuildSummary:
    """Build the task files of a data root.

    Args:
        data_root: the folder that holds the splits.
        out_dir: where task files, images and ``build.json`` go.
        options: what to build; None for the defaults.
        workers: threads; None for one per usable CPU.
        engine: a name in ``engine.registry.ENGINES``, or an engine that is open.
        ray_address: for ``ray``: the cluster to join; None to start Ray on this machine.
        fresh: rebuild everything instead of reusing results of earlier runs.
        out_option: how errors name ``out_dir``.
        shard: build only every Nth object, ``K/N``, for ``x3spatial.merge``, which writes the task files;
            None for all.
        **changes: fields of ``BuildOptions`` that replace those of ``options``.

    Returns:
        The manifest and the number of objects built now; with ``shard`` what a manifest says of its objects.

    Raises:
        TypeError: ``BuildOptions`` has no such field.
        UserError: ``data_root`` or ``out_dir`` cannot be used, a prompt template is invalid, or another
            run is writing to ``out_dir``. Also if only sets are chosen that are not built by default, and
            none of them can be made (the build is complete then, without samples).
        UnitsFailed: an object could not be built; all others are done.
    """
    start = time.monotonic()
    options = replace(options or BuildOptions(), **changes)
    # Not resolve(): records keep the paths that the user gave, symbolic links included.
    root = Path(os.path.abspath(data_root))  # noqa: PTH100
    out_dir = Path(os.path.abspath(out_dir))  # noqa: PTH100
    if options.prompts is not None:
        check_utf8(options.prompts, "--prompts")
    if not fresh:  # records have the paths as given; the same folders are not another build
        root, out_dir = as_spelt_before(root, out_dir)
    if options.decoys:
        # What it needs may be missing: that is said before any work.
        open_inpainting(options.decoy_engine, option="--decoy-engine")
    part = parse_shard(shard)
    templates = chosen_templates(options)
    listing = chosen_objects(root, options)
    outside_root(root, out_dir, out_option)
    check_utf8(out_dir, out_option)
    make_dir(out_dir, out_option)
    check_ours(out_dir, out_option)
    if part is not None:
        return build_shard(
            part,
            listing,
            out_dir,
            options,
            templates,
            workers,
            engine=engine,
            ray_address=ray_address,
            fresh=fresh,
            out_option=out_option,
        )
    with lock_dir(out_dir, out_option):
        provenance = build_provenance(root, out_dir, options, templates)
        state = BuildState(out_dir, listing, object_provenance(provenance), fresh)
        manifest = read_manifest(out_dir / MANIFEST)
        if not state.todo and is_up_to_date(manifest, provenance, out_dir, listing, state):
            assert manifest is not None
            return _finished(BuildSummary(out_dir, manifest, 0), options, root)
        # The folder is incomplete from here on, so it must not have a manifest.
        (out_dir / MANIFEST).unlink(missing_ok=True)
        with open_engine(engine, ray_address) as opened, state.journal.open(fresh=fresh):
            used = build_pending(state, listing, out_dir, options, templates, opened, workers)
        written = write_task_files(out_dir, listing, state, options)
        problems, notes = split_missing_inpainted(
            root, written.problems, any_inpainted=state.any_inpainted
        )
        state.finish()
        manifest = {
            **provenance,
            "counts": written.counts,
            "files": written.files,
            "skipped_total": len(problems),
            "skipped": [problem._asdict() for problem in problems],
            **({"notes": [note._asdict() for note in notes]} if notes else {}),
            **(
                {"not_made": [one.to_json() for one in written.not_made]}
                if written.not_made
                else {}
            ),
            "run": run_info(time.monotonic() - start, used),
        }
        write_json(out_dir / MANIFEST, manifest, fsync=True)
    return _finished(BuildSummary(out_dir, manifest, len(state.todo)), options, root)


def _finished(summary: BuildSummary, options: BuildOptions, root: Path) -> BuildSummary:
    """The summary of a complete build.

    Raises:
        UserError: none of the chosen tasks is a default one, and none of them could be made.
    """
    if not summary.records and all(is_asked_for(task) for task in options.chosen):
        names = [task.name for task in options.chosen]
        refuse_nothing(summary.not_made, names, f"--tasks {','.join(options.tasks)}", root)
    return summary
