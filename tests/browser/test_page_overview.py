"""The overview: figures, sorting, columns, baseline, and the table's text for papers."""

from __future__ import annotations

import copy
import csv
import io
import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from helpers.page_data import HOSTILE, put
from helpers.page_data import Page as Written
from helpers.pages import Opener

if TYPE_CHECKING:
    from playwright.sync_api import Page


pytestmark = pytest.mark.browser


def cells(written: Written, set_number: int = 0) -> list[dict[str, Any]]:
    return [cell for cell in written.report["cells"] if cell["set"] == set_number]


def defaults(written: Written) -> list[dict[str, Any]]:
    return [metric for metric in written.report["metrics"] if metric["default"]]


def names(page: Page) -> list[str]:
    """Runs of the first set in the order of the table."""
    return page.locator(".results tbody").first.locator("tr.run .run-text").all_inner_texts()


def test_the_figures_are_those_of_the_files(written: Written, opened: Opener) -> None:
    page = opened(written.folder)
    assert "has no intervals" not in page.locator(".notes").first.inner_text()
    for number, body in enumerate(page.locator(".results tbody").all()):
        for cell, row in zip(cells(written, number), body.locator("tr.run").all(), strict=True):
            entries = row.locator("td").all()
            for metric, entry in zip(defaults(written), entries, strict=True):
                key = metric["key"]
                assert entry.locator(".figure").inner_text() == cell["text"][key]
                interval = cell["ci95"][key]
                if interval is None:
                    assert entry.locator(".interval").count() == 0
                else:
                    scale, digits = (100, 1) if metric["percent"] else (1, 3)
                    low, high = (f"{scale * bound:.{digits}f}" for bound in interval)
                    assert entry.locator(".interval").inner_text() == f"[{low}, {high}]"


def test_heads_end_where_their_figures_end(
    written: Written, opened: Opener, tmp_path: Path
) -> None:
    # Few samples: figures without intervals, in columns as narrow as their heads.
    folder = tmp_path / "report"
    shutil.copytree(written.folder, folder)
    report = copy.deepcopy(written.report)
    for cell in report["cells"]:
        cell["ci95"], cell["ci_unit"] = dict.fromkeys(cell["ci95"]), None
    put(folder, "report", report)
    page = opened(folder, size=(1280, 900))
    assert "too few objects has no intervals" in page.locator(".notes").first.inner_text()
    for head in page.locator(".results thead button").all():
        assert head.evaluate("e => e.scrollWidth - e.clientWidth") <= 0, head.inner_text()


def test_rounding_is_that_of_python(written: Written, opened: Opener, tmp_path: Path) -> None:
    # Ties that binary fractions hold exactly go to the even digit in Python and up in JavaScript.
    folder = tmp_path / "report"
    shutil.copytree(written.folder, folder)
    values = [0.0625, 0.0635, 0.125, 0.375, 0.40625, 0.0005, 0.9995, 0.3125]
    report = {**written.report, "cells": [dict(cell) for cell in written.report["cells"]]}
    for cell, value in zip(report["cells"], values, strict=False):
        cell["ci95"] = {**cell["ci95"], "hit_at_mask": [value, value]}
    put(folder, "report", report)
    page = opened(folder, "#/overview?columns=hit_at_mask")
    texts = page.locator("tr.run .interval").all_inner_texts()
    assert texts == [f"[{100 * v:.1f}, {100 * v:.1f}]" for v in values[: len(texts)]]


def test_sorting(written: Written, opened: Opener) -> None:
    page = opened(written.folder)
    start = names(page)
    head = page.get_by_role("columnheader", name="mean L2")
    by_error = sorted(cells(written), key=lambda cell: cell["metrics"]["mean_l2_error"])
    order = [written.report["runs"][cell["run"]]["name"] for cell in by_error]
    head.get_by_role("button").click()
    assert names(page) == order[::-1] and head.get_attribute("aria-sort") == "descending"
    head.get_by_role("button").press("Enter")
    assert names(page) == order and head.get_attribute("aria-sort") == "ascending"
    page.reload()
    assert names(page) == order
    head.get_by_role("button").click()
    assert names(page) == start and head.get_attribute("aria-sort") == "none"
    page.get_by_role("columnheader", name="Run").first.get_by_role("button").click()
    assert names(page) == sorted(start)


