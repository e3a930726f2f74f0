"""``x3 compare``: paired differences between two runs on the same data, with intervals."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from x3spatial.errors import UserError
from x3spatial.evaluation.scoring.scores import Score
from x3spatial.evaluation.statistics.intervals import (
    FEWEST,
    RESAMPLES,
    Resampler,
    clusters_of,
    draw_counts,
    interval_of,
)
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


def compare(run_a: str | Path, run_b: str | Path) -> Comparison:
    """Compare two results files metric by metric; resamples are paired: the same clusters for both.

    Raises:
        UserError: a file is not a results file, or the two differ in data or scoring, or share no sample.
    """
    run_a, run_b = Path(run_a), Path(run_b)
    file_a, file_b = read_results(run_a), read_results(run_b)
    if file_a.data.sha256 != file_b.data.sha256:
        raise UserError(
            f"{run_a} and {run_b}: made from different data ({file_a.data.path},"
            f" {file_b.data.path}); compare runs of one task file"
        )
    builds = file_a.data.build, file_b.data.build
    if None not in builds and builds[0] != builds[1]:
        raise UserError(
            f"{run_a} and {run_b}: asked about images that were built with other parameters;"
            " compare runs on one build"
        )
    if _scoring(file_a) != _scoring(file_b):
        raise UserError(
            f"{run_a} and {run_b}: scored differently ({_scoring(file_a)}; {_scoring(file_b)});"
            " score one of them again with x3 score"
        )
    scores_a, scores_b = _scores(file_a), _scores(file_b)
    common = [
        id
        for id, score in scores_a.items()
        if id in scores_b and "error" not in (score.status, scores_b[id].status)
    ]
    if not common:
        raise UserError(f"{run_a} and {run_b}: no sample was answered in both")
    a, b = [scores_a[id] for id in common], [scores_b[id] for id in common]
    table_a, table_b = table_of(a), table_of(b)
    clusters = clusters_of(a)
    names = estimated(table_a)
    found: dict[str, Interval | None] = dict.fromkeys(names)
    if clusters.unit is not None:
        resample_a, resample_b = Resampler(table_a, clusters), Resampler(table_b, clusters)
        drawn: dict[str, list[Any]] = {name: [] for name in names}
        for counts in draw_counts(clusters.count, RESAMPLES, seed=0):
            values_a, values_b = resample_a(counts), resample_b(counts)
            for name in names:
                drawn[name].append(values_b[name] - values_a[name])
        for name in names:
            if min(resample_a.support[name], resample_b.support[name]) >= FEWEST:
                found[name] = interval_of(np.concatenate(drawn[name]))
    rows = []
    for name in names:
        value_a, value_b = value_of(name, table_a), value_of(name, table_b)
        both = value_a is not None and value_b is not None
        difference = value_b - value_a if both else None  # type: ignore[operator]
        rows.append(Difference(name, value_a, value_b, difference, found[name] if both else None))
    return Comparison(
        name_a=_name(run_a, file_a),
        name_b=_name(run_b, file_b),
        samples=len(common),
        left_out=len(scores_a.keys() | scores_b.keys()) - len(common),
        ci_unit=clusters.unit,
        differences=tuple(rows),
        conditions=conditions(file_b.scoring, file_b.data.build_seed),
    )


def _scoring(file: ResultsFile) -> str:
    return f"{file.scoring.rule}, {file.scoring.mask} mask"


def _name(path: Path, file: ResultsFile) -> str:
    note = ", privileged" if file.model.privileged else ""
    return f"{file.model.name}{note} ({path})"


def _scores(file: ResultsFile) -> dict[str, Score]:
    return {entry.id: score_of(entry) for entry in file.results}
