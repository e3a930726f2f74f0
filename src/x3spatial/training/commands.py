"""The commands sft, check-data, data list and recipe run; options with dashes or underscores."""

from __future__ import annotations

import dataclasses
import logging
import os
import sys
from collections.abc import Sequence
from contextlib import nullcontext, redirect_stdout
from dataclasses import asdict
from pathlib import Path
from typing import Any, NoReturn

from x3spatial.engine.parent import end_with
from x3spatial.errors import UserError, packages_of
from x3spatial.formats.task_file import check_exists
from x3spatial.formats.typed_json import document
from x3spatial.program import run_program
from x3spatial.program.log_line import LogLine
from x3spatial.program.reporting import guarded
from x3spatial.program.signals import PARENT_VARIABLE
from x3spatial.tables import Table, terminal_width
from x3spatial.texts import print_line
from x3spatial.training.data_arguments import NOT_CHECKED, CheckArguments
from x3spatial.training.options import OptionParser

logger = logging.getLogger("x3spatial")


def check_data_command(arguments: Sequence[str]) -> int:
    """``x3 check-data``: all samples checked, one batch made, no weights loaded.

    Raises:
        UserError: an option is wrong, or the data is; see ``data_check.check_data``.
    """
    parser = OptionParser(
        "x3 check-data",
        "Validate all samples of a data set and make one batch, without loading weights.",
        [
            "x3 check-data --data-path tasks/t1_train_multi.json",
            "x3 check-data --data-registry configs/mixtures.yaml --data-mixture everything",
        ],
    )
    for field in dataclasses.fields(CheckArguments):
        if field.name in NOT_CHECKED:
            continue
        settings: dict[str, Any] = {"default": field.default, "help": field.metadata["help"]}
        if isinstance(field.default, bool):
            settings["action"] = "store_true"
        elif isinstance(field.default, int):
            settings["type"] = int
        elif field.name.endswith(("_path", "_folder", "_registry", "_root")):
            settings["metavar"] = "PATH"
        parser.option(field.name, **settings)
    parser.option("json", action="store_true", help="Print one JSON document, for programs.")
    parsed = vars(parser.parse_args(list(arguments)))
    as_json = parsed.pop("json")
    given = CheckArguments(**parsed)
    if given.data_path:
        check_exists(Path(given.data_path), "data file")  # before torch is imported
    from x3spatial.training.data_check import check_data

    with redirect_stdout(sys.stderr) if as_json else nullcontext():
        found = check_data(given)
    if as_json:
        print(document(found))
    return 0


def list_data_command(arguments: Sequence[str]) -> int:
    """``x3 data list``: list a registry; exit code 1 if a file is missing.

    Raises:
        UserError: the registry cannot be used.
    """
    parser = OptionParser(
        "x3 data list",
        "List the data sets and mixtures of a registry.",
        ["x3 data list", "x3 data list --data-registry configs/mixtures.yaml"],
    )
    parser.option(
        "data_registry", type=Path, default=Path("configs/mixtures.yaml"), help="A YAML file."
    )
    parser.option("json", action="store_true", help="Print one JSON document, for programs.")
    given = parser.parse_args(list(arguments))
    from x3spatial.training.mixtures import list_data

    rows = list_data(given.data_registry)
    if given.json:
        print(document([asdict(row) for row in rows]))
    else:
        cells = tuple(
            (
                row.name,
                row.kind,
                "-" if row.samples is None else str(row.samples),
                row.definition,
            )
            for row in rows
        )
        columns = ("name", "kind", "per epoch", "definition")
        print(Table(str(given.data_registry), columns, cells, prose=True).text(terminal_width()))
    problems = dict.fromkeys(row.problem for row in rows if row.problem)
    for problem in problems:
        logger.warning(problem)
    return 1 if problems else 0


def sft_command(arguments: Sequence[str]) -> int:
    """``x3 sft``: see ``sft.sft``."""
    from x3spatial.training.sft import sft

    return sft(arguments)


def run_recipe_command(arguments: Sequence[str]) -> int:
    """``x3 recipe run``: train in stages, each an x3 sft run; the same command continues.

    Raises:
        UserError: see ``recipe.run_recipe``.
    """
    parser = OptionParser(
        "x3 recipe run",
        "Train in stages, each an x3 sft run; the same command continues.",
        [
            "x3 recipe run configs/x3_tiny.yaml --model-name-or-path BASE \\\n"
            "      --data-dir TASKS --output-dir OUT --dry-run",
            "x3 recipe run configs/x3_tiny.yaml --model-name-or-path BASE \\\n"
            "      --data-dir TASKS --output-dir OUT --processes 2",
        ],
    )
    parser.usage = "x3 recipe run RECIPE [OPTIONS]"
    parser.add_argument(
        "recipe", metavar="RECIPE", type=Path, help="A YAML file such as configs/x3_tiny.yaml."
    )
    parser.option(
        "model_name_or_path", type=Path, required=True, help="Checkpoint of the first stage."
    )
    parser.option("data_dir", type=Path, required=True, help="Folder of the recipe's task files.")
    parser.option(
        "output_dir",
        type=Path,
        required=True,
        help="Output folder; each stage gets a folder in it.",
    )
    parser.option(
        "processes",
        type=int,
        default=1,
        help="Processes per stage, each with the recipe's batch sizes.",
    )
    parser.option("dry_run", action="store_true", help="Only print the commands.")
    given = vars(parser.parse_args(list(arguments)))
    from x3spatial.training.recipe import run_recipe

    dry = given["dry_run"]
    model = run_recipe(base=given.pop("model_name_or_path"), **given)
    if not dry:
        print_line(f"trained model: {model}")
    return 0


COMMANDS = {
    "recipe-run": run_recipe_command,
    "sft": sft_command,
    "check-data": check_data_command,
    "data-list": list_data_command,
}


def main(arguments: Sequence[str]) -> int:
    """Run ``COMMAND [OPTIONS]`` and return the exit code; an error is one line on stderr."""
    if not logger.handlers:
        _log_to_stderr()
    return guarded(lambda: _run(arguments))


def _log_to_stderr() -> None:
    """Print the package's messages; of several processes only the first prints its progress."""
    handler = logging.StreamHandler()
    handler.setFormatter(LogLine())
    logger.addHandler(handler)
    logger.propagate = False
    logger.setLevel(logging.INFO if os.environ.get("RANK", "0") == "0" else logging.WARNING)


def _run(arguments: Sequence[str]) -> int:
    if not arguments or arguments[0] not in COMMANDS:
        raise UserError(f"expected a command: {', '.join(COMMANDS)}")
    name = arguments[0]
    with packages_of("train", f"x3 {name if name == 'check-data' else name.replace('-', ' ')}"):
        return COMMANDS[name](arguments[1:])


def program(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run a command and exit; ``arguments`` default to those of the process."""
    given = sys.argv[1:] if arguments is None else arguments
    parent = os.environ.get(PARENT_VARIABLE, "")
    if parent.isdigit():
        end_with(int(parent))
    run_program(lambda: main(given))


if __name__ == "__main__":
    program()
