"""Run as a script: an import that kills itself after it has written the n-th file."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

from x3spatial.importers.run import import_scans


def main(kind: str, source: str, out: str, at: str) -> None:
    real, written = os.replace, 0

    def replace(*args: Any, **kwargs: Any) -> None:
        nonlocal written
        written += 1
        real(*args, **kwargs)
        if written == int(at):
            os.kill(os.getpid(), signal.SIGKILL)

    os.replace = replace
    import_scans(kind, Path(source), Path(out), workers=1)
    print(written)


if __name__ == "__main__":
    main(*sys.argv[1:])
