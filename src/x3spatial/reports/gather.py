"""Results files and unfinished runs below given paths, grouped into runs (rows) and sets (columns).

Answers of two files belong together only if both were asked the same task file (by its hash) on the same
build; they are paired by sample id, never by position.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from x3spatial.errors import UserError
from x3spatial.evaluation.results_folders import result_paths_below
from x3spatial.evaluation.settings import same_model
from x3spatial.evaluation.unfinished import (
    Unfinished,
    output_of,
    outputs_below,
    read_unfinished,
)
from x3spatial.formats.results_file import ResultsFile, read_head, read_results
from x3spatial.formats.typed_json import encode
from x3spatial.reports.distinct_names import shortest_distinct
from x3spatial.reports.task_files import TaskFiles, task_and_split
from x3spatial.reports.unfinished_runs import scored_so_far
from x3spatial.tasks.spec import TASKS
from x3spatial.texts import counted

PEOPLE = "people"
"""``ModelInfo.kind`` of answers that people gave."""
_LOG = logging.getLogger("x3spatial")


@dataclass(frozen=True, kw_only=True)
class GatherOptions:
    """Where task files and images are, if they were moved since the runs."""

    tasks: tuple[Path, ...] = ()
    """Task files, or folders with them, if they are not where the results say."""
    image_folder: Path | None = None
    """Base folder for relative image paths."""
    image_root: Path | None = None
    """Where the data root is now, if it was moved after the build."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "tasks", tuple(map(Path, self.tasks)))
        for name in ("image_folder", "image_root"):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, Path(getattr(self, name)))


@dataclass(frozen=True, slots=True)
class Run:
    """One model with one choice of settings, on any number of sets."""

    name: str
    """Unique among the runs."""
    model: str
    folder: Path
    """Of its results files."""
    head: ResultsFile
    """Of one of its results files, for settings."""
    people: bool
    privileged: bool


@dataclass(frozen=True, slots=True)
class TaskSet:
    """One task file, as some of the runs were asked it."""

    name: str
    """Unique among the sets: the task (``t1_multi``), with the split and a hash where needed."""
    task: str | None
    """A key of ``TASKS``; None if neither records nor file name tell."""
    split: str | None
    """Short name of the split."""
    title: str
    sha256: str
    build: str | None
    source: str
    """The task file as the results name it."""
    path: Path | None
    """The task file with this hash; None if it was not found."""
    alike: tuple[Path, ...]
    """Task files of the same name with another hash."""
    samples: int
    """The most samples that one of its results files holds."""


@dataclass(frozen=True, slots=True)
class Found:
    """The results of one run on one set."""

    run: int
    set: int
    path: Path
    head: ResultsFile
    """Without the samples."""
    finished: bool = True
    scored: ResultsFile | None = field(default=None, repr=False)
    """Scores of an unfinished run."""

    def load(self) -> ResultsFile:
        """The results with their samples.

        Raises:
            UserError: the file is damaged.
        """
        return read_results(self.path) if self.scored is None else self.scored


@dataclass(frozen=True, slots=True)
class Gathered:
    """Everything below the given paths."""

    runs: tuple[Run, ...]
    sets: tuple[TaskSet, ...]
    files: tuple[Found, ...]
    problems: tuple[tuple[str, str], ...]
    """(path, reason) of what was left out or is incomplete."""
    options: GatherOptions = field(default_factory=GatherOptions)


@dataclass(slots=True)
class _Entry:
    path: Path
    head: ResultsFile
    finished: bool = True
    scored: ResultsFile | None = None


