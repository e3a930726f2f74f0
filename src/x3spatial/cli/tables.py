"""Output of eval and score: one run's metrics, what could not be read, and what failed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from x3spatial.cli import output
from x3spatial.cli.logs import LOG
from x3spatial.cli.output import Outcome
from x3spatial.formats.typed_json import encode
from x3spatial.tables import Table, figure
from x3spatial.tasks.strata import range_text
from x3spatial.texts import QUOTE, counted, shortened

if TYPE_CHECKING:
    from x3spatial.evaluation.result import EvalResult
    from x3spatial.formats.results_file import ConsistencyRow, SizeRow, StratumRow
    from x3spatial.tasks.strata import Stratum

PRIVILEGED = (
    "* reads masks or right answers: a bound, not comparable with models that only see images"
)
"""The note below tables with a privileged row."""


def marked(name: str, privileged: bool) -> str:
    """A row's name, with ``*`` if it is privileged."""
    return f"{name}*" if privileged else name


def size_range(least: float, most: float | None) -> str:
    """A range of ``by_mask_area``, such as ``0.25 to 1 %``."""
    low = f"{least * 100:g}"
    if most is None:
        return f"{low} % and more"
    return f"under {most * 100:g} %" if least == 0 else f"{low} to {most * 100:g} %"


_BY_STRATUM = (
    ("Hit@Mask", "hit_at_mask"),
    ("mean IoU", "mean_iou"),
    ("NOT_VISIBLE acc", "not_visible_accuracy"),
    ("false NOT_VISIBLE", "false_not_visible_rate"),
    ("median L2", "median_l2_error"),
)


def outcome_of(result: EvalResult, what: str, by: Sequence[Stratum] = ()) -> Outcome:
    """The outcome of one run; ``what`` follows the model's name in the title, ``by`` gets a table each."""
    title = f"{marked(result.model, result.privileged)} {what}: {result.conditions}"
    return Outcome(
        lambda: result_json(result),
        lambda: _show(result, title, by),
        lambda: warn_of(result, ""),
        1 if result.errors else 0,
    )


def outcome_of_all(results: Sequence[EvalResult], what: str, by: Sequence[Stratum]) -> Outcome:
    """The outcome of several runs on one task file."""
    parts = [outcome_of(result, what, by) for result in results]

    def show() -> None:
        for number, part in enumerate(parts):
            if number:
                output.line("")
            part.show()

    def warn() -> None:
        for result in results:
            warn_of(result, f"{result.model}: ")

    return Outcome(
        lambda: [part.value() for part in parts], show, warn, max(part.code for part in parts)
    )


def result_json(result: EvalResult) -> dict[str, Any]:
    """A run without its samples, which are in its results file."""
    return {
        "results": str(result.output_json),
        "model": result.model,
        "privileged": result.privileged,
        "conditions": result.conditions,
        "metrics": result.metrics,
        "ci95": result.ci95,
        "ci_unit": result.ci_unit,
        "ci_method": result.ci_method,
        "chance": result.chance,
        "by_mask_area": [encode(row) for row in result.by_mask_area],
        "by_stratum": {
            name: [encode(row) for row in rows] for name, rows in result.by_stratum.items()
        },
        "consistency": {name: encode(row) for name, row in result.consistency.items()},
        "unparsed_reasons": result.unparsed_reasons,
        "unread": list(result.unread),
        "asked": result.asked,
        "kept": result.kept,
        "errors": result.errors,
        "first_error": result.first_error,
        "stopped": result.stopped,
        "problems": [encode(problem) for problem in result.problems],
        **({} if result.matched is None else {"ids": result.matched.to_json()}),
    }


def consistency_table(
    found: Mapping[str, Mapping[str, ConsistencyRow]], conditions: str
) -> Table | None:
    """One row per model and figure; None if no samples are related, as in small sets.

    ``conditions`` are masks and seed, for the title.
    """
    rows = tuple(
        (
            model,
            name,
            str(row.units),
            figure(row.value, row.ci95),
            figure(row.independent),
        )
        for model, figures in found.items()
        for name, row in figures.items()
        if row.units
    )
    if not rows:
        return None
    columns = ("", "right together", "units", "share", "if independent")
    title = f"consistency: related answers that are all right, {conditions}"
    return Table(title, columns, rows, keys=2)


def stratum_table(stratum: Stratum, rows: Sequence[StratumRow]) -> Table:
    """The metrics of one stratum, a row per bin; metrics that no bin has are left out."""
    boxes = _of_boxes(rows)
    shown = [
        (head, key)
        for head, key in _BY_STRATUM
        if any(row.metrics.get(key) is not None for row in rows)
    ]
    table = tuple(
        (
            row.name or range_text(row.least, row.most),
            str(row.samples),
            *(figure(row.metrics.get(key), row.ci95.get(key)) for _, key in shown),
            *(() if boxes else (figure(row.chance),)),
        )
        for row in rows
    )
    of_points = () if boxes else ("uniform point",)
    heads = ("", "samples", *(head for head, _ in shown), *of_points)
    return Table(f"by {stratum.title}", heads, table)


