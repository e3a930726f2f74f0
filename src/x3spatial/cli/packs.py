"""The command that packs task files: pack."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from x3spatial.cli import output
from x3spatial.cli.declare import DEFAULT, command
from x3spatial.cli.options import Fresh, ImageFolder, ImageRoot, Workers
from x3spatial.cli.output import Outcome
from x3spatial.io.locations import url_of
from x3spatial.texts import counted


@command(
    "TASKS... -o DIR|URL",
    "x3 pack tasks/t1_val_multi.json tasks/t2b_val_multi.json -o pack",
    "x3 pack tasks/t1_train_multi.json -o s3://bucket/train --license mit",
    defaults="packs.run:pack",
)
def pack(
    data_json: Annotated[
        list[Path],
        typer.Argument(metavar="TASKS...", help="Task files of x3 build, or sets of packs."),
    ],
    out: Annotated[
        Path,
        typer.Option(
            "--out", "-o", metavar="DIR|URL", help="The folder to write, or a URL (s3://, hf://)."
        ),
    ],
    shard_size: Annotated[
        str, typer.Option(metavar="SIZE", help="Bytes of a shard, with K, M or G.")
    ] = DEFAULT,
    license: Annotated[
        str | None, typer.Option(metavar="ID", help="For the card, such as cc-by-4.0.")
    ] = DEFAULT,
    image_folder: ImageFolder = DEFAULT,
    image_root: ImageRoot = DEFAULT,
    workers: Workers = DEFAULT,
    fresh: Fresh = DEFAULT,
) -> Outcome:
    """Images and masks are inside: PACK/SET is given to other commands in place of a task file, and
    datasets.load_dataset opens it. Bytes of images are kept, each image is stored once.
    """
    from x3spatial.packs.run import pack as run

    made = run(
        data_json,
        out,
        shard_size=shard_size,
        license=license,
        image_folder=image_folder,
        image_root=image_root,
        workers=workers,
        fresh=fresh,
    )

    def show() -> None:
        output.table(made.table())
        first = next(iter(made.manifest["sets"]))
        now = "" if made.written else " (already there)"
        kept = f", {counted(made.shards_kept, 'shard')} kept" if made.shards_kept else ""
        output.line(f"{counted(made.samples, 'sample')}, {made.bytes / 1e6:,.1f} MB{kept}{now}")
        place = made.place if url_of(made.place) else output.shown(Path(made.place))
        output.line(f"then: x3 eval {place}/{first} --model KIND -o RESULTS")

    value = {
        "place": made.place,
        "written": made.written,
        "shards_kept": made.shards_kept,
        **made.manifest,
    }
    return Outcome(lambda: value, show)
