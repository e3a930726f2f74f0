"""The loss curve of a run as a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from x3spatial.data.files import part_path

_EVALUATED = ("eval_hit_at_mask", "eval_not_visible_accuracy")


def draw_curve(history: Sequence[Mapping[str, Any]], out: Path) -> bool:
    """Draw loss, and what evaluations measured, over the steps.

    Args:
        history: the trainer's log entries.
        out: a PNG to write.

    Returns:
        Whether there was anything to draw, and matplotlib to draw it.
    """
    losses = [(entry["step"], entry["loss"]) for entry in history if "loss" in entry]
    if not losses:
        return False
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ModuleNotFoundError:
        return False
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    FigureCanvasAgg(figure)
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
    figure.savefig(part_path(out), format="png", dpi=110)
    part_path(out).replace(out)
    return True