def test_columns_are_chosen_and_linked(written: Written, opened: Opener) -> None:
    page = opened(written.folder)
    page.get_by_role("button", name=re.compile("^Columns")).click()
    page.get_by_role("checkbox", name="errors").check()
    page.get_by_role("checkbox", name="balanced accuracy").uncheck()
    page.keyboard.press("Escape")
    heads = page.locator(".results thead").locator("th").all_inner_texts()
    assert any(head.startswith("errors") for head in heads)
    assert not any(head.startswith("balanced") for head in heads)
    again = opened(written.folder, page.url[page.url.index("#") :])
    assert again.locator(".results thead").locator("th").all_inner_texts() == heads


def test_a_baseline_shows_the_paired_differences(written: Written, opened: Opener) -> None:
    page = opened(written.folder, "#/overview?columns=hit_at_mask,balanced_accuracy")
    page.get_by_role("button", name=f"Pin as baseline: {HOSTILE}").first.click()
    assert "baseline=" in page.url
    rows = page.locator(".results tbody").first.locator("tr.run")
    found = [
        [entry.locator(".difference").all_inner_texts() for entry in row.locator("td").all()]
        for row in rows.all()
    ]
    # The file has 2 - 0 and 2 - 1; the page turns them: 0 - 2 and 1 - 2.
    assert found == [
        [["+10.0* [+7.0, +13.0]"], ["+1.0 [−1.0, +3.0]"]],
        [["+5.0* [+2.0, +8.0]"], ["+1.0 [−1.0, +3.0]"]],
        [[], []],
    ]
    assert rows.nth(0).locator(".difference.good").count() == 1
    assert [row.locator("strong").count() for row in rows.all()] == [1, 1, 0]
    assert f"Differences are paired, to {HOSTILE}" in page.locator(".notes").inner_text()
    page.get_by_role("button", name=re.compile("Remove the baseline:")).click()
    assert page.locator(".difference").count() == 0 and "baseline" not in page.url


def test_bold_is_what_beats_every_other_run(written: Written, opened: Opener) -> None:
    page = opened(written.folder)
    best = written.report["runs"][0]["name"]
    for body in page.locator(".results tbody").all():
        for row in body.locator("tr.run").all():
            bold = row.locator("strong").count()
            # Balanced accuracy has differences as well, but their intervals contain 0.
            assert bold == (2 if row.locator(".run-text").inner_text() == best else 0)


def test_people_and_privileged_runs_are_no_competitors(
    written: Written, opened: Opener, tmp_path: Path
) -> None:
    folder = tmp_path / "report"
    shutil.copytree(written.folder, folder)
    for field, mark in (("privileged", r"\*"), ("people", "†")):
        runs = [dict(run) for run in written.report["runs"]]
        runs[0][field] = True
        put(folder, "report", {**written.report, "runs": runs})
        page = opened(folder)
        rows = page.locator(".results tbody").first.locator("tr.run")
        # The first run still beats the others; the second now has only the third to beat.
        assert [row.locator("strong").count() for row in rows.all()] == [0, 2, 0]
        text = exported(page, "Markdown")
        assert f"| tiny-8B{mark} |" in text and f"{mark}:" in text


def test_chance_rows(written: Written, opened: Opener) -> None:
    page = opened(written.folder)
    rows = page.locator(".results tbody").first.locator("tr.chance")
    assert [row.locator("th").inner_text() for row in rows.all()] == [
        "chance: centre", "chance: uniform", "chance: always-not-visible",
    ]  # fmt: skip
    assert rows.nth(0).locator("td .figure").all_inner_texts()[1] == "4.1"
    page.get_by_role("checkbox", name="Chance rows").uncheck()
    assert rows.count() == 0 and "chance=0" in page.url


def test_problems_and_unfinished_runs_are_always_visible(written: Written, opened: Opener) -> None:
    page = opened(written.folder)
    for view in ("Overview", "Plots", "Gallery"):
        page.get_by_role("button", name=view).first.click()
        assert (
            page.locator(".problems summary").inner_text().startswith("!\n2 problems in the data")
        )
    page.locator(".problems summary").click()
    for problem in written.report["problems"]:
        assert page.locator(".problems tr", has_text=problem["path"]).is_visible()
    page.get_by_role("button", name="Overview").click()
    row = page.locator(".results tbody").first.locator("tr.run", has_text="oracle (noisy)")
    assert row.locator(".tag").all_inner_texts() == ["unfinished", "24 missing"]


def exported(page: Page, kind: str) -> str:
    page.get_by_role("button", name="Export").click()
    page.get_by_role("button", name=kind, exact=True).click()
    text = page.locator("dialog textarea").input_value()
    page.get_by_role("button", name="Copy", exact=True).click()
    page.get_by_text("Copied").wait_for()
    page.keyboard.press("Escape")
    return text


