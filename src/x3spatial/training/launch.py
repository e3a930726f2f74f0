"""Run ``x3 sft`` in several processes of this machine, started by torchrun, that end with this one."""

from __future__ import annotations

import logging
import os
import shlex
import subprocess
import sys
from collections.abc import Sequence

from x3spatial.engine.parent import end_with
from x3spatial.errors import Diverged, UserError
from x3spatial.program import run_program
from x3spatial.program.signals import EXIT_CODE, PARENT_VARIABLE

_SIGNALLED = 128
_WAIT = 15.0
"""Seconds that the processes have to end after an interrupt."""


def shown(processes: int) -> str:
    """The command that a user would type in place of ``x3 sft``."""
    return f"torchrun {shlex.join(_options(processes))}"


def _options(processes: int) -> list[str]:
    return [
        *("--standalone", f"--nproc_per_node={processes}"),
        *("-m", "x3spatial.training.commands", "sft"),
    ]


def launch(processes: int, arguments: Sequence[str], name: str) -> None:
    """Run ``x3 sft`` in this many processes and wait for them.

    They end when this process does, even if it is killed.

    Args:
        processes: how many.
        arguments: options of ``x3 sft``.
        name: of the work, for messages.

    Raises:
        UserError: one of them failed; it has printed why.
        Diverged: the training diverged.
    """
    command = [
        *(sys.executable, "-m", "x3spatial.training.launch", str(os.getpid())),
        *_options(processes),
        *arguments,
    ]
    sys.stdout.flush()  # before the lines of the processes
    with subprocess.Popen(command) as process:  # noqa: S603
        try:
            code = process.wait()
        except BaseException:
            process.terminate()
            try:
                process.wait(_WAIT)
            except subprocess.TimeoutExpired:
                process.kill()
            raise
    if code == EXIT_CODE:
        raise KeyboardInterrupt
    if code == 1:
        raise Diverged(f"{name}: its processes stopped; see above")
    if code:
        number = code - _SIGNALLED if code > _SIGNALLED else -code
        how = f"exited with code {code}" if number < 0 else f"were ended by signal {number}"
        raise UserError(f"{name}: its processes {how}; see above")


def main(arguments: Sequence[str]) -> int:
    """torchrun with ``arguments``; returns 0, or the exit code of the process that failed first.

    128 + N stands for signal N.

    torchrun describes a failure on 80 lines; the process itself has printed the one that matters.
    """
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.run import main as torchrun

    logging.disable(logging.CRITICAL)
    try:
        torchrun(list(arguments))
    except ChildFailedError as error:
        _, failure = error.get_first_failure()
        code = int(failure.exitcode)
        return _SIGNALLED - code if code < 0 else code
    except SignalException:
        return EXIT_CODE
    return 0


def program() -> None:
    """Run ``PARENT OPTIONS...`` of this process's arguments, and exit."""
    end_with(int(sys.argv[1]))
    os.environ[PARENT_VARIABLE] = str(os.getpid())
    # As torchrun does, which prints a warning about it.
    os.environ.setdefault("OMP_NUM_THREADS", "1")

    run_program(lambda: main(sys.argv[2:]))


if __name__ == "__main__":
    program()
