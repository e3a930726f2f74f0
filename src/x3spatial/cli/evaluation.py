"""Commands that ask models and score answers: eval, score, compare, zeroshot."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from x3spatial.cli import output
from x3spatial.cli.data import Fresh, OutDir, Prompts, Workers
from x3spatial.cli.model_options import (
    DEFAULT_CHECKPOINT,
    Checkpoint,
    ModelSpecs,
    model_options,
    specs,
)
from x3spatial.errors import UserError, flag

if TYPE_CHECKING:
    from x3spatial.evaluation.run import EvalResult
    from x3spatial.pipeline import SetSummary

BatchSize = Annotated[int, typer.Option("--batch-size", help="Samples per call of the model.")]
Limit = Annotated[
    int | None, typer.Option("--limit", help="The first so many samples of each set only.")
]
MaxNewTokens = Annotated[
    int, typer.Option("--max-new-tokens", help="For models that generate text.")
]
Scoring = Annotated[
    str,
    typer.Option("--scoring", help="x3, or roborefer: that project's own point-in-mask rule."),
]
MaskChoice = Annotated[
    str, typer.Option("--mask", help="auto (the record's mask), tight or dilated.")
]
Seed = Annotated[int, typer.Option("--seed", help="For models that draw.")]
ProcessTimeout = Annotated[
    float,
    typer.Option(
        "--process-timeout",
        "--rank-timeout",
        help="Under torchrun or accelerate: seconds without a heartbeat before another process"
        " counts as dead.",
    ),
]
ImageFolder = Annotated[
    Path | None, typer.Option("--image-folder", help="What relative image paths are relative to.")
]


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("eval")(evaluate)
    app.command("score")(score)
    app.command("compare")(compare)
    app.command("zeroshot")(zeroshot)
    app.command("models")(models)


def models() -> None:
    """List the models that --model knows."""
    from x3spatial.models.registry import KINDS

    for name, kind in KINDS.items():
        needs = "" if kind.extra is None else f"; needs the extra [{kind.extra}]"
        typer.echo(f"{name:20} {kind.summary}{needs}")


@model_options
def evaluate(
    data_json: Annotated[Path, typer.Option(help="A task file of x3 build.")],
    output_json: Annotated[Path, typer.Option(help="The results file to write.")],
    model: ModelSpecs = None,
    model_name_or_path: Checkpoint = None,
    image_folder: ImageFolder = None,
    max_new_tokens: MaxNewTokens = 64,
    batch_size: BatchSize = 8,
    limit: Limit = None,
    workers: Workers = None,
    seed: Seed = 0,
    scoring: Scoring = "x3",
    mask: MaskChoice = "auto",
    fresh: Fresh = False,
    process_timeout: ProcessTimeout = 600.0,
    *,
    options: dict[str, Any],
) -> int:
    """Ask a model every question of a task file and score its answers.

    The same command continues a run that was stopped, and asks failed samples again. Started by torchrun
    or accelerate, on one machine or several that share the files, each process asks a share of the samples
    on a GPU of its own.
    """
    from x3spatial.engine.world import world_from_environment
    from x3spatial.evaluation.run import evaluate as run

    chosen = specs(model, model_name_or_path)
    if len(chosen) != 1:
        raise UserError("--model: name exactly one (x3 zeroshot takes several)")
    world = world_from_environment(process_timeout)
    result = run(
        data_json=data_json,
        output_json=output_json,
        model=chosen[0],
        image_folder=image_folder,
        max_new_tokens=max_new_tokens,
        batch_size=batch_size,
        limit=limit,
        workers=workers,
        seed=seed,
        scoring=scoring,
        mask=mask,
        fresh=fresh,
        model_options=options,
        world=world,
    )
    if world is not None and not world.leads:
        typer.echo(f"{world}: asked {result.asked}, kept {result.kept}; rank 0 has the results")
        return 1 if result.errors else 0
    return _report(result, f"{result.model} on {data_json.name}")


def score(
    results: Annotated[Path, typer.Argument(help="A results file of x3 eval.")],
    data_json: Annotated[Path, typer.Argument(help="The task file that was asked.")],
    output_json: Annotated[
        Path | None, typer.Option(help="Where to write; default: replace RESULTS.")
    ] = None,
    image_folder: ImageFolder = None,
    scoring: Scoring = "x3",
    mask: MaskChoice = "auto",
    workers: Workers = None,
) -> int:
    """Score stored answers again, without a model."""
    from x3spatial.evaluation.rescore import rescore

    result = rescore(
        results=results,
        data_json=data_json,
        output_json=output_json,
        image_folder=image_folder,
        scoring=scoring,
        mask=mask,
        workers=workers,
    )
    return _report(result, f"{result.model} on {data_json.name}, scored again")


def compare(
    run_a: Annotated[Path, typer.Argument(help="A results file.")],
    run_b: Annotated[Path, typer.Argument(help="Another one, on the same task file.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Paired differences B - A between two runs, with 95 % intervals; * marks those without zero."""
    from x3spatial.evaluation.compare import compare as run

    comparison = run(run_a, run_b)
    typer.echo(json.dumps(comparison.to_json(), indent=2) if as_json else comparison.render())


