"""Output of zeroshot: a compact first table (models by sets), then one long table per set."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from x3spatial.cli import output
from x3spatial.cli.logs import LOG
from x3spatial.cli.tables import (
    PRIVILEGED,
    consistency_table,
    marked,
    size_range,
    unread_text,
    warn_of,
)
from x3spatial.tables import Table, figure
from x3spatial.texts import counted

if TYPE_CHECKING:
    from x3spatial.evaluation.result import EvalResult
    from x3spatial.pipeline import SetSummary, ZeroshotSummary

_HEADLINES = (
    ("Hit@Mask", "hit_at_mask"),
    ("mean IoU", "mean_iou"),
    ("balanced\naccuracy", "balanced_accuracy"),
    ("NOT_VISIBLE\naccuracy", "not_visible_accuracy"),
    ("accuracy", "accuracy"),
)
"""Metrics of the first table; NOT_VISIBLE accuracy is a part of balanced accuracy where that exists."""
_COLUMNS = (
    ("Hit@Mask", "hit_at_mask"),
    ("mean IoU", "mean_iou"),
    ("IoU >= 0.5", "iou_050"),
    ("centre in mask", "centre_in_mask"),
    ("NOT_VISIBLE acc", "not_visible_accuracy"),
    ("balanced acc", "balanced_accuracy"),
    ("accuracy", "accuracy"),
    ("false NOT_VISIBLE", "false_not_visible_rate"),
    ("mean L2", "mean_l2_error"),
    ("S@0.02", "success_002"),
    ("S@0.05", "success_005"),
    ("S@0.10", "success_010"),
)
_WITH_INTERVAL = {
    "hit_at_mask", "mean_iou", "centre_in_mask", "not_visible_accuracy", "balanced_accuracy", "accuracy",
}  # fmt: skip
_INTERVALS = "square brackets: 95 % intervals over {units}"


def show(summary: ZeroshotSummary) -> None:
    """Print the whole summary."""
    overview = first_table(summary)
    if overview is not None:
        output.table(overview)
    for part in summary.sets:
        output.line("")
        output.table(_set_table(part))
        for sizes in _size_tables(part):
            output.line("")
            output.table(sizes)
    consistency = consistency_table(summary.consistency, conditions_of(summary))
    if consistency is not None:
        output.line("")
        output.table(consistency)
    if overview is None or PRIVILEGED not in overview.notes:
        output.line(PRIVILEGED)  # of a chance row


def warn(summary: ZeroshotSummary) -> None:
    """Log what went wrong, set by set and model by model."""
    for part in summary.sets:
        if part.reason is not None:
            LOG.warning("no %s: %s", part.name, part.reason)
    for part, name, result in _results(summary):
        warn_of(result, f"{part.name}, {name}: ")


def first_table(summary: ZeroshotSummary) -> Table | None:
    """One row per model, one column per set and headline metric; None if no set was asked."""
    columns = [
        (part, head, key)
        for part in summary.sets
        for head, key in _headlines([cell.result for cell in part.cells if cell.result])
    ]
    if not columns:
        return None
    heads = ["\n".join([*part.name.split(" "), head]) for part, head, _ in columns]
    total = [figure(part.samples) for part, _, _ in columns]
    rows: list[tuple[str, ...]] = [("samples", *total)]
    privileged = False
    for number, first in enumerate(summary.sets[0].cells):
        cells = [part.cells[number] for part, _, _ in columns]
        results = [cell.result for cell in cells]
        privileged |= any(result is not None and result.privileged for result in results)
        name = marked(first.model, any(r is not None and r.privileged for r in results))
        figures = [
            "-" if result is None else figure(result.metrics.get(key))
            for result, (_, _, key) in zip(results, columns, strict=True)
        ]
        rows.append((name, *figures))
    best = [_best_chance(part.chance.values(), key) for part, _, key in columns]
    rows.append(("best by chance", *map(figure, best)))
    title = f"zero-shot: {conditions_of(summary)}"
    return Table(title, ("", *heads), tuple(rows), (PRIVILEGED,) if privileged else ())


def conditions_of(summary: ZeroshotSummary) -> str:
    """Masks and seed of the results."""
    return "; ".join(sorted({r.conditions for _, _, r in _results(summary) if r.conditions}))


def _headlines(results: list[EvalResult]) -> list[tuple[str, str]]:
    known = {
        key for result in results for key, value in result.metrics.items() if value is not None
    }
    return [
        (head, key)
        for head, key in _HEADLINES
        if key in known and not (key == "not_visible_accuracy" and "balanced_accuracy" in known)
    ]


def _best_chance(rows: Iterable[Mapping[str, Any] | None], key: str) -> float | None:
    known = [row[key] for row in rows if row is not None and row.get(key) is not None]
    return max(known, default=None)


def _set_table(part: SetSummary) -> Table:
    """One set: a row per model and per chance baseline; metrics that nobody has are left out."""
    from x3spatial.evaluation.statistics.chance import knows_truth

    found: list[tuple[str, Mapping[str, Any], Mapping[str, Any], tuple[str, str]]] = []
    notes, units = [], set()
    for cell in part.cells:
        result = cell.result
        if result is None:
            if part.reason is None:
                notes.append(f"not asked: {cell.model} {cell.skipped}")
            continue
        counts = (str(result.metrics["parse_failures"]), str(result.metrics["errors"]))
        name = marked(cell.model, result.privileged)
        found.append((name, result.metrics, result.ci95, counts))
        if result.ci_unit and any(result.ci95.get(key) for key in _WITH_INTERVAL):
            units.add(result.ci_unit)
        unread = unread_text(result)
        if unread:
            notes.append(f"{cell.model}: {unread}")
    for baseline, row in part.chance.items():
        if row is not None:
            name = marked(f"chance: {baseline}", knows_truth(baseline))
            found.append((name, row, {}, ("-", "-")))
    shown = [
        (head, key)
        for head, key in _COLUMNS
        if any(values.get(key) is not None for _, values, _, _ in found)
    ]
    rows = tuple(
        (
            name,
            *(
                figure(values.get(key), ci95.get(key) if key in _WITH_INTERVAL else None)
                for _, key in shown
            ),
            *counts,
        )
        for name, values, ci95, counts in found
    )
    if part.reason is not None:
        notes.append(f"not made: {part.reason}")
    if units:
        notes.append(_INTERVALS.format(units=" or ".join(f"{unit}s" for unit in sorted(units))))
    conditions = next((c.result.conditions for c in part.cells if c.result), "")
    title = f"{part.name}: {part.data_json.name}"
    title += f", {counted(part.samples, 'sample')}" if part.samples is not None else ""
    title += ", asked of no model" if all(cell.result is None for cell in part.cells) else ""
    title += f", {conditions}" if conditions else ""
    columns = ("", *(head for head, _ in shown), "unparsed", "errors") if found else ()
    return Table(title, columns, rows, tuple(notes))


def _size_tables(part: SetSummary) -> Iterable[Table]:
    """Hit@Mask of one set by apparent size of the object, and mean IoU of the models that answer with boxes;
    none without a visible sample.
    """
    asked = [(cell.model, cell.result) for cell in part.cells if cell.result is not None]
    boxes = [(name, result) for name, result in asked if "mean_iou" in result.metrics]
    points = [(name, result) for name, result in asked if "mean_iou" not in result.metrics]
    for head, key, chosen in (("Hit@Mask", "hit_at_mask", points), ("mean IoU", "mean_iou", boxes)):
        if not chosen or not any(row.samples for row in chosen[0][1].by_mask_area):
            continue
        sizes = chosen[0][1].by_mask_area
        rows = [("samples", *(str(row.samples) for row in sizes))]
        for name, result in chosen:
            figures = (figure(row.metrics[key]) for row in result.by_mask_area)
            rows.append((marked(name, result.privileged), *figures))
        if key == "hit_at_mask":
            rows.append(("chance: uniform", *(figure(row.chance) for row in sizes)))
        title = f"{part.name}: {head} by the share of the image that the object covers"
        heads = (size_range(row.least, row.most) for row in sizes)
        yield Table(title, ("", *heads), tuple(rows))


def _results(summary: ZeroshotSummary) -> Iterable[tuple[SetSummary, str, EvalResult]]:
    for part in summary.sets:
        for cell in part.cells:
            if cell.result is not None:
                yield part, cell.model, cell.result
