"""x3 table: figures of the files, what is bold, names in every format, LaTeX that compiles."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

import x3spatial as x3
from helpers.task_sets import Scripted, make_set, rename_model
from x3spatial.cli import run as command
from x3spatial.errors import UserError
from x3spatial.evaluation.compare import compare
from x3spatial.evaluation.run import evaluate
from x3spatial.formats.results_file import read_results
from x3spatial.formats.task_file import read_records
from x3spatial.io.files import write_json
from x3spatial.reports.figures import difference_text, metric_text
from x3spatial.reports.table import ResultsTable, table
from x3spatial.reports.table_text import FORMATS, render_table

HOSTILE = "a|b_{c}$ \\x & 100% <img src=x onerror=alert(1)> [x] *y* `z` ~^#\n\x1b[31m"


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four runs on one set: right, half right, the same with another name, and one that reads masks."""
    folder = tmp_path_factory.mktemp("table")
    tasks = make_set(folder / "tasks", count=48, scenes=16)
    records = read_records(tasks)
    right: dict[str, str | Exception] = {r.id: r.answer for r in records}
    half: dict[str, str | Exception] = {
        r.id: r.answer if n % 2 else "[(0.9, 0.9)]" for n, r in enumerate(records)
    }
    for name, answers in {"good": right, "half": half, "equal": half, "oracle": right}.items():
        evaluate(tasks, folder / f"results/{name}/t1.json", Scripted(answers), workers=1)
        rename_model(folder / f"results/{name}/t1.json", name=name, privileged=name == "oracle")
    return folder / "results"


def cells(found: ResultsTable, metric: str) -> dict[str, Any]:
    return {row.name: row.cells.get((0, metric)) for row in found.rows}


def test_the_figures_are_those_of_the_files(runs: Path) -> None:
    found = table(runs, metrics=("all",))
    for name in ("good", "half", "equal", "oracle"):
        file = read_results(runs / name / "t1.json")
        row = next(row for row in found.rows if row.name == name)
        for (_, key), cell in row.cells.items():
            assert (cell.value, cell.ci95) == (file.metrics[key], file.ci95.get(key))
    chance = read_results(runs / "good/t1.json").chance
    assert {r.name for r in found.rows if r.kind == "chance"} == {
        f"chance: {name}" for name, values in chance.items() if values is not None
    }
    assert not any(row.kind == "chance" for row in table(runs, chance=False).rows)
    printed = list(csv.DictReader(io.StringIO(render_table(found, "csv"))))
    for line in printed:
        value = None if line["value"] == "" else float(line["value"])
        if line["metric"] == "hit_at_mask":
            assert line["text"] == metric_text("hit_at_mask", value)


def test_bold_needs_a_paired_difference_that_is_clear_against_every_model(runs: Path) -> None:
    found = cells(table(runs), "hit_at_mask")
    assert found["good"].bold and not found["half"].bold
    assert not found["oracle"].bold  # as good, but it reads masks; nor does it hinder "good"
    two = [runs / "half", runs / "equal"]
    assert not any(cell.bold for cell in cells(table(two), "hit_at_mask").values() if cell)
    shown = repr(table(runs, metrics=("hit_at_mask",)))
    assert [line.split()[-4] == ">" for line in shown.splitlines() if " good " in line] == [True]
    assert shown.count(">") == 2 and ">: better than every other model on the set" in shown
    alone = cells(table(runs / "good"), "hit_at_mask")
    assert not alone["good"].bold  # better than nobody
    # Less is better.
    errors = cells(table(runs, metrics=("mean_l2_error",)), "mean_l2_error")
    assert errors["good"].bold and not errors["half"].bold


def test_people_are_never_bold_and_hinder_nobody(runs: Path, tmp_path: Path) -> None:
    shutil.copytree(runs, tmp_path / "r")
    rename_model(tmp_path / "r/oracle/t1.json", kind="people", privileged=False, name="Ann")
    found = table(tmp_path / "r")
    by_name = {row.name: row for row in found.rows}
    assert by_name["Ann"].kind == "people" and not by_name["Ann"].cells[0, "hit_at_mask"].bold
    assert by_name["good"].cells[0, "hit_at_mask"].bold
    assert "| Ann† |" in render_table(found)


def test_differences_to_a_baseline_are_those_of_compare(runs: Path) -> None:
    found = table(runs, baseline="half", metrics=("all",))
    compared = compare(runs / "half/t1.json", runs / "good/t1.json")
    row = next(row for row in found.rows if row.name == "good")
    for expected in compared.differences:
        cell = row.cells[0, expected.metric]
        assert cell.difference == pytest.approx(expected.difference, abs=1e-12)
        if expected.ci95 is None:
            assert cell.difference_ci95 is None
        else:
            assert cell.difference_ci95 == pytest.approx(expected.ci95, abs=1e-12)
    # The other direction too, whatever the order of the runs.
    back = table(runs, baseline="good")
    turned = compare(runs / "good/t1.json", runs / "half/t1.json").differences
    cell = cells(back, "hit_at_mask")["half"]
    (hit,) = (e for e in turned if e.metric == "hit_at_mask")
    assert cell.difference == pytest.approx(hit.difference)
    assert cell.difference_ci95 == pytest.approx(hit.ci95)
    assert not cell.bold and cells(found, "hit_at_mask")["good"].bold
    text = render_table(found)
    assert difference_text("hit_at_mask", row.cells[0, "hit_at_mask"].difference) in text


