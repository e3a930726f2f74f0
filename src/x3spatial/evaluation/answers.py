"""Scoring of answers that were made elsewhere: whole files of them, and one at a time."""

from __future__ import annotations

import json
import re
import socket
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from x3spatial.conventions.base import Convention
from x3spatial.conventions.registry import CONVENTIONS, find_convention
from x3spatial.engine.cores import usable_cores
from x3spatial.engine.local import default_workers
from x3spatial.errors import UserError
from x3spatial.evaluation.assess import score_reply, score_run
from x3spatial.evaluation.inference import Reply, storable
from x3spatial.evaluation.matching import Matched, entries_of, match_answers, pixel_sizes
from x3spatial.evaluation.options import (
    AnswersOptions,
    check_mask_choice,
    check_scoring,
    check_workers,
)
from x3spatial.evaluation.people import (
    KIND,
    Entry,
    answered_by,
    check_convention,
    description,
    folders_of,
    hash_of,
    participants_of,
    read_files,
)
from x3spatial.evaluation.provenance import data_provenance, versions
from x3spatial.evaluation.result import EvalResult
from x3spatial.evaluation.scoring.masks import NO_MASKS, MaskFinder
from x3spatial.evaluation.scoring.scores import truth_of
from x3spatial.evaluation.stored import entry_of
from x3spatial.exporters.points import ResizeLimits
from x3spatial.formats.answers.base import AnswerFields
from x3spatial.formats.image_paths import ImagePaths, check_present
from x3spatial.formats.results_entry import SampleResult
from x3spatial.formats.results_file import (
    DataInfo,
    ModelInfo,
    RunInfo,
    RunSettings,
    check_replaceable,
    read_head,
    write_results,
)
from x3spatial.formats.task_file import TaskRecord, read_records
from x3spatial.formats.task_source import data_sha256, file_name
from x3spatial.io.files import check_output, sha256_json
from x3spatial.tasks.answers import says_not_visible

_MADE_ELSEWHERE = "answers"
"""Key of a results file's ``model.describe`` that only answers made elsewhere have."""
_METRICS = re.compile(r'"metrics"\s*+:\s*+\{')


def score_answers(
    tasks: str | Path | Sequence[TaskRecord],
    answers: str | Path | Mapping[str, Any],
    output_json: str | Path | None = None,
    options: AnswersOptions | None = None,
    *,
    workers: int | None = None,
    **changes: Any,
) -> EvalResult:
    """Score answers that were made elsewhere, and write a results file if ``output_json`` is given.

    Raw texts of a model are parsed exactly as ``evaluate`` parses them. A sample without an answer counts as
    an error, never as a wrong answer. ``EvalResult.matched`` says which ids are missing, unknown or repeated.

    Args:
        tasks: the task file that was asked, or its records.
        answers: a file (JSON, JSON Lines, CSV, TSV, output of an OpenAI batch), a folder of them, or id →
            text. Ids may be those of a page of ``x3 ask``; then only the samples on that page are scored.
        output_json: the results file; None writes none.
        options: convention, names of fields, options of the scoring; None for the defaults.
        workers: threads for reading masks; None for one per CPU.
        **changes: fields of ``AnswersOptions`` that replace those of ``options``, such as ``convention``.

    Raises:
        TypeError: ``AnswersOptions`` has no such field.
        UserError: an option or file is invalid, nothing says what convention the answers have, no answer
            belongs to a sample, or ``output_json`` exists and does not hold scored answers.
    """
    started = time.perf_counter()
    options = replace(options or AnswersOptions(), **changes)
    check_workers(workers)
    workers = default_workers() if workers is None else workers
    target = None if output_json is None else Path(output_json)
    if target is not None:
        sources = [Path(given) for given in (tasks, answers) if isinstance(given, str | Path)]
        check_output(target, "--out", sources)
        _check_target(target)
    declared: dict[str, str] = {}
    source: dict[str, Any] = {}
    name = "answers"
    entries: list[Entry]
    if isinstance(answers, str | Path):
        path = Path(answers)
        fields = AnswerFields(options.id_field, options.text_field)
        entries, declared = read_files(path, fields)
        source, name = {"file": str(path.absolute()), "sha256": hash_of(path)}, path.stem
    else:
        entries = list(entries_of(answers))
    declared = check_convention(entries, options.convention, declared)
    convention = _convention(options.convention, declared.get("convention"))
    records, data = _records(tasks, options)
    answered = answered_by(entries, records, options.participant)
    name = options.model_name or declared.get("model") or answered.participant or name
    if answered.asked is not None:
        records = [record for record in records if record.id in answered.asked] or records
    matched = match_answers(records, answered.entries, convention, limits=_limits(options))
    scored = score_run(
        records,
        matched.replies,
        convention=convention.name,
        rule=check_scoring(options.scoring),
        mask=check_mask_choice(options.mask),
        workers=workers,
    )
    kept = len(records) - len(matched.missing)
    describe = {_MADE_ELSEWHERE: {**source, **description(answered), **_counts(matched)}}
    person = answered.participant
    seconds = time.perf_counter() - started
    folder, root = options.image_folder, options.image_root
    head = scored.head(
        settings=RunSettings(
            model=name if person is None else f"{KIND}:{person}",
            describe=describe,
            convention=convention.name,
            data_sha256=data.sha256,
            max_new_tokens=None,
            seed=None,
            image_folder=None if folder is None else str(folder.absolute()),
            image_root=None if root is None else str(root.absolute()),
        ),
        versions=versions(),
        model=ModelInfo(
            name=name,
            kind=None if person is None else KIND,
            convention=convention.name,
            describe=describe,
        ),
        data=data,
        run=RunInfo(
            seconds=round(seconds, 3),
            samples_per_second=0.0,
            asked=0,
            host=socket.gethostname(),
            workers=workers,
            batch_size=None,
            usable_cores=usable_cores(),
            date=datetime.now(UTC).isoformat(timespec="seconds"),
        ),
    )
    if target is not None:
        write_results(target, head, scored.entries())
    return EvalResult.of(
        scored,
        output_json=target,
        model=name,
        asked=0,
        kept=kept,
        build_seed=data.build_seed,
        stored=None if target is not None else replace(head, results=tuple(scored.entries())),
        matched=matched,
    )