def pasted(page: Page) -> str:
    """What the clipboard holds, by pasting it as a reader would."""
    page.evaluate("""() => {
        const area = document.createElement("textarea");
        area.id = "paste";
        document.body.append(area);
        area.focus();
    }""")
    page.keyboard.press("Control+V")
    return page.locator("#paste").input_value()


def test_copied_markdown(written: Written, opened: Opener) -> None:
    page = opened(written.folder, "#/overview?columns=total,hit_at_mask")
    text = exported(page, "Markdown")
    assert pasted(page) == text
    head, line, *rows = text.split("\n\n")[0].splitlines()
    assert head == "| Set | Run | samples | Hit@Mask (%) |" and line == "|---|---|---:|---:|"
    cell = cells(written)[0]
    low, high = (f"{100 * bound:.1f}" for bound in cell["ci95"]["hit_at_mask"])
    assert rows[0] == (
        f"| Task1 multi · val | tiny-8B | 240 | **{cell['text']['hit_at_mask']}** [{low}, {high}] |"
    )
    assert r"\<img src=x onerror=window.hacked=1\>" in rows[2] and HOSTILE not in text
    assert len(rows) == 2 * (3 + 3)


def test_copied_csv_has_the_numbers_of_the_files(written: Written, opened: Opener) -> None:
    page = opened(written.folder)
    rows = list(csv.DictReader(io.StringIO(exported(page, "CSV"))))
    runs = [row for row in rows if row["kind"] == "run"]
    assert len(runs) == len(written.report["cells"])
    for row, cell in zip(runs, written.report["cells"], strict=True):
        assert row["run"] == written.report["runs"][cell["run"]]["name"]
        for metric in defaults(written):
            key = metric["key"]
            assert float(row[key]) == cell["metrics"][key]
            if cell["ci95"][key]:
                assert [float(row[f"{key}_low"]), float(row[f"{key}_high"])] == cell["ci95"][key]


@pytest.mark.parametrize("hash", ["", "#/overview?baseline=tiny-8B"])
def test_copied_latex_compiles(written: Written, opened: Opener, tmp_path: Path, hash: str) -> None:
    if shutil.which("pdflatex") is None:
        pytest.skip("pdflatex is not installed")
    text = exported(opened(written.folder, hash), "LaTeX")
    assert "\\toprule" in text and "\\bottomrule" in text
    best = cells(written)[0]["text"]["hit_at_mask"]
    assert (f"\\textbf{{{best}}}" in text) == ("textbf" in text) == (hash == "")
    source = (
        "\\documentclass{article}\n\\usepackage{booktabs,textcomp}\n"
        f"\\begin{{document}}\n\\small\n{text}\\end{{document}}\n"
    )
    (tmp_path / "table.tex").write_text(source, encoding="utf-8")
    done = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "table.tex"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:]


def test_the_exported_file_is_the_copied_text(written: Written, opened: Opener) -> None:
    page = opened(written.folder)
    page.get_by_role("button", name="Export").click()
    with page.expect_download() as download:
        page.get_by_role("button", name="Download").click()
    assert download.value.suggested_filename == "table.md"
    assert download.value.path().read_text("utf-8") == page.locator("dialog textarea").input_value()


def test_runs_are_chosen_for_all_views(written: Written, opened: Opener) -> None:
    page = opened(written.folder)
    page.get_by_role("button", name=re.compile("^Runs")).click()
    page.get_by_role("checkbox", name="tiny-8B").uncheck()
    page.keyboard.press("Escape")
    assert names(page) == ["oracle (noisy)", HOSTILE]
    page.get_by_role("button", name="Plots").first.click()
    assert "tiny-8B" not in page.locator("main").inner_text()
    page.get_by_role("button", name="Gallery").click()
    assert page.locator(".legend .run-text").all_inner_texts() == ["oracle (noisy)", HOSTILE]
    again = opened(written.folder, page.url[page.url.index("#") :])
    assert again.locator(".legend .run-text").all_inner_texts() == ["oracle (noisy)", HOSTILE]
    page.get_by_role("button", name=re.compile("^Runs")).click()
    page.get_by_role("checkbox", name="All runs").check()
    page.get_by_role("checkbox", name="All runs").uncheck()
    page.get_by_role("button", name="Overview").click()
    assert "No run is chosen." in page.locator("main").inner_text()


def test_back_and_forward(written: Written, opened: Opener) -> None:
    page = opened(written.folder)
    page.keyboard.press("2")
    assert page.locator("main.view-plots").is_visible()
    page.keyboard.press("3")
    assert page.locator("main.view-gallery").is_visible()
    page.go_back()
    assert page.locator("main.view-plots").is_visible()
    page.go_forward()
    assert page.locator("main.view-gallery").is_visible()