_BUILD_OPTIONS = (
    "mode", "anchor_k", "alpha", "use_dilated_mask", "build_seed", "prompts", "jpeg_quality",
)  # fmt: skip


def _refuse_build_options(context: typer.Context) -> None:
    """Without a data root nothing is built: an option of the build would be ignored."""
    for name in _BUILD_OPTIONS:
        source = context.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":
            raise UserError(
                f"{flag(name)}: decides how task files are built, and without --data-root"
                " (or DATA_ROOT_X3) none are; leave it out or give the root"
            )


@model_options
def zeroshot(
    context: typer.Context,
    data_root: Annotated[
        Path | None,
        typer.Option(
            "--data-root",
            envvar="DATA_ROOT_X3",
            help="The views; without it the task files in --out-dir are taken as they are.",
        ),
    ] = None,
    model: ModelSpecs = None,
    model_name_or_path: Checkpoint = None,
    out_dir: OutDir = Path("tmp/spatial_tasks_x3"),
    eval_dir: Annotated[
        Path, typer.Option(envvar="EVAL_DIR", help="Where results and summary.json go.")
    ] = Path("runs/eval_spatial_x3"),
    mode: Annotated[str, typer.Option(help="Of the build: anchor or allpairs.")] = "anchor",
    anchor_k: Annotated[int, typer.Option(help="Of the build: rank of the reference.")] = 1,
    alpha: Annotated[float, typer.Option(help="Of the build: opacity of the overlay.")] = 0.45,
    use_dilated_mask: Annotated[
        bool,
        typer.Option(
            "--use-dilated-mask/--use-tight-mask", help="Of the build: which mask to prefer."
        ),
    ] = True,
    build_seed: Annotated[int, typer.Option(help="Of the build's ground-truth draws.")] = 42,
    prompts: Prompts = None,
    jpeg_quality: Annotated[int, typer.Option(help="Of the side-by-side images.")] = 95,
    max_new_tokens: MaxNewTokens = 64,
    batch_size: BatchSize = 8,
    limit: Limit = None,
    workers: Workers = None,
    seed: Seed = 0,
    scoring: Scoring = "x3",
    mask: MaskChoice = "auto",
    fresh: Fresh = False,
    process_timeout: ProcessTimeout = 600.0,
    *,
    options: dict[str, Any],
) -> int:
    """Build if needed, evaluate the four validation sets, print the summary.

    Started by torchrun or accelerate, the first process builds and prints, and all ask, as in x3 eval.
    """
    from x3spatial.builder.options import BuildOptions
    from x3spatial.engine.world import world_from_environment
    from x3spatial.pipeline import zeroshot as run

    if data_root is None:
        _refuse_build_options(context)
    world = world_from_environment(process_timeout)
    summary = run(
        models=specs(model, model_name_or_path) or [f"roborefer:{DEFAULT_CHECKPOINT}"],
        data_root=data_root,
        out_dir=out_dir,
        eval_dir=eval_dir,
        options=BuildOptions(
            mode=mode,
            anchor_k=anchor_k,
            alpha=alpha,
            use_dilated_mask=use_dilated_mask,
            seed=build_seed,
            prompts=prompts,
            jpeg_quality=jpeg_quality,
        ),
        max_new_tokens=max_new_tokens,
        batch_size=batch_size,
        limit=limit,
        workers=workers,
        seed=seed,
        scoring=scoring,
        mask=mask,
        fresh=fresh,
        model_options=options,
        world=world,
    )
    if world is not None and not world.leads:
        asked = sum(
            cell.result.asked for part in summary.sets for cell in part.cells if cell.result
        )
        typer.echo(f"{world}: asked {asked}; rank 0 has the results")
        return 1 if summary.errors else 0
    if summary.built is not None:
        built = summary.built
        typer.echo(
            f"{built.records} samples in {output.shown(built.out_dir)}"
            f" ({built.objects_built} objects built now, {built.manifest['skipped_total']} problems)"
        )
    for part in summary.sets:
        _print_set(part)
    typer.echo("square brackets: 95 % intervals (bootstrap); privileged models read the masks")
    typer.echo(f"summary: {output.shown(summary.summary_json)}")
    if summary.errors:
        typer.echo(f"x3 zeroshot: {summary.errors} samples without an answer", err=True)
    return 1 if summary.errors else 0


