"""x3 plot: every kind and format, the same bytes, sizes, refused inputs; matplotlib only where needed."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from helpers.paths import SRC
from helpers.task_sets import Scripted, make_set, rename_model
from x3spatial.cli import run as command
from x3spatial.evaluation.run import evaluate
from x3spatial.formats.task_file import read_records
from x3spatial.reports.plot import plot
from x3spatial.reports.plot_options import KINDS, SUFFIXES

pytest.importorskip("matplotlib")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("plot")
    tasks = make_set(folder / "tasks", count=24, scenes=12)
    records = read_records(tasks)
    half: dict[str, str | Exception] = {
        r.id: r.answer if n % 2 else "[(0.9, 0.9)]" for n, r in enumerate(records)
    }
    evaluate(tasks, folder / "results/half/t1.json", Scripted(half), workers=1)
    evaluate(tasks, folder / "results/centre/t1.json", "centre", workers=1)
    return folder / "results"


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_the_same_bytes_twice(runs: Path, tmp_path: Path, kind: str) -> None:
    names = []
    for number in range(2):
        names.append(tmp_path / f"{number}.svg")
        drawn = plot(runs, names[-1], kind=kind)
        assert drawn.runs and drawn.sets == ("t1_multi",)
    assert names[0].read_bytes() == names[1].read_bytes()


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_formats_replace_their_own(runs: Path, tmp_path: Path, suffix: str) -> None:
    out = tmp_path / f"f{suffix}"
    plot(runs, out)
    first = out.read_bytes()
    plot(runs, out)
    assert out.read_bytes() == first
    plot(runs, out, kind="errors")
    assert out.read_bytes() != first


def test_the_size_is_that_of_a_column(runs: Path, tmp_path: Path) -> None:
    for width, inches in (("column", 3.4), ("text", 7.0)):
        plot(runs, tmp_path / "f.png", width=width, dpi=100)
        with Image.open(tmp_path / "f.png") as image:
            assert image.width == round(100 * inches)


def test_names_are_text_not_markup(runs: Path, tmp_path: Path) -> None:
    shutil.copytree(runs, tmp_path / "r")
    rename_model(tmp_path / "r/half/t1.json", name="$\\frac{x$ <b>&\x1b[31m")
    rename_model(tmp_path / "r/centre/t1.json", name="中文 模型")
    plot(tmp_path / "r", tmp_path / "f.svg")  # no formula, no font warning
    assert b"\x1b" not in (tmp_path / "f.svg").read_bytes()


def test_what_cannot_be_drawn_is_said(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = tmp_path / "mine.png"
    Image.new("RGB", (4, 4)).save(mine)
    before = mine.read_bytes()
    for arguments, says in (
        (["-o", str(mine)], "exists and is no figure of x3 plot"),
        (["-o", str(tmp_path / "f.gif")], "name a file that ends in .pdf, .svg, .png"),
        (["-o", str(tmp_path / "f.svg"), "--kind", "pie"], "--kind pie: must be one of success"),
        (["-o", str(tmp_path / "f.svg"), "--width", "wide"], "--width wide: must be one of column"),
        (["-o", str(tmp_path / "f.svg"), "--by", "size"], "--by: only for --kind strata"),
        (
            ["-o", str(tmp_path / "f.svg"), "--kind", "strata", "--by", "angle"],
            "--kind strata: the results have no angle",
        ),
        (["-o", str(tmp_path / "f.svg"), "--dpi", "1"], "--dpi 1: must be between"),
    ):
        assert command(["plot", str(runs), *arguments]) == 2
        assert says in capsys.readouterr().err
    assert mine.read_bytes() == before and not (tmp_path / "f.svg").exists()


def test_without_matplotlib_the_command_names_it(runs: Path, tmp_path: Path) -> None:
    code = "import sys; sys.modules['matplotlib'] = None; from x3spatial.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "plot", str(runs), "-o", str(tmp_path / "f.pdf")],
        env={"PYTHONPATH": str(SRC), "PATH": ""}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert 'pip install "x3spatial[plots]"' in done.stderr
