#!/usr/bin/env python3
"""Install x3spatial in every way that docs/install.md prints, and print a JSON line of what each costs.

With ``--lines FILE`` the lines of earlier runs become docs/figures/install.json. `scripts/figures.py install`
does both at once, with pip; this is for single ways, for uv, and for machines that get torch from elsewhere.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

from figure_tools import install
from figure_tools.files import FigureError


def main() -> int:
    """Measure the named ways (default: all), or write from lines; 1 if one fails, 2 for a user's error."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("ways", nargs="*", metavar="WAY")
    parser.add_argument("--dist", type=Path, help="folder with the wheel")
    parser.add_argument("--lines", type=Path, help="lines of earlier runs; nothing is installed")
    parser.add_argument(
        "--made-by", default="python scripts/measure_installs.py", help="with --lines"
    )
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--installer", default="pip", help="pip (default), or the path of uv")
    parser.add_argument(
        "--cpu-torch",
        default=install.CPU_TORCH,
        help="what pip installs for the CPU build of torch (default: %(default)s)",
    )
    given = parser.parse_args()
    if given.lines:
        lines = given.lines.read_text(encoding="utf-8").splitlines()
        results = [install.Installed(**json.loads(line)) for line in lines]
        try:
            print(f"wrote {install.write(results, given.made_by)}")
        except FigureError as error:
            print(f"measure_installs.py: {error}", file=sys.stderr)
            return 2
        return 0
    if given.dist is None or not list(given.dist.glob("x3spatial-*.whl")):
        parser.error(
            f"--dist {given.dist}: name a folder with the wheel (pip wheel --no-deps -w DIR .)"
        )
    chosen = [
        way for way in install.ways(given.dist, given.cpu_torch.split())
        if not given.ways or way.name in given.ways
    ]  # fmt: skip
    status = 0
    with tempfile.TemporaryDirectory(prefix="x3-install-") as folder:
        for way in chosen:
            result = install.installed(way, given.python, Path(folder), given.installer)
            status |= bool(result.failed)
            print(json.dumps(asdict(result)), flush=True)
    return status


if __name__ == "__main__":
    raise SystemExit(main())