_COLUMNS = (
    ("Hit@Mask", "hit_at_mask"),
    ("NOT_VISIBLE acc", "not_visible_accuracy"),
    ("false NOT_VISIBLE", "false_not_visible_rate"),
    ("mean L2", "mean_l2_error"),
    ("S@0.02", "success_002"),
    ("S@0.05", "success_005"),
    ("S@0.10", "success_010"),
)
_WITH_INTERVAL = {"hit_at_mask", "not_visible_accuracy"}


def _print_set(part: SetSummary) -> None:
    rows: list[tuple[str, ...]] = []
    total = 0
    notes = []
    for cell in part.cells:
        if cell.result is None:
            notes.append(f"{cell.model} {cell.skipped}")
            continue
        metrics = cell.result.metrics
        total = int(metrics["total"] or 0)
        figures = _figures(metrics, cell.result.ci95)
        rows.append((cell.model, *figures, str(metrics["parse_failures"]), str(metrics["errors"])))
    for name, row in part.chance.items():
        if row is not None:
            rows.append((f"chance: {name}", *_figures(row, {}), "-", "-"))
    columns = [title for title, _ in _COLUMNS]
    output.table(
        f"{part.name}: {part.data_json.name}, {total} samples",
        ("", *columns, "unparsed", "errors"),
        rows,
    )
    if notes:
        typer.echo(f"not asked: {'; '.join(notes)}")


def _figures(metrics: Mapping[str, Any], intervals: Mapping[str, Any]) -> list[str]:
    return [
        _figure(metrics.get(key), intervals.get(key) if key in _WITH_INTERVAL else None)
        for _, key in _COLUMNS
    ]


def _figure(value: float | None, interval: tuple[float, float] | None = None) -> str:
    if value is None:
        return "-"
    text = f"{value:.3f}"
    return text if interval is None else f"{text} [{interval[0]:.2f}, {interval[1]:.2f}]"


def _report(result: EvalResult, title: str) -> int:
    """Print one run's metrics; returns the exit code."""
    rows = []
    for name, value in result.metrics.items():
        interval = result.ci95.get(name)
        shown = "" if interval is None else f"[{interval[0]:.4f}, {interval[1]:.4f}]"
        text = "-" if value is None else f"{value:.4f}" if isinstance(value, float) else str(value)
        rows.append((name, text, shown))
    unit = f"95 % over {result.ci_unit}" if result.ci_unit else "95 %"
    output.table(title, ("metric", "value", unit), rows)
    _print_sizes(result)
    problems = [(problem.path, problem.reason) for problem in result.problems]
    output.problems(problems, output.shown(result.output_json))
    typer.echo(
        f"asked {result.asked}, kept {result.kept} answers of an earlier run;"
        f" results: {output.shown(result.output_json)}"
    )
    if result.errors:
        typer.echo(
            f"{result.errors} samples without an answer; the same command asks them again."
            f" First: {result.first_error}",
            err=True,
        )
    return 1 if result.errors else 0


def _print_sizes(result: EvalResult) -> None:
    """Hit@Mask by how large the object appears, if anything visible was asked about."""
    rows = [
        (
            f"{row.least:.2%} to {row.most:.2%}" if row.most else f"{row.least:.2%} and more",
            str(row.samples),
            _figure(row.metrics["hit_at_mask"], row.ci95["hit_at_mask"]),
            _figure(row.metrics["false_not_visible_rate"]),
            _figure(row.metrics["median_l2_error"]),
            _figure(row.chance),
        )
        for row in result.by_mask_area
    ]
    if any(row.samples for row in result.by_mask_area):
        columns = (
            "share of the image", "samples", "Hit@Mask", "false NOT_VISIBLE", "median L2", "uniform point",
        )  # fmt: skip
        output.table("by size of the object", columns, rows)
