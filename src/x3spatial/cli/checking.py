"""The command that checks how a model is asked and read: check-model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from x3spatial.cli import output
from x3spatial.cli.data import Workers
from x3spatial.cli.evaluation import BatchSize, MaxNewTokens
from x3spatial.cli.model_options import Checkpoint, ModelSpecs, model_options, specs
from x3spatial.errors import UserError

if TYPE_CHECKING:
    from x3spatial.evaluation.check_model.run import ModelCheck


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("check-model")(check_model)


@model_options
def check_model(
    model: ModelSpecs = None,
    model_name_or_path: Checkpoint = None,
    max_new_tokens: MaxNewTokens = 64,
    batch_size: BatchSize = 8,
    workers: Workers = None,
    seed: Annotated[int, typer.Option(help="Places the dots; and for models that draw.")] = 0,
    dots: Annotated[int, typer.Option(help="Questions per image size, of nine sizes.")] = 6,
    out: Annotated[
        Path | None, typer.Option(help="Keep images, task files and results in this folder.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    *,
    options: dict[str, Any],
) -> int:
    """Check that a model is asked and read right, with dots at known places.

    Draws pictures of several sizes, asks for the dot in each as x3 eval would, and names what explains
    wrong answers: swapped axes, another scale, another image, a resized image. Exits 0 if every check
    passes, 1 if one fails or cannot be told.
    """
    from x3spatial.engine.world import world_from_environment
    from x3spatial.evaluation.check_model.run import check_model as run

    if world_from_environment() is not None:
        raise UserError(
            "check-model is a matter of minutes for one process; start it without torchrun (or unset"
            " RANK and WORLD_SIZE)"
        )
    chosen = specs(model, model_name_or_path)
    if len(chosen) != 1:
        raise UserError("--model: name exactly one")
    checked = run(
        model=chosen[0],
        out=out,
        dots=dots,
        max_new_tokens=max_new_tokens,
        batch_size=batch_size,
        workers=workers,
        seed=seed,
        model_options=options,
    )
    if as_json:
        typer.echo(json.dumps(checked.to_json(), indent=2))
    else:
        _print(checked)
        if out is not None:
            typer.echo(f"images and answers: {output.shown(out)}")
    return 0 if checked.passed else 1


_COLUMNS = (
    "images", "asked", "points", "NOT_VISIBLE", "unparsed", "errors",
    "median px", "of diagonal", "worst px",
)  # fmt: skip


def _print(checked: ModelCheck) -> None:
    rows = []
    for row in checked.sizes:
        figures = "-", "-", "-"
        if row.median_px is not None and row.median_part is not None and row.worst_px is not None:
            figures = f"{row.median_px:.1f}", f"{row.median_part:.1%}", f"{row.worst_px:.1f}"
        counts = row.asked, row.points, row.not_visible, row.unparsed, row.errors
        rows.append((row.images, *map(str, counts), *figures))
    output.table(
        f"{checked.model}, convention {checked.convention}: distance to the dot",
        _COLUMNS,
        rows,
    )
    width = max(len(check.name) for check in checked.checks)
    for check in checked.checks:
        detail = f"  {check.detail}" if check.detail else ""
        typer.echo(f"{check.name:{width}}  {check.verdict}{detail}")
    typer.echo(f"check-model: {checked.outcome}")
