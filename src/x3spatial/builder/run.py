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
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any

from x3spatial.builder.manifest import (
    MANIFEST,
    as_spelt_before,
    build_provenance,
    fingerprint,
    object_provenance,
    run_info,
    sorted_counts,
)
from x3spatial.builder.negative_records import negatives_of_split
from x3spatial.builder.negatives import parse_shares
from x3spatial.builder.objects import ObjectJob, ObjectResult, build_object
from x3spatial.builder.options import BuildOptions
from x3spatial.builder.scenes import SceneFiles
from x3spatial.engine.local import default_workers, map_unordered
from x3spatial.errors import UserError
from x3spatial.formats.image_paths import IMAGE_FOLDERS, RelativePaths, with_paths
from x3spatial.formats.task_file import TaskRecord
from x3spatial.io.files import (
    make_dir,
    read_manifest,
    sha256_file,
    write_json,
)
from x3spatial.io.journal import Journal
from x3spatial.io.json_stream import JsonArrayWriter
from x3spatial.io.locks import lock_dir
from x3spatial.io.paths import check_utf8
from x3spatial.progress import progress
from x3spatial.roots.findings import Problem
from x3spatial.roots.layout import (
    INPAINTED,
    SPLITS,
    ObjectFiles,
    ObjectKey,
    RootListing,
    list_object,
    list_root,
    outside_root,
    short_split,
)
from x3spatial.roots.views import is_missing_inpainted, split_missing_inpainted
from x3spatial.tables import Table, Tabular
from x3spatial.tasks.spec import TASKS, task_templates
from x3spatial.texts import counted

JOURNAL = ".x3-build.jsonl"


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
        return Table(f"{self.out_dir}: {self.conditions}", columns, rows, (note,))