def gather(
    paths: Sequence[str | Path],
    options: GatherOptions | None = None,
    *,
    may_be_empty: bool = False,
) -> Gathered:
    """Find results files and unfinished runs; samples are not read yet, except those of unfinished runs.

    Args:
        paths: results files, or folders with results at any depth.
        options: where task files and images are.
        may_be_empty: whether runs that have no answer yet are no error.

    Raises:
        UserError: a path does not exist, a file that was named is no results file, or nothing was found.
    """
    options = options or GatherOptions()
    problems: list[tuple[str, str]] = []
    files, journals = _look(list(map(Path, paths)), problems)
    found = [_Entry(path, head) for path, head in files.items()]
    task_files = TaskFiles(options.tasks, [entry.head.data.path for entry in found], files)
    for output in journals:
        _add_unfinished(output, found, task_files, options, problems)
    if not found and not (may_be_empty and journals):
        reasons = "".join(f"; {path}: {reason}" for path, reason in problems[:1])
        shown = ", ".join(map(str, paths)) or "no path"
        raise UserError(f"{shown}: no results of x3 eval or x3 zeroshot there{reasons}")
    sets, of_set = _sets(found, task_files)
    runs, of_run = _runs(found, of_set)
    done = [
        Found(of_run[i], of_set[i], entry.path, entry.head, entry.finished, entry.scored)
        for i, entry in enumerate(found)
    ]
    done.sort(key=lambda one: (one.set, one.run))
    return Gathered(runs, sets, tuple(done), tuple(problems), options)


def _look(
    paths: Sequence[Path], problems: list[tuple[str, str]]
) -> tuple[dict[Path, ResultsFile], list[Path]]:
    """Results files by path, and outputs of unfinished runs; each once."""
    files: dict[Path, ResultsFile] = {}
    journals: dict[Path, None] = {}
    seen: set[str] = set()

    def add(path: Path, *, named: bool) -> None:
        if (real := os.path.realpath(path)) in seen:
            return
        seen.add(real)
        try:
            files[path] = read_head(path)
        except UserError as error:
            if named:
                raise
            problems.append((str(path), str(error).removeprefix(f"{path}: ")))

    for path in paths:
        if path.is_dir():
            for file in result_paths_below(path):
                add(file, named=False)
            journals.update(dict.fromkeys(outputs_below(path)))
        elif path.is_file() and (output := output_of(path)) is not None:
            journals[output] = None
        elif path.exists() or not _has_journal(path):
            if not path.exists():
                raise UserError(f"{path}: no such results file or folder")
            add(path, named=True)
        if path.suffix == ".json" and _has_journal(path):
            journals[path] = None
    return files, list(journals)


def _has_journal(output: Path) -> bool:
    return output.with_name(f".{output.name}.journal").is_file()


def _add_unfinished(
    output: Path,
    found: list[_Entry],
    task_files: TaskFiles,
    options: GatherOptions,
    problems: list[tuple[str, str]],
) -> None:
    """Add the answers of an unfinished run, or report why they are not shown."""
    there = next((entry for entry in found if entry.path == output), None)
    try:
        run = read_unfinished(output)
        if run is None or not run.replies:
            return
        if there is not None and (note := _beside(run, there)) is not None:
            if note:
                problems.append((str(output), note))
            return
        data_json = task_files.find(
            run.settings.get("data_sha256"), run.about.get("data"), near=output
        )
        if data_json is None:
            problems.append(
                (
                    str(output),
                    f"unfinished run with {counted(len(run.replies), 'answer')}: its task file was not found;"
                    " name it with --tasks",
                )
            )
            return
        earlier = read_results(output) if there is not None else None
        scored, asked = scored_so_far(
            run, data_json, earlier, options.image_folder, options.image_root
        )
    except UserError as error:
        problems.append((str(output), f"unfinished run: {error}"))
        return
    if there is not None:
        found.remove(there)
    problems.append(
        (
            str(output),
            f"unfinished run: {len(scored.results):,} of {asked:,} samples have an answer",
        )
    )
    found.append(_Entry(output, replace(scored, results=()), False, scored))


def _beside(run: Unfinished, there: _Entry) -> str | None:
    """Why the finished results beside a journal are shown instead of it; None: the journal is shown."""
    answers = {entry.id: entry.pred_text for entry in read_results(there.path).results}
    if all(
        id in answers and reply.text in (answers[id], None) for id, reply in run.replies.items()
    ):
        return ""  # killed after it had written its results
    if run.continues:
        return None
    return (
        f"a run that will replace these results (--fresh) is unfinished:"
        f" {counted(len(run.replies), 'answer')} so far, not shown"
    )


