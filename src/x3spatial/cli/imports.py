"""``x3 import``: recorded rooms into a data root."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from x3spatial.cli import output
from x3spatial.cli.declare import DEFAULT, Expand, command
from x3spatial.cli.help import CHOICE, READING, RUN
from x3spatial.cli.logs import LOG
from x3spatial.cli.options import Engine, Fresh, RayAddress, ShardOf, Workers, listed, names
from x3spatial.cli.output import Outcome
from x3spatial.cli.shards import of_shard
from x3spatial.errors import UserError
from x3spatial.importers.options import (
    AXES,
    LABELS,
    MASK_ORIENTATIONS,
    POSES,
    ChoiceOptions,
    ReadOptions,
)
from x3spatial.importers.registry import KINDS
from x3spatial.inpainting import ENGINE_HELP
from x3spatial.roots.findings import Problem, grouped

if TYPE_CHECKING:
    from x3spatial.importers.results import ImportSummary


def _list(panel: str, text: str) -> Any:
    return Annotated[str | None, typer.Option(metavar="NAMES", help=text, rich_help_panel=panel)]


def _one_of(panel: str, text: str, known: tuple[str, ...]) -> Any:
    help = f"{text}: {listed(known)}."
    return Annotated[str, typer.Option(metavar="NAME", help=help, rich_help_panel=panel)]


_READING = Expand(
    "importers.options:ReadOptions",
    READING,
    types={
        "scenes": _list(READING, "Comma-separated scenes to import (default: all)."),
        "poses": _one_of(READING, "What the matrices of transforms.json are", POSES),
        "axes": _one_of(READING, "Axes of the cameras; auto is the format's own", AXES),
        "mask_orientation": _one_of(
            READING,
            "How masks of photos with an orientation tag were drawn; auto goes by their size",
            MASK_ORIENTATIONS,
        ),
    },
    parse={"scenes": names},
)
_CHOICE = Expand(
    "importers.options:ChoiceOptions",
    CHOICE,
    types={
        "exclude": _list(
            CHOICE, "Comma-separated labels that are no objects (default: wall, floor, ...)."
        ),
        "labels": _one_of(CHOICE, "Number objects with equal labels, or leave them out", LABELS),
    },
    parse={"exclude": names},
)


@command(
    "KIND SOURCE -o ROOT",
    "x3 import photos my-room -o root --sheet choice.png",
    "x3 import posed scans -o root --split train --dry-run",
    defaults="importers.run:import_scans",
)
def import_scans(
    kind: Annotated[str, typer.Argument(metavar="KIND", help=f"{listed(KINDS)}.")],
    source: Annotated[
        Path, typer.Argument(metavar="SOURCE", help="A scene, or a folder of scenes or splits.")
    ],
    read: Annotated[ReadOptions, _READING],
    choice: Annotated[ChoiceOptions, _CHOICE],
    out: Annotated[
        Path,
        typer.Option(
            "--out", "-o", metavar="ROOT", help="The data root to write.", rich_help_panel=RUN
        ),
    ],
    inpaint: Annotated[str, typer.Option(metavar="ENGINE", help=ENGINE_HELP)] = DEFAULT,
    inpaint_timeout: Annotated[
        float, typer.Option(help="Seconds that an external inpainting program has for one image.")
    ] = DEFAULT,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Print the choice and write nothing.", rich_help_panel=RUN),
    ] = DEFAULT,
    sheet: Annotated[
        Path | None,
        typer.Option(
            metavar="PNG",
            help="Also draw the chosen views on a contact sheet.",
            rich_help_panel=RUN,
        ),
    ] = None,
    workers: Workers = DEFAULT,
    engine: Engine = DEFAULT,
    ray_address: RayAddress = DEFAULT,
    fresh: Fresh = DEFAULT,
    shard: ShardOf = DEFAULT,
) -> Outcome:
    """Chooses objects and frames, inpaints each object, and writes what is known of poses and visibility
    to scene.json. Scenes that cannot be used are skipped and reported: exit 1.
    """
    from x3spatial.importers.run import import_scans as run

    if sheet is not None and not dry_run:
        if shard is not None:
            raise UserError(f"--sheet {sheet}: not with --shard; x3 preview draws the merged root")
        from x3spatial.reports.sheet import check_sheet

        check_sheet(sheet, [])
    summary = run(
        kind, source, out, read, choice, inpaint=inpaint, inpaint_timeout=inpaint_timeout,
        workers=workers, engine=engine, ray_address=ray_address, fresh=fresh, dry_run=dry_run,
        shard=shard,
    )  # fmt: skip
    if sheet is not None and summary.choices and not dry_run:
        from x3spatial.reports.root_sheet import draw_root

        draw_root(out, sheet)
    outcome = imported(summary, str(source))
    return outcome if dry_run else of_shard(outcome, shard, out)


def imported(summary: ImportSummary, source: str) -> Outcome:
    """The outcome of ``x3 import``."""
    dry_run, out = summary.dry_run, summary.out_dir
    found = [Problem(*problem) for problem in summary.problems]

    def show() -> None:
        if dry_run:
            output.table(summary.table())
        output.problems(grouped(found), "add --json")
        if not dry_run:
            for why, count in summary.left_out.items():
                output.line(f"{count:,} left out: {why}")
        output.line(f"{summary.line}; in {output.shown(out)}")

    def warn() -> None:
        if not summary.choices:
            LOG.error("no scene of %s could be imported", source)

    value = {**asdict(replace(summary, problems=[])), "problems": [p._asdict() for p in found]}
    bad = summary.skipped or not summary.choices
    return Outcome(lambda: value, show, warn, code=1 if bad else 0)