def build_tasks(
    data_root: str | Path,
    out_dir: str | Path,
    options: BuildOptions | None = None,
    *,
    workers: int | None = None,
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
        fresh: rebuild everything instead of reusing results of earlier runs.
        out_option: how errors name ``out_dir``.
        **changes: fields of ``BuildOptions`` that replace those of ``options``.

    Returns:
        The manifest and the number of objects built now.

    Raises:
        TypeError: ``BuildOptions`` has no such field.
        UserError: ``data_root`` or ``out_dir`` cannot be used, a prompt template is invalid, or another
            run is writing to ``out_dir``.
    """
    start = time.monotonic()
    options = replace(options or BuildOptions(), **changes)
    workers = default_workers() if workers is None else workers
    # Not resolve(): records keep the paths that the user gave, symbolic links included.
    root = Path(os.path.abspath(data_root))  # noqa: PTH100
    out_dir = Path(os.path.abspath(out_dir))  # noqa: PTH100
    if options.prompts is not None:
        check_utf8(options.prompts, "--prompts")
    if not fresh:  # records have the paths as given; the same folders are not another build
        root, out_dir = as_spelt_before(root, out_dir)
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
        state = _BuildState(out_dir, listing, object_provenance(provenance), fresh)
        manifest = read_manifest(out_dir / MANIFEST)
        if not state.todo and _is_up_to_date(manifest, provenance, out_dir, listing, state):
            assert manifest is not None
            return BuildSummary(out_dir, manifest, 0)
        # The folder is incomplete from here on, so it must not have a manifest.
        (out_dir / MANIFEST).unlink(missing_ok=True)
        with state.journal.open(fresh=fresh):
            jobs = (
                ObjectJob(
                    item,
                    out_dir,
                    options,
                    templates,
                    fingerprint,
                    root,
                    state.place(item.key),
                    state.scenes.get(item.key.split, item.key.scene),
                )
                for item, fingerprint in state.pending()
            )
            state.void_stale()
            total = len(listing.objects)
            with progress("building", total, done=total - len(state.todo)) as advance:
                for result in map_unordered(build_object, jobs, workers, threads=True):
                    state.add(result)
                    advance()
        files, counts, problems = _write_task_files(out_dir, listing, state, options)
        problems, notes = split_missing_inpainted(root, problems, any_inpainted=state.any_inpainted)
        state.finish()
        manifest = {
            **provenance,
            "counts": counts,
            "files": files,
            "skipped_total": len(problems),
            "skipped": [problem._asdict() for problem in problems],
            **({"notes": [note._asdict() for note in notes]} if notes else {}),
            "run": run_info(time.monotonic() - start, workers),
        }
        write_json(out_dir / MANIFEST, manifest, fsync=True)
    return BuildSummary(out_dir, manifest, len(state.todo))


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


class _BuildState:
    """The journal of the output folder: finished objects, and the objects still to build."""

    def __init__(
        self, out_dir: Path, listing: RootListing, provenance: dict[str, Any], fresh: bool
    ) -> None:
        self.out_dir = out_dir
        self.journal = Journal(out_dir / JOURNAL)
        self._listing = listing
        self.any_inpainted = False
        """Whether any view of the root has an inpainted image."""
        self.scenes = SceneFiles(listing.root)
        self._wanted: dict[ObjectKey, str] = {}
        for key, item in self._list(listing.objects):
            about = self.scenes.state(key.split, key.scene)
            self._wanted[key] = fingerprint(item, self.place(key), about, provenance)
            self.any_inpainted |= any(INPAINTED in view.files for view in item.views)
        self._offsets: dict[ObjectKey, int] = {}
        self._superseded: set[str] = set()
        """Images of earlier results; those that no current result uses are deleted at the end."""
        self._stale: set[ObjectKey] = set()
        """Objects whose last line has other inputs or parameters and is not marked void yet."""
        self._problems: dict[ObjectKey, int] = {}
        """Number of listed problems of each object whose result is current."""
        for offset, value in self.journal.entries():
            if "void" in value:
                voided = self._offsets.pop(ObjectKey(*value["void"]), None)
                if voided is not None:
                    self._superseded.update(self.journal.value_at(voided)["images"])
                self._stale.discard(ObjectKey(*value["void"]))
                continue
            result = ObjectResult.from_json(value)
            self._offsets.pop(result.key, None)
            if not fresh and self._is_current(result):
                self._offsets[result.key] = offset
                self._problems[result.key] = self._count(result.problems)
                self._stale.discard(result.key)
            else:
                self._superseded.update(result.images)
                self._stale.add(result.key)
        self.todo = [key for key in listing.objects if key not in self._offsets]

    def place(self, key: ObjectKey) -> str | None:
        """The place that the scene of an object declares."""
        return self._listing.places.get((key.split, key.scene))

    def _count(self, problems: list[Problem]) -> int:
        """The number of problems that the manifest lists one by one."""
        if self.any_inpainted:
            return len(problems)
        return sum(not is_missing_inpainted(problem) for problem in problems)

    def _list(self, keys: tuple[ObjectKey, ...]) -> Iterator[tuple[ObjectKey, ObjectFiles]]:
        for key in keys:
            yield key, list_object(key, self._listing.folder(key))

    def _is_current(self, result: ObjectResult) -> bool:
        if self._wanted.get(result.key) != result.fingerprint:
            return False
        return all(_size(self.out_dir / path) == size for path, size in result.images.items())

    def objects(self, keys: Iterable[ObjectKey]) -> Iterator[ObjectFiles]:
        """The files of objects."""
        return (item for _, item in self._list(tuple(keys)))

    def pending(self) -> Iterator[tuple[ObjectFiles, str]]:
        """Yield the objects to build and the fingerprints of their results."""
        for key, item in self._list(tuple(self.todo)):
            yield item, self._wanted[key]

    def void_stale(self) -> None:
        """Mark the lines of other inputs or parameters as void.

        This run overwrites their images. If it is killed meanwhile, a later run with the earlier
        parameters must not reuse those lines.
        """
        for key in sorted(self._stale):
            self.journal.append({"void": list(key)})

    def add(self, result: ObjectResult) -> None:
        """Record a finished object."""
        self._offsets[result.key] = self.journal.append(result.to_json())

    def results(self) -> Iterator[ObjectResult]:
        """Yield all results in sorted order, reading one at a time from the journal."""
        for key in self._listing.objects:
            yield ObjectResult.from_json(self.journal.value_at(self._offsets[key]))

    def finish(self) -> None:
        """Remove what no current result uses: lines of the journal, images of earlier builds."""
        live: set[str] = set()
        compact = Journal(self.journal.path.with_suffix(".new"))
        with compact.open(fresh=True):
            for result in self.results():
                live.update(result.images)
                compact.append(result.to_json())
        os.replace(compact.path, self.journal.path)
        for relative in sorted(self._superseded - live):
            path = self.out_dir / relative
            path.unlink(missing_ok=True)
            for folder in list(path.parents)[: relative.count("/")]:
                if not folder.is_dir() or any(folder.iterdir()):
                    break
                folder.rmdir()

    @property
    def has_leftovers(self) -> bool:
        """Whether the journal lists objects or images that no current result uses."""
        return bool(self._superseded or self._stale)

    @property
    def problem_count(self) -> int:
        """Number of problems of the objects; only where none is left to build."""
        return sum(self._problems[key] for key in self._offsets)


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None


def _is_up_to_date(
    manifest: dict[str, Any] | None,
    provenance: dict[str, Any],
    out_dir: Path,
    listing: RootListing,
    state: _BuildState,
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
    return all(_size(out_dir / name) == file["bytes"] for name, file in manifest["files"].items())


def _write_task_files(
    out_dir: Path, listing: RootListing, state: _BuildState, options: BuildOptions
) -> tuple[dict[str, Any], dict[str, Any], list[Problem]]:
    """Write the task files; return (files, counts per split, problems) for the manifest."""
    files: dict[str, Any] = {}
    counts: dict[str, Any] = {}
    problems = list(listing.problems)
    negatives: dict[str, Any] = {}
    relative = RelativePaths(out_dir, listing.root)

    def shown(record: TaskRecord) -> TaskRecord:
        return with_paths(record, relative) if options.paths == "relative" else record

    by_split = {s: list(g) for s, g in groupby(listing.objects, key=lambda key: key.split)}
    results = state.results()
    for split in _splits_to_write(listing, options):
        short = short_split(split)
        total: Counter[str] = Counter()
        per_task: Counter[str] = Counter()
        tasks = options.chosen
        with ExitStack() as stack:
            writers = {
                task.name: stack.enter_context(JsonArrayWriter(out_dir / task.file(short)))
                for task in tasks
            }
            marked: dict[str, list[TaskRecord]] = {}
            for _ in by_split.get(split, []):
                result = next(results)
                problems.extend(result.problems)
                total.update({"objects": 1, **result.counts})
                for name, records in result.records.items():
                    if TASKS[name].across_objects:
                        marked.setdefault(name, []).extend(map(TaskRecord.from_json, records))
                        continue
                    for record in records:
                        writers[name].write(record)
                    per_task[name] += len(records)
            for name, seeds in marked.items():
                found = negatives_of_split(
                    split, seeds, total["positives"], state.objects(by_split[split]), listing,
                    state.scenes, parse_shares(options.negatives), options.seed,
                )  # fmt: skip
                for negative in found.records:
                    writers[name].write(shown(negative).to_json())
                per_task[name] += len(found.records)
                negatives[split] = found.counts
        for task in tasks:
            path = out_dir / task.file(short)
            if per_task[task.name] == 0 and task.optional_in_train and short == "train":
                path.unlink()
                continue
            files[path.name] = {
                "records": per_task[task.name],
                "bytes": path.stat().st_size,
                "sha256": sha256_file(path),
            }
        counts[split] = {
            **sorted_counts(total),
            "samples": {t.name: per_task[t.name] for t in tasks},
            **({"negatives": negatives[split]} if split in negatives else {}),
        }
    for short in {short_split(split) for split in SPLITS}:
        for task in TASKS.values():
            if task.file(short) not in files:
                (out_dir / task.file(short)).unlink(missing_ok=True)
    return files, counts, problems


def _splits_to_write(listing: RootListing, options: BuildOptions) -> list[str]:
    """Return the splits of the root, plus validation (with empty files) unless splits were chosen."""
    splits = list(listing.splits)
    if options.splits is None and not {"validation", "val"} & set(splits):
        splits.append("validation")
    return splits
