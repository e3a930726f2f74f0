"""Look and files of the figures of ``x3 plot``: colours, sizes, and bytes that do not vary."""

from __future__ import annotations

import logging
import textwrap
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib import font_manager
from matplotlib.figure import Figure

from x3spatial.errors import UserError
from x3spatial.texts import printable

# Okabe and Ito's colours, told apart with any kind of colour vision; the yellow is too pale on white.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
LINES = ("-", "--", ":", "-.")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
GREY = "#666666"
PANEL_RATIO = 0.72
"""Height of a panel relative to its width."""
_CJK = (
    "Noto Sans CJK SC", "Noto Sans CJK JP", "Noto Serif CJK SC", "Noto Serif CJK JP", "Source Han Sans SC",
    "WenQuanYi Zen Hei", "PingFang SC", "Hiragino Sans GB", "Microsoft YaHei", "SimHei", "Arial Unicode MS",
)  # fmt: skip
_LOG = logging.getLogger("x3spatial")
LONGEST = 20.0
"""Inches: more than anybody prints."""
_SIGN = "x3 plot"
_RC: dict[str, Any] = {
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.linewidth": 0.6,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 8,
    "axes.labelsize": 8,
    "font.size": 8,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.5,
    "legend.fontsize": 7,
    "legend.frameon": False,
    "lines.linewidth": 1.3,
    "pdf.fonttype": 42,  # TrueType: text stays text
    "savefig.facecolor": "white",
    "svg.hashsalt": _SIGN,
    "text.parse_math": False,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
}


@contextmanager
def style() -> Iterator[None]:
    """Sizes and colours for a paper, whatever the user's matplotlibrc says."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        for name, value in {**_RC, "font.family": _families()}.items():
            matplotlib.rcParams[name] = value  # type: ignore[index]
        yield


def _families() -> list[str]:
    """matplotlib's own font, and the first installed one for names in Chinese, Japanese or Korean."""
    known = {entry.name for entry in font_manager.fontManager.ttflist}
    return ["DejaVu Sans", *[name for name in _CJK if name in known][:1]]


def look(number: int) -> dict[str, Any]:
    """Colour and line of a run; lines differ where colours are used again."""
    return {
        "color": COLOURS[number % len(COLOURS)],
        "linestyle": LINES[number // len(COLOURS) % len(LINES)],
    }


def marker(number: int) -> str:
    """The marker of a run."""
    return MARKERS[number % len(MARKERS)]


def panels(
    count: int, width: float, *, least: float = 2.0, ratio: float = PANEL_RATIO, extra: float = 0.0
) -> tuple[Figure, list[Any]]:
    """A figure with ``count`` axes in rows.

    Args:
        count: number of panels.
        width: of the figure, in inches.
        least: least width of a panel, in inches.
        ratio: height of a panel relative to its width.
        extra: inches below, for the legend.

    Raises:
        UserError: the figure would be longer than two pages.
    """
    columns = max(1, min(count, int(width / least)))
    rows = -(-count // columns)
    if rows * width / columns * ratio > LONGEST:
        raise UserError(
            f"--sets: {count} panels do not fit on a page; name fewer sets, such as --sets t1_multi"
        )
    figure = Figure(figsize=(width, rows * width / columns * ratio + extra), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False)
    axes = [axis for row in grid for axis in row]
    for axis in axes[count:]:
        axis.set_axis_off()
    return figure, axes[:count]


def legend(figure: Figure, handles: Sequence[Any], names: Sequence[str], width: float) -> None:
    """One legend for all panels, below them."""
    longest = max((len(name) for name in names), default=1)
    columns = max(1, min(len(names), int(width * 11 / (longest + 5))))
    figure.legend(
        handles, [text(name) for name in names], loc="outside lower center", ncols=columns
    )


def text(words: str, width: int = 60) -> str:
    """Someone's text on lines of at most ``width`` characters."""
    return "\n".join(textwrap.wrap(printable(words).replace("\n", "\\n"), width)) or " "


def save(figure: Figure, path: Path, suffix: str, dpi: int) -> None:
    """Write a figure without dates and versions."""
    metadata: dict[str, dict[str, Any]] = {
        ".pdf": {"Creator": _SIGN, "Producer": None, "CreationDate": None},
        ".svg": {"Creator": _SIGN, "Date": None},
        ".png": {"Software": _SIGN},
    }
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        figure.savefig(path, format=suffix[1:], dpi=dpi, metadata=metadata[suffix])
    if any("missing from font" in str(warning.message) for warning in said):
        _LOG.warning(
            "no installed font has all characters of the names; the others are drawn as boxes"
        )


def check_figure(path: Path) -> None:
    """Refuse to replace anything but an earlier figure.

    Raises:
        UserError: ``path`` holds something else.
    """
    if not path.exists():
        return
    with open(path, "rb") as file:
        data = file.read()
    if _SIGN.encode() not in data:
        raise UserError(f"--out {path}: exists and is no figure of x3 plot; remove it")
