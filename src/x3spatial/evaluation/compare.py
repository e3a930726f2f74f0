"""``x3 compare``: paired differences between two runs on the same data, with intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from x3spatial.errors import UserError
from x3spatial.evaluation.scoring.scores import Score
from x3spatial.evaluation.statistics.by_stratum import METRICS, grouped, name_of
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
from x3spatial.formats.results_file import CiUnit, Interval, ResultsFile, read_results
from x3spatial.formats.results_table import conditions
from x3spatial.formats.task_file import TaskRecord, read_records
from x3spatial.io.files import sha256_file
from x3spatial.tables import Table, Tabular
from x3spatial.tasks.strata import STRATA, Stratum, choose_strata, range_text
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


@dataclass(frozen=True, slots=True)
class PartComparison:
    """The comparison on the samples of one bin of a stratum."""

    least: float | None
    most: float | None
    """None: no upper bound, or a stratum of names."""
    name: str | None
    """The name, for a stratum of names."""
    samples: int
    ci_unit: CiUnit | None
    """The resampling unit of this bin's intervals; a bin may contain too few scenes."""
    differences: tuple[Difference, ...]

    def to_json(self) -> dict[str, Any]:
        """The bin as JSON values, with the keys of ``by_stratum`` in results."""
        value = asdict(self)
        return {"from": value.pop("least"), "to": value.pop("most"), **value}


@dataclass(frozen=True, slots=True, repr=False)
class Comparison(Tabular):
    """The comparison of two runs on the samples that both answered."""

    name_a: str
    name_b: str
    samples: int
    left_out: int
    """Number of samples that are missing or unanswered in one of the runs."""
    ci_unit: CiUnit | None
    differences: tuple[Difference, ...]
    conditions: str = ""
    """What both depend on: ``dilated masks, build seed 42``."""
    by_stratum: Mapping[str, tuple[PartComparison, ...]] = field(default_factory=dict)
    """Chosen stratum → a comparison per bin with samples; empty where nothing is known of it."""

    def to_json(self) -> dict[str, Any]:
        """The comparison as JSON values; ``by_stratum`` only if strata were chosen."""
        value = asdict(self)
        del value["by_stratum"]
        parts = {n: [part.to_json() for part in found] for n, found in self.by_stratum.items()}
        return {**value, **({"by_stratum": parts} if parts else {})}

    def table(self) -> Table:
        """One row per metric; ``*`` marks intervals that exclude zero."""
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
        return Table(title, ("metric", *_FIGURES), tuple(map(_row, self.differences)), notes)

    def stratum_table(self, name: str) -> Table:
        """A row per bin and headline metric of a chosen stratum."""
        rows = [
            (part.name or range_text(part.least, part.most), str(part.samples), *_row(row))
            for part in self.by_stratum[name]
            for row in part.differences
            if row.metric in _HEADLINES and row.difference is not None
        ]
        columns = ("", "samples", "metric", *_FIGURES)
        units = sorted({f"{part.ci_unit}s" for part in self.by_stratum[name] if part.ci_unit})
        notes = (f"95 % intervals over {' or '.join(units)}",) if units else ()
        return Table(f"by {STRATA[name].title}", columns, tuple(rows), notes, keys=3)

    def render(self) -> str:
        """The tables as plain text."""
        parts = (self.stratum_table(name) for name, found in self.by_stratum.items() if found)
        return "\n\n".join([self.table().text(), *(table.text() for table in parts)])


_FIGURES = ("A", "B", "B - A", "95 %", "")
_HEADLINES = ("hit_at_mask", "not_visible_accuracy", "false_not_visible_rate", "median_l2_error")
"""The metrics of the tables by stratum; JSON has all of ``by_stratum.METRICS``."""


def _row(row: Difference) -> tuple[str, ...]:
    interval = "" if row.ci95 is None else f"[{row.ci95[0]:+.4f}, {row.ci95[1]:+.4f}]"
    figures = (_text(row.a), _text(row.b), _text(row.difference, "+"))
    return (row.metric, *figures, interval, "*" if row.is_clear else "")


def _text(value: float | None, sign: str = "") -> str:
    return "-" if value is None else f"{value:{sign}.4f}"


