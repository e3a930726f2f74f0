"""Writes the task files of a build from the results of its objects."""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from x3spatial.builder.manifest import sorted_counts
from x3spatial.builder.negative_records import negatives_of_split
from x3spatial.builder.negatives import parse_shares
from x3spatial.builder.not_made import Known, NotMade, is_asked_for, why_empty
from x3spatial.builder.options import BuildOptions
from x3spatial.builder.state import BuildState
from x3spatial.formats.image_paths import RelativePaths, with_paths
from x3spatial.formats.task_file import TaskRecord
from x3spatial.io.files import sha256_file
from x3spatial.io.json_stream import JsonArrayWriter
from x3spatial.roots.findings import Problem
from x3spatial.roots.layout import SPLITS, RootListing, short_split
from x3spatial.roots.places import place_of
from x3spatial.tasks.spec import TASKS, TaskSpec


@dataclass(frozen=True, slots=True)
class TaskFiles:
    """What the manifest says of the task files."""

    files: dict[str, Any]
    counts: dict[str, Any]
    """Per split."""
    problems: list[Problem]
    not_made: tuple[NotMade, ...]


def write_task_files(
    out_dir: Path, listing: RootListing, state: BuildState, options: BuildOptions
) -> TaskFiles:
    """Write the task files.

    A set that is only built where it is asked for has no file where no split has samples of it.
    """
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
                    parse_shares(options.negatives), options.seed,
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
    not_made: list[NotMade] = []
    for task in filter(is_asked_for, options.chosen):
        empty = [split for split, found in counts.items() if not found["samples"][task.name]]
        not_made += [
            NotMade(task.name, split, _reason(task, split, counts[split], listing, options))
            for split in empty
        ]
        if len(empty) == len(counts):
            for split in empty:
                files.pop(task.file(short_split(split)), None)
    for short in {short_split(split) for split in SPLITS}:
        for task in TASKS.values():
            if task.file(short) not in files:
                (out_dir / task.file(short)).unlink(missing_ok=True)
    return TaskFiles(files, counts, problems, tuple(not_made))


def _reason(
    task: TaskSpec,
    split: str,
    counts: dict[str, Any],
    listing: RootListing,
    options: BuildOptions,
) -> str:
    if split not in listing.splits:
        return f"the root has no split {split}"
    scenes = {key.scene for key in listing.objects if key.split == split}
    known = Known(
        places=len({place_of(name, listing.places.get((split, name))) for name in scenes}),
        scene_files=sum((split, name) in listing.scenes for name in scenes),
    )
    return why_empty(task, counts, options, known)


def _splits_to_write(listing: RootListing, options: BuildOptions) -> list[str]:
    """Return the splits of the root, plus validation (with empty files) unless splits were chosen."""
    splits = list(listing.splits)
    if options.splits is None and not {"validation", "val"} & set(splits):
        splits.append("validation")
    return splits
