"""``x3 compare``: paired differences between two runs on the same data, with intervals."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from x3spatial.arrays import IntP
from x3spatial.errors import UserError
from x3spatial.evaluation.paired import (
    Answers,
    Difference,
    clusters_at,
    common_rows,
    differences,
    draw,
    why_not,
)
from x3spatial.evaluation.statistics.by_stratum import METRICS, name_of
from x3spatial.formats.results_entry import SampleResult
from x3spatial.formats.results_file import CiUnit, ResultsFile, open_results
from x3spatial.formats.results_table import conditions
from x3spatial.formats.task_file import TaskRecord, read_records
from x3spatial.formats.task_source import data_sha256, is_task_source
from x3spatial.tables import Table, Tabular
from x3spatial.tasks.strata import STRATA, Stratum, choose_strata, range_text
from x3spatial.texts import counted


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

    def tables(self) -> list[Table]:
        """The table of all samples, and one per chosen stratum that is known of them."""
        return [
            self.table(),
            *(self.stratum_table(name) for name, found in self.by_stratum.items() if found),
        ]

    def render(self) -> str:
        """The tables as plain text."""
        return "\n\n".join(table.text() for table in self.tables())

    def __repr__(self) -> str:
        return self.render()

    def _repr_html_(self) -> str:
        return "".join(table.html() for table in self.tables())


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
    truths: dict[str, str] = {}
    file_a, a = _read(run_a, truths if strata else None)
    file_b, b = _read(run_b, None)
    reason = why_not(file_a, file_b)
    if reason is not None:
        raise UserError(f"{run_a} and {run_b}: {reason}")
    rows_a, rows_b = common_rows(a, b)
    if not rows_a.size:
        raise UserError(f"{run_a} and {run_b}: no sample was answered in both")
    by_stratum = {}
    if strata:
        ids = [id for id in a.places if id in b.places]
        records = _records(
            run_a, file_a, truths, None if data_json is None else Path(data_json), ids
        )
        for stratum in strata:
            by_stratum[stratum.name] = _parts(stratum, records, (a, rows_a), (b, rows_b))
    unit, found = _differences(a, rows_a, b, rows_b)
    return Comparison(
        name_a=_name(run_a, file_a),
        name_b=_name(run_b, file_b),
        samples=len(rows_a),
        left_out=len(a.listed | b.listed) - len(rows_a),
        ci_unit=unit,
        differences=found,
        conditions=conditions(file_b.scoring, file_b.data.build_seed),
        by_stratum=by_stratum,
    )


def _read(run: Path, truths: dict[str, str] | None) -> tuple[ResultsFile, Answers]:
    """The head of a run and its answers; ``truths`` receives the right answer of each id."""
    head, entries = open_results(run)

    def noted() -> Iterator[SampleResult]:
        for entry in entries:
            if truths is not None:
                truths[entry.id] = entry.gt.text
            yield entry

    return head, Answers.of(noted())


def _records(
    run: Path,
    file: ResultsFile,
    truths: Mapping[str, str],
    data_json: Path | None,
    ids: Sequence[str],
) -> list[TaskRecord]:
    """The records of samples of a run, in the order of ``ids``; ``truths`` are its right answers.

    Raises:
        UserError: the task file is missing or malformed, or is not the one that was asked.
    """
    path = Path(file.data.path) if data_json is None else data_json
    if data_json is None and (not is_task_source(path) or data_sha256(path) != file.data.sha256):
        reason = "was changed since" if is_task_source(path) else "is no longer there"
        raise UserError(
            f"--by: the task file of {run}, {path}, {reason}; name it: x3 compare A B TASKS --by ..."
        )
    records = {record.id: record for record in read_records(path)}
    for id in ids:
        if id not in records or records[id].answer != truths[id]:
            raise UserError(
                f"TASKS {path}: is not the task file of {run}: {id!r} is missing there or has"
                " another right answer"
            )
    return [records[id] for id in ids]


def _parts(
    stratum: Stratum,
    records: Sequence[TaskRecord],
    a: tuple[Answers, IntP],
    b: tuple[Answers, IntP],
) -> tuple[PartComparison, ...]:
    """A comparison per bin of a stratum that has samples; rows and records are in one order."""
    # Sizes are known without scene.json.
    values = [stratum.value(r.strata, r.absence, r.mask_area_fraction) for r in records]
    found = []
    for part in stratum.bins(values):
        chosen = np.array([i for i, value in enumerate(values) if value in part], np.intp)
        if chosen.size:
            unit, rows = _differences(a[0], a[1][chosen], b[0], b[1][chosen])
            rows = tuple(row for row in rows if row.metric in METRICS)
            most = None if part.most == float("inf") else part.most
            found.append(PartComparison(part.least, most, name_of(part), len(chosen), unit, rows))
    return tuple(found)


def _differences(
    a: Answers, rows_a: IntP, b: Answers, rows_b: IntP
) -> tuple[CiUnit | None, tuple[Difference, ...]]:
    """The resampling unit, and the differences of the metrics that apply."""
    clusters = clusters_at(a, rows_a)
    drawn = draw(a.table.take(rows_a), clusters), draw(b.table.take(rows_b), clusters)
    return clusters.unit, differences(*drawn)


def _name(path: Path, file: ResultsFile) -> str:
    note = ", privileged" if file.model.privileged else ""
    return f"{file.model.name}{note} ({path})"