def test_runs_on_different_files_are_in_different_sets(runs: Path, tmp_path: Path) -> None:
    tasks = make_set(tmp_path / "tasks", count=24, scenes=12)
    evaluate(tasks, tmp_path / "other/t1.json", Scripted(), workers=1)
    found = table([runs / "good", tmp_path / "other"])
    assert len(found.sets) == 2
    assert all(len({s for s, _ in row.cells}) == 1 for row in found.rows if row.kind == "run")
    assert not any(c.bold for row in found.rows for c in row.cells.values())


def test_results_scored_otherwise_are_not_compared(runs: Path, tmp_path: Path) -> None:
    shutil.copytree(runs, tmp_path / "r")
    x3.score(
        tmp_path / "r/half/t1.json",
        Path(read_results(runs / "half/t1.json").data.path),
        tmp_path / "r/half/t1.json",
        mask="tight",
        workers=1,
    )
    assert not cells(table(tmp_path / "r"), "hit_at_mask")["good"].bold


def hostile(runs: Path, folder: Path) -> ResultsTable:
    shutil.copytree(runs, folder / "r")
    rename_model(folder / "r/good/t1.json", name=HOSTILE)
    rename_model(folder / "r/half/t1.json", name="[x] after a line's end")
    rename_model(folder / "r/equal/t1.json", name="*starred")
    return table(folder / "r")


def test_names_cannot_break_a_markdown_table(runs: Path, tmp_path: Path) -> None:
    text = render_table(hostile(runs, tmp_path))
    rows = [line for line in text.splitlines() if line.startswith("|")]
    heads = len(re.findall(r"(?<!\\)\|", rows[0]))
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {heads}
    assert "<img" not in text and "\x1b" not in text and "&lt;img" in text


def test_csv_and_json_keep_names_and_all_digits(runs: Path, tmp_path: Path) -> None:
    found = hostile(runs, tmp_path)
    rows = list(csv.DictReader(io.StringIO(render_table(found, "csv"), newline="")))
    assert HOSTILE in {row["run"] for row in rows}
    value = json.loads(render_table(found, "json"))
    assert {row["run"] for row in value["rows"]} == {row["run"] for row in rows}
    hit = next(r for r in value["rows"] if r["run"] == HOSTILE and r["metric"] == "hit_at_mask")
    assert hit["value"] == read_results(tmp_path / "r/good/t1.json").metrics["hit_at_mask"]


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
@pytest.mark.parametrize("sets_as", ["rows", "columns"])
def test_latex_compiles_with_any_name(runs: Path, tmp_path: Path, sets_as: str) -> None:
    found = hostile(runs, tmp_path)
    for number, one in enumerate((found, table(runs, baseline="half"))):
        text = render_table(one, "latex", sets_as)
        source = tmp_path / f"t{number}.tex"
        source.write_text(
            "\\documentclass{article}\\usepackage[T1]{fontenc}\\usepackage{booktabs}\n"
            f"\\begin{{document}}\n{text}\\end{{document}}\n"
        )
        done = subprocess.run(
            ["pdflatex", "-halt-on-error", "-interaction=nonstopmode", source.name],
            cwd=tmp_path, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout[-1500:]
        assert "LaTeX Warning: Citation" not in done.stdout


def test_the_columns_of_latex_fit_its_rows(runs: Path) -> None:
    for sets_as in ("rows", "columns"):
        text = render_table(table(runs), "latex", sets_as)
        (columns,) = re.findall(r"\\begin\{tabular\}\{l(r+)\}", text)
        for line in text.splitlines():
            if line.endswith("\\\\") and "\\multicolumn" not in line:
                assert line.count(" & ") + line.startswith("& ") == len(columns), line


def test_the_command_writes_what_it_prints(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for kind in FORMATS:
        assert command(["table", str(runs), "--to", kind]) == 0
        printed = capsys.readouterr().out
        out = tmp_path / f"t.{kind}"
        for _ in range(2):  # an earlier table is replaced
            assert command(["table", str(runs), "--to", kind, "-o", str(out)]) == 0
        capsys.readouterr()
        with open(out, encoding="utf-8", newline="") as file:
            assert file.read().replace("\r\n", "\n") == printed.replace("\r\n", "\n")


def test_mistakes_are_one_line(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = tmp_path / "mine.md"
    mine.write_text("my notes\n")
    for arguments, says in (
        (["--sets", "t9"], "--sets t9: the results have t1_multi"),
        (["--baseline", "best"], "--baseline best: the runs are"),
        (["--metrics", "hits"], "--metrics hits: known are"),
        (["--to", "html"], "--to html: must be one of md, latex, csv, json"),
        (["--sets-as", "cells"], "--sets-as cells: must be one of rows, columns"),
        (["-o", str(mine)], "exists and is no table of x3 table"),
    ):
        assert command(["table", str(runs), *arguments]) == 2
        assert says in capsys.readouterr().err
    assert mine.read_text() == "my notes\n"
    write_json(tmp_path / "x.json", {"a": 1})
    with pytest.raises(UserError, match="not a results file"):
        table(tmp_path / "x.json")
