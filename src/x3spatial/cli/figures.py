"""Commands that turn results into tables and figures for papers: table, plot."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from x3spatial.cli import output
from x3spatial.cli.declare import DEFAULT, Expand, command
from x3spatial.cli.help import RUN
from x3spatial.cli.options import ImageFolder, ImageRoot, listed, names
from x3spatial.cli.output import Outcome
from x3spatial.reports.figures import DEFAULT_METRICS, all_metrics
from x3spatial.reports.plot_options import (
    DEFAULT_STRATA,
    KINDS,
    SUFFIXES,
    WIDTHS,
    PlotOptions,
)
from x3spatial.reports.table import TableOptions
from x3spatial.reports.table_text import FORMATS, SETS_AS
from x3spatial.tasks.spec import TASKS
from x3spatial.tasks.strata import STRATA

_Results = Annotated[
    list[Path],
    typer.Argument(metavar="RESULTS...", help="Results files, or folders with results."),
]
_SHARED: dict[str, Any] = {
    "tasks": Annotated[
        list[Path] | None,
        typer.Option(
            "--tasks",
            metavar="PATH",
            help="A task file, or a folder of them, if not where the results say; repeat for more."
            " Only unfinished runs need it.",
        ),
    ],
    "sets": Annotated[
        str | None,
        typer.Option(
            metavar="NAMES",
            help="Comma-separated sets, such as t1_multi (default: all).",
            autocompletion=lambda: list(TASKS),
        ),
    ],
    "image_folder": ImageFolder,
    "image_root": ImageRoot,
}
_PARSED = {
    "tasks": lambda paths: None if paths is None else tuple(paths),
    **dict.fromkeys(("sets", "metrics", "by"), names),
}


@command(
    "RESULTS... [--to md]",
    "x3 table results --baseline sift",
    "x3 table results --to latex --metrics hit_at_mask --sets-as columns -o t.tex",
    defaults="reports.table_text:render_table",
)
def table(
    *,
    paths: _Results,
    to: Annotated[
        str,
        typer.Option(
            "--to",
            metavar="KIND",
            help=f"{listed(FORMATS)} (LaTeX needs the package booktabs).",
            autocompletion=lambda: list(FORMATS),
        ),
    ] = DEFAULT,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            metavar="FILE",
            help="Write it to a file; only an earlier table is replaced.",
            rich_help_panel=RUN,
        ),
    ] = None,
    options: Annotated[
        TableOptions,
        Expand(
            "reports.table:TableOptions",
            "Options",
            types={
                **_SHARED,
                "metrics": Annotated[
                    str | None,
                    typer.Option(
                        metavar="NAMES",
                        help="Comma-separated metrics of the results files, or all (default:"
                        f" {', '.join(DEFAULT_METRICS)}).",
                        autocompletion=lambda: ["all", *(metric.key for metric in all_metrics())],
                    ),
                ],
                "baseline": Annotated[
                    str | None,
                    typer.Option(
                        metavar="RUN",
                        help="A run: the others show their paired differences to it (x3 compare).",
                    ),
                ],
                "intervals": Annotated[
                    bool, typer.Option("--intervals/--no-intervals", help="95 % intervals.")
                ],
                "chance": Annotated[
                    bool, typer.Option("--chance/--no-chance", help="Rows of chance baselines.")
                ],
            },
            parse=_PARSED,
        ),
    ],
    sets_as: Annotated[
        str,
        typer.Option(
            metavar="KIND",
            help="rows: sets below each other; columns: a column per set and metric. csv and json have"
            " a line per run, set and metric.",
            autocompletion=lambda: list(SETS_AS),
        ),
    ] = DEFAULT,
) -> Outcome:
    """Shares are in percent. Bold: better than every other model (or the baseline), and the 95 % interval of
    the paired difference excludes zero. People and models that read right answers are never bold.
    """
    from x3spatial.reports.table import table as run
    from x3spatial.reports.table_text import check_choices, render_table, write_table

    check_choices(to, sets_as)
    found = run(paths, options)
    text = render_table(found, to, sets_as)
    if out is not None:
        write_table(out, text, paths)

    def show() -> None:
        if out is None:
            output.line(text.removesuffix("\n"))
        else:
            output.line(f"see {output.shown(out)}")

    return Outcome(
        found.to_json, show, lambda: output.problems(found.problems, "all of them: --json")
    )


@command(
    "RESULTS... -o FIGURE",
    "x3 plot results -o success.pdf --sets t1_multi",
    "x3 plot results -o strata.svg --kind strata --by size --sets t1_multi",
    defaults="reports.plot_options:PlotOptions",
)
def plot(
    *,
    paths: _Results,
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            "-o",
            metavar="FIGURE",
            help=f"The file to write: {listed(SUFFIXES)}; only an earlier figure is replaced.",
            rich_help_panel=RUN,
        ),
    ],
    options: Annotated[
        PlotOptions,
        Expand(
            "reports.plot_options:PlotOptions",
            "Options",
            types={
                **_SHARED,
                "kind": Annotated[
                    str,
                    typer.Option(
                        metavar="NAME",
                        help=f"{'; '.join(f'{name}: {words}' for name, words in KINDS.items())}.",
                        autocompletion=lambda: list(KINDS),
                    ),
                ],
                "by": Annotated[
                    str | None,
                    typer.Option(
                        metavar="NAMES",
                        help="Comma-separated strata for --kind strata:"
                        f" {listed(s.short for s in STRATA.values())} (default: {','.join(DEFAULT_STRATA)}).",
                        autocompletion=lambda: [s.short for s in STRATA.values()],
                    ),
                ],
                "width": Annotated[
                    str,
                    typer.Option(
                        metavar="NAME",
                        help=f"{', '.join(f'{name} ({size:g} in)' for name, size in WIDTHS.items())}: of a"
                        " paper with two columns.",
                        autocompletion=lambda: list(WIDTHS),
                    ),
                ],
            },
            parse=_PARSED,
        ),
    ],
) -> Outcome:
    """Needs matplotlib: pip install "x3spatial[plots]". A panel per set; colours are told apart with any kind
    of colour vision; the same results give the same bytes.
    """
    from x3spatial.reports.plot import plot as run

    drawn = run(paths, out, options)
    return Outcome(
        drawn.to_json,
        lambda: output.line(f"see {output.shown(drawn.path)}"),
        lambda: output.problems(drawn.problems, "all of them: --json"),
    )
