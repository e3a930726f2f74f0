"""What every command has in common: one line per error, signals, standard streams.

It imports nothing heavy, so that signals are handled before anything heavy is imported.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import NoReturn

from x3spatial.program import signals, streams
from x3spatial.program.reporting import guarded


def run_program(work: Callable[[], int]) -> NoReturn:
    """Run ``work`` as the whole of this process, and exit with its exit code.

    Signals end it as Ctrl-C does, errors are one line on stderr, and output that nobody reads does not stop
    the work.
    """

    def guarded_work() -> int:
        # Inside, because a signal may arrive during both.
        streams.protect()  # first: a file that is opened may get the number of a closed stream
        signals.install()
        return work()

    code = guarded(guarded_work)
    signals.work_is_over()
    code = streams.close(code)
    if code == signals.EXIT_CODE:
        signals.end_without_finalization()
    sys.exit(code)