def _sets(
    found: Sequence[_Entry], task_files: TaskFiles
) -> tuple[tuple[TaskSet, ...], dict[int, int]]:
    """The sets in the order of tasks and splits; index of entry → index of its set."""
    builds: dict[str, list[str]] = {}
    for entry in found:
        data = entry.head.data
        known = builds.setdefault(data.sha256, [])
        if data.build is not None and data.build not in known:
            known.append(data.build)
    members: dict[tuple[str, str | None], list[int]] = {}
    for number, entry in enumerate(found):
        data = entry.head.data
        known = builds[data.sha256]
        # Without a build.json nothing is known of the build; where there is one, it is that.
        build = known[0] if data.build is None and len(known) == 1 else data.build
        members.setdefault((data.sha256, build), []).append(number)
    made: list[tuple[TaskSet, list[int]]] = []
    for (sha256, build), numbers in members.items():
        source = found[numbers[0]].head.data.path
        task, split = task_and_split(Path(source).name)
        title = TASKS[task].title if task else Path(source).stem
        path = next(
            (
                path
                for n in numbers
                if (path := task_files.find(sha256, found[n].head.data.path, near=found[n].path))
            ),
            None,
        )
        samples = max(int(found[n].head.metrics["total"] or 0) for n in numbers)
        alike = () if path else task_files.alike(source, near=found[numbers[0]].path)
        one = TaskSet(
            task or Path(source).stem,
            task,
            split,
            title,
            sha256,
            build,
            source,
            path,
            alike,
            samples,
        )
        made.append((one, numbers))
    order = {name: place for place, name in enumerate(TASKS)}
    made.sort(key=lambda item: (order.get(item[0].name, len(order)), item[0].split or ""))
    names = shortest_distinct([_set_names(one) for one, _ in made])
    of_set = {n: place for place, (_, numbers) in enumerate(made) for n in numbers}
    return tuple(replace(one, name=names[i]) for i, (one, _) in enumerate(made)), of_set


def _set_names(one: TaskSet) -> list[str]:
    """Names of a set, each more exact than the one before: task, split, hash, build."""
    of_split = f"{one.name}/{one.split}"
    of_file = f"{of_split} {one.sha256[:8]}"
    return [one.name, of_split, of_file, f"{of_file} build {(one.build or 'unknown')[:8]}"]


def _runs(
    found: Sequence[_Entry], of_set: dict[int, int]
) -> tuple[tuple[Run, ...], dict[int, int]]:
    """The runs in the order of their folders; index of entry → index of its run."""
    groups: list[list[int]] = []
    for number, entry in enumerate(found):
        for group in groups:
            first = found[group[0]]
            taken = {of_set[n] for n in group}
            if of_set[number] not in taken and _same_run(first, entry):
                group.append(number)
                break
        else:
            groups.append([number])
    runs, forms = [], []
    for group in groups:
        first = found[group[0]]
        head = first.head
        people = head.model.kind == PEOPLE
        runs.append(
            Run(
                head.model.name,
                head.model.name,
                first.path.parent,
                head,
                people,
                head.model.privileged,
            )
        )
        folder = Path(os.path.realpath(first.path.parent))
        forms.append(
            [
                head.model.name,
                f"{head.model.name} ({first.path.parent.name})",
                f"{head.model.name} ({first.path.parent.name}/{first.path.name})",
                f"{head.model.name} ({folder.parent.name}/{folder.name}/{first.path.name})",
            ]
        )
    names = shortest_distinct(forms)
    of_run = {n: place for place, group in enumerate(groups) for n in group}
    return tuple(replace(run, name=name) for run, name in zip(runs, names, strict=True)), of_run


def _same_run(a: _Entry, b: _Entry) -> bool:
    """Whether two results are of one run: one folder, model, settings and scoring."""
    one, other = a.head, b.head
    return (
        a.path.parent == b.path.parent
        and one.model.name == other.model.name
        and same_model(encode(one.settings), encode(other.settings))
        and _conditions(one) == _conditions(other)
    )


def _conditions(head: ResultsFile) -> tuple[Any, ...]:
    settings = head.settings
    return (
        settings.convention,
        settings.max_new_tokens,
        settings.seed,
        head.scoring.rule,
        head.scoring.mask,
    )
