"""Output of the evaluation commands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import typer

from x3spatial.cli import output
from x3spatial.cli.logs import LOG
from x3spatial.tables import figure

if TYPE_CHECKING:
    from x3spatial.evaluation.run import EvalResult
    from x3spatial.pipeline import SetSummary

_COLUMNS = (
    ("Hit@Mask", "hit_at_mask"),
    ("NOT_VISIBLE acc", "not_visible_accuracy"),
    ("false NOT_VISIBLE", "false_not_visible_rate"),
    ("mean L2", "mean_l2_error"),
    ("S@0.02", "success_002"),
    ("S@0.05", "success_005"),
    ("S@0.10", "success_010"),
)
_WITH_INTERVAL = {"hit_at_mask", "not_visible_accuracy"}


def print_set(part: SetSummary) -> None:
    """Print one set of a zero-shot run: one row per model and the chance baselines."""
    rows: list[tuple[str, ...]] = []
    total = 0
    notes = []
    for cell in part.cells:
        if cell.result is None:
            notes.append(f"{cell.model} {cell.skipped}")
            continue
        metrics = cell.result.metrics
        total = int(metrics["total"] or 0)
        figures = _figures(metrics, cell.result.ci95)
        rows.append((cell.model, *figures, str(metrics["parse_failures"]), str(metrics["errors"])))
    for baseline, row in part.chance.items():
        if row is not None:
            rows.append((f"chance: {baseline}", *_figures(row, {}), "-", "-"))
    name = f"{part.name}: {part.data_json.name}"
    if rows:
        columns = [title for title, _ in _COLUMNS]
        output.table(f"{name}, {total} samples", ("", *columns, "unparsed", "errors"), rows)
    else:
        typer.echo(name)  # asked by no model: how many samples it has is unknown here
    if notes:
        typer.echo(f"not asked: {'; '.join(notes)}")


def _figures(metrics: Mapping[str, Any], intervals: Mapping[str, Any]) -> list[str]:
    return [
        figure(metrics.get(key), intervals.get(key) if key in _WITH_INTERVAL else None)
        for _, key in _COLUMNS
    ]


def report(result: EvalResult, title: str) -> int:
    """Print one run's metrics; returns the exit code."""
    rows = []
    for name, value in result.metrics.items():
        interval = result.ci95.get(name)
        shown = "" if interval is None else f"[{interval[0]:.4f}, {interval[1]:.4f}]"
        text = "-" if value is None else f"{value:.4f}" if isinstance(value, float) else str(value)
        rows.append((name, text, shown))
    unit = f"95 % over {result.ci_unit}" if result.ci_unit else "95 %"
    output.table(title, ("metric", "value", unit), rows)
    _print_sizes(result)
    problems = [(problem.path, problem.reason) for problem in result.problems]
    assert result.output_json is not None, "commands write a results file"
    where = output.shown(result.output_json)
    output.problems(problems, where)
    if result.matched is None:
        typer.echo(
            f"asked {result.asked}, kept {result.kept} answers of an earlier run; results: {where}"
        )
    else:
        typer.echo(f"scored {result.kept} of {result.metrics['total']} samples; results: {where}")
        for line in result.matched.lines():
            LOG.warning("%s", line)
    cut_off = result.metrics.get("cut_off")
    if cut_off:
        LOG.warning(
            "%s of %s answers were ended by the token limit; raise --max-new-tokens, or ask for shorter"
            " answers",
            cut_off,
            result.metrics["total"],
        )
    if result.errors:
        remedy = "" if result.matched is not None else "; the same command asks them again"
        LOG.error(
            "%d samples without an answer%s. First: %s", result.errors, remedy, result.first_error
        )
    return 1 if result.errors else 0


def _print_sizes(result: EvalResult) -> None:
    """Print Hit@Mask by apparent size of the object, if there are visible samples."""
    rows = [
        (
            f"{row.least:.2%} to {row.most:.2%}" if row.most else f"{row.least:.2%} and more",
            str(row.samples),
            figure(row.metrics["hit_at_mask"], row.ci95["hit_at_mask"]),
            figure(row.metrics["false_not_visible_rate"]),
            figure(row.metrics["median_l2_error"]),
            figure(row.chance),
        )
        for row in result.by_mask_area
    ]
    if any(row.samples for row in result.by_mask_area):
        columns = (
            "share of the image", "samples", "Hit@Mask", "false NOT_VISIBLE", "median L2", "uniform point",
        )  # fmt: skip
        output.table("by size of the object", columns, rows)
