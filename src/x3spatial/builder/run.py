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
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any

from x3spatial.builder.jobs import ObjectJob
from x3spatial.builder.manifest import (
    MANIFEST,
    as_spelt_before,
    build_provenance,
    object_provenance,
    run_info,
)
from x3spatial.builder.not_made import (
    NotMade,
    is_asked_for,
    read_not_made,
    refuse_nothing,
    remarks,
)
from x3spatial.builder.objects import build_object
from x3spatial.builder.options import BuildOptions
from x3spatial.builder.state import JOURNAL, BuildState, size_of
from x3spatial.builder.task_files import write_task_files
from x3spatial.engine.base import Engine
from x3spatial.engine.registry import open_engine
from x3spatial.errors import UserError
from x3spatial.formats.image_paths import IMAGE_FOLDERS
from x3spatial.inpainting import open_engine as open_inpainting
from x3spatial.io.files import (
    make_dir,
    read_manifest,
    write_json,
)
from x3spatial.io.locks import lock_dir
from x3spatial.io.paths import check_utf8
from x3spatial.progress import progress
from x3spatial.roots.findings import Problem
from x3spatial.roots.layout import (
    SPLITS,
    RootListing,
    list_root,
    outside_root,
    short_split,
)
from x3spatial.roots.views import split_missing_inpainted
from x3spatial.tables import Table, Tabular
from x3spatial.tasks.spec import TASKS, task_templates
from x3spatial.texts import counted

_COUNTS = (
    "objects", "views", "views_not_visible", "views_left_out", "pairs", "pairs_with_empty_reference",
)  # fmt: skip


@dataclass(frozen=True, slots=True, repr=False)
class BuildSummary(Tabular):
    """What a build left in its output folder."""

    out_dir: Path
    manifest: dict[str, Any]
    objects_built: int
    """Number of objects that this run built; the others were reused from an earlier run."""

    @property
    def records(self) -> int:
        """Number of samples in all task files."""
        return sum(int(file["records"]) for file in self.manifest["files"].values())

    @property
    def not_made(self) -> tuple[NotMade, ...]:
        """The sets that were asked for by name but have no samples in a split, and why."""
        return read_not_made(self.manifest)

    @property
    def remarks(self) -> list[str]:
        """``not_made``, and negatives of which there are fewer than asked for, as lines of text."""
        return remarks(self.not_made, self.manifest["counts"])

    @property
    def objects(self) -> int:
        """Objects of all splits."""
        counts = self.manifest["counts"].values()
        return sum(int(split.get("objects", 0)) for split in counts)

    @property
    def conditions(self) -> str:
        """What the samples depend on: ``dilated masks preferred, seed 42``."""
        parameters = self.manifest["parameters"]
        kind = "dilated" if parameters["use_dilated_mask"] else "tight"
        return f"{kind} masks preferred, seed {parameters['seed']}"

    def table(self) -> Table:
        """A row per split: what it holds, and the samples of each task."""
        counts = self.manifest["counts"]
        tasks = list(next(iter(counts.values()))["samples"])
        rows = tuple(
            (
                split,
                *(str(found.get(name, 0)) for name in _COUNTS),
                *(str(found["samples"][task]) for task in tasks),
            )
            for split, found in counts.items()
        )
        columns = ("split", *(name.replace("_", " ") for name in _COUNTS), *tasks)
        note = (
            f"{counted(self.records, 'sample')} of {counted(self.objects, 'object')}"
            f" ({self.objects_built} built now), {counted(self.manifest['skipped_total'], 'problem')}"
        )
        notes = (note, *self.remarks)
        return Table(f"{self.out_dir}: {self.conditions}", columns, rows, notes)


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
        **changes: fields of ``BuildOptions`` that replace those of ``options``.

    Returns:
        The manifest and the number of objects built now.

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
    templates = {
        name: template
        for name, template in task_templates(options.prompts).items()
        if name in options.templates
    }
    listing = _limit_objects(list_root(root, options.splits), options.limit)
    outside_root(root, out_dir, out_option)
    check_utf8(out_dir, out_option)
    make_dir(out_dir, out_option)
    _check_ours(out_dir, out_option)
    with lock_dir(out_dir, out_option):
        provenance = build_provenance(root, out_dir, options, templates)
        state = BuildState(out_dir, listing, object_provenance(provenance), fresh)
        manifest = read_manifest(out_dir / MANIFEST)
        if not state.todo and _is_up_to_date(manifest, provenance, out_dir, listing, state):
            assert manifest is not None
            return _finished(BuildSummary(out_dir, manifest, 0), options, root)
        # The folder is incomplete from here on, so it must not have a manifest.
        (out_dir / MANIFEST).unlink(missing_ok=True)
        with open_engine(engine, ray_address) as opened, state.journal.open(fresh=fresh):
            jobs = (
                ObjectJob(
                    item,
                    out_dir,
                    options,
                    templates,
                    fingerprint,
                    root,
                    state.place(item.key),
                    state.scene(item.key),
                )
                for item, fingerprint in state.pending()
            )
            state.void_stale()
            total = len(listing.objects)
            used = workers or opened.default_workers()
            with progress("building", total, done=total - len(state.todo)) as advance:
                for result in opened.map(
                    build_object,
                    jobs,
                    workers=workers,
                    name=lambda job: "/".join(job.files.key),
                    threads=True,
                    folders=[root, out_dir],
                ):
                    state.add(result)
                    advance()
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


def _check_ours(out_dir: Path, option: str) -> None:
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


def _is_up_to_date(
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
