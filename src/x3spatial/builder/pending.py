"""The parts of a build that a whole build and a shard share."""

from __future__ import annotations

from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import Any

from x3spatial.builder.jobs import ObjectJob
from x3spatial.builder.manifest import MANIFEST
from x3spatial.builder.objects import build_object
from x3spatial.builder.options import BuildOptions
from x3spatial.builder.state import JOURNAL, BuildState, size_of
from x3spatial.engine.base import Engine
from x3spatial.errors import UserError
from x3spatial.formats.image_paths import IMAGE_FOLDERS
from x3spatial.progress import progress
from x3spatial.roots.findings import Problem
from x3spatial.roots.layout import SPLITS, RootListing, list_root, short_split
from x3spatial.tasks.prompts import Template
from x3spatial.tasks.spec import TASKS, task_templates


def chosen_templates(options: BuildOptions) -> dict[str, Template]:
    """The prompt templates of the chosen tasks, by name."""
    return {
        name: template
        for name, template in task_templates(options.prompts).items()
        if name in options.templates
    }


def chosen_objects(root: Path, options: BuildOptions) -> RootListing:
    """The objects of a root that a build with these options builds."""
    return _limit_objects(list_root(root, options.splits), options.limit)


def build_pending(
    state: BuildState,
    listing: RootListing,
    out_dir: Path,
    options: BuildOptions,
    templates: dict[str, Template],
    engine: Engine,
    workers: int | None,
) -> int:
    """Build the objects without a current result into the folder of ``state``, whose journal is open.

    Args:
        state: the results.
        listing: the objects of ``state``.
        out_dir: the folder to which the records refer.
        options: those of the build.
        templates: the prompt templates of the chosen tasks.
        engine: what the objects are built on; open.
        workers: threads; None for those that the engine has.

    Returns:
        The number of workers.
    """
    jobs = (
        ObjectJob(
            item,
            out_dir,
            options,
            templates,
            fingerprint,
            listing.root,
            state.place(item.key),
            state.scene(item.key),
            state.out_dir,
        )
        for item, fingerprint in state.pending()
    )
    state.void_stale()
    total = len(listing.objects)
    with progress("building", total, done=total - len(state.todo)) as advance:
        for result in engine.map(
            build_object,
            jobs,
            workers=workers,
            name=lambda job: "/".join(job.files.key),
            threads=True,
            folders=[listing.root, state.out_dir],
        ):
            state.add(result)
            advance()
    return workers or engine.default_workers()


def check_ours(out_dir: Path, option: str) -> None:
    """Refuse a folder with task files or images that no build of ours wrote.

    Raises:
        UserError: there are such files.
    """
    if (out_dir / MANIFEST).exists() or (out_dir / JOURNAL).exists():
        return
    names = [task.file(short_split(split)) for task in TASKS.values() for split in SPLITS]
    found = next((n for n in (*names, *IMAGE_FOLDERS) if (out_dir / n).exists()), None)
    if found is not None:
        raise UserError(
            f"{option} {out_dir}: holds {found}, which x3 build did not write; choose another folder"
        )


def _limit_objects(listing: RootListing, limit: int | None) -> RootListing:
    if limit is None:
        return listing
    kept = [
        key
        for _, keys in groupby(listing.objects, key=lambda key: key.split)
        for key in list(keys)[:limit]
    ]
    return replace(listing, objects=tuple(kept))


def is_up_to_date(
    manifest: dict[str, Any] | None,
    provenance: dict[str, Any],
    out_dir: Path,
    listing: RootListing,
    state: BuildState,
) -> bool:
    """Return whether ``out_dir`` holds this build, complete and with task files of the right size."""
    if manifest is None or any(manifest.get(name) != value for name, value in provenance.items()):
        return False
    if state.has_leftovers:
        return False
    skipped = [Problem(**problem) for problem in manifest["skipped"]]
    if skipped[: len(listing.problems)] != list(listing.problems):
        return False
    if len(skipped) != len(listing.problems) + state.problem_count:
        return False
    return all(size_of(out_dir / name) == file["bytes"] for name, file in manifest["files"].items())
