"""Run as a script: an import that kills itself at the n-th thing that it writes (``kill_at``)."""

from __future__ import annotations

import sys
from pathlib import Path

from helpers.killing import kill_at
from x3spatial.importers.run import import_scans


def main(kind: str, source: str, out: str, at: str) -> None:
    written = kill_at(int(at))
    import_scans(kind, Path(source), Path(out), workers=1)
    print(written())


if __name__ == "__main__":
    main(*sys.argv[1:])
