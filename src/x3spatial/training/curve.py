"""Plots of the loss of a run, or of all stages of a recipe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from x3spatial.io.files import part_path

_HIT = "eval_hit_at_mask"
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
    axes.plot(*zip(*losses, strict=True), color="tab:blue", label="training loss (token mean)")
    axes.set_xlabel("step")
    axes.set_ylabel("loss")
    axes.set_ylim(bottom=0)
    lines, labels = axes.get_legend_handles_labels()
    if any(name in entry for entry in history for name in _EVALUATED):
        rates = axes.twinx()
        rates.set_ylim(0, 1)
        rates.set_ylabel("rate")
        for name, colour in zip(_EVALUATED, ("tab:green", "tab:orange"), strict=True):
            points = [(e["step"], e[name]) for e in history if e.get(name) is not None]
            if points:
                label = name.removeprefix("eval_").replace("_", " ")
                rates.plot(*zip(*points, strict=True), "o-", color=colour, label=label)
        more, more_labels = rates.get_legend_handles_labels()
        lines, labels = lines + more, labels + more_labels
    axes.legend(lines, labels, loc="upper right")
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
    rates = axes.twinx()
    rates.set_ylim(0, 1)
    rates.set_ylabel("Hit@Mask")
    axes.set_xlabel("step")
    axes.set_ylabel("training loss (token mean)")
    done, top = 0, 0.0
    for number, (name, monitored, log) in enumerate(stages):
        losses = [
            (done + entry["step"], entry["loss"]) for entry in log if entry.get("loss") is not None
        ]
        hits = [(done + e["step"], e[_HIT]) for e in log if e.get(_HIT) is not None]
        if losses:
            axes.plot(*zip(*losses, strict=True), color="tab:blue", linewidth=1)
            top = max(top, sorted(loss for _, loss in losses)[-max(1, len(losses) // 10)])
        if hits:
            label = f"{name}: {monitored}"
            rates.plot(*zip(*hits, strict=True), "o-", color=f"C{number + 1}", label=label)
        done += max((entry.get("step", 0) for entry in log), default=0)
        axes.axvline(done, color="0.8", linewidth=1)
    axes.set_ylim(0, 1.1 * top)  # otherwise the first steps of a stage dominate the axis
    if rates.lines:
        rates.legend(loc="upper right", fontsize="small")
    _save(figure, out)
    return True


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
    figure.savefig(part_path(out), format="png", dpi=110)
    part_path(out).replace(out)
