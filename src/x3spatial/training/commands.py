"""The commands of this package, for the command line: sft, check-data, data list.

Options may be written with dashes or underscores.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from x3spatial.errors import UserError


class _Parser(argparse.ArgumentParser):
    """argparse whose complaints are UserErrors of one line."""

    def error(self, message: str) -> NoReturn:
        raise UserError(f"{self.prog}: {message}; see {self.prog} --help")

    def option(self, name: str, **settings: Any) -> None:
        """Add ``--name`` under both spellings."""
        spellings = dict.fromkeys([f"--{name}", f"--{name.replace('_', '-')}"])
        self.add_argument(*spellings, **settings)


def check_data_command(arguments: Sequence[str]) -> int:
    """``x3 check-data``: all samples checked, one batch made, no weights loaded.

    Raises:
        UserError: an option is wrong, or the data is; see ``checks.check_data``.
    """
    parser = _Parser(prog="x3 check-data", description=check_data_command.__doc__)
    parser.option("data_path", type=Path, help="A task file of x3 build.")
    parser.option("data_mixture", default="", help='Data sets of the registry or paths: "a+b*3".')
    parser.option("data_registry", type=Path, help="YAML file that names data sets.")
    parser.option(
        "model_name_or_path",
        type=Path,
        help="A checkpoint or tokenizer folder; without one 448 pixels and a small tokenizer.",
    )
    parser.option("image_folder", type=Path, default=Path("/"), help="Of relative image paths.")
    parser.option("image_aspect_ratio", default="resize", help="resize, pad or dynamic.")
    parser.option("batch_size", type=int, default=1, help="Samples of the batch.")
    parser.option("model_max_length", type=int, default=8192, help="Tokens, images included.")
    parser.option("long_samples", default="error", help="Longer samples: error or drop.")
    parser.option("enable_depth", action="store_true", help="With depth maps.")
    parser.option("depth_path", type=Path, help="Folder with depth maps.")
    parser.option("show", type=int, default=1, help="Samples to print as the model reads them.")
    given = vars(parser.parse_args(list(arguments)))
    from x3spatial.training.checks import check_data

    check_data(**given)
    return 0


def list_data_command(arguments: Sequence[str]) -> int:
    """``x3 data list``: what a registry holds; exit 1 if a file is missing.

    Raises:
        UserError: the registry cannot be used.
    """
    parser = _Parser(prog="x3 data list", description=list_data_command.__doc__)
    parser.option(
        "data_registry", type=Path, default=Path("configs/mixtures.yaml"), help="A YAML file."
    )
    given = parser.parse_args(list(arguments))
    from x3spatial.training.mixtures import list_data

    rows = list_data(given.data_registry)
    width = max((len(row.name) for row in rows), default=0)
    for row in rows:
        count = "-" if row.samples is None else str(row.samples)
        print(f"{row.name:{width}}  {row.kind:8}  {count:>8} per epoch  {row.definition}")
    problems = dict.fromkeys(row.problem for row in rows if row.problem)
    for problem in problems:
        print(problem, file=sys.stderr)
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
    parser = _Parser(prog="x3 recipe run", description=run_recipe_command.__doc__)
    parser.add_argument("recipe", type=Path, help="A YAML file such as configs/x3_tiny.yaml.")
    parser.option(
        "model_name_or_path", type=Path, required=True, help="The first stage starts from it."
    )
    parser.option("data_dir", type=Path, required=True, help="Folder of the recipe's task files.")
    parser.option(
        "output_dir", type=Path, required=True, help="A folder for every stage goes here."
    )
    parser.option(
        "processes", type=int, default=1, help="Of each stage, by torchrun; batch sizes are of one."
    )
    parser.option("dry_run", action="store_true", help="Only print the commands.")
    given = vars(parser.parse_args(list(arguments)))
    from x3spatial.training.recipe import run_recipe

    dry = given["dry_run"]
    model = run_recipe(base=given.pop("model_name_or_path"), **given)
    if not dry:
        print(f"trained model: {model}")
    return 0


COMMANDS = {
    "recipe-run": run_recipe_command,
    "sft": sft_command,
    "check-data": check_data_command,
    "data-list": list_data_command,
}


def main(arguments: Sequence[str]) -> int:
    """Run ``COMMAND [OPTIONS]``; a user's mistake is one line on stderr and exit code 2."""
    try:
        if not arguments or arguments[0] not in COMMANDS:
            raise UserError(f"expected a command: {', '.join(COMMANDS)}")
        return COMMANDS[arguments[0]](arguments[1:])
    except UserError as error:
        print(f"x3: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("x3: interrupted; the same command continues where it stopped", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
