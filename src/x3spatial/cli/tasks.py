"""Commands that display and export task files: preview, export."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from x3spatial.cli import output
from x3spatial.cli.declare import DEFAULT, Also, Default, command
from x3spatial.cli.logs import LOG
from x3spatial.cli.options import ImageFolder, ImageRoot, ShardOf, Tasks, listed, names
from x3spatial.cli.output import Outcome
from x3spatial.cli.shards import of_shard
from x3spatial.exporters.base import CardOptions
from x3spatial.exporters.image_paths import PATHS
from x3spatial.exporters.points import AS_RECORDED, PLACEHOLDER, ResizeLimits, point_formats
from x3spatial.exporters.registry import FORMATS
from x3spatial.exporters.sampling import LEFT_OUT
from x3spatial.exporters.summary import ExportSummary
from x3spatial.reports.outcomes import FILTERS, SORTS
from x3spatial.texts import counted

_OUTPUT: Any = Default("output")
_POINT_FORMAT: Any = Default("point_format")


@command(
    "TASKS",
    "x3 preview tasks/t1_val_multi.json -o preview.png",
    "x3 preview tasks/t1_val_multi.json --results r.json --only wrong --sort worst",
    defaults="reports.preview:preview",
)
def preview(
    data_json: Tasks,
    png: Annotated[
        Path,
        typer.Option("--out", "-o", metavar="PICTURE", help="The PNG or JPEG to write."),
        Also("--output"),
    ] = _OUTPUT,
    results: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="RESULTS",
            help="A results file: draws its answers; repeat for several models on one picture.",
        ),
    ] = None,
    limit: Annotated[
        int,
        typer.Option(help="Number of samples: spread evenly, or the worst or best."),
    ] = DEFAULT,
    only: Annotated[
        str | None,
        typer.Option(
            metavar="NAMES",
            help=f"Comma-separated outcomes: {listed(FILTERS)}.",
            autocompletion=lambda: list(FILTERS),
        ),
    ] = None,
    sort: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help=f"{listed(SORTS)}. worst: wrong answers, largest L2 first; outcome: outcomes in"
            " proportion.",
            autocompletion=lambda: list(SORTS),
        ),
    ] = DEFAULT,
    sample_id: Annotated[
        list[str] | None,
        typer.Option("--id", metavar="ID", help="Draw this sample; repeat for more."),
    ] = None,
    image_folder: ImageFolder = DEFAULT,
    image_root: ImageRoot = DEFAULT,
) -> Outcome:
    """Green: right point; yellow: mask; cyan: reference point; crosses: answers (and boxes). RIGHT or WRONG
    stands below each sample, and its frame is green or red. Of a data root (a folder instead of TASKS)
    every view of its objects is drawn.
    """
    from x3spatial.reports.preview import preview as draw

    path = draw(
        data_json,
        png,
        results=results or None,
        limit=limit,
        ids=sample_id or (),
        only=names(only) or (),
        sort=sort,
        image_folder=image_folder,
        image_root=image_root,
    ).path
    return Outcome(lambda: {"picture": str(path)}, lambda: output.line(f"see {output.shown(path)}"))


def _by_kind(attribute: str) -> str:
    """The defaults by kind, such as ``placeholder for ms-swift, else unit``."""
    first = {}
    for name, kind in FORMATS.items():
        values = getattr(kind, attribute)
        first[name] = (values() if callable(values) else values)[0]
    usual = max(set(first.values()), key=list(first.values()).count)
    kinds: dict[str, list[str]] = {}
    for name, value in first.items():
        kinds.setdefault(value, []).append(name)
    others = [f"{value} for {listed(names)}" for value, names in kinds.items() if value != usual]
    return f"default: {', '.join([*others, f'else {usual}'])}"


@command(
    "TASKS... --to KIND -o DIR",
    "x3 export tasks/t1_train_multi.json --to llava -o export",
    "x3 export tasks/t1_val_multi.json --to ms-swift -o export --points qwen3-1000",
    defaults="exporters.run:export",
)
def export(
    data_json: Annotated[
        list[Path], typer.Argument(metavar="TASKS...", help="Task files of x3 build.")
    ],
    to: Annotated[
        str,
        typer.Option(
            "--to",
            metavar="KIND",
            help=f"{listed(FORMATS)}.",
            autocompletion=lambda: list(FORMATS),
        ),
    ],
    out: Annotated[
        Path,
        typer.Option("--out", "-o", metavar="DIR", help="Folder for the export."),
        Also("--out-dir"),
    ],
    paths: Annotated[
        str | None, typer.Option(help=f"Images: {listed(PATHS)} ({_by_kind('paths')}).")
    ] = DEFAULT,
    points: Annotated[
        str | None,
        typer.Option(
            help=f"{AS_RECORDED}: as recorded; {PLACEHOLDER}: the trainer scales them itself; or"
            f" rewritten as {listed(point_formats())} ({_by_kind('points')}).",
            autocompletion=lambda: [AS_RECORDED, PLACEHOLDER, *point_formats()],
        ),
    ] = _POINT_FORMAT,
    image_folder: ImageFolder = DEFAULT,
    image_root: ImageRoot = DEFAULT,
    min_pixels: Annotated[
        int | None,
        typer.Option(
            help="Processor's least area, for --points that count resized pixels (default"
            f" {ResizeLimits().min_pixels})."
        ),
    ] = DEFAULT,
    max_pixels: Annotated[
        int | None,
        typer.Option(
            help="Processor's largest area, for --points that count resized pixels (default"
            f" {ResizeLimits().max_pixels})."
        ),
    ] = DEFAULT,
    license: Annotated[
        str | None,
        typer.Option(
            metavar="ID",
            help="Licence on the card of hf-benchmark, such as cc-by-4.0 (default"
            f" {CardOptions().license}).",
        ),
    ] = DEFAULT,
    title: Annotated[
        str | None,
        typer.Option(help=f"Name on the card of hf-benchmark (default {CardOptions().title})."),
    ] = DEFAULT,
    limit: Annotated[
        int | None, typer.Option(help="At most this many records of each file.")
    ] = DEFAULT,
    fresh: Annotated[
        bool,
        typer.Option("--fresh/--resume", help="Write again, or keep an equal finished export."),
    ] = DEFAULT,
    shard: ShardOf = DEFAULT,
) -> Outcome:
    """Each task file becomes a file of its own."""
    from x3spatial.exporters.run import export as run

    summary = run(
        data_json,
        out,
        to,
        paths=paths,
        point_format=points,
        image_folder=image_folder,
        image_root=image_root,
        min_pixels=min_pixels,
        max_pixels=max_pixels,
        license=license,
        title=title,
        limit=limit,
        fresh=fresh,
        shard=shard,
    )
    outcome = exported(summary)
    return of_shard(outcome, shard, out, warn=outcome.warn)


def exported(summary: ExportSummary) -> Outcome:
    """The outcome of ``x3 export``."""
    counts = {"not_visible": 0, **summary.manifest["counts"]}  # an empty set counts nothing
    files = ", ".join(summary.manifest["files"])
    now = "" if summary.written else " (already there)"

    def show() -> None:
        output.line(
            f"{counted(summary.records, 'sample')}, {counts['not_visible']} of them not visible, in"
            f" {output.shown(summary.out_dir)}: {files}{now}"
        )

    def warn() -> None:
        if summary.manifest["options"].get("license") == CardOptions().license:
            LOG.warning("the card says that the licence is unknown; name it with --license")
        if counts["points_with_more_decimals"]:
            LOG.warning(
                "%d points needed more decimals than %s has, to hit their thin masks",
                counts["points_with_more_decimals"],
                summary.manifest["options"]["points"],
            )
        if counts.get(LEFT_OUT):
            LOG.warning(
                "%s left out, because --to %s has no form for an object that is not visible",
                counted(counts[LEFT_OUT], "sample"),
                summary.manifest["options"]["to"],
            )
        if counts["placeholders_at_risk"]:
            LOG.warning(
                "%d points may be rounded off their thin masks by the trainer's own scaling",
                counts["placeholders_at_risk"],
            )

    value = {"out_dir": str(summary.out_dir), "written": summary.written, **summary.manifest}
    return Outcome(lambda: value, show, warn)
