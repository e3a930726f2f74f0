"""Plots of the loss of a run, or of all stages of a recipe."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from x3spatial.io.files import replacing
from x3spatial.io.opening import open_part

_HIT = "eval_hit_at_mask"
_LOSS = "training loss, token mean"
_LEFT = f"{_LOSS} (left axis)"
_WIDE = 20.0
"""Ratio of the largest to the least loss above which the axis is logarithmic."""
_EVALUATED = (_HIT, "eval_not_visible_accuracy")


def draw_curve(history: Sequence[Mapping[str, Any]], out: Path) -> bool:
    """Plot the loss and the evaluation metrics over the steps.

    Args:
        history: the trainer's log entries.
        out: a PNG to write.

    Returns:
        Whether a plot was written: there are values, and matplotlib is installed.
    """
    losses = [(entry["step"], entry["loss"]) for entry in history if entry.get("loss") is not None]
    if not losses:
        return False
    figure = _figure(8)
    if figure is None:
        return False
    axes = figure.add_subplot()
    steps, values = zip(*losses, strict=True)
    rated = any(entry.get(name) is not None for entry in history for name in _EVALUATED)
    _plot(axes, steps, values, color="tab:blue", label=_LEFT if rated else _LOSS)
    axes.set_xlabel("step")
    axes.set_ylabel("loss")
    _scale(axes, values)
    drawn = [axes]
    if rated:
        rates = _rate_axis(axes, "rate")
        drawn.append(rates)
        for name, colour in zip(_EVALUATED, ("tab:green", "tab:orange"), strict=True):
            points = [(e["step"], e[name]) for e in history if e.get(name) is not None]
            if points:
                label = f"{name.removeprefix('eval_').replace('_', ' ')} (right axis)"
                rates.plot(*zip(*points, strict=True), "o-", color=colour, label=label)
    _legend(figure, drawn)
    _save(figure, out)
    return True


def draw_stages(
    stages: Sequence[tuple[str, str | None, Sequence[Mapping[str, Any]]]], out: Path
) -> bool:
    """Draw the loss over all stages of a recipe, and Hit@Mask of the monitoring set of each.

    Args:
        stages: for each its name, the name of its monitoring set, and the log entries of the trainer.
        out: a PNG to write.

    Returns:
        Whether a plot was written: there are values, and matplotlib is installed.
    """
    figure = _figure(11)
    if figure is None or not any("loss" in entry for _, _, log in stages for entry in log):
        return False
    axes = figure.add_subplot()
    rates = _rate_axis(axes, "Hit@Mask")
    axes.set_xlabel("step")
    axes.set_ylabel("loss")
    done = 0
    values: list[float] = []
    label: str | None = _LEFT
    for number, (name, monitored, log) in enumerate(stages):
        losses = [
            (done + entry["step"], entry["loss"]) for entry in log if entry.get("loss") is not None
        ]
        hits = [(done + e["step"], e[_HIT]) for e in log if e.get(_HIT) is not None]
        if losses:
            _plot(axes, *zip(*losses, strict=True), color="tab:blue", linewidth=1, label=label)
            values += [loss for _, loss in losses]
            label = None  # one entry for all stages
        if hits:
            shown = f"Hit@Mask of {monitored}, stage {name} (right axis)"
            rates.plot(*zip(*hits, strict=True), "o-", color=f"C{number + 1}", label=shown)
        done += max((entry.get("step", 0) for entry in log), default=0)
        axes.axvline(done, color="0.8", linewidth=1)
    _scale(axes, values)
    _legend(figure, [axes, rates])
    _save(figure, out)
    return True


def _plot(axes: Any, steps: Sequence[float], values: Sequence[float], **style: Any) -> None:
    """A line, or a dot where there is only one value."""
    axes.plot(steps, values, marker="o" if len(values) == 1 else None, **style)


def _scale(axes: Any, values: Sequence[float]) -> None:
    """Show all values with a margin, on a logarithmic axis if they span more than ``_WIDE``."""
    finite = [value for value in values if math.isfinite(value)]
    if finite and min(finite) > 0 and max(finite) > _WIDE * min(finite):
        axes.set_yscale("log")
        axes.set_ylabel("loss (logarithmic)")
        axes.yaxis.set_major_formatter("{x:g}")
    axes.margins(y=0.08)
    axes.locator_params(axis="x", integer=True)  # steps are whole
    axes.grid(axis="y", which="both", color="0.93")


def _rate_axis(axes: Any, name: str) -> Any:
    """A second axis on the right for rates; values at 0 and 1 do not lie on the frame."""
    rates = axes.twinx()
    rates.set_ylim(-0.04, 1.04)
    rates.set_ylabel(name)
    return rates


def _legend(figure: Any, axes: Sequence[Any]) -> None:
    """One legend for both axes, below the plot, where it covers no line."""
    handles, labels = [], []
    for one in axes:
        found = one.get_legend_handles_labels()
        handles += found[0]
        labels += found[1]
    figure.legend(
        handles, labels, loc="outside lower center", ncols=2, fontsize="small", frameon=False
    )


def _figure(width: float) -> Any:
    """An empty figure; None without matplotlib."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ModuleNotFoundError:
        return None
    figure = Figure(figsize=(width, 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _save(figure: Any, out: Path) -> None:
    with replacing(out), open_part(out) as file:
        figure.savefig(file, format="png", dpi=110)
