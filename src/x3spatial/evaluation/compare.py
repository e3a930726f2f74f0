"""``x3 compare``: paired differences between two runs on the same data, with intervals."""

from __future__ import annotations

import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from x3spatial.arrays import Float64, IntP
from x3spatial.errors import UserError
from x3spatial.evaluation.statistics.intervals import (
    FEWEST,
    RESAMPLES,
    Clusters,
    Resampler,
    clusters_among,
    draw_counts,
    interval_of,
)
from x3spatial.evaluation.statistics.metrics import Table as MetricTable
from x3spatial.evaluation.statistics.metrics import estimated, table_of, value_of
from x3spatial.evaluation.stored import score_of
from x3spatial.formats.results_file import Interval, ResultsFile, read_results
from x3spatial.formats.results_table import conditions
from x3spatial.tables import Table, Tabular
from x3spatial.texts import counted


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


@dataclass(frozen=True, slots=True, repr=False)
class Comparison(Tabular):
    """The comparison of two runs on the samples that both answered."""

    name_a: str
    name_b: str
    samples: int
    left_out: int
    """Number of samples that are missing or unanswered in one of the runs."""
    ci_unit: str | None
    differences: tuple[Difference, ...]
    conditions: str = ""
    """What both depend on: ``dilated masks, build seed 42``."""

    def to_json(self) -> dict[str, Any]:
        """The comparison as JSON values."""
        return asdict(self)

    def table(self) -> Table:
        """One row per metric; ``*`` marks intervals that exclude zero."""
        rows = []
        for row in self.differences:
            interval = "" if row.ci95 is None else f"[{row.ci95[0]:+.4f}, {row.ci95[1]:+.4f}]"
            mark = "*" if row.is_clear else ""
            figures = (_text(row.a), _text(row.b), _text(row.difference, "+"))
            rows.append((row.metric, *figures, interval, mark))
        notes = (
            f"{counted(self.samples, 'sample')} in both, {self.left_out} left out; "
            + (
                f"95 % intervals over {self.ci_unit}s"
                if self.ci_unit
                else "no intervals: fewer than 10 objects"
            ),
            "*: the interval excludes zero",
        )
        title = f"A: {self.name_a}\nB: {self.name_b}\n{self.conditions}"
        return Table(title, ("metric", "A", "B", "B - A", "95 %", ""), tuple(rows), notes)

    def render(self) -> str:
        """The table as plain text."""
        return self.table().text()


def _text(value: float | None, sign: str = "") -> str:
    return "-" if value is None else f"{value:{sign}.4f}"


Sample = tuple[str | None, str | None, str | None]


@dataclass(frozen=True, slots=True)
class Answers:
    """What a comparison needs of one run's samples."""

    places: dict[str, int]
    """Id → row, in the order of the file; without samples that have no answer."""
    unanswered: frozenset[str]
    """Ids of the others."""
    table: MetricTable
    samples: list[Sample]
    """(scene, uid, place) of each row."""

    @classmethod
    def of(cls, file: ResultsFile) -> Answers:
        """Those of a results file. Equal texts of several files are kept once: a report holds many."""
        known = [score_of(entry) for entry in file.results if entry.status != "error"]
        shared: dict[Sample, Sample] = {}
        samples = [(score.scene, score.uid, score.place) for score in known]
        return cls(
            {sys.intern(score.id): row for row, score in enumerate(known)},
            frozenset(sys.intern(e.id) for e in file.results if e.status == "error"),
            table_of(known),
            [shared.setdefault(sample, sample) for sample in samples],
        )

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
    return clusters_among([answers.samples[row] for row in rows], [True] * len(rows))


def compare(run_a: str | Path, run_b: str | Path) -> Comparison:
    """Compare two results files metric by metric; resamples are paired: the same clusters for both.

    Raises:
        UserError: a file is not a results file, or the two differ in data or scoring, or share no sample.
    """
    run_a, run_b = Path(run_a), Path(run_b)
    file_a, file_b = read_results(run_a), read_results(run_b)
    reason = why_not(file_a, file_b)
    if reason is not None:
        raise UserError(f"{run_a} and {run_b}: {reason}")
    a, b = Answers.of(file_a), Answers.of(file_b)
    rows_a, rows_b = common_rows(a, b)
    if not rows_a.size:
        raise UserError(f"{run_a} and {run_b}: no sample was answered in both")
    clusters = clusters_at(a, rows_a)
    found = differences(draw(a.table.take(rows_a), clusters), draw(b.table.take(rows_b), clusters))
    return Comparison(
        name_a=_name(run_a, file_a),
        name_b=_name(run_b, file_b),
        samples=len(rows_a),
        left_out=len(a.listed | b.listed) - len(rows_a),
        ci_unit=clusters.unit,
        differences=found,
        conditions=conditions(file_b.scoring, file_b.data.build_seed),
    )


def _scoring(file: ResultsFile) -> str:
    return f"{file.scoring.rule}, {file.scoring.mask} mask"


def _name(path: Path, file: ResultsFile) -> str:
    note = ", privileged" if file.model.privileged else ""
    return f"{file.model.name}{note} ({path})"
