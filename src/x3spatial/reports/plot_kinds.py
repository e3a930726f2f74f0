"""The kinds of figures of ``x3 plot``, each one function of the runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from x3spatial.errors import UserError
from x3spatial.formats.results_file import SizeRow, StratumRow
from x3spatial.reports.curves import EDGES, answer_map, error_histogram, success_curve, truth_map
from x3spatial.reports.plot_options import PlotOptions, Series
from x3spatial.reports.plot_style import GREY, legend, look, marker, panels, text
from x3spatial.tasks.strata import Stratum

NEED_SAMPLES = frozenset({"success", "errors", "map"})
"""Kinds that need more than the head of a results file."""
_LEAST_MAP = 1.05
_MAP_CELLS = 16
_LEGEND = 0.35
"""Inches below the panels."""


def success(series: Sequence[Series], options: PlotOptions, width: float) -> Figure:
    """Success@r against r, with intervals; a panel per set."""
    curves = {
        (one.set.name, one.number): success_curve(one.results.results, with_interval=True)
        for one in series
    }
    series = [s for s in series if not np.isnan(curves[s.set.name, s.number].success).any()]
    figure, by_set = _per_set(series, width, "visible samples")
    for axis, own in by_set:
        for one in own:
            curve = curves[one.set.name, one.number]
            axis.plot(curve.radii, 100 * curve.success, **look(one.number))
            if curve.low is not None and curve.high is not None:
                axis.fill_between(
                    curve.radii, 100 * curve.low, 100 * curve.high,
                    color=look(one.number)["color"], alpha=0.13, linewidth=0,
                )  # fmt: skip
        axis.set(xlabel="threshold r (L2)", ylabel="Success@r (%)", xlim=(0, curve.radii[-1]))
        axis.set_ylim(0, 100)
    _legend(figure, series, width)
    return figure


def errors(series: Sequence[Series], options: PlotOptions, width: float) -> Figure:
    """Histogram of the L2 errors of answers with a point; the last bin has all larger ones."""
    found = {(s.set.name, s.number): error_histogram(s.results.results) for s in series}
    series = [s for s in series if found[s.set.name, s.number].sum() > 0]
    figure, by_set = _per_set(series, width, "answers with a point to visible samples")
    edges = np.append(EDGES[:-1], EDGES[-2] + 2 * (EDGES[1] - EDGES[0]))
    for axis, own in by_set:
        for one in own:
            counts = found[one.set.name, one.number]
            axis.stairs(100 * counts / counts.sum(), edges, linewidth=1.2, **look(one.number))
        axis.axvline(EDGES[-2], color=GREY, linewidth=0.6)
        axis.set(xlabel="L2 error", ylabel="answers (%)", xlim=(0, edges[-1]))
        axis.set_ylim(bottom=0)
        ticks = np.arange(0, EDGES[-2] + 0.01, 0.1)
        axis.set_xticks(
            [*ticks[:-1], EDGES[-2]], [*(f"{t:.1f}" for t in ticks[:-1]), f"≥{ticks[-1]:.1f}"]
        )
    _legend(figure, series, width)
    return figure


_Bin = StratumRow | SizeRow


def strata(series: Sequence[Series], options: PlotOptions, width: float) -> Figure:
    """Hit@Mask (of absent objects: NOT_VISIBLE accuracy) per bin of each stratum, with intervals."""
    chosen = options.strata
    found: list[tuple[Stratum, str, list[Series]]] = []
    for name in dict.fromkeys(one.set.name for one in series):
        for stratum in chosen:
            own = [s for s in series if s.set.name == name and _bins(s, stratum)]
            if own:
                found.append((stratum, name, own))
    if not found:
        names = ", ".join(stratum.short for stratum in chosen)
        raise UserError(
            f"--kind strata: the results have no {names}; strata need a scene.json in the data root"
        )
    figure, axes = panels(len(found), width, least=3.0, extra=_LEGEND)
    for axis, (stratum, name, own) in zip(axes, found, strict=True):
        _stratum(axis, stratum, own)
        several = len({name for _, name, _ in found}) > 1
        title = f"{own[0].set.title}: {stratum.title}" if several else stratum.title
        axis.set_title(text(title, 48))
    _legend(figure, [s for _, _, own in found for s in own], width, chance=True)
    return figure


def _stratum(axis: Any, stratum: Stratum, own: Sequence[Series]) -> None:
    rows = {one.number: _bins(one, stratum) for one in own}
    labels = list(dict.fromkeys(label for bins in rows.values() for label in bins))
    labels.sort(key=lambda label: min(list(b).index(label) for b in rows.values() if label in b))
    key = "hit_at_mask"
    if not any(row.metrics.get(key) is not None for bins in rows.values() for row in bins.values()):
        key = "not_visible_accuracy"
    labels = [
        label
        for label in labels
        if any(b[label].metrics.get(key) is not None for b in rows.values() if label in b)
    ]
    for place, one in enumerate(own):
        at = (place - (len(own) - 1) / 2) * min(0.8 / len(own), 0.22)
        for number, label in enumerate(labels):
            row = rows[one.number].get(label)
            value = None if row is None else row.metrics.get(key)
            if row is None or value is None:
                continue
            interval = row.ci95.get(key)
            colour = look(one.number)["color"]
            if interval is not None:
                axis.plot([number + at] * 2, [100 * b for b in interval], color=colour, linewidth=1)
            axis.plot(number + at, 100 * value, marker(one.number), color=colour, markersize=3.2)
    if key == "hit_at_mask":
        for number, label in enumerate(labels):
            chance = next((b[label].chance for b in rows.values() if label in b), None)
            if chance is not None:
                axis.plot(
                    [number - 0.42, number + 0.42], [100 * chance] * 2, color=GREY, linewidth=1
                )
    axis.set_xticks(range(len(labels)), [text(label, 12) for label in labels])
    if sum(map(len, labels)) > 34:
        axis.tick_params(axis="x", rotation=30)
    axis.set(xlim=(-0.6, len(labels) - 0.4), ylim=(-3, 103))
    axis.set_ylabel("Hit@Mask (%)" if key == "hit_at_mask" else "NOT_VISIBLE acc. (%)")
    axis.grid(visible=False, axis="x")


def _bins(one: Series, stratum: Stratum) -> dict[str, _Bin]:
    """Label → row of a breakdown; empty if the results have none."""
    found: dict[str, _Bin] = {}
    for row in one.results.by_stratum.get(stratum.name, ()):
        found[row.name or _range(row.least or 0.0, row.most, stratum.name)] = row
    if not found and stratum.name == "mask_share":  # known without a scene.json too
        for size in one.results.by_mask_area:
            if size.samples:
                found[_range(size.least, size.most, stratum.name)] = size
    return found


def _range(least: float, most: float | None, name: str) -> str:
    scale, unit = (
        (100.0, " %") if name in ("mask_share", "overlap", "visible_a", "visible_b") else (1.0, "")
    )
    if most is None or (name == "mask_share" and most >= 1.0):
        return f"≥{least * scale:g}{unit}"
    if name == "lookalikes" and most == least + 1:
        return f"{least:g}"
    return f"{least * scale:g}–{most * scale:g}{unit}"


def visibility(series: Sequence[Series], options: PlotOptions, width: float) -> Figure:
    """Precision against recall of NOT_VISIBLE (or the set's own absent token), with both intervals."""
    precision, recall = "not_visible_precision", "not_visible_recall"
    series = [
        s
        for s in series
        if s.results.metrics.get(recall) is not None
        and s.results.metrics.get(precision) is not None
    ]
    figure, by_set = _per_set(series, width, "answers that say that nothing is there", ratio=0.95)
    for axis, own in by_set:
        _equal_f1(axis)
        for one in own:
            metrics, ci95 = one.results.metrics, one.results.ci95
            x, y = 100 * float(metrics[recall] or 0), 100 * float(metrics[precision] or 0)
            colour = look(one.number)["color"]
            for interval, across in ((ci95.get(recall), True), (ci95.get(precision), False)):
                if interval is not None:
                    bounds = [100 * bound for bound in interval]
                    line = (bounds, [y, y]) if across else ([x, x], bounds)
                    axis.plot(*line, color=colour, linewidth=0.9, clip_on=False)
            axis.plot(x, y, marker(one.number), color=colour, markersize=4.5, clip_on=False)
        axis.set(xlabel="recall (%)", ylabel="precision (%)", xlim=(0, 100), ylim=(0, 100))
    _legend(figure, series, width)
    return figure


def _equal_f1(axis: Any) -> None:
    """Lines of equal F1."""
    recall = np.linspace(0.01, 1, 200)
    for f1 in (0.2, 0.4, 0.6, 0.8):
        with np.errstate(divide="ignore"):
            precision = f1 * recall / (2 * recall - f1)
        shown = (precision > 0) & (precision <= 1)
        axis.plot(
            100 * recall[shown], 100 * precision[shown], color=GREY, linewidth=0.5, linestyle=":"
        )
        axis.annotate(
            f"F1 {f1:g}",
            (100, 100 * f1 / (2 - f1)),
            color=GREY,
            fontsize=5.5,
            ha="right",
            va="bottom",
        )


def answers_map(series: Sequence[Series], options: PlotOptions, width: float) -> Figure:
    """Where answers fall in the query image, per set and run, beside the truth."""
    series = [
        s
        for s in series
        if s.set.task is None or answer_map(s.results.results, s.set.task)[0].any()
    ]
    if not series:
        raise UserError("--kind map: the results have no answer with a point")
    shown: list[tuple[str, Any, str]] = []
    for name in dict.fromkeys(one.set.name for one in series):
        own = [one for one in series if one.set.name == name]
        several = len({one.set.name for one in series}) > 1
        title = f"{own[0].set.title}: " if several else ""
        shown.append(
            (f"{title}truth", truth_map(own[0].results.results, own[0].set.task, _MAP_CELLS), "")
        )
        for one in own:
            counts, outside = answer_map(one.results.results, one.set.task, _MAP_CELLS)
            total = int(counts.sum()) + outside
            fullest = f"fullest cell {100 * counts.max() / total:.0f} %"
            fullest += f", {100 * outside / total:.0f} % outside" if outside else ""
            shown.append((f"{title}{one.run.name}", counts, fullest))
    figure, axes = panels(len(shown), width, least=_LEAST_MAP, ratio=1.22)
    for axis, (title, counts, note) in zip(axes, shown, strict=True):
        share = np.ma.masked_equal(100 * counts / max(1, counts.sum()), 0)
        # Logarithmic, so that single answers are seen beside a cell that has nearly all of them.
        axis.imshow(share, cmap="cividis_r", norm=LogNorm(0.2, 100, clip=True), extent=(0, 1, 1, 0))
        axis.set_title(text(title, 18), fontsize=6.5, pad=2)
        axis.set(xticks=[0, 1], yticks=[0, 1])
        axis.tick_params(labelsize=5.5, length=2)
        axis.grid(visible=False)
        for spine in axis.spines.values():
            spine.set_visible(True)
        if note:
            axis.set_xlabel(note, fontsize=5.5, labelpad=1)
    bar = figure.colorbar(
        axes[0].images[0], ax=axes, location="bottom", fraction=0.06, aspect=40, pad=0.02
    )
    bar.set_ticks([0.2, 1, 10, 100], labels=["0.2", "1", "10", "100"])
    bar.minorticks_off()
    cells = f"{_MAP_CELLS} × {_MAP_CELLS}"
    bar.set_label(f"share of the points in one of {cells} cells (%)", fontsize=6.5)
    bar.ax.tick_params(labelsize=6)
    return figure


DRAW: Mapping[str, Callable[[Sequence[Series], PlotOptions, float], Figure]] = {
    "success": success,
    "errors": errors,
    "strata": strata,
    "visibility": visibility,
    "map": answers_map,
}
"""``--kind`` → function."""


def _per_set(
    series: Sequence[Series], width: float, what: str, **settings: Any
) -> tuple[Figure, Iterable[tuple[Any, list[Series]]]]:
    """A figure with a panel per set, each with its runs.

    Raises:
        UserError: there is no run to show, because the results have no ``what``.
    """
    names = list(dict.fromkeys(one.set.name for one in series))
    if not names:
        raise UserError(f"--kind: the results have no {what}; choose another kind")
    figure, axes = panels(len(names), width, least=2.2, extra=_LEGEND, **settings)
    by_set = []
    for axis, name in zip(axes, names, strict=True):
        own = [one for one in series if one.set.name == name]
        split = f" ({own[0].set.split})" if own[0].set.split else ""
        axis.set_title(text(f"{own[0].set.title}{split}", 40))
        by_set.append((axis, own))
    return figure, by_set


def _legend(
    figure: Figure, series: Sequence[Series], width: float, *, chance: bool = False
) -> None:
    runs = {one.number: one.run for one in series}
    handles, names = [], []
    for number in sorted(runs):
        run = runs[number]
        handles.append(Line2D([], [], marker=marker(number), markersize=3.2, **look(number)))
        names.append(run.name + ("*" if run.privileged else "†" if run.people else ""))
    if chance:
        handles.append(Line2D([], [], color=GREY, linewidth=1))
        names.append("uniform point")
    legend(figure, handles, names, width)