def score_people(
    tasks: str | Path,
    answers: str | Path,
    out_dir: str | Path,
    options: AnswersOptions | None = None,
    *,
    workers: int | None = None,
    **changes: Any,
) -> dict[str, EvalResult]:
    """Score the answers of several people: ``out_dir/{participant}/{task file}`` for each of them.

    Args:
        tasks: the task file that they were asked.
        answers: a file with a field or column ``participant``, or a folder of such files.
        out_dir: the folder of the results.
        options: see ``score_answers``; with ``participant`` only that person's.
        workers: threads for reading masks; None for one per CPU.
        **changes: fields of ``AnswersOptions`` that replace those of ``options``.

    Returns:
        Participant → result.

    Raises:
        TypeError: ``AnswersOptions`` has no such field.
        UserError: see ``score_answers``; or the answers name nobody.
    """
    options = replace(options or AnswersOptions(), **changes)
    entries, _ = read_files(Path(answers), AnswerFields(options.id_field, options.text_field))
    named = participants_of(entries)
    if not named:
        raise UserError(
            f"--out {out_dir}: the answers in {answers} name no participant; name a results file (.json)"
        )
    results = {}
    for participant, folder in folders_of(named):
        if options.participant in (None, participant):
            results[participant] = score_answers(
                tasks,
                answers,
                Path(out_dir) / folder / file_name(Path(tasks)),
                replace(options, participant=participant),
                workers=workers,
            )
    if not results:
        raise UserError(f"--participant {options.participant}: the answers name {', '.join(named)}")
    return results


def score_text(
    record: TaskRecord | Mapping[str, Any],
    text: str,
    options: AnswersOptions | None = None,
    *,
    pixel_sizes: Sequence[tuple[int, int]] = (),
    **changes: Any,
) -> SampleResult:
    """Score one answer text, for a harness or a trainer that asks the model itself.

    Args:
        record: a sample of ``x3.read_tasks``, or its JSON object.
        text: the raw text of the model, with thoughts and special tokens as they came.
        options: convention and options of the scoring; None for the defaults.
        pixel_sizes: (W, H) of each image in the pixels that the answer counts, for conventions that count
            pixels; empty: those of the record's images.
        **changes: fields of ``AnswersOptions`` that replace those of ``options``, such as ``convention``.

    Returns:
        The entry of a results file: parsed answer, distance, hit.

    Raises:
        TypeError: ``AnswersOptions`` has no such field.
        UserError: the record is malformed, nothing says what convention the text has, or the size of an image
            is needed and cannot be read.
    """
    options = replace(options or AnswersOptions(), **changes)
    try:
        sample = record if isinstance(record, TaskRecord) else TaskRecord.from_json(record)
    except ValueError as error:
        raise UserError(f"record: {error}") from None
    (sample,) = _in_folder(options).records([sample])
    convention = _convention(options.convention, None)
    rule = check_scoring(options.scoring)
    sizes = _sizes(sample, convention, pixel_sizes, options)
    truth = truth_of(sample)
    finder = MaskFinder(check_mask_choice(options.mask), None)
    masks = finder.masks(sample) if truth.visible else NO_MASKS
    reply = Reply(storable(text), sizes=sizes)
    score = score_reply(sample, truth, masks, reply, convention=convention, rule=rule)
    return entry_of(score, rule)


