"""Options of ``x3 plot`` and what it draws. It imports no matplotlib."""

from __future__ import annotations

from dataclasses import dataclass

from x3spatial.errors import UserError
from x3spatial.formats.results_file import ResultsFile
from x3spatial.reports.gather import GatherOptions, Run, TaskSet
from x3spatial.tasks.strata import Stratum, choose_strata

DEFAULT_STRATA = ("size", "angle", "overlap", "absence")
WIDTHS = {"column": 3.4, "text": 7.0}
"""``--width`` → inches: a column, or the whole width, of a two-column paper."""
SUFFIXES = (".pdf", ".svg", ".png")
KINDS: dict[str, str] = {
    "success": "Success against threshold",
    "errors": "distribution of L2 errors",
    "strata": "Hit@Mask by stratum, with intervals",
    "visibility": "precision and recall of NOT_VISIBLE",
    "map": "where answers fall",
}
"""``--kind`` → its words."""


@dataclass(frozen=True, kw_only=True)
class PlotOptions(GatherOptions):
    """Options of a figure.

    Raises:
        UserError: a value is not one of the choices; the message names the option.
    """

    kind: str = "success"
    """What is drawn."""
    sets: tuple[str, ...] | None = None
    """Names of sets, such as t1_multi; None: all. Each has a panel of its own."""
    by: tuple[str, ...] | None = None
    """Strata of the kind strata; None: size, angle, overlap and absence."""
    width: str = "column"
    """Width of the figure: column or text, of a two-column paper."""
    dpi: int = 300
    """Dots per inch of a PNG."""

    def __post_init__(self) -> None:
        GatherOptions.__post_init__(self)
        if self.kind not in KINDS:
            raise UserError(f"--kind {self.kind}: must be one of {', '.join(KINDS)}")
        if self.width not in WIDTHS:
            raise UserError(f"--width {self.width}: must be one of {', '.join(WIDTHS)}")
        if not 30 <= self.dpi <= 2400:
            raise UserError(f"--dpi {self.dpi}: must be between 30 and 2400")
        if self.by is not None:
            choose_strata(self.by)
            if self.kind != "strata":
                raise UserError(f"--by: only for --kind strata, not {self.kind}")

    @property
    def strata(self) -> tuple[Stratum, ...]:
        """The chosen strata."""
        return choose_strata(DEFAULT_STRATA if self.by is None else self.by)


@dataclass(frozen=True, slots=True)
class Series:
    """One run on one set."""

    run: Run
    number: int
    """Of the run, for its colour."""
    set: TaskSet
    results: ResultsFile
    """With the samples, if the kind needs them."""
