"""Commands that evaluate models: eval, score, compare, check-model."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import Annotated, Any

import typer

from x3spatial.cli import output, tables
from x3spatial.cli.declare import DEFAULT, Also, Expand, command
from x3spatial.cli.help import RUN
from x3spatial.cli.model_options import MODEL_OPTIONS, Checkpoint, ModelSpecs, one_spec
from x3spatial.cli.options import (
    PROCESS_TIMEOUT,
    By,
    Engine,
    Fresh,
    ProcessTimeout,
    RayAddress,
    ResultsOut,
    ShardOf,
    Tasks,
    Workers,
    evaluation,
    names,
)
from x3spatial.cli.output import Outcome
from x3spatial.cli.shards import of_shard
from x3spatial.errors import UserError, flag
from x3spatial.evaluation.options import (
    ANSWERS_ONLY,
    AnswersOptions,
    AskOptions,
    EvalOptions,
    PoolOptions,
    ScoreOptions,
)
from x3spatial.tasks.strata import choose_strata


@command(
    "TASKS -o RESULTS",
    "x3 eval tasks/t1_val_multi.json -o results/t1.json --model sift",
    "x3 eval tasks/t2b_val_multi.json -o results/t2b.json --model roborefer:x3-tiny",
    defaults="evaluation.run:evaluate",
)
def evaluate(
    *,
    data_json: Tasks,
    output_json: ResultsOut,
    model: ModelSpecs = None,
    model_name_or_path: Checkpoint = None,
    model_options: Annotated[dict[str, Any], MODEL_OPTIONS],
    options: Annotated[EvalOptions, evaluation("evaluation.options:EvalOptions")],
    by: By = None,
    workers: Workers = DEFAULT,
    fresh: Fresh = DEFAULT,
    shard: ShardOf = DEFAULT,
    process_timeout: ProcessTimeout = PROCESS_TIMEOUT,
    engine: Engine = DEFAULT,
    ray_address: RayAddress = DEFAULT,
    pool: Annotated[PoolOptions, Expand("evaluation.options:PoolOptions", RUN)],
) -> int | Outcome:
    """The same command continues a run that was stopped, and asks failed samples again. Started by
    torchrun or accelerate, on one machine or several that share the files, each process asks a share of
    the samples on a GPU of its own. With --engine ray, copies of the model
    on a cluster ask.
    """
    from x3spatial.engine.world import world_from_environment
    from x3spatial.evaluation.run import evaluate as run

    strata = choose_strata(names(by) or ())
    spec = one_spec(model, model_name_or_path, " (x3 zeroshot takes several)")
    world = world_from_environment(process_timeout)
    result = run(
        data_json,
        output_json,
        spec,
        replace(options, model_options=model_options),
        workers=workers,
        fresh=fresh,
        world=world,
        shard=shard,
        engine=engine,
        ray_address=ray_address,
        pool=pool,
    )
    if world is not None and not world.leads:
        output.line(f"{world}: asked {result.asked}, kept {result.kept}; rank 0 has the results")
        return 1 if result.errors else 0
    outcome = tables.outcome_of(result, f"on {data_json.name}", strata)
    if result.stopped is not None:
        return outcome
    return of_shard(outcome, shard, output_json, code=outcome.code, warn=outcome.warn)


@command(
    "RESULTS|ANSWERS TASKS -o RESULTS2",
    "x3 score results/t1.json tasks/t1_val_multi.json -o tight.json --mask tight",
    "x3 score my.jsonl tasks/t1_val_multi.json -o r.json --convention qwen3-1000",
    defaults="evaluation.rescore:score",
)
def score(
    results: Annotated[
        Path,
        typer.Argument(
            metavar="RESULTS|ANSWERS",
            help="A results file, or answers made elsewhere: JSON, JSON Lines, CSV, TSV; or a folder.",
        ),
    ],
    data_json: Annotated[
        Path, typer.Argument(metavar="TASKS", help="The task file that was asked.")
    ],
    options: Annotated[
        AnswersOptions,
        evaluation("evaluation.options:AnswersOptions"),
    ],
    output_json: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            metavar="RESULTS2",
            help="The results file to write (default: replace RESULTS; needed for ANSWERS); for answers of"
            " people also a folder, in which each person gets one.",
            rich_help_panel=RUN,
        ),
        Also("--output-json"),
    ] = DEFAULT,
    twin: Annotated[
        Path | None,
        typer.Option(
            "--twin",
            metavar="RESULTS3",
            help="Results on t1_multi, for RESULTS on t1_counterfactual: adds follows_object.",
            rich_help_panel=RUN,
        ),
    ] = None,
    by: By = None,
    workers: Workers = DEFAULT,
) -> Outcome:
    """Of RESULTS, only the samples that it holds are scored; the task file must have the same right answers.

    ANSWERS has an id and a raw text per answer: [{"id": ..., "text": ...}], {"id": "text"}, or a line each.
    Ids that are missing, unknown or repeated are counted and named; a sample without an answer is an error,
    and the exit code is then 1. Answers of people, as pages of x3 ask save them, need no --convention.
    """
    from x3spatial.evaluation.answers import is_results_file, score_answers, score_people
    from x3spatial.evaluation.people import named_in
    from x3spatial.evaluation.rescore import score as run
    from x3spatial.evaluation.twins import FOLLOWS_OBJECT, add_twin

    strata = choose_strata(names(by) or ())
    if is_results_file(results):
        for name in ANSWERS_ONLY:
            if getattr(options, name) is not None:
                raise UserError(
                    f"{flag(name)}: is for answers made elsewhere; {results} has its own"
                )
        shared = {field.name: getattr(options, field.name) for field in fields(ScoreOptions)}
        result = run(results, data_json, output_json, ScoreOptions(**shared), workers=workers)
        if twin is not None:
            assert result.output_json is not None, "the results were written"
            row = add_twin(result.output_json, data_json, twin)
            result = replace(result, consistency={**result.consistency, FOLLOWS_OBJECT: row})
        return tables.outcome_of(result, f"on {data_json.name}, scored again", strata)
    if twin is not None:
        raise UserError("--twin: only for RESULTS of x3 eval or x3 score")
    if output_json is None:
        raise UserError(f"--out: name the results file to write for the answers in {results}")
    what = f"on {data_json.name}, answers of {results.name}"
    to_folder = output_json.is_dir() or output_json.suffix.lower() != ".json"
    if to_folder and (output_json.is_dir() or named_in(results, options)):
        people = score_people(data_json, results, output_json, options, workers=workers)
        return tables.outcome_of_all(list(people.values()), what, strata)
    result = score_answers(data_json, results, output_json, options, workers=workers)
    return tables.outcome_of(result, what, strata)


@command(
    "RESULTS_A RESULTS_B [TASKS]",
    "x3 compare results/before.json results/after.json",
    "x3 compare results/before.json results/after.json --by angle,overlap",
)
def compare(
    run_a: Annotated[Path, typer.Argument(metavar="RESULTS_A", help="A results file.")],
    run_b: Annotated[
        Path, typer.Argument(metavar="RESULTS_B", help="Another one, on the same task file.")
    ],
    data_json: Annotated[
        Path | None,
        typer.Argument(
            metavar="TASKS",
            help="That task file, for --by (default: where the results say it is).",
        ),
    ] = None,
    by: By = None,
) -> Outcome:
    """Prints differences B - A with 95 % intervals; * marks intervals that exclude zero."""
    from x3spatial.evaluation.compare import compare as run

    strata = choose_strata(names(by) or ())
    comparison = run(run_a, run_b, by=[stratum.name for stratum in strata], data_json=data_json)

    def show() -> None:
        output.table(comparison.table())
        for stratum in strata:
            output.line("")
            if comparison.by_stratum[stratum.name]:
                output.table(comparison.stratum_table(stratum.name))
            else:
                output.line(tables.nothing_known(stratum))

    return Outcome(comparison.to_json, show)


@command(
    "--model KIND[:ARG]",
    "x3 check-model --model roborefer:x3-tiny",
    "x3 check-model --model openai:NAME --base-url http://localhost:8000/v1",
    defaults="evaluation.check_model.run:check_model",
)
def check_model(
    *,
    model: ModelSpecs = None,
    model_name_or_path: Checkpoint = None,
    model_options: Annotated[dict[str, Any], MODEL_OPTIONS],
    options: Annotated[
        AskOptions,
        Expand("evaluation.options:AskOptions", RUN, skip=frozenset({"model_options"})),
    ],
    workers: Workers = DEFAULT,
    dots: Annotated[
        int, typer.Option(help="Questions per image size, of nine sizes.", rich_help_panel=RUN)
    ] = DEFAULT,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            metavar="DIR",
            help="Keep images, task files and results in this folder.",
            rich_help_panel=RUN,
        ),
    ] = DEFAULT,
) -> Outcome:
    """Draws images of several sizes, asks for the dot in each as x3 eval would, and names what explains
    wrong answers: swapped axes, another scale, another image, a resized image. --seed also places the
    dots. Exits 0 if every check passes, 1 if one fails or is undecided.
    """
    from x3spatial.engine.world import world_from_environment
    from x3spatial.evaluation.check_model.run import check_model as run

    if world_from_environment() is not None:
        raise UserError(
            "check-model runs in one process; start it without torchrun (or unset RANK and WORLD_SIZE)"
        )
    checked = run(
        one_spec(model, model_name_or_path),
        out,
        replace(options, model_options=model_options),
        dots=dots,
        workers=workers,
    )

    def show() -> None:
        output.table(checked.table())
        if out is not None:
            output.line(f"images and answers: {output.shown(out)}")

    return Outcome(checked.to_json, show, code=0 if checked.passed else 1)
