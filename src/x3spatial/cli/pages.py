"""Commands that show results and data roots as web pages: report, view."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from x3spatial.cli import output
from x3spatial.cli.declare import DEFAULT, Expand, command
from x3spatial.cli.help import RUN
from x3spatial.cli.logs import LOG
from x3spatial.cli.options import ImageFolder, ImageRoot, Workers, listed
from x3spatial.cli.output import Outcome
from x3spatial.program import signals
from x3spatial.reports.web.options import IMAGE_MODES, PageOptions, ReportOptions
from x3spatial.texts import counted

_OPTIONS = "Options"
_Paths = Annotated[
    list[Path],
    typer.Argument(
        metavar="RESULTS...", help="Results files, folders with results, or one data root."
    ),
]
_TYPES: dict[str, Any] = {
    "tasks": Annotated[
        list[Path] | None,
        typer.Option(
            "--tasks",
            metavar="PATH",
            help="A task file, or a folder of them, if not where the results say; repeat for more.",
        ),
    ],
    "image_folder": ImageFolder,
    "image_root": ImageRoot,
    "images": Annotated[
        str,
        typer.Option(
            metavar="KIND",
            help=f"{listed(IMAGE_MODES)}: full-size WebP copies, thumbnails, or links to the originals"
            " (the folder then cannot be moved).",
            autocompletion=lambda: list(IMAGE_MODES),
        ),
    ],
}


def _options(of: str) -> Expand:
    parse = {"tasks": lambda paths: None if paths is None else tuple(paths)}
    return Expand(of, _OPTIONS, types=_TYPES, parse=parse)


@command(
    "RESULTS... -o DIR",
    "x3 report results -o report",
    "x3 report root -o root-report --images thumbs --zip root-report.zip",
    defaults="reports.web.report:report",
)
def report(
    *,
    paths: _Paths,
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            "-o",
            metavar="DIR",
            help="The folder to write; only an earlier report is replaced.",
            rich_help_panel=RUN,
        ),
    ],
    options: Annotated[ReportOptions, _options("reports.web.options:ReportOptions")],
    zip: Annotated[
        Path | None,
        typer.Option("--zip", metavar="FILE", help="Also pack the folder.", rich_help_panel=RUN),
    ] = DEFAULT,
    workers: Workers = DEFAULT,
) -> Outcome:
    """Open DIR/index.html in a browser: no server and no network are needed. Runs that were killed are
    shown with their answers so far. A data root is shown with its masks, labels and audit.
    """
    from x3spatial.reports.web.report import report as run

    done = run(paths, out, options, zip=zip, workers=workers)

    def show() -> None:
        kept = f" ({done.kept:,} were there already)" if done.kept else ""
        output.line(f"{counted(done.files, 'file')}, {done.size / 1e6:,.1f} MB{kept}")
        if done.problems:
            output.line(f"{counted(len(done.problems), 'problem')}, also listed on the page")
        if done.zip is not None:
            output.line(f"packed: {output.shown(done.zip)}")
        output.line(f"open {output.shown(done.index)}")

    return Outcome(
        done.to_json, show, lambda: output.problems(done.problems, "see the page, or --json")
    )


@command(
    "RESULTS...",
    "x3 view results",
    "x3 view results --port 8123 --no-browser",
    defaults="reports.web.server:view",
)
def view(
    *,
    paths: _Paths,
    options: Annotated[PageOptions, _options("reports.web.options:PageOptions")],
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port on 127.0.0.1; 0: a free one.")
    ] = DEFAULT,
    browser: Annotated[
        bool, typer.Option("--browser/--no-browser", help="Open the page in the browser.")
    ] = DEFAULT,
) -> int:
    """Serves the page of x3 report from memory to this machine's browser, and follows runs that are still
    going: answers appear as they come. Ctrl-C ends it. On a server: ssh -L PORT:127.0.0.1:PORT.
    """
    from x3spatial.reports.web.server import Viewer, open_in_browser

    try:
        with Viewer(paths, options, port=port) as viewer:
            output.line(f"{viewer.url} (Ctrl-C ends)")
            sys.stdout.flush()
            if browser:
                open_in_browser(viewer.url)
            viewer.wait()
    except KeyboardInterrupt:
        signals.noticed()
        LOG.info("stopped")
    return 0
