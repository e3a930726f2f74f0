"""Commands about checkpoints: model inspect, model tiny, model resize."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from x3spatial.cli import output
from x3spatial.errors import packages_of

model = typer.Typer(
    help="Look at a RoboRefer checkpoint, make a small random one, or one for larger images."
)


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.add_typer(model, name="model")


@model.command("inspect")
def inspect(
    path: Annotated[Path, typer.Argument(help="The checkpoint folder, in either layout.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """What a checkpoint is: layout, sizes, parameters per part, tokens, what each flag would train."""
    with packages_of("roborefer", "x3 model inspect"):
        from x3spatial.models.roborefer.inspect import inspect as run
        from x3spatial.models.roborefer.inspect import report_text

        report = run(path=path)
    typer.echo(json.dumps(report, indent=2) if as_json else report_text(report))


@model.command("tiny")
def tiny(
    out: Annotated[Path, typer.Argument(help="A new folder.")],
    size: Annotated[
        str,
        typer.Option(
            help="tiny, small, trainable (from scratch, on a CPU), or 2b: the real dimensions."
        ),
    ] = "tiny",
    seed: Annotated[int, typer.Option(help="Of the weights.")] = 0,
    depth: Annotated[bool, typer.Option(help="With depth tower and projector.")] = True,
    dtype: Annotated[str, typer.Option(help="float32, bfloat16 or float16.")] = "float32",
    tied: Annotated[bool, typer.Option(help="Whether the head shares the embedding.")] = True,
) -> None:
    """Make a random checkpoint with a tokenizer in the published layout, for dry runs."""
    with packages_of("roborefer", "x3 model tiny"):
        from x3spatial.models.roborefer.tiny import make_tiny

        path = make_tiny(out=out, size=size, seed=seed, depth=depth, dtype=dtype, tied=tied)
    typer.echo(f"a random checkpoint in {output.shown(path)}; try --model roborefer:{path}")


@model.command("grow", hidden=True)
@model.command("resize")
def resize(
    checkpoint: Annotated[Path, typer.Argument(help="A checkpoint folder, or x3-tiny.")],
    out: Annotated[Path, typer.Argument(help="A new folder.")],
    image_size: Annotated[int, typer.Option(help="Pixels; a multiple of the patch size.")],
    rotate_heads: Annotated[
        int,
        typer.Option(
            "--rotate-heads",
            "--turn-heads",
            help="Number of layer-0 look-back heads to re-rotate; 2 for models of x3 model tiny"
            " --size trainable.",
        ),
    ] = 0,
) -> None:
    """Write a checkpoint for images of another size, to be trained further: more patches, more tokens."""
    with packages_of("roborefer", "x3 model resize"):
        from x3spatial.models.roborefer.resize import resize_checkpoint as run

        path = run(checkpoint=checkpoint, out=out, image_size=image_size, rotate_heads=rotate_heads)
    typer.echo(f"for {image_size} x {image_size} pixels: {output.shown(path)}; train it further")