def _of_boxes(rows: Sequence[SizeRow | StratumRow]) -> bool:
    """Whether the model was asked for boxes, which no uniform point is compared with."""
    return any("mean_iou" in row.metrics for row in rows)


def nothing_known(stratum: Stratum) -> str:
    """What is printed in place of a table."""
    return f"by {stratum.title}: unknown of these samples; {stratum.source} would say it"


def _show(result: EvalResult, title: str, by: Sequence[Stratum]) -> None:
    rows = []
    for name, value in result.metrics.items():
        interval = result.ci95.get(name)
        shown = "" if interval is None else f"[{interval[0]:.4f}, {interval[1]:.4f}]"
        text = "-" if value is None else f"{value:.4f}" if isinstance(value, float) else str(value)
        rows.append((name, text, shown))
    unit = f"95 % over {result.ci_unit}s" if result.ci_unit else "95 %"
    notes = (PRIVILEGED,) if result.privileged else ()
    output.table(Table(title, ("metric", "value", unit), tuple(rows), notes))
    _show_sizes(result)
    for stratum in by:
        if stratum.name in result.by_stratum:
            output.table(stratum_table(stratum, result.by_stratum[stratum.name]))
        elif stratum.name != "mask_share":  # the sizes of the masks stand above
            output.line(nothing_known(stratum))
    consistency = consistency_table({result.model: result.consistency}, result.conditions)
    if consistency is not None:
        output.table(consistency)
    problems = [(problem.path, problem.reason) for problem in result.problems]
    assert result.output_json is not None, "commands write a results file"
    where = output.shown(result.output_json)
    output.problems(problems, where)
    unread = unread_text(result)
    if unread:
        output.line(unread)
    if result.matched is None:
        kept = counted(result.kept, "answer")
        output.line(f"asked {result.asked}, kept {kept} of an earlier run; results: {where}")
    else:
        output.line(f"scored {result.kept} of {result.metrics['total']} samples; results: {where}")


def _show_sizes(result: EvalResult) -> None:
    """Print Hit@Mask (of boxes, mean IoU) by apparent size of the object, if there are visible samples."""
    boxes = _of_boxes(result.by_mask_area)
    head, key = ("mean IoU", "mean_iou") if boxes else ("Hit@Mask", "hit_at_mask")
    rows = tuple(
        (
            size_range(row.least, row.most),
            str(row.samples),
            figure(row.metrics[key], row.ci95[key]),
            figure(row.metrics["false_not_visible_rate"]),
            *(() if boxes else (figure(row.metrics["median_l2_error"]), figure(row.chance))),
        )
        for row in result.by_mask_area
    )
    if any(row.samples for row in result.by_mask_area):
        of_points = () if boxes else ("median L2", "uniform point")
        columns = ("share of the image", "samples", head, "false NOT_VISIBLE", *of_points)
        output.table(Table("by size of the object", columns, rows))


def unread_text(result: EvalResult) -> str:
    """How many answers could not be read, why, and up to three of them; empty if all could."""
    unparsed = result.metrics.get("parse_failures")
    if not unparsed:
        return ""
    reasons = ", ".join(f"{reason} {number}" for reason, number in result.unparsed_reasons.items())
    why = f" ({reasons})" if reasons else ""
    return f"unread{why}: {'; '.join(result.unread)}"


def warn_of(result: EvalResult, where: str) -> None:
    """Log what went wrong in a run: answers that were cut off or unread, then samples without an answer.

    Args:
        result: the run.
        where: which run it is, before each message; empty if there is only one.
    """
    metrics: Mapping[str, Any] = result.metrics
    total = metrics["total"]
    if metrics.get("cut_off"):
        LOG.warning(
            "%s%s of %s answers were ended by the token limit; raise --max-new-tokens, or ask for shorter"
            " answers",
            where,
            metrics["cut_off"],
            total,
        )
    if metrics.get("parse_failures"):
        first = result.unread[0] if result.unread else "none is kept"
        LOG.warning(
            "%s%s of %s unparsed; first: %s; see x3 check-model",
            where,
            metrics["parse_failures"],
            total,
            first,
        )
    if result.matched is not None:
        for line in result.matched.lines():
            LOG.warning("%s%s", where, line)
    if result.stopped:
        LOG.error("%s%s", where, result.stopped)
    elif result.errors:
        LOG.error(
            "%s%s of %s samples without an answer%s. First: %s",
            where,
            result.errors,
            total,
            "; the same command asks them again" if result.matched is None else "",
            shortened(str(result.first_error), 2 * QUOTE),
        )
