"""``x3 table``: runs × sets as one table, with intervals, paired differences and chance rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from x3spatial.errors import UserError
from x3spatial.evaluation.statistics.chance import joined_chance
from x3spatial.formats.results_file import Interval
from x3spatial.formats.results_table import conditions
from x3spatial.reports.figures import (
    MISSING,
    Metric,
    choose_metrics,
    difference_text,
    interval_text,
    metric_text,
)
from x3spatial.reports.gather import Found, Gathered, GatherOptions, Run, gather
from x3spatial.reports.web.comparisons import Comparisons
from x3spatial.tables import Table, Tabular
from x3spatial.texts import counted

Kind = Literal["run", "people", "privileged", "chance"]
MARKS: dict[Kind, str] = {"privileged": "*", "people": "†"}
"""Behind the name of a run; the notes of a table say what they mean."""
BOLD = ">"
"""Before a figure that is bold, where there is plain text only."""


@dataclass(frozen=True, kw_only=True)
class TableOptions(GatherOptions):
    """Options of a table of results.

    Raises:
        UserError: a name is unknown; the message names the option.
    """

    metrics: tuple[str, ...] | None = None
    """Metrics as columns, or all; None: the main ones, as far as a run has them."""
    sets: tuple[str, ...] | None = None
    """Names of sets, such as t1_multi; None: all."""
    baseline: str | None = None
    """A run: the others show their paired differences to it."""
    intervals: bool = True
    """Show 95 % intervals."""
    chance: bool = True
    """Show the rows of the chance baselines."""

    def __post_init__(self) -> None:
        GatherOptions.__post_init__(self)
        choose_metrics(self.metrics)


@dataclass(frozen=True, slots=True)
class Cell:
    """One metric of one run on one set."""

    value: float | None
    ci95: Interval | None = None
    ci_unit: str | None = None
    difference: float | None = None
    """To the baseline, over the samples that both answered: the number of ``x3 compare``."""
    difference_ci95: Interval | None = None
    bold: bool = False
    """See ``ResultsTable.rule``."""


@dataclass(frozen=True, slots=True)
class Row:
    """One run, or one chance baseline."""

    name: str
    kind: Kind
    cells: Mapping[tuple[int, str], Cell]
    """(number of the set, metric) → cell; without those that do not exist."""
    notes: Mapping[int, str] = field(default_factory=dict)
    """Number of a set → what is to be known of the run there: ``unfinished``."""


@dataclass(frozen=True, slots=True)
class SetHead:
    """A set as part of a table."""

    name: str
    title: str
    split: str | None
    samples: int
    conditions: str
    """Masks and seed; of all runs, if they differ."""

    @property
    def words(self) -> str:
        """``Task1 multi (val), 192 samples, dilated masks, build seed 42``."""
        split = f" ({self.split})" if self.split else ""
        return f"{self.title}{split}, {counted(self.samples, 'sample')}, {self.conditions}"


@dataclass(frozen=True, slots=True, repr=False)
class ResultsTable(Tabular):
    """Results as rows and columns; ``reports.table_text`` has their texts for papers and programs."""

    sets: tuple[SetHead, ...]
    metrics: tuple[Metric, ...]
    rows: tuple[Row, ...]
    baseline: str | None
    intervals: bool
    problems: tuple[tuple[str, str], ...]
    """(path, reason) of what was left out or is incomplete."""

    @property
    def rule(self) -> str:
        """When a figure is bold, in words."""
        if self.baseline is not None:
            return (
                f"Bold: better than {self.baseline}, and the 95 % interval of the paired difference excludes"
                " zero."
            )
        return (
            "Bold: better than every other model on the set, and the 95 % interval of each paired difference"
            " excludes zero."
        )

    def rows_of(self, set_number: int) -> list[Row]:
        """The rows that have a figure on one set."""
        return [row for row in self.rows if any(s == set_number for s, _ in row.cells)]

    def metrics_of(self, set_number: int | None = None) -> list[Metric]:
        """The metrics that some row has, on one set or on any."""
        known = {
            key
            for row in self.rows
            for (number, key), cell in row.cells.items()
            if cell.value is not None and set_number in (None, number)
        }
        return [metric for metric in self.metrics if metric.key in known]

    def notes(self) -> list[str]:
        """What a reader has to know, below the table."""
        found = [self.rule] if any(c.bold for row in self.rows for c in row.cells.values()) else []
        units = sorted(
            {c.ci_unit for row in self.rows for c in row.cells.values() if c.ci95 and c.ci_unit}
        )
        if self.intervals and units:
            found.append(f"Brackets: 95 % intervals over {' or '.join(f'{u}s' for u in units)}.")
        if any(row.kind == "privileged" for row in self.rows):
            found.append("*: reads masks or right answers; never bold.")
        if any(row.kind == "people" for row in self.rows):
            found.append("†: a person; never bold.")
        return found

    def texts_of(self, metric: Metric, cell: Cell | None) -> tuple[str, str]:
        """A printed figure, and its bracket: the difference to the baseline, or the interval."""
        if cell is None or cell.value is None:
            return MISSING, ""
        figure = metric_text(metric.key, cell.value)
        if self.baseline is None or cell.difference is None:
            return figure, interval_text(metric.key, cell.ci95) if self.intervals else ""
        bounds = cell.difference_ci95 if self.intervals else None
        between = [difference_text(metric.key, bound) for bound in bounds or ()]
        interval = f" [{', '.join(between)}]" if between else ""
        return figure, f"({difference_text(metric.key, cell.difference)}{interval})"

    def table(self) -> Table:
        """A row per set and run. ``>`` marks what the other texts have in bold."""
        metrics = self.metrics_of()
        rows = [
            (
                head.title,
                f"{row.name}{MARKS.get(row.kind, '')}",
                *(self._marked(metric, row.cells.get((number, metric.key))) for metric in metrics),
            )
            for number, head in enumerate(self.sets)
            for row in self.rows_of(number)
        ]
        notes = tuple(note.replace("Bold:", f"{BOLD}:") for note in self.notes())
        return Table("", ("set", "run", *(m.head for m in metrics)), tuple(rows), notes, keys=2)

    def _marked(self, metric: Metric, cell: Cell | None) -> str:
        text = " ".join(filter(None, self.texts_of(metric, cell)))
        return f"{BOLD} {text}" if cell is not None and cell.bold else text

    def records(self) -> list[dict[str, Any]]:
        """One object per run, set and metric, for programs."""
        rows = []
        for number, one in enumerate(self.sets):
            for row in self.rows_of(number):
                for metric in self.metrics_of():
                    cell = row.cells.get((number, metric.key))
                    if cell is None:
                        continue
                    rows.append(
                        {
                            "set": one.name,
                            "split": one.split,
                            "run": row.name,
                            "kind": row.kind,
                            "metric": metric.key,
                            "value": cell.value,
                            "text": metric_text(metric.key, cell.value),
                            "ci_low": cell.ci95[0] if cell.ci95 else None,
                            "ci_high": cell.ci95[1] if cell.ci95 else None,
                            "ci_unit": cell.ci_unit if cell.ci95 else None,
                            "difference": cell.difference,
                            "difference_low": cell.difference_ci95 and cell.difference_ci95[0],
                            "difference_high": cell.difference_ci95 and cell.difference_ci95[1],
                            "bold": cell.bold,
                            "note": row.notes.get(number),
                        }
                    )
        return rows

    def to_json(self) -> dict[str, Any]:
        """The table as JSON values."""
        return {
            "sets": [
                {
                    "set": one.name,
                    "title": one.title,
                    "split": one.split,
                    "samples": one.samples,
                    "conditions": one.conditions,
                }
                for one in self.sets
            ],
            "baseline": self.baseline,
            "rule": self.rule,
            "rows": self.records(),
            "problems": [{"path": path, "reason": reason} for path, reason in self.problems],
        }


def table(
    paths: str | Path | Sequence[str | Path],
    options: TableOptions | None = None,
    **changes: Any,
) -> ResultsTable:
    """Results files as a table; ``reports.table_text`` has its texts.

    The figures are those of the results files. A figure is bold only where paired differences over the
    samples that both runs answered say so (``x3 compare``), never by its size alone.

    Args:
        paths: results files, or folders with results at any depth.
        options: options; None for the defaults.
        **changes: fields of ``TableOptions`` that replace those of ``options``.

    Raises:
        TypeError: ``TableOptions`` has no such field.
        UserError: a path, metric, set or run is unknown, or nothing was found.
    """
    options = replace(options or TableOptions(), **changes)
    given = [paths] if isinstance(paths, str | Path) else list(paths)
    gathered = gather(given, options)
    chosen = choose_sets(gathered, options.sets)
    metrics = choose_metrics(options.metrics)
    baseline = _baseline(gathered.runs, options.baseline)
    comparisons = Comparisons(gathered)
    files = {(f.set, f.run): f for f in gathered.files if f.set in chosen}
    if len(gathered.runs) > 1:
        for found in files.values():
            comparisons.add(found, found.load())
    differences = _differences(comparisons)
    numbers = {number: place for place, number in enumerate(chosen)}
    rows = []
    for number, run in enumerate(gathered.runs):
        own = {numbers[s]: found for (s, r), found in files.items() if r == number}
        if own:
            rows.append(_row(run, own, metrics))
    rows = _with_differences(rows, gathered, numbers, metrics, differences, baseline)
    if options.chance:
        rows += _chance_rows(files.values(), numbers, metrics)
    heads = tuple(_head(gathered, number, files.values()) for number in chosen)
    name = None if baseline is None else gathered.runs[baseline].name
    return ResultsTable(heads, metrics, tuple(rows), name, options.intervals, gathered.problems)


def choose_sets(gathered: Gathered, names: Sequence[str] | None) -> list[int]:
    """The numbers of the sets with these names, tasks or titles; None for all.

    Raises:
        UserError: there is no such set.
    """
    if names is None:
        return list(range(len(gathered.sets)))
    chosen: dict[int, None] = {}
    for name in names:
        found = [
            n for n, one in enumerate(gathered.sets) if name in (one.name, one.task, one.title)
        ]
        if not found:
            known = ", ".join(one.name for one in gathered.sets)
            raise UserError(f"--sets {name}: the results have {known}")
        chosen |= dict.fromkeys(found)
    return sorted(chosen)


def _baseline(runs: Sequence[Run], name: str | None) -> int | None:
    if name is None:
        return None
    for number, run in enumerate(runs):
        if run.name == name:
            return number
    raise UserError(f"--baseline {name}: the runs are {', '.join(run.name for run in runs)}")


def _kind(run: Run) -> Kind:
    return "privileged" if run.privileged else "people" if run.people else "run"


def _row(run: Run, files: Mapping[int, Found], metrics: Sequence[Metric]) -> Row:
    cells, notes = {}, {}
    for place, found in files.items():
        head = found.head
        for metric in metrics:
            if metric.key in head.metrics:
                interval = head.ci95.get(metric.key)
                cells[place, metric.key] = Cell(
                    head.metrics[metric.key], interval, head.ci_unit if interval else None
                )
        if not found.finished:
            notes[place] = f"unfinished: {head.metrics['total']} samples so far"
    return Row(run.name, _kind(run), cells, notes)


_Difference = tuple[float | None, Interval | None, bool]


def _differences(comparisons: Comparisons) -> dict[tuple[int, int, int, str], _Difference]:
    """(set, a, b, metric) → B - A, its interval, whether that excludes zero; in both directions."""
    found: dict[tuple[int, int, int, str], _Difference] = {}
    for pair in comparisons.to_json():
        for key, row in pair["metrics"].items():
            value, interval, clear = row["difference"], row["ci95"], row["significant"]
            found[pair["set"], pair["a"], pair["b"], key] = value, interval, clear
            if value is not None:
                turned = None if interval is None else (-interval[1], -interval[0])
                found[pair["set"], pair["b"], pair["a"], key] = -value, turned, clear
    return found


def _with_differences(
    rows: Sequence[Row],
    gathered: Gathered,
    numbers: Mapping[int, int],
    metrics: Sequence[Metric],
    differences: Mapping[tuple[int, int, int, str], _Difference],
    baseline: int | None,
) -> list[Row]:
    """The rows with differences to the baseline, and with what is bold."""
    places = {run.name: number for number, run in enumerate(gathered.runs)}
    sets = {place: number for number, place in numbers.items()}
    rivals = {
        key: {places[r.name] for r in rows if r.kind == "run" and _has(r, key)}
        for key in {key for row in rows for key in row.cells}
    }
    by_key = {metric.key: metric for metric in metrics}
    made = []
    for row in rows:
        own = places[row.name]
        cells = {}
        for (place, key), cell in row.cells.items():

            def against(
                other: int, place: int = place, key: str = key, own: int = own
            ) -> _Difference:
                return differences.get((sets[place], other, own, key), (None, None, False))

            better = by_key[key].higher_is_better
            if baseline is None:
                others = rivals[place, key] - {own}
                bold = bool(others) and all(_wins(against(other), better) for other in others)
            else:
                value, interval, _ = against(baseline)
                cell = replace(cell, difference=value, difference_ci95=interval)
                bold = own != baseline and _wins(against(baseline), better)
            cells[place, key] = replace(cell, bold=bold and row.kind == "run")
        made.append(replace(row, cells=cells))
    return made


def _has(row: Row, key: tuple[int, str]) -> bool:
    return key in row.cells and row.cells[key].value is not None


def _wins(difference: _Difference, higher_is_better: bool | None) -> bool:
    value, _, clear = difference
    return (
        clear
        and value is not None
        and higher_is_better is not None
        and (value > 0.0) == higher_is_better
    )


def _chance_rows(
    files: Iterable[Found], numbers: Mapping[int, int], metrics: Sequence[Metric]
) -> list[Row]:
    """The chance baselines of each set, as its finished results files have them."""
    by_set: dict[int, list[Found]] = {}
    for found in files:
        if found.finished:
            by_set.setdefault(found.set, []).append(found)
    cells: dict[str, dict[tuple[int, str], Cell]] = {}
    for number, own in by_set.items():
        for name, values in joined_chance(found.head.chance for found in own).items():
            for metric in metrics:
                if values is not None and metric.key in values:
                    cell = Cell(values[metric.key])
                    cells.setdefault(name, {})[numbers[number], metric.key] = cell
    return [Row(f"chance: {name}", "chance", found) for name, found in cells.items()]


def _head(gathered: Gathered, number: int, files: Iterable[Found]) -> SetHead:
    one = gathered.sets[number]
    known = dict.fromkeys(
        conditions(f.head.scoring, f.head.data.build_seed) for f in files if f.set == number
    )
    return SetHead(one.name, one.title, one.split, one.samples, "; ".join(known))
