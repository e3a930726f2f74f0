"""The answers of one run on one set: columns for filters and sorting, and the texts in a spool."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from x3spatial.arrays import Float32, Int64, UInt8
from x3spatial.evaluation.questions import question_of
from x3spatial.evaluation.unread import unread_reason
from x3spatial.formats.results_entry import SampleResult
from x3spatial.formats.results_file import ResultsFile
from x3spatial.reports.outcomes import OUTCOMES, outcome_of
from x3spatial.reports.web.encoding import packed
from x3spatial.reports.web.sets import SampleColumns
from x3spatial.reports.web.spool import Spool

NO_ANSWER = 255
"""``outcome`` of a sample that the results do not have."""


@dataclass(frozen=True, slots=True)
class AnswerColumns:
    """The answers in the order of the file; ``places`` says which sample each belongs to."""

    places: Int64
    outcome: UInt8
    error: Float32
    """L2, NaN without one."""
    x: Float32
    y: Float32
    texts: Int64
    """Numbers in the spool."""

    def to_json(self, samples: int) -> dict[str, dict[str, str]]:
        """The columns with an entry for every sample."""
        outcome = np.full(samples, NO_ANSWER, np.uint8)
        outcome[self.places] = self.outcome
        found = {"outcome": packed("u8", outcome)}
        for name in ("error", "x", "y"):
            column = np.full(samples, np.nan, np.float32)
            column[self.places] = getattr(self, name)
            found[name] = packed("f32", column)
        return found

    def numbers(self, samples: int) -> Int64:
        """``[samples]``: the number of each answer's text, -1 without one."""
        found = np.full(samples, -1, np.int64)
        found[self.places] = self.texts
        return found


def read_answers(
    results: ResultsFile,
    samples: SampleColumns,
    spool: Spool,
    shorten: Callable[[str], str],
) -> tuple[AnswerColumns, int]:
    """The answers that belong to a sample, by id and right answer; and the number of those that do not."""
    order = {name: number for number, name in enumerate(OUTCOMES)}
    rows: list[tuple[int, int, float, float, float, int]] = []
    strangers = 0
    for entry in results.results:
        place = samples.places.get(entry.id)
        if place is None or samples.answers[place] != entry.gt.text:
            strangers += 1
            continue
        point = entry.pred_parsed.coord
        x, y = point if point is not None else (np.nan, np.nan)
        text = json.dumps(
            {
                "text": entry.pred_text,
                "point": point,
                **_box(entry),
                "reason": _reason(entry, samples, place, results.model.convention, shorten),
                **({"flags": flags} if (flags := _flags(entry)) else {}),
            }
        )
        error = np.nan if entry.l2_error is None else entry.l2_error
        rows.append((place, order[outcome_of(entry).name], error, x, y, spool.add(text)))
    table = np.array(rows, np.float64).reshape(-1, 6)
    with np.errstate(over="ignore"):
        wide = np.clip(table[:, 2:5], -1e30, 1e30).astype(np.float32)
    return (
        AnswerColumns(
            table[:, 0].astype(np.int64),
            table[:, 1].astype(np.uint8),
            wide[:, 0],
            wide[:, 1],
            wide[:, 2],
            table[:, 5].astype(np.int64),
        ),
        strangers,
    )


def _box(entry: SampleResult) -> dict[str, Any]:
    """The box that was said, the true one and their IoU; nothing of samples that were not asked for a box."""
    if entry.box is None:
        return {}
    return {
        "box": entry.pred_parsed.box,
        "true_box": entry.box.truth,
        "iou": entry.box.iou,
        "centre_in_mask": entry.box.centre_in_mask,
    }


def _reason(
    entry: SampleResult,
    samples: SampleColumns,
    place: int,
    convention: str,
    shorten: Callable[[str], str],
) -> str | None:
    if entry.status == "error":
        return shorten(entry.error or "no answer")
    if entry.status != "unparsed":
        return None
    record = samples.record(place)
    if record is None:
        return "not read"
    question = question_of(record, None)
    return unread_reason(
        entry.pred_text or "", question, entry.pixel_sizes, entry.details, convention
    )


def _flags(entry: SampleResult) -> list[str]:
    names = ("contradictory", "out_of_range", "missing_mask", "at_removed")
    return [name for name in names if getattr(entry, name)]