def compare(
    run_a: str | Path,
    run_b: str | Path,
    *,
    by: Sequence[str] = (),
    data_json: str | Path | None = None,
) -> Comparison:
    """Compare two results files metric by metric; resamples are paired: the same clusters for both.

    Args:
        run_a: a results file.
        run_b: another one, on the same task file.
        by: strata to compare by too, by short or full name (``tasks.strata.STRATA``).
        data_json: the task file, which knows the strata; None for the one that the results name. Only for
            ``by``.

    Raises:
        UserError: a file is not a results file, the two differ in data or scoring, or share no sample, a
            stratum is unknown, or the task file is missing or another one.
    """
    run_a, run_b = Path(run_a), Path(run_b)
    strata = choose_strata(by)
    if data_json is not None and not strata:
        raise UserError(f"TASKS {data_json}: is only read to compare by strata; add --by")
    file_a, file_b = read_results(run_a), read_results(run_b)
    _check_comparable(run_a, file_a, run_b, file_b)
    scores_a, scores_b = _scores(file_a), _scores(file_b)
    common = [
        id
        for id, score in scores_a.items()
        if id in scores_b and "error" not in (score.status, scores_b[id].status)
    ]
    if not common:
        raise UserError(f"{run_a} and {run_b}: no sample was answered in both")
    a, b = [scores_a[id] for id in common], [scores_b[id] for id in common]
    by_stratum = {}
    if strata:
        records = _records(run_a, file_a, None if data_json is None else Path(data_json), a)
        for stratum in strata:
            by_stratum[stratum.name] = _parts(stratum, records, a, b)
    unit, differences = _differences(a, b)
    return Comparison(
        name_a=_name(run_a, file_a),
        name_b=_name(run_b, file_b),
        samples=len(common),
        left_out=len(scores_a.keys() | scores_b.keys()) - len(common),
        ci_unit=unit,
        differences=differences,
        conditions=conditions(file_b.scoring, file_b.data.build_seed),
        by_stratum=by_stratum,
    )


def _check_comparable(run_a: Path, file_a: ResultsFile, run_b: Path, file_b: ResultsFile) -> None:
    """Check that two runs answered the same questions and were scored alike.

    Raises:
        UserError: they were not.
    """
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


def _records(
    run: Path, file: ResultsFile, data_json: Path | None, scores: Sequence[Score]
) -> list[TaskRecord]:
    """The records of the samples, in their order.

    Raises:
        UserError: the task file is missing or malformed, or is not the one that was asked.
    """
    path = Path(file.data.path) if data_json is None else data_json
    if data_json is None and (not path.is_file() or sha256_file(path) != file.data.sha256):
        reason = "was changed since" if path.is_file() else "is no longer there"
        raise UserError(
            f"--by: the task file of {run}, {path}, {reason}; name it: x3 compare A B TASKS --by ..."
        )
    records = {record.id: record for record in read_records(path)}
    for score in scores:
        if score.id not in records or records[score.id].answer != score.gt_text:
            raise UserError(
                f"TASKS {path}: is not the task file of {run}: {score.id!r} is missing there or has"
                " another right answer"
            )
    return [records[score.id] for score in scores]


def _parts(
    stratum: Stratum, records: Sequence[TaskRecord], a: Sequence[Score], b: Sequence[Score]
) -> tuple[PartComparison, ...]:
    """A comparison per bin of a stratum that has samples."""
    # Sizes are known without scene.json.
    values = [stratum.value(r.strata, r.absence, r.mask_area_fraction) for r in records]
    found = []
    for part, chosen in grouped(stratum, values, a):
        if chosen:
            unit, rows = _differences([a[i] for i in chosen], [b[i] for i in chosen], METRICS)
            most = None if part.most == float("inf") else part.most
            found.append(PartComparison(part.least, most, name_of(part), len(chosen), unit, rows))
    return tuple(found)


def _differences(
    a: Sequence[Score], b: Sequence[Score], chosen: Sequence[str] | None = None
) -> tuple[CiUnit | None, tuple[Difference, ...]]:
    """The resampling unit, and the differences of the metrics that apply (those of ``chosen``)."""
    table_a, table_b = table_of(a), table_of(b)
    clusters = clusters_of(a)
    names = [name for name in estimated(table_a) if chosen is None or name in chosen]
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
    return clusters.unit, tuple(rows)


def _scoring(file: ResultsFile) -> str:
    return f"{file.scoring.rule}, {file.scoring.mask} mask"


def _name(path: Path, file: ResultsFile) -> str:
    note = ", privileged" if file.model.privileged else ""
    return f"{file.model.name}{note} ({path})"


def _scores(file: ResultsFile) -> dict[str, Score]:
    return {entry.id: score_of(entry) for entry in file.results}
