"""Processes that end with the one that started them, also if it is killed outright.

Otherwise they would continue and could write the same files as the next run.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time

_POLL = 0.2
_forks_end: list[bool] = []


def end_forks_with_this_process() -> None:
    """Forked children of this process, such as workers of torch's data loaders, end when it does."""
    if hasattr(os, "register_at_fork") and not _forks_end:
        _forks_end.append(True)
        os.register_at_fork(after_in_child=lambda: end_with(os.getppid()))


def end_with(parent: int) -> None:
    """End this process when ``parent``, the process that started it, ends; at once if it already has."""
    if sys.platform == "linux":
        set_parent_death_signal = 1  # PR_SET_PDEATHSIG, from <linux/prctl.h>
        ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
    if sys.platform == "linux":
        return

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_POLL)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
