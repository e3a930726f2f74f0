"""Run as a script: a build that kills itself at the n-th thing that it writes (``kill_at``)."""

from __future__ import annotations

import sys

from helpers.killing import kill_at
from x3spatial.builder.options import BuildOptions
from x3spatial.builder.run import build_tasks


def main(root: str, out: str, at: str, workers: str) -> None:
    written = kill_at(int(at))
    build_tasks(
        root,
        out,
        BuildOptions(tasks=("t1_multi", "t2a_multi", "hard"), mode="allpairs", decoys=True),
        workers=int(workers),
    )
    print(written())


if __name__ == "__main__":
    main(*sys.argv[1:])
