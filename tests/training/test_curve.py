"""Plots of the loss: every value has a margin to the frame, and the legend names both axes' lines."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("matplotlib")

from x3spatial.training import curve
from x3spatial.training.curve import draw_curve, draw_stages


@pytest.fixture
def figure_of(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Any]:
    def draw(verb: Callable[..., bool], *given: Any) -> Any:
        figures: list[Any] = []
        save = curve._save

        def keep(figure: Any, out: Path) -> None:
            figures.append(figure)
            save(figure, out)

        monkeypatch.setattr(curve, "_save", keep)
        out = tmp_path / "loss.png"
        assert verb(*given, out)
        assert out.read_bytes().startswith(b"\x89PNG")
        return figures[0]

    return draw


def history(*losses: float, rated: bool = False) -> list[dict[str, Any]]:
    log: list[dict[str, Any]] = [{"step": i, "loss": v} for i, v in enumerate(losses, start=1)]
    if rated:
        log += [{"step": i, "eval_hit_at_mask": v} for i, v in ((1, 0.0), (len(losses), 1.0))]
    return log


def check_margins(figure: Any) -> None:
    """No value lies on the frame, where nobody sees it."""
    figure.canvas.draw()
    for axes in figure.axes:
        low, high = (axes.transData.transform((0, y))[1] for y in axes.get_ylim())
        for line in axes.lines:
            if len(line.get_ydata()) and line.get_label()[:1] != "_":
                for y in line.get_ydata():
                    place = (axes.transData.transform((0, y))[1] - low) / (high - low)
                    assert 0.02 <= place <= 0.98


def labels(figure: Any) -> list[str]:
    (legend,) = figure.legends
    return [text.get_text() for text in legend.get_texts()]


@pytest.mark.parametrize(
    ("losses", "scale"),
    [
        ((0.35, 0.34, 0.335, 0.333), "linear"),
        ((30.0, 5.0, 1.0, 0.5, 0.4), "log"),
        ((2.0,), "linear"),
        ((1.0, 0.0), "linear"),
        ((0.5, 0.5), "linear"),
    ],
)
def test_the_loss_fills_its_plot(
    losses: tuple[float, ...], scale: str, figure_of: Callable[..., Any]
) -> None:
    figure = figure_of(draw_curve, history(*losses, rated=len(losses) > 1))
    axes = figure.axes[0]
    assert axes.get_yscale() == scale
    check_margins(figure)
    low, high = axes.get_ylim()
    if scale == "linear" and max(losses) > min(losses):
        assert (max(losses) - min(losses)) / (high - low) > 0.7
    both = ["training loss, token mean (left axis)", "hit at mask (right axis)"]
    assert labels(figure) == (both if len(losses) > 1 else ["training loss, token mean"])


def test_stages_name_the_loss_and_cut_nothing(figure_of: Callable[..., Any]) -> None:
    stages = [
        (
            "one",
            "marks",
            history(9.0, 1.2, 1.1, 1.0, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, rated=True),
        ),
        ("two", None, history(2.5, 0.8)),
    ]
    figure = figure_of(draw_stages, stages)
    check_margins(figure)
    assert labels(figure) == [
        "training loss, token mean (left axis)",
        "Hit@Mask of marks, stage one (right axis)",
    ]
