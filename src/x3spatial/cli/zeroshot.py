"""The command zeroshot: build, evaluate, summarise."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from x3spatial.builder.options import BuildOptions
from x3spatial.cli import output, zeroshot_tables
from x3spatial.cli.declare import DEFAULT, Also, Expand, command
from x3spatial.cli.help import RUN, TASK_FILES
from x3spatial.cli.model_options import (
    DEFAULT_CHECKPOINT,
    MODEL_OPTIONS,
    Checkpoint,
    ModelSpecs,
    specs,
)
from x3spatial.cli.options import (
    PROCESS_TIMEOUT,
    Engine,
    Fresh,
    ProcessTimeout,
    RayAddress,
    Workers,
    building,
    evaluation,
)
from x3spatial.cli.output import Outcome
from x3spatial.errors import UserError, flag
from x3spatial.evaluation.options import EvalOptions, PoolOptions
from x3spatial.pipeline import ZeroshotOptions
from x3spatial.tasks.spec import SETS
from x3spatial.texts import counted

_BUILD = building(
    "pipeline:zeroshot_build",
    only=frozenset(
        {
            "mode",
            "anchor_k",
            "alpha",
            "use_dilated_mask",
            "seed",
            "prompts",
            "jpeg_quality",
            "decoys",
            "decoy_engine",
            "negatives",
            "paths",
        }
    ),
    names={"seed": "build_seed"},
)


def _refuse_build_options(context: typer.Context) -> None:
    """Refuse build options without a data root, because they would have no effect.

    Raises:
        UserError: a build option is given.
    """
    for field in _BUILD.fields():
        name = _BUILD.name(field)
        source = context.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":
            raise UserError(
                f"{flag(name)}: decides how task files are built, and without ROOT"
                " (or DATA_ROOT_X3) none are; leave it out or give the root"
            )


@command(
    "[ROOT] -o EVAL_DIR",
    "x3 zeroshot /data/views -o results --model sift --model pixel-diff",
    "x3 zeroshot -o results --tasks-dir tasks --model roborefer:x3-tiny",
    defaults="pipeline:zeroshot",
)
def zeroshot(
    *,
    context: typer.Context,
    data_root: Annotated[
        Path | None,
        typer.Argument(
            metavar="ROOT",
            envvar="DATA_ROOT_X3",
            show_envvar=False,
            help="The data root; without it the task files in --tasks-dir are taken as they are.",
        ),
        Also("--data-root"),
    ] = DEFAULT,
    eval_dir: Annotated[
        Path,
        typer.Option(
            "--out",
            "-o",
            metavar="EVAL_DIR",
            envvar="EVAL_DIR",
            show_envvar=False,
            help="Folder for results and summary.json.",
            rich_help_panel=RUN,
        ),
        Also("--eval-dir"),
    ] = DEFAULT,
    tasks_dir: Annotated[
        Path,
        typer.Option(
            "--tasks-dir",
            metavar="DIR",
            envvar="OUT_DIR",
            show_envvar=False,
            help="Folder for task files and images.",
            rich_help_panel=TASK_FILES,
        ),
        Also("--out-dir"),
    ] = DEFAULT,
    sets: Annotated[
        str,
        typer.Option(metavar="NAME", help=f"The sets: {', '.join(SETS)}.", rich_help_panel=RUN),
    ] = DEFAULT,
    build: Annotated[BuildOptions, _BUILD],
    model: ModelSpecs = None,
    model_name_or_path: Checkpoint = None,
    model_options: Annotated[dict[str, Any], MODEL_OPTIONS],
    evaluation_options: Annotated[EvalOptions, evaluation("evaluation.options:EvalOptions")],
    workers: Workers = DEFAULT,
    fresh: Fresh = DEFAULT,
    process_timeout: ProcessTimeout = PROCESS_TIMEOUT,
    engine: Engine = DEFAULT,
    ray_address: RayAddress = DEFAULT,
    pool: Annotated[PoolOptions, Expand("evaluation.options:PoolOptions", RUN)],
) -> int | Outcome:
    """Evaluates the chosen validation sets and prints the summary. Started by torchrun or accelerate, the
    first process builds and prints, and all ask, as in x3 eval. With --engine ray,
    copies of one model after another answer on a cluster.
    """
    from x3spatial.engine.world import world_from_environment
    from x3spatial.pipeline import zeroshot as run

    if data_root is None:
        _refuse_build_options(context)
    world = world_from_environment(process_timeout)
    summary = run(
        data_root,
        eval_dir,
        specs(model, model_name_or_path) or [f"roborefer:{DEFAULT_CHECKPOINT}"],
        ZeroshotOptions(
            build=build, evaluation=replace(evaluation_options, model_options=model_options)
        ),
        tasks_dir=tasks_dir,
        sets=sets,
        workers=workers,
        fresh=fresh,
        world=world,
        engine=engine,
        ray_address=ray_address,
        pool=pool,
    )
    if world is not None and not world.leads:
        asked = sum(
            cell.result.asked for part in summary.sets for cell in part.cells if cell.result
        )
        output.line(f"{world}: asked {asked}; rank 0 has the results")
        return 1 if summary.errors else 0

    def show() -> None:
        if summary.built is not None:
            built = summary.built
            output.line(
                f"{counted(built.records, 'sample')} in {output.shown(built.out_dir)}"
                f" ({counted(built.objects_built, 'object')} built now,"
                f" {counted(built.manifest['skipped_total'], 'problem')})"
            )
        zeroshot_tables.show(summary)
        output.line(f"summary: {output.shown(summary.summary_json)}")

    return Outcome(
        summary.to_json, show, lambda: zeroshot_tables.warn(summary), 1 if summary.errors else 0
    )
