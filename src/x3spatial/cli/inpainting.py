"""The command that ranks inpainting engines."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from x3spatial.cli import output
from x3spatial.cli.declare import DEFAULT, command
from x3spatial.cli.help import RUN
from x3spatial.cli.logs import LOG
from x3spatial.cli.options import Engine, Fresh, RayAddress, Root, Splits, Workers, names
from x3spatial.cli.output import Outcome
from x3spatial.engine.registry import ENGINES as RUNS_ON
from x3spatial.errors import UserError
from x3spatial.inpainting.registry import ENGINE_HELP, ENGINES, OPTION
from x3spatial.roots.findings import grouped
from x3spatial.texts import counted

Timeout = Annotated[
    float,
    typer.Option(
        metavar="SECONDS",
        help="Most time of a command: engine for one image.",
        rich_help_panel=RUN,
    ),
]
"""The option of every command that has an engine."""


@command(
    "ROOT -o DIR",
    'x3 inpaint-bench rooms -o bench --inpaint telea --inpaint "command:my.sh"',
    "x3 inpaint-bench rooms -o bench --model pixel-diff --model roborefer:x3-tiny",
    defaults="inpaint_bench.run:bench_engines",
)
def inpaint_bench(
    *,
    data_root: Root,
    out_dir: Annotated[
        Path,
        typer.Option(
            "--out",
            "-o",
            metavar="DIR",
            help="Folder for images, answers and inpaint-bench.json.",
            rich_help_panel=RUN,
        ),
    ],
    inpaint: Annotated[
        list[str],
        typer.Option(
            "--inpaint",
            metavar="KIND[:ARG]",
            help=f"{ENGINE_HELP} Repeat it for more.",
            autocompletion=lambda: list(ENGINES),
        ),
    ] = DEFAULT,
    models: Annotated[
        list[str],
        typer.Option(
            "--model", metavar="KIND[:ARG]", help="A model that answers Task2B. Repeat it for more."
        ),
    ] = DEFAULT,
    splits: Splits = DEFAULT,
    limit: Annotated[
        int | None, typer.Option(help="At most N objects of each split.", metavar="N")
    ] = DEFAULT,
    inpaint_timeout: Timeout = DEFAULT,
    workers: Workers = DEFAULT,
    engine: Engine = DEFAULT,
    ray_address: RayAddress = DEFAULT,
    fresh: Fresh = DEFAULT,
) -> Outcome:
    """Needs a root whose inpainted images are the truth, as those of x3 scenes: error in the hole, change
    outside of it, and Task2B with each engine's images in place of the true ones. The same command
    continues a run that was stopped.
    """
    from x3spatial.inpaint_bench.run import SUMMARY, bench_engines

    if engine.partition(":")[0] in ENGINES:
        raise UserError(
            f"--engine {engine}: expected {' or '.join(RUNS_ON)}; what fills in is {OPTION} {engine}"
        )
    summary = bench_engines(
        data_root,
        out_dir,
        inpaint,
        models,
        splits=names(splits),
        limit=limit,
        inpaint_timeout=inpaint_timeout,
        workers=workers,
        engine=engine,
        ray_address=ray_address,
        fresh=fresh,
    )
    details = output.shown(summary.out_dir / SUMMARY)

    def show() -> None:
        output.table(summary.table())
        output.problems(grouped(summary.problems), details)
        output.line(
            f"{counted(summary.made, 'image')} made now,"
            f" {counted(len(summary.problems), 'problem')}; details in {details}"
        )

    def warn() -> None:
        if not summary.rendered:
            LOG.warning(
                "%s: not all scenes come from x3 scenes; their inpainted images are taken for the truth",
                data_root,
            )

    failed = bool(summary.problems or summary.errors)
    return Outcome(summary.to_json, show, warn, 1 if failed else 0)
