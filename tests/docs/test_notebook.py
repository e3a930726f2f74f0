"""The notebook runs as it is stored, gives what is stored, and its page is made from it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys

import pytest

from helpers.paths import REPOSITORY

sys.path.insert(0, str(REPOSITORY / "scripts"))

import run_notebook

SCRIPT = REPOSITORY / "scripts" / "run_notebook.py"
HINT = "run: python scripts/run_notebook.py"


@pytest.fixture(scope="module")
def stored() -> run_notebook.Notebook:
    return run_notebook.read()


def test_a_run_gives_the_stored_outputs() -> None:
    """Errors and warnings of cells fail, too. In a process of its own, because of torch and event loops."""
    path = os.pathsep.join(filter(None, [str(REPOSITORY / "src"), os.environ.get("PYTHONPATH")]))
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--check"],
        env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{done.stderr[-4000:]}\n{HINT}"


def test_the_page_is_made_from_the_notebook(stored: run_notebook.Notebook) -> None:
    text, pictures = run_notebook.page(stored)
    assert run_notebook.PAGE.read_text(encoding="utf-8") == text, HINT
    there = {path.name: path.read_bytes() for path in run_notebook.PICTURES.iterdir()}
    assert there == pictures, HINT


def test_the_stored_notebook_is_small_and_holds_nothing_of_the_machine(
    stored: run_notebook.Notebook,
) -> None:
    text = run_notebook.NOTEBOOK.read_text(encoding="utf-8")
    assert len(text) < run_notebook.LARGEST
    assert json.loads(text)["metadata"].keys() == {"kernelspec", "language_info"}
    cells = run_notebook.code_cells(stored)
    assert [cell.execution_count for cell in cells] == [*range(1, len(cells) + 1)]
    assert sum(map(len, map(run_notebook.pictures, cells))) >= 4
    outputs = [text for cell in cells for text in run_notebook.texts(cell)]
    words = "\n".join([*(cell.source for cell in stored.cells), *outputs])
    assert not re.search(
        r"(?<![\w.:/)])/(?:home|root|tmp|Users|work|data|content)\b|\b[A-Z]:\\", words
    )


def test_the_first_cell_installs_only_what_is_missing(stored: run_notebook.Notebook) -> None:
    """As on Colab: the CPU build of torch only where there is neither torch nor a GPU."""
    first = run_notebook.code_cells(stored)[0].source
    for missing, gpu, expected in (
        ({"x3spatial", "torch"}, False, ["torch", "x3spatial"]),
        ({"x3spatial", "torch"}, True, ["x3spatial"]),
        ({"x3spatial"}, False, ["x3spatial"]),
        (set(), False, []),
    ):
        assert installed(first, missing, gpu=gpu) == expected


def installed(cell: str, missing: set[str], *, gpu: bool) -> list[str]:
    """The packages that the cell installs where others are missing, in order."""
    import importlib.util
    import shutil
    from unittest import mock

    asked: list[str] = []
    magic = re.compile(r"^( *)%pip install (.*)$", re.MULTILINE)
    code = magic.sub(lambda found: f"{found[1]}pip({found[2]!r})", cell)
    assert code.count("pip(") == 2

    def pip(line: str) -> None:
        asked.append(re.findall(r"\b(torch|x3spatial)\b", line)[0])
        assert ("whl/cpu" in line) == (asked[-1] == "torch")

    def find_spec(name: str) -> object:
        return None if name in missing else object()

    with (
        mock.patch.object(importlib.util, "find_spec", find_spec),
        mock.patch.object(shutil, "which", lambda name: "/usr/bin/x" if gpu else None),
    ):
        exec(code, {"pip": pip})
    return asked


def cell_with(text: str) -> run_notebook.Notebook:
    import nbformat.v4 as v4

    output = v4.new_output("stream", name="stdout", text=text)
    return v4.new_notebook(cells=[v4.new_code_cell("", outputs=[output])])


@pytest.mark.parametrize(
    ("now", "same"),
    [
        ("Hit@Mask 54.4 [44.9, 63.3]", True),
        ("Hit@Mask  56.0 [44.9, 63.3]", True),
        ("Hit@Mask 74.4 [44.9, 63.3]", False),
        ("Hit@Mask 54.4", False),
        ("Success 54.4 [44.9, 63.3]", False),
    ],
)
def test_other_words_and_other_numbers_are_differences(now: str, same: bool) -> None:
    stored = cell_with("Hit@Mask 54.4 [44.9, 63.3]")
    assert (list(run_notebook.differences(stored, cell_with(now))) == []) is same
