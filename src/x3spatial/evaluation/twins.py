"""``follows_object``: the same questions with the object in place and with it removed, in two files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from x3spatial.errors import UserError
from x3spatial.evaluation.statistics.consistency import follows_object
from x3spatial.evaluation.stored import score_of
from x3spatial.formats.results_file import ConsistencyRow, ResultsFile, read_results, write_results
from x3spatial.formats.task_file import TaskRecord, read_records

FOLLOWS_OBJECT = "follows_object"
"""The name of the figure in results files and summaries."""


def twins_of(records: Sequence[TaskRecord]) -> dict[str, str]:
    """Id of each question without its object → id of the question with it."""
    return {record.id: record.twin for record in records if record.twin is not None}


def follows(
    with_object: ResultsFile, without: ResultsFile, records: Sequence[TaskRecord]
) -> ConsistencyRow:
    """How often a model hits the object where it is, and says NOT_VISIBLE where it was taken out.

    Args:
        with_object: the results on the questions with the object in place.
        without: the results on the questions without it.
        records: the questions without it, which name their twins.

    Raises:
        UserError: no question has a twin, or the results are of another model, other settings, or another
            build.
    """
    twins = twins_of(records)
    if not twins:
        raise UserError(
            "--twin: the questions name no twins; give the task file t1_*_counterfactual.json"
        )
    _check_alike(with_object, without)
    return follows_object(
        [score_of(entry) for entry in with_object.results],
        [score_of(entry) for entry in without.results],
        twins,
    )


def _check_alike(a: ResultsFile, b: ResultsFile) -> None:
    pairs = {
        "model": (a.settings.model, b.settings.model),
        "settings of the model": (a.settings.describe, b.settings.describe),
        "convention": (a.settings.convention, b.settings.convention),
        "--max-new-tokens": (a.settings.max_new_tokens, b.settings.max_new_tokens),
        "--seed": (a.settings.seed, b.settings.seed),
        "scoring": (a.scoring.rule, b.scoring.rule),
        "--mask": (a.scoring.mask, b.scoring.mask),
        "build": (a.data.build, b.data.build),
    }
    for name, (first, second) in pairs.items():
        if first != second:
            shown = f" ({first} and {second})" if isinstance(first, str | int) else ""
            raise UserError(f"--twin: the {name} of the two results differs{shown}")


def add_twin(results: Path, data_json: Path, twin: Path) -> ConsistencyRow:
    """Write ``follows_object`` into a results file on questions without their objects.

    Args:
        results: the results file to add it to.
        data_json: its task file.
        twin: the results on the questions with the object in place.

    Raises:
        UserError: see ``follows``; or a file cannot be read.
    """
    stored = read_results(results)
    row = follows(read_results(twin), stored, read_records(data_json))
    write_results(results, replace(stored, consistency={**stored.consistency, FOLLOWS_OBJECT: row}))
    return row
