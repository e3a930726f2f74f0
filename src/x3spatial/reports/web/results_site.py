"""The report of results: reads each file once, keeps columns, and makes the page's data from them."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

from x3spatial.errors import UserError
from x3spatial.evaluation.questions import files_state
from x3spatial.evaluation.unfinished import journals_of
from x3spatial.formats.image_paths import PATH_FIELDS
from x3spatial.formats.results_file import ResultsFile
from x3spatial.formats.task_file import TaskRecord
from x3spatial.formats.typed_json import encode
from x3spatial.progress import progress
from x3spatial.reports.gather import Found, Gathered, Run, TaskSet
from x3spatial.reports.outcomes import OUTCOMES
from x3spatial.reports.web.answers import AnswerColumns, read_answers
from x3spatial.reports.web.cells import cell_of, columns_of, metric_keys
from x3spatial.reports.web.comparisons import Comparisons
from x3spatial.reports.web.encoding import json_text, script, script_of
from x3spatial.reports.web.images import Picture, Pictures, missing_summary
from x3spatial.reports.web.options import ReportOptions
from x3spatial.reports.web.outlines import Outlines
from x3spatial.reports.web.privacy import Shortener, Unshortened
from x3spatial.reports.web.sets import SampleColumns, located
from x3spatial.reports.web.site import DETAILS_PER_FILE, detail_files, detail_name, head
from x3spatial.reports.web.spool import Spool
from x3spatial.tasks.spec import TASKS
from x3spatial.tasks.strata import STRATA, Stratum
from x3spatial.texts import counted

_SHOWN_SETTINGS = ("model", "convention", "max_new_tokens", "seed", "limit", "describe")
_LEFT_OUT = ("id", "conversations", "question")
"""Fields of a record that the details do not repeat."""


@dataclass(slots=True)
class _Set:
    """One set while it is read."""

    facts: TaskSet
    samples: SampleColumns
    outlines: Outlines
    described: bool
    """Whether the task file was found."""
    answers: dict[int, AnswerColumns] = field(default_factory=dict)
    """By run."""
    prompts: dict[str, int] = field(default_factory=dict)
    """Prompts of more than one sample → their numbers."""
    ids: list[str] = field(default_factory=list)


class ResultsSite:
    """See ``site.Site``."""

    def __init__(
        self, gathered: Gathered, options: ReportOptions, spool_folder: Path | None = None
    ) -> None:
        self._gathered = gathered
        self._options = options
        self.pictures = Pictures(options.mode, options.thumb_side)
        self._spool = Spool(spool_folder)
        self._problems = list(gathered.problems)
        self._shorten = _shortener(gathered, options)
        self.live = False
        self.title = options.title or _title(gathered)
        self._sets: list[_Set] = []
        self._cells: list[dict[str, Any]] = []
        self._comparisons = Comparisons(gathered)
        self._states = [files_state(_inputs(found, gathered)) for found in gathered.files]
        with progress("reading results", len(gathered.files)) as advance:
            for number in range(len(gathered.sets)):
                self._read_set(number, advance)

    def key(self) -> Any:
        """What the pages depend on: the inputs by content."""
        return [self._states, self._problems]

    def close(self) -> None:
        """Give the temporary file back."""
        self._spool.close()

    def problems(self, pictures: Mapping[int, Picture]) -> list[tuple[str, str]]:
        """(path, reason) of what is missing, each once."""
        ordered = [pictures[number] for number in range(len(self.pictures.paths))]
        lost = missing_summary(self.pictures.paths, ordered)
        return list(dict.fromkeys([*self._problems, *([] if lost is None else [lost])]))

    def scripts(self) -> Mapping[str, Callable[[Mapping[int, Picture]], bytes]]:
        """Name below ``data/`` → what makes it."""
        found: dict[str, Callable[[Mapping[int, Picture]], bytes]] = {}
        for s, one in enumerate(self._sets):
            found[f"set-{s}"] = partial(self._index, s)
            found[f"ids-{s}"] = partial(self._ids, s)
            for n in range(detail_files(len(one.samples))):
                found[detail_name(s, n)] = partial(self._details, s, n)
        found["report"] = self._report
        return found

    def _read_set(self, number: int, advance: Callable[[], None]) -> None:
        facts = self._gathered.sets[number]
        files = [one for one in self._gathered.files if one.set == number]
        first = files[0].head
        samples = SampleColumns(self._spool, self.pictures)
        described = facts.path is not None and self._add_records(samples, facts.path, first)
        one = _Set(facts, samples, Outlines(first.scoring.mask), described)
        looked = False
        for found in files:
            results = self._load(found)
            advance()
            if results is None:
                continue
            if not one.described and not looked:
                looked = True
                one.described = self._describe_alike(one, results)
            if not one.described:
                for entry in results.results:
                    if entry.id not in samples.places:
                        samples.add_entry(entry)
            self._add_answers(number, one, found, results)
        for cell in self._cells:
            if cell["set"] == number:
                cell["missing"] = max(0, len(samples) - len(one.answers[cell["run"]].places))
        one.prompts, one.ids = one.samples.shared_prompts(), list(one.samples.places)
        self._sets.append(one)

    def _add_records(self, samples: SampleColumns, path: Path, asked: ResultsFile) -> bool:
        """Read a task file; False and a problem if that is not possible."""
        folder = self._options.image_folder or _existing(asked.settings.image_folder)
        root = self._options.image_root or _existing(asked.settings.image_root)
        try:
            for record in located(path, folder, root):
                samples.add_record(record)
        except UserError as error:
            self._problems.append((str(path), str(error).removeprefix(f"{path}: ")))
            return False
        return True

    def _describe_alike(self, one: _Set, results: ResultsFile) -> bool:
        """Use a task file of the same name if it asks the same questions, by id and right answer."""
        source = one.facts.source
        for path in one.facts.alike:
            wanted = {entry.id: entry.gt.text for entry in results.results}
            trial = SampleColumns(self._spool, self.pictures)
            try:
                answers = {record.id: record.answer for record in located(path, None, None)}
            except UserError:
                continue
            asks_the_same = all(answers.get(id) == text for id, text in wanted.items())
            if asks_the_same and self._add_records(trial, path, results):
                one.samples = trial
                self._problems.append(
                    (
                        str(path),
                        "not byte for byte the task file of the results; paired by id and right answer",
                    )
                )
                return True
        changed = " (a file of that name has other content)" if one.facts.alike else ""
        self._problems.append(
            (
                source,
                f"task file not found{changed}: images, prompts and strata of {one.facts.title} are not"
                " shown; name it with --tasks",
            )
        )
        return False

    def _load(self, found: Found) -> ResultsFile | None:
        try:
            return found.load()
        except UserError as error:
            reason = str(error).removeprefix(f"{found.path}: ")
            self._problems.append((str(found.path), f"left out: {reason}"))
            return None

    def _add_answers(self, number: int, one: _Set, found: Found, results: ResultsFile) -> None:
        answers, strangers = read_answers(results, one.samples, self._spool, self._shorten.text)
        one.answers[found.run] = answers
        self._cells.append(
            cell_of(found.run, number, one.facts.task, results, finished=found.finished)
        )
        self._comparisons.add(found, results)
        if strangers:
            self._problems.append(
                (
                    str(found.path),
                    f"{counted(strangers, 'answer')} not shown: no sample of the set has the same id and"
                    " right answer",
                )
            )
        for problem in results.problems:
            self._problems.append((problem.path, f"mask: {problem.reason}"))

    def _ids(self, s: int, _: Mapping[int, Picture]) -> bytes:
        return script(f"ids-{s}", self._sets[s].ids)

    def _index(self, s: int, pictures: Mapping[int, Picture]) -> bytes:
        one = self._sets[s]
        numbers, columns = one.samples.local_images()
        value = one.samples.to_json()
        value |= columns
        value["images"] = [pictures[number].to_json() for number in numbers]
        value["runs"] = {
            str(run): answers.to_json(len(one.samples)) for run, answers in one.answers.items()
        }
        return script(f"set-{s}", value)

    def _details(self, s: int, number: int, _: Mapping[int, Picture]) -> bytes:
        one = self._sets[s]
        start = number * DETAILS_PER_FILE
        end = min(start + DETAILS_PER_FILE, len(one.ids))
        texts = {run: answers.numbers(len(one.ids)) for run, answers in one.answers.items()}
        parts = []
        for place in range(start, end):
            runs = {
                str(run): json.loads(self._spool.get(int(found[place])))
                for run, found in texts.items()
                if found[place] >= 0
            }
            parts.append(json_text(self._detail(one, one.ids[place], place) | {"runs": runs}))
        joined = [part + "," for part in parts[:-1]] + parts[-1:]
        return script_of(detail_name(s, number), ["[", *joined, "]"])

    def _detail(self, one: _Set, id: str, place: int) -> dict[str, Any]:
        record = one.samples.record(place)
        if record is None:
            return {
                "id": id,
                "prompt": None,
                "record": {"answer": one.samples.answers[place]},
                "outline": [],
            }
        return {
            "id": id,
            "prompt": one.prompts.get(record.prompt, record.prompt),
            "record": self._shown_record(record),
            "outline": one.outlines.of(record),
        }

    def _shown_record(self, record: TaskRecord) -> dict[str, Any]:
        value = {"answer": record.answer, **record.to_json()}
        for name in _LEFT_OUT:
            value.pop(name, None)
        for name in ("image", *PATH_FIELDS):
            value[name] = self._shortened_paths(value[name])
        return {name: part for name, part in value.items() if part is not None}

    def _shortened_paths(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self._shorten.path(part) for part in value]
        return None if value is None else self._shorten.path(value)

    def _report(self, pictures: Mapping[int, Picture]) -> bytes:
        problems = [
            (self._shorten.path(path), self._shorten.text(reason))
            for path, reason in self.problems(pictures)
        ]
        value = head(
            "results",
            self._shorten.text(self.title),
            self._options.images,
            problems,
            live=self.live,
            runs=[self._run(run) for run in self._gathered.runs],
            sets=[self._set(one) for one in self._sets],
            metrics=columns_of(metric_keys(self._cells)),
            cells=[self._shorten.value(cell) for cell in self._cells],
            comparisons=self._comparisons.to_json(),
            strata={stratum.name: _stratum(stratum) for stratum in STRATA.values()},
            outcomes=[
                {"name": outcome.name, "words": outcome.words, "right": outcome.right}
                for outcome in OUTCOMES.values()
            ],
        )
        return script("report", value)

    def _run(self, run: Run) -> dict[str, Any]:
        settings = encode(run.head.settings)
        states = [
            found.finished
            for found in self._gathered.files
            if self._gathered.runs[found.run] is run
        ]
        return {
            "name": self._shorten.text(run.name),
            "model": self._shorten.text(run.model),
            "path": self._shorten.path(str(run.folder)),
            "settings": self._shorten.value({name: settings.get(name) for name in _SHOWN_SETTINGS}),
            "state": "complete" if all(states) else "unfinished",
            "people": run.people,
            "privileged": run.privileged,
        }

    def _set(self, one: _Set) -> dict[str, Any]:
        facts, samples = one.facts, one.samples
        task = facts.task or (next(iter(samples.tasks)) if len(samples.tasks) == 1 else None)
        spec = None if task is None else TASKS.get(task)
        return {
            "name": facts.name,
            "task": task,
            "split": facts.split or ", ".join(sorted(samples.splits)),
            "title": facts.title if spec is None else spec.title,
            "path": self._shorten.path(facts.source),
            "samples": len(samples),
            "absent_token": None if spec is None else spec.absent_token,
            "concat": spec is not None and spec.side_by_side,
            "details_per_file": DETAILS_PER_FILE,
            "strata": samples.present_strata(),
            "described": one.described,
        }


def _existing(folder: str | None) -> Path | None:
    return Path(folder) if folder is not None and Path(folder).is_dir() else None


def _stratum(stratum: Stratum) -> dict[str, Any]:
    bins = [
        {"from": least, "to": most if math.isfinite(most) else None, "name": None}
        for least, most in pairwise(stratum.bounds)
    ]
    return {"title": stratum.title, "short": stratum.short, **({"bins": bins} if bins else {})}


def _inputs(found: Found, gathered: Gathered) -> list[Path]:
    """The files that a cell is made from."""
    path = gathered.sets[found.set].path
    return [found.path, *journals_of(found.path), *([] if path is None else [path])]


def _title(gathered: Gathered) -> str:
    runs, sets = counted(len(gathered.runs), "run"), counted(len(gathered.sets), "set")
    return f"{runs} on {sets}"


def _shortener(gathered: Gathered, options: ReportOptions) -> Shortener:
    if options.images == "link":
        return Unshortened()
    folders = [found.path.parent.absolute() for found in gathered.files]
    bases = [Path(os.path.commonpath(folders))] if folders else []
    bases += [one.path.parent for one in gathered.sets if one.path is not None]
    bases += [Path(found.head.data.path).parent for found in gathered.files]
    bases += [folder for folder in (options.image_folder, options.image_root) if folder]
    return Shortener(bases)
