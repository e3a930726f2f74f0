"""Runs a block of a page in a folder that ``docs.stand_ins`` has prepared."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from docs.markdown import Block
from docs.stand_ins import provide
from helpers.paths import REPOSITORY

PROGRAMS = (
    "x3",
    "python",
    "bash",
    "cd",
    "echo",
    "cat",
    "ls",
    "mkdir",
    "cp",
    "seq",
    "xargs",
    "wait",
)
"""What blocks may run here."""

_DATA = re.compile(r"(?<![\w.])/data/")
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=")


def without_variables(words: list[str]) -> list[str]:
    """A command without the variables that are set for it."""
    while words and _ASSIGNMENT.match(words[0]):
        words = words[1:]
    return words


def run(block: Block, folder: Path, **variables: str) -> str:
    """What a block prints on stdout; ``/data/`` in it is ``data`` in the folder.

    Raises:
        AssertionError: it fails, or names a program that cannot run here.
    """
    provide(block.text, folder)
    text = _DATA.sub(f"{folder}/data/", block.text)
    if block.language == "python":
        command = [sys.executable, "-c", text]
    else:
        for words in map(without_variables, block.commands()):
            assert not words or words[0] in PROGRAMS, (
                f"{block}: '{' '.join(words)}' cannot run here; write <!-- not run: KIND: reason --> before"
                " the block"
            )
        command = ["bash", "-e", "-o", "pipefail", "-c", text]
    done = subprocess.run(
        command,
        cwd=folder,
        env={**_environment(folder), **variables},
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, f"{block}\n{text}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
    return done.stdout


def _environment(folder: Path) -> dict[str, str]:
    """Our sources and the programs of ``clone`` first, one thread, this interpreter for scripts."""
    sources = os.pathsep.join(filter(None, [str(REPOSITORY / "src"), os.environ.get("PYTHONPATH")]))
    path = os.pathsep.join([str(folder / ".bin"), os.environ.get("PATH", "")])
    fixed = {"PYTHONPATH": sources, "PATH": path, "OMP_NUM_THREADS": "1", "PYTHON": sys.executable}
    return {**os.environ, **fixed}
