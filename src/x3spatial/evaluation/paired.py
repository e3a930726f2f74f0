"""Paired differences between runs: the same clusters are drawn for all runs on the same samples."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice

import numpy as np

from x3spatial.arrays import Float64, IntP
from x3spatial.evaluation.statistics.intervals import (
    FEWEST,
    RESAMPLES,
    Clusters,
    Groups,
    Resampler,
    Sample,
    draw_counts,
    interval_of,
)
from x3spatial.evaluation.statistics.metrics import Table as MetricTable
from x3spatial.evaluation.statistics.metrics import estimated, table_of, value_of
from x3spatial.evaluation.stored import score_of
from x3spatial.formats.results_entry import SampleResult
from x3spatial.formats.results_file import Interval, ResultsFile


@dataclass(frozen=True, slots=True)
class Difference:
    """One metric in both runs; ``difference`` is B - A."""

    metric: str
    a: float | None
    b: float | None
    difference: float | None
    ci95: Interval | None

    @property
    def is_clear(self) -> bool:
        """Whether the interval excludes zero."""
        return self.ci95 is not None and not self.ci95[0] <= 0.0 <= self.ci95[1]


_PART = 4096
"""Samples that become columns at once."""


@dataclass(frozen=True, slots=True)
class Answers:
    """What a comparison needs of one run's samples."""

    places: dict[str, int]
    """Id → row, in the order of the file; without samples that have no answer."""
    unanswered: frozenset[str]
    """Ids of the others."""
    table: MetricTable
    groups: Groups
    """Scene and object of each row."""

    @classmethod
    def of(cls, entries: Iterable[SampleResult]) -> Answers:
        """Those of a results file. Equal texts of several files are kept once: a report holds many."""
        places: dict[str, int] = {}
        unanswered: list[str] = []
        tables: list[MetricTable] = []
        samples: list[Sample] = []
        entries = iter(entries)
        while part := list(islice(entries, _PART)):
            known = [score_of(entry) for entry in part if entry.status != "error"]
            places |= {sys.intern(score.id): row for row, score in enumerate(known, len(places))}
            unanswered += [sys.intern(entry.id) for entry in part if entry.status == "error"]
            samples += [(score.scene, score.uid, score.place) for score in known]
            tables.append(table_of(known))
        groups = Groups.of(samples, [True] * len(samples))
        return cls(places, frozenset(unanswered), MetricTable.joined(tables), groups)

    @property
    def listed(self) -> set[str]:
        """All ids of the file."""
        return self.places.keys() | self.unanswered


@dataclass(frozen=True, slots=True)
class Drawn:
    """The resampled metrics of one run over chosen samples."""

    table: MetricTable
    support: dict[str, int]
    values: dict[str, Float64]
    """Metric → its value in each resample; empty without clusters."""


def draw(table: MetricTable, clusters: Clusters) -> Drawn:
    """Resample clusters; the same clusters are drawn for every run on the same samples."""
    if clusters.unit is None:
        return Drawn(table, {}, {})
    resample = Resampler(table, clusters)
    chunks = [resample(counts) for counts in draw_counts(clusters.count, RESAMPLES, seed=0)]
    values = {name: np.concatenate([chunk[name] for chunk in chunks]) for name in estimated(table)}
    return Drawn(table, resample.support, values)


def differences(a: Drawn, b: Drawn) -> tuple[Difference, ...]:
    """B - A for each metric that applies to A, from resamples of the same clusters."""
    rows = []
    for name in estimated(a.table):
        value_a, value_b = value_of(name, a.table), value_of(name, b.table)
        if value_a is None or value_b is None:
            rows.append(Difference(name, value_a, value_b, None, None))
            continue
        interval = None
        if (
            name in a.values
            and name in b.values
            and min(a.support[name], b.support[name]) >= FEWEST
        ):
            interval = interval_of(b.values[name] - a.values[name])
        rows.append(Difference(name, value_a, value_b, value_b - value_a, interval))
    return tuple(rows)


def why_not(a: ResultsFile, b: ResultsFile) -> str | None:
    """Why two runs cannot be compared; None if they can."""
    if a.data.sha256 != b.data.sha256:
        return f"made from different data ({a.data.path}, {b.data.path}); compare runs of one task file"
    builds = a.data.build, b.data.build
    if None not in builds and builds[0] != builds[1]:
        return "asked about images that were built with other parameters; compare runs on one build"
    if _scoring(a) != _scoring(b):
        return f"scored differently ({_scoring(a)}; {_scoring(b)}); score one of them again with x3 score"
    return None


def common_rows(a: Answers, b: Answers) -> tuple[IntP, IntP]:
    """The rows of the samples that both answered, in the order of A."""
    common = [id for id in a.places if id in b.places]
    rows = [[run.places[id] for id in common] for run in (a, b)]
    return np.array(rows[0], np.intp), np.array(rows[1], np.intp)


def clusters_at(answers: Answers, rows: IntP) -> Clusters:
    """The clusters of chosen rows."""
    return answers.groups.clusters(rows)


def _scoring(file: ResultsFile) -> str:
    return f"{file.scoring.rule}, {file.scoring.mask} mask"
