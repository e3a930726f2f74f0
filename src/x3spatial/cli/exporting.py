"""Commands that hand the data to other tools: export."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from x3spatial.cli import output


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("export")(export)


def export(
    data_json: Annotated[list[Path], typer.Argument(help="Task files of x3 build.")],
    out_dir: Annotated[Path, typer.Option("--out-dir", help="Where the export goes.")],
    to: Annotated[str, typer.Option("--to", help="llava, sharegpt, ms-swift, trl or hf-datasets.")],
    paths: Annotated[
        str | None,
        typer.Option(
            help="Images: absolute, relative or copy (llava, sharegpt, ms-swift; default absolute),"
            " absolute or embed (trl; default absolute), embed (hf-datasets)."
        ),
    ] = None,
    points: Annotated[
        str | None,
        typer.Option(
            help="unit: prompts and answers as they are (default); fraction, percent, thousand,"
            " pixel, qwen2-1000, qwen2.5-px, qwen3-1000, internvl-1000, molmo-100, molmo2-1000,"
            " gemini-yx-1000: rewritten; placeholder: ms-swift scales them itself (its default)."
        ),
    ] = None,
    image_folder: Annotated[
        Path | None, typer.Option(help="What relative image paths are relative to.")
    ] = None,
    min_pixels: Annotated[
        int | None, typer.Option(help="Of the processor, for --points qwen2.5-px; default 3136.")
    ] = None,
    max_pixels: Annotated[
        int | None,
        typer.Option(help="Of the processor, for --points qwen2.5-px; default 12845056."),
    ] = None,
    limit: Annotated[
        int | None, typer.Option(help="At most this many records of each file.")
    ] = None,
    fresh: Annotated[
        bool,
        typer.Option("--fresh/--resume", help="Write again, or keep an equal finished export."),
    ] = False,
) -> None:
    """Write task files in the shape another trainer reads; each becomes a file of its own."""
    from x3spatial.exporters.run import export as run

    summary = run(
        data_json=data_json,
        out_dir=out_dir,
        to=to,
        paths=paths,
        point_format=points,
        image_folder=image_folder,
        min_pixels=min_pixels,
        max_pixels=max_pixels,
        limit=limit,
        fresh=fresh,
    )
    counts = {"not_visible": 0, **summary.manifest["counts"]}  # an empty set counts nothing
    files = ", ".join(summary.manifest["files"])
    now = "" if summary.written else " (already there)"
    typer.echo(
        f"{summary.records} samples, {counts['not_visible']} of them not visible, in"
        f" {output.shown(summary.out_dir)}: {files}{now}"
    )
    if counts["points_with_more_decimals"]:
        typer.echo(
            f"{counts['points_with_more_decimals']} points needed more decimals than"
            f" {summary.manifest['options']['points']} has, to hit their thin masks",
            err=True,
        )
    if counts["placeholders_at_risk"]:
        typer.echo(
            f"{counts['placeholders_at_risk']} points may be rounded off their thin masks by the"
            " trainer's own scaling",
            err=True,
        )
