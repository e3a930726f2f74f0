"""Commands about checkpoints: model inspect, model tiny, model resize."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from x3spatial.cli import output
from x3spatial.cli.declare import DEFAULT, Also, command
from x3spatial.cli.options import listed
from x3spatial.cli.output import Outcome
from x3spatial.errors import packages_of
from x3spatial.models import choices


@command(
    "CHECKPOINT",
    "x3 model inspect x3-tiny",
    "x3 model inspect runs/train/RoboRefer-2B-Depth-Align --json",
)
def inspect(
    path: Annotated[
        Path,
        typer.Argument(
            metavar="CHECKPOINT", help="A checkpoint folder, in either layout, or x3-tiny."
        ),
    ],
) -> Outcome:
    """Prints layout, sizes, parameters per part, tokens, and what each flag would train."""
    with packages_of("roborefer", "x3 model inspect"):
        from x3spatial.models.roborefer.inspect import inspect as run
        from x3spatial.models.roborefer.inspect import report_text

        report = run(path)
    return Outcome(lambda: report, lambda: output.line(report_text(report)))


@command(
    "OUT",
    "x3 model tiny tiny-checkpoint",
    "x3 model tiny base --size trainable --no-depth",
    defaults="models.choices:TinyOptions",
)
def tiny(
    out: Annotated[
        Path,
        typer.Argument(metavar="OUT", help="A new folder; -o OUT is the same."),
        Also("-o", "--out"),
    ],
    size: Annotated[
        str,
        typer.Option(
            help=f"{listed(choices.SIZES)}. trainable learns from scratch on a CPU, 2b has the real"
            " dimensions."
        ),
    ] = DEFAULT,
    seed: Annotated[int, typer.Option(help="Random seed of the weights.")] = DEFAULT,
    depth: Annotated[bool, typer.Option(help="With depth tower and projector.")] = DEFAULT,
    dtype: Annotated[str, typer.Option(help=f"{listed(choices.DTYPES)}.")] = DEFAULT,
    tied: Annotated[
        bool, typer.Option(help="Whether the output head shares the embedding.")
    ] = DEFAULT,
) -> Outcome:
    """With a tokenizer, in the published layout: for dry runs, or to be trained from scratch."""
    with packages_of("roborefer", "x3 model tiny"):
        from x3spatial.models.roborefer.tiny import make_tiny

        size = choices.FORMER_SIZES.get(size, size)
        path = make_tiny(out, size=size, seed=seed, depth=depth, dtype=dtype, tied=tied)
    return Outcome(
        lambda: {"checkpoint": str(path)},
        lambda: output.line(
            f"a random checkpoint in {output.shown(path)}; try --model roborefer:{path}"
        ),
    )


@command(
    "CHECKPOINT -o OUT --image-size N",
    "x3 model resize x3-tiny -o larger --image-size 216",
    "x3 model resize base -o larger --image-size 162 --rotate-heads 2",
)
def resize(
    checkpoint: Annotated[
        Path, typer.Argument(metavar="CHECKPOINT", help="A checkpoint folder, or x3-tiny.")
    ],
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="OUT", help="A new folder."), Also("OUT")
    ],
    image_size: Annotated[
        int, typer.Option(metavar="N", help="Pixels; a multiple of the patch size.")
    ],
    rotate_heads: Annotated[
        int,
        typer.Option(
            help="Number of layer-0 look-back heads to re-rotate; 2 for models of x3 model tiny"
            " --size trainable."
        ),
        Also("--turn-heads"),
    ] = choices.ROTATE_HEADS,
) -> Outcome:
    """For larger images: more patches, more tokens. The model has to be trained further."""
    with packages_of("roborefer", "x3 model resize"):
        from x3spatial.models.roborefer.resize import resize_checkpoint

        path = resize_checkpoint(checkpoint, out, image_size=image_size, rotate_heads=rotate_heads)
    return Outcome(
        lambda: {"checkpoint": str(path), "image_size": image_size},
        lambda: output.line(
            f"for {image_size} x {image_size} pixels: {output.shown(path)}; train it further"
        ),
    )
