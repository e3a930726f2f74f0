"""``x3 preview``: samples as a model sees them, with ground truth and answers; or a root's views."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from x3spatial.errors import UserError
from x3spatial.evaluation.scoring.masks import MaskFinder
from x3spatial.formats.image_paths import ImagePaths, check_present
from x3spatial.formats.results_entry import SampleResult
from x3spatial.formats.results_file import ResultsFile, read_results
from x3spatial.formats.results_table import masks_in_words
from x3spatial.formats.task_file import TaskRecord, read_records
from x3spatial.io.members import is_member
from x3spatial.io.packs import is_pack
from x3spatial.reports.marks import ANSWERS
from x3spatial.reports.outcomes import (
    OUTCOMES,
    SORTS,
    badness,
    check_filters,
    check_sort,
    count_outcomes,
    is_selected,
    outcome_of,
)
from x3spatial.reports.panel import (
    LEAST_WIDTH,
    ShownAnswer,
    draw_images,
    panel,
    question_text,
)
from x3spatial.reports.picture import Picture
from x3spatial.reports.root_sheet import draw_root
from x3spatial.reports.sheet import check_sheet, compose, write_sheet

_FRAME = 8
"""Width of the frames of a panel."""


@dataclass(frozen=True, slots=True)
class _Run:
    """One results file."""

    model: str
    file: ResultsFile
    entries: Mapping[str, SampleResult]


def preview(
    data_json: str | Path,
    output: str | Path = "preview.png",
    *,
    results: str | Path | Sequence[str | Path] | None = None,
    limit: int = 12,
    ids: Sequence[str] = (),
    only: Sequence[str] = (),
    sort: str = "file",
    image_folder: str | Path | None = None,
    image_root: str | Path | None = None,
) -> Picture:
    """Draw samples of a task file into one picture, or the views of a data root.

    Each panel shows the images of one sample in order, its question, and whether the answers are right, in
    words and by the colour of the frame. Green: ground-truth point; yellow: outline of the mask that was
    scored; cyan: reference point of the side-by-side form; crosses: the models' answers, with the box where
    a box was asked for.

    Args:
        data_json: a task file; or a data root, of which every view of ``limit`` objects is drawn.
        output: the PNG or JPEG to write; only an earlier contact sheet is replaced.
        results: results files on that task file, one or several: their answers.
        limit: number of samples; the first ones of ``worst`` and ``best``, else spread evenly.
        ids: ids of samples to draw instead.
        only: outcomes (``reports.outcomes.FILTERS``); draws samples with one of them in any of the results.
        sort: ``file``, ``worst``, ``best``, or ``outcome``: by the outcome of the first results, so that the
            even spread shows the outcomes in proportion. Of several results the worst (best) answer counts.
        image_folder: base folder for relative image paths.
        image_root: where the data root is now, if it was moved after the build.

    Returns:
        The picture at ``output``; notebooks show it.

    Raises:
        UserError: a file is missing or malformed, an option or id is unknown, no sample is selected, no
            result belongs to a sample of the task file, or ``output`` cannot be written.
    """
    data_json, output = Path(data_json), Path(output)
    if data_json.is_dir() and not is_pack(data_json):
        if results or only or ids:
            raise UserError(
                f"{data_json}: is a folder, so the views of a data root are drawn; --results, --only and"
                " --id are for task files"
            )
        return draw_root(data_json, output, limit=limit)
    images = ImagePaths(
        data_json,
        None if image_folder is None else Path(image_folder),
        None if image_root is None else Path(image_root),
    )
    given = [results] if isinstance(results, str | Path) else list(results or ())
    paths = [Path(path) for path in given]
    filters, sort = check_filters(only, "--only"), check_sort(sort, "--sort")
    if limit < 1:
        raise UserError(f"--limit {limit}: must be at least 1")
    if not paths and (filters or sort != "file"):
        name = "--only" if filters else "--sort"
        raise UserError(f"{name}: needs answers; name a results file with --results")
    if len(paths) > len(ANSWERS):
        raise UserError(f"--results: {len(paths)} files; a picture shows at most {len(ANSWERS)}")
    everything = images.records(read_records(data_json))
    if not everything:
        raise UserError(f"{data_json}: has no samples")
    runs = _read_runs(paths, everything, data_json)
    records = _choose(everything, data_json, ids)
    chosen = _select(records, runs, filters)
    shown = (
        chosen
        if ids
        else _limited(_sorted(chosen, runs, sort), limit, spread=sort in ("file", "outcome"))
    )
    check_present(data_json, (record.images for record in everything))
    check_sheet(output, [data_json, *paths, *_image_files(everything)])
    finder = MaskFinder(runs[0].file.scoring.mask if runs else "auto", None)
    pairs = []
    for record in shown:
        answers = [ShownAnswer(r.model, r.entries.get(record.id), n) for n, r in enumerate(runs)]
        pairs.append((record, answers, draw_images(record, answers, finder)))
    width = max(LEAST_WIDTH, *(drawn.width for _, _, drawn in pairs)) + _FRAME
    marks = frozenset(mark for _, _, drawn in pairs for mark in drawn.marks)
    questions = {question_text(record) for record in shown}
    alike = len(questions) == 1 and len(shown) > 1
    panels = [
        panel(record, drawn, answers, width, with_question=not alike)
        for record, answers, drawn in pairs
    ]
    what = f"{len(shown)} of {len(everything)} samples"
    what += f", only {' or '.join(filters)} ({len(chosen)})" if filters else ""
    what += f", {SORTS[sort]}" if sort != "file" else ""
    models = [run.model for run in runs]
    title = ": ".join([data_json.name, *([", ".join(models)] if models else [])])
    masks = masks_in_words(map(finder.kind, everything))
    notes = [f"{masks[0].upper()}{masks[1:]}. {what}.", *_counts(runs)]
    notes += [f"Question: {questions.pop()}"] if alike else []
    write_sheet(output, compose(panels, title, notes, marks, models))
    return Picture(output)


def _read_runs(paths: Sequence[Path], records: Sequence[TaskRecord], source: Path) -> list[_Run]:
    runs: list[_Run] = []
    ids = {record.id for record in records}
    for path in paths:
        file = read_results(path)
        entries = {entry.id: entry for entry in file.results}
        if ids.isdisjoint(entries):
            raise UserError(
                f"--results {path}: has no answer to a sample of {source}; choose its task file"
            )
        if runs and file.scoring != runs[0].file.scoring:
            raise UserError(
                f"--results {path}: scored differently than {paths[0]}; score one of them again with x3 score"
            )
        runs.append(_Run(file.model.name, file, entries))
    names = Counter(run.model for run in runs)
    return [
        run
        if names[run.model] == 1
        else _Run(f"{run.model} ({path.parent.name}/{path.name})", run.file, run.entries)
        for run, path in zip(runs, paths, strict=True)
    ]


def _choose(records: list[TaskRecord], source: Path, ids: Sequence[str]) -> list[TaskRecord]:
    if not ids:
        return records
    by_id = {record.id: record for record in records}
    unknown = [name for name in ids if name not in by_id]
    if unknown:
        raise UserError(f"--id {unknown[0]}: no such sample in {source}")
    return [by_id[name] for name in ids]


def _entries(record: TaskRecord, runs: Sequence[_Run]) -> list[SampleResult]:
    return [run.entries[record.id] for run in runs if record.id in run.entries]


def _select(
    records: list[TaskRecord], runs: Sequence[_Run], filters: Sequence[str]
) -> list[TaskRecord]:
    if not filters:
        return records
    chosen = [r for r in records if any(is_selected(e, filters) for e in _entries(r, runs))]
    if not chosen:
        found = count_outcomes(entry for record in records for entry in _entries(record, runs))
        there = ", ".join(f"{count} {name}" for name, count in found.items())
        raise UserError(f"--only {','.join(filters)}: no sample is one; the results have {there}")
    return chosen


def _sorted(records: list[TaskRecord], runs: Sequence[_Run], sort: str) -> list[TaskRecord]:
    if sort == "file":
        return records
    worst = sort == "worst"
    judged = [record for record in records if _entries(record, runs)]
    if sort == "outcome":  # an even spread over this order has the outcomes in proportion
        order = list(OUTCOMES)
        return sorted(judged, key=lambda r: order.index(outcome_of(_entries(r, runs)[0]).name))
    pick = max if worst else min
    return sorted(
        judged, key=lambda record: pick(map(badness, _entries(record, runs))), reverse=worst
    )


def _limited(records: list[TaskRecord], limit: int, *, spread: bool) -> list[TaskRecord]:
    if not spread:
        return records[:limit]
    places = np.unique(np.linspace(0, len(records) - 1, min(limit, len(records))).round())
    return [records[int(index)] for index in places]


def _image_files(records: Sequence[TaskRecord]) -> list[Path]:
    """All images of the task file, which are never replaced, whatever they hold."""
    paths = {path for record in records for path in (*record.images, record.query_mask) if path}
    return [Path(path) for path in sorted(paths) if not is_member(path)]


def _counts(runs: Sequence[_Run]) -> list[str]:
    """A line per model: how many of its answers have which outcome."""
    lines = []
    for run in runs:
        found = count_outcomes(run.entries.values())
        text = ", ".join(f"{count} {name}" for name, count in found.items())
        lines.append(f"{run.model}: {text}")
    return lines
