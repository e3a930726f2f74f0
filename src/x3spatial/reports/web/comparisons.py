"""Paired differences of every two runs on one set: the numbers of ``x3 compare``."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np

from x3spatial.evaluation.paired import (
    Answers,
    Drawn,
    clusters_at,
    common_rows,
    differences,
    draw,
    why_not,
)
from x3spatial.evaluation.statistics.intervals import Clusters
from x3spatial.formats.results_file import ResultsFile
from x3spatial.reports.figures import difference_text
from x3spatial.reports.gather import Found, Gathered


class Comparisons:
    """Collects what comparisons need of each results file, and makes them.

    The resamples of a run are drawn once for all comparisons over all of its samples, so twenty runs take
    twenty draws and not 190.
    """

    def __init__(self, gathered: Gathered) -> None:
        self._sets = range(len(gathered.sets))
        self._files: dict[tuple[int, int], tuple[Found, Answers]] = {}
        self._drawn: dict[int, tuple[Clusters, Drawn]] = {}
        self._made: list[dict[str, Any]] | None = None

    def add(self, found: Found, results: ResultsFile) -> None:
        """Take note of a results file with its samples."""
        self._files[found.set, found.run] = found, Answers.of(results.results)

    def to_json(self) -> list[dict[str, Any]]:
        """One entry per set and two runs, the one with the lower number first."""
        if self._made is None:
            self._made = [
                self._pair(number, a, b)
                for number in self._sets
                for a, b in combinations(sorted(run for s, run in self._files if s == number), 2)
            ]
        return self._made

    def _pair(self, number: int, a: int, b: int) -> dict[str, Any]:
        (found_a, first), (found_b, second) = self._files[number, a], self._files[number, b]
        entry: dict[str, Any] = {"set": number, "a": a, "b": b, "refused": None, "metrics": {}}
        reason = why_not(found_a.head, found_b.head)
        rows_a, rows_b = common_rows(first, second)
        if reason is None and not rows_a.size:
            reason = "no sample was answered in both"
        if reason is not None:
            return {**entry, "refused": reason}
        clusters = self._clusters(first, rows_a)
        rows = differences(
            self._draw(first, rows_a, clusters), self._draw(second, rows_b, clusters)
        )
        return {
            **entry,
            "samples": len(rows_a),
            "left_out": len(first.listed | second.listed) - len(rows_a),
            "ci_unit": clusters.unit,
            "metrics": {
                row.metric: {
                    "difference": row.difference,
                    "ci95": row.ci95,
                    "significant": row.is_clear,
                    "text": {
                        "difference": difference_text(row.metric, row.difference),
                        "ci95": row.ci95
                        and [difference_text(row.metric, bound) for bound in row.ci95],
                    },
                }
                for row in rows
            },
        }

    def _clusters(self, answers: Answers, rows: Any) -> Clusters:
        known = self._drawn.get(id(answers))
        return known[0] if known and _is_all(answers, rows) else clusters_at(answers, rows)

    def _draw(self, answers: Answers, rows: Any, clusters: Clusters) -> Drawn:
        if not _is_all(answers, rows):
            return draw(answers.table.take(rows), clusters)
        known = self._drawn.get(id(answers))
        if known is None or not _same(known[0], clusters):
            known = self._drawn[id(answers)] = clusters, draw(answers.table.take(rows), clusters)
        return known[1]


def _is_all(answers: Answers, rows: Any) -> bool:
    """Whether ``rows`` are all samples in their order."""
    return len(rows) == len(answers.table) and bool((rows == np.arange(len(rows))).all())


def _same(a: Clusters, b: Clusters) -> bool:
    return a is b or (
        a.unit == b.unit
        and a.count == b.count
        and np.array_equal(a.index, b.index)
        and np.array_equal(a.objects, b.objects)
    )