def _sizes(
    record: TaskRecord,
    convention: Convention,
    given: Sequence[tuple[int, int]],
    options: AnswersOptions,
) -> tuple[tuple[int, int], ...]:
    try:
        return pixel_sizes(record, convention, given, _limits(options))
    except ValueError as error:
        raise UserError(f"record {record.id}: {error}") from None


def _convention(chosen: str | None, declared: str | None) -> Convention:
    """The convention that the user names, else the one that the file of answers declares.

    Raises:
        UserError: there is none, it is unknown, or the two differ.
    """
    if chosen is not None and declared is not None and chosen != declared:
        raise UserError(
            f"--convention {chosen}: the file of answers declares {declared!r}; leave one out"
        )
    name = chosen or declared
    if name is None:
        raise UserError(
            "--convention: nothing says how these answers write a point, and it is not guessed; name one of"
            f" {', '.join(CONVENTIONS)}"
        )
    return find_convention(name)


def _limits(options: AnswersOptions) -> ResizeLimits:
    usual = ResizeLimits()
    limits = ResizeLimits(
        options.min_pixels or usual.min_pixels, options.max_pixels or usual.max_pixels
    )
    if limits.min_pixels > limits.max_pixels:
        raise UserError(
            f"--min-pixels {limits.min_pixels}: is more than --max-pixels {limits.max_pixels}"
        )
    return limits


def _in_folder(options: AnswersOptions) -> ImagePaths:
    """Finds the files of records that were not read from a file here: relative to the working directory."""
    return ImagePaths(Path("tasks.json"), options.image_folder, options.image_root)


def _records(
    tasks: str | Path | Sequence[TaskRecord], options: AnswersOptions
) -> tuple[list[TaskRecord], DataInfo]:
    """The records with the paths of their files, and where they come from."""
    if isinstance(tasks, str | Path):
        path = Path(tasks)
        stored = read_records(path)
        records = ImagePaths(path, options.image_folder, options.image_root).records(stored)
        masks = ([r.query_mask] for r in records if r.query_mask and not says_not_visible(r.answer))
        check_present(path, masks)
        return records, data_provenance(path, data_sha256(path))
    given = list(tasks)
    if len({record.id for record in given}) < len(given):
        raise UserError("tasks: an id occurs twice; score the sets one by one")
    data = DataInfo(path="", sha256=sha256_json([record.to_json() for record in given]))
    return _in_folder(options).records(given), data


def _counts(matched: Matched) -> dict[str, int]:
    return {
        "entries": matched.entries,
        **{
            name: len(getattr(matched, name))
            for name in ("missing", "unknown", "repeated", "unreadable")
        },
    }


def _check_target(target: Path) -> None:
    """Refuse to replace anything but scored answers: those of ``x3 eval`` may have cost hours.

    Raises:
        UserError: ``target`` exists and holds something else.
    """
    check_replaceable(target)
    if target.exists() and _MADE_ELSEWHERE not in read_head(target).model.describe:
        raise UserError(f"--out {target}: holds answers of x3 eval; write elsewhere, or remove it")


def is_results_file(path: Path) -> bool:
    """Whether a file of JSON is a results file rather than answers: an object with metrics and results."""
    if path.suffix.lower() != ".json":
        return False
    try:
        with open(path, encoding="utf-8-sig") as file:
            head = file.read(1 << 12).lstrip()
            if not head.startswith("{"):
                return False
            if _METRICS.search(head):  # as x3 eval writes it: saves decoding the whole file
                return True
            file.seek(0)
            value = json.load(file)
    except FileNotFoundError:
        return True  # whoever reads it says so
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(value.get("metrics"), dict) or isinstance(value.get("results"), list)
