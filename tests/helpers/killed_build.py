"""Run as a script: a build that kills itself at the n-th thing that it writes.

Things are files (images, task files, the manifest) and lines of the journal. The process is killed before it
finishes the n-th one, or, with a minus sign, right after.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from typing import Any

from x3spatial.builder.options import BuildOptions
from x3spatial.builder.run import build_tasks
from x3spatial.io.journal import Journal

_LOCK = threading.Lock()


def main(root: str, out: str, at: str, workers: str) -> None:
    left = abs(int(at))
    written = 0

    def dying(real: Callable[..., Any]) -> Callable[..., Any]:
        def write(*args: Any, **kwargs: Any) -> Any:
            nonlocal written
            with _LOCK:
                written += 1
                if written == left and int(at) > 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                found = real(*args, **kwargs)
                if written == left:
                    os.kill(os.getpid(), signal.SIGKILL)
                return found

        return write

    os.replace = dying(os.replace)
    Journal.append_line = dying(Journal.append_line)  # type: ignore[method-assign]
    build_tasks(
        root,
        out,
        BuildOptions(tasks=("t1_multi", "t2a_multi", "hard"), mode="allpairs", decoys=True),
        workers=int(workers),
    )
    print(written)


if __name__ == "__main__":
    main(*sys.argv[1:])
