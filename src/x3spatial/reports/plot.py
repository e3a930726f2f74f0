"""``x3 plot``: figures for papers from results files (matplotlib)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from x3spatial.errors import UserError, packages_of
from x3spatial.io.files import check_output, replacing
from x3spatial.reports.gather import Gathered, gather
from x3spatial.reports.picture import Inline
from x3spatial.reports.plot_options import SUFFIXES, WIDTHS, PlotOptions, Series
from x3spatial.reports.table import choose_sets


@dataclass(frozen=True, slots=True)
class Plot(Inline):
    """A written figure; notebooks show PNG and SVG."""

    path: Path
    kind: str
    sets: tuple[str, ...]
    runs: tuple[str, ...]
    problems: tuple[tuple[str, str], ...]

    def to_json(self) -> dict[str, Any]:
        """What was drawn, as JSON values."""
        return {
            "figure": str(self.path),
            "kind": self.kind,
            "sets": list(self.sets),
            "runs": list(self.runs),
            "problems": [{"path": path, "reason": reason} for path, reason in self.problems],
        }


def plot(
    paths: str | Path | Sequence[str | Path],
    out: str | Path,
    options: PlotOptions | None = None,
    **changes: Any,
) -> Plot:
    """Draw results files into a PDF, SVG or PNG; the same bytes for the same results.

    Args:
        paths: results files, or folders with results at any depth.
        out: the figure; its ending says the format. Only an earlier figure of ``x3 plot`` is replaced.
        options: options; None for the defaults.
        **changes: fields of ``PlotOptions`` that replace those of ``options``.

    Raises:
        TypeError: ``PlotOptions`` has no such field.
        UserError: matplotlib is not installed, an option or path is invalid, the results have nothing of this
            kind, or ``out`` holds something else.
    """
    options = replace(options or PlotOptions(), **changes)
    out = Path(out)
    if out.suffix.lower() not in SUFFIXES:
        raise UserError(f"--out {out}: name a file that ends in {', '.join(SUFFIXES)}")
    with packages_of("plots", "x3 plot"):
        from x3spatial.reports import plot_kinds, plot_style
    given = [paths] if isinstance(paths, str | Path) else list(paths)
    gathered = gather(given, options)
    check_output(out, "--out", [found.path for found in gathered.files])
    plot_style.check_figure(out)
    chosen = choose_sets(gathered, options.sets)
    series = _series(gathered, chosen, with_samples=options.kind in plot_kinds.NEED_SAMPLES)
    draw: Callable[..., Any] = plot_kinds.DRAW[options.kind]
    with plot_style.style():
        figure = draw(series, options, WIDTHS[options.width])
        with replacing(out) as part:
            plot_style.save(figure, part, out.suffix.lower(), options.dpi)
    return Plot(
        out,
        options.kind,
        tuple(dict.fromkeys(one.set.name for one in series)),
        tuple(dict.fromkeys(one.run.name for one in series)),
        gathered.problems,
    )


def _series(gathered: Gathered, chosen: Sequence[int], *, with_samples: bool) -> list[Series]:
    return [
        Series(
            gathered.runs[found.run],
            found.run,
            gathered.sets[found.set],
            found.load() if with_samples else found.head,
        )
        for found in gathered.files
        if found.set in chosen
    ]
