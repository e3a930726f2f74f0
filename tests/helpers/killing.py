"""A process that kills itself at the n-th thing that it writes: a file in its place, a line of a journal."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from typing import Any

from x3spatial.io.journal import Journal


def kill_at(at: int) -> Callable[[], int]:
    """Kill this process before the ``at``-th thing is there; with a minus sign, right after; 0: not at all.

    Returns:
        Gives the number of things written up to now.
    """
    lock = threading.RLock()
    written = 0

    def dying(real: Callable[..., Any]) -> Callable[..., Any]:
        def write(*args: Any, **kwargs: Any) -> Any:
            nonlocal written
            with lock:
                written += 1
                if written == at:
                    os.kill(os.getpid(), signal.SIGKILL)
                found = real(*args, **kwargs)
                if written == -at:
                    os.kill(os.getpid(), signal.SIGKILL)
                return found

        return write

    os.replace, os.rename = dying(os.replace), dying(os.rename)
    Journal.append_line = dying(Journal.append_line)  # type: ignore[method-assign]
    return lambda: written
