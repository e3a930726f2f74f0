"""``python -m x3spatial`` is ``x3``."""

import sys
from collections.abc import Sequence
from typing import NoReturn

from x3spatial.program import run_program


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run ``x3`` and exit; ``arguments`` default to those of the process.

    Unlike ``x3spatial.cli.main`` it handles signals before the command line is imported.
    """
    given = sys.argv[1:] if arguments is None else arguments

    def work() -> int:
        from x3spatial.cli import run

        return run(given)

    run_program(work)


if __name__ == "__main__":
    main()
