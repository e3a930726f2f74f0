"""Running a program of ``tests/peers`` in the Python of another package."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

PROGRAMS = Path(__file__).parents[1] / "peers"


def run_peer(
    python: str, program: str, *arguments: object, cwd: Path | None = None, **variables: str
) -> Any:
    """What a program prints last, as JSON; ``variables`` are added to its environment.

    ``python`` may be relative to this process' folder, whatever ``cwd`` is.
    """
    interpreter = Path(shutil.which(python) or python).absolute()
    done = subprocess.run(
        [interpreter, str(PROGRAMS / program), *map(str, arguments)],
        capture_output=True, text=True, cwd=cwd, env={**os.environ, **variables},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])
