"""Commands that ask people and compare their answers: ask, agreement."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path
from typing import Annotated, Any

import typer

from x3spatial.cli import output
from x3spatial.cli.declare import DEFAULT, Expand, command
from x3spatial.cli.help import RUN
from x3spatial.cli.options import ImageFolder, ImageRoot, Seed, Tasks, Workers
from x3spatial.cli.output import Outcome
from x3spatial.errors import UserError
from x3spatial.reports.people.options import AskPageOptions
from x3spatial.texts import counted

_TYPES: dict[str, Any] = {
    "limit": Annotated[
        int | None,
        typer.Option(help="Ask only this many questions, drawn at random (default: all)."),
    ],
    "seed": Seed,
    "image_folder": ImageFolder,
    "image_root": ImageRoot,
}


@command(
    "TASKS -o DIR",
    "x3 ask tasks/t1_val_multi.json -o questions --limit 100",
    "x3 ask tasks/t1_val_multi.json -o questions --quality 90",
    defaults="reports.people.ask:ask",
)
def ask(
    *,
    data_json: Tasks,
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            "-o",
            metavar="DIR",
            help="The folder to write; only an earlier page of x3 ask is replaced.",
            rich_help_panel=RUN,
        ),
    ],
    options: Annotated[
        AskPageOptions, Expand("reports.people.options:AskPageOptions", "Options", types=_TYPES)
    ],
    workers: Workers = DEFAULT,
) -> Outcome:
    """Open DIR/index.html in a browser, or hand out the whole folder: no server and no network are needed.
    Right answers, masks, labels and ids are not in it. Answers are saved as a file that x3 score reads.
    """
    from x3spatial.reports.people.ask import ask as run

    page = run(data_json, out, options, workers=workers)

    def show() -> None:
        output.line(
            f"{counted(page.questions, 'question')} of {counted(page.samples, 'sample')},"
            f" {counted(page.images, 'image')}, {page.size / 1e6:,.1f} MB"
        )
        output.line(f"open {output.shown(page.index)}, or hand out the folder")
        output.line(f"then: x3 score ANSWERS.jsonl {output.shown(data_json)} -o RESULTS.json")

    def warn() -> None:
        output.problems(page.problems, "all of them: --json")
        if page.left_out:
            output.problems(
                [(str(data_json), f"{counted(page.left_out, 'question')} left out: no image")], ""
            )

    return Outcome(page.to_json, show, warn, 1 if page.left_out else 0)


@command(
    "RESULTS RESULTS...",
    "x3 agreement people/ann.json people/ben.json",
    "x3 agreement people/ann.json people/ben.json results/t1.json --json",
)
def agreement(
    runs: Annotated[
        list[Path],
        typer.Argument(metavar="RESULTS...", help="Two or more results files on one task file."),
    ],
) -> Outcome:
    """How often two people, or a person and a model, give the same answer, whatever the truth is: Cohen's
    kappa, the distance of their points, 95 % intervals. Of more than two files each pair is compared.
    """
    from x3spatial.evaluation.agreement import agreement as run

    if len(runs) < 2:
        raise UserError(f"{runs[0]}: name at least two results files")
    found = [run(one, other) for one, other in combinations(runs, 2)]

    def show() -> None:
        for number, pair in enumerate(found):
            if number:
                output.line("")
            output.table(pair.table())

    values = [pair.to_json() for pair in found]
    return Outcome(lambda: values[0] if len(values) == 1 else values, show)
