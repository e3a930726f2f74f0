"""The report page and the ask page in English and Chinese: which one, and that nothing is left in English."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import x3spatial as x3
from browser.test_page_access import VIEWS
from helpers.page_data import Page as Written
from helpers.page_data import put
from helpers.pages import Opener
from helpers.paths import REPOSITORY
from helpers.task_sets import make_set

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser

SOURCES = REPOSITORY / "web" / "src"
TERMS = [
    "NOT_VISIBLE", "NO_CHANGE", "Hit@Mask", "Success@", "IoU", "L2", "F1", "RoboRefer", "val",
    "Markdown", "LaTeX", "CSV", "SVG", "PNG", "Enter", "Backspace", "Esc", "Shift",
    "JavaScript", "English", "--image-root",
]  # fmt: skip
"""What Chinese text keeps: tokens, names of metrics, formats and keys."""

# Every text node that is shown and not marked as English, and the texts that only some readers get.
WALK = """() => {
  const found = [document.title];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode;
    const left = node.parentElement.closest("script, noscript, pre, kbd, code, [lang=en]:not(html)");
    if (!left) found.push(node.data);
  }
  for (const element of document.querySelectorAll("*")) {
    if (element.closest("[lang=en]:not(html)")) continue;
    for (const name of ["aria-label", "title", "placeholder", "alt", "aria-valuetext"])
      if (element.hasAttribute(name)) found.push(element.getAttribute(name));
    if (element.tagName === "TEXTAREA") found.push(element.value);
  }
  return found.map(text => text.trim()).filter(text => text);
}"""


def english_table(source: str) -> set[str]:
    """The words of the English table: texts and the fixed parts of texts with numbers."""
    text = (SOURCES / source).read_text("utf-8")
    block = re.split(r"\nconst (?:EN|en) = \{", text)[1].split("\n};")[0]
    quoted = [
        next(filter(None, pair)) for pair in re.findall(r'"([^"]+)"|`([^`]+)`', block) if any(pair)
    ]
    parts = {part.strip() for one in quoted for part in re.split(r"\$\{[^}]*\}|#", one)}
    return {part for part in parts if re.search(r"[A-Za-z]{3}", part)}


def left_in_english(texts: Iterable[str], data: Iterable[str], table: set[str]) -> list[str]:
    """The texts with words of the English table, or with Latin words that are no data."""
    known = sorted({*data, *TERMS}, key=len, reverse=True)
    found = []
    for text in texts:
        rest = text.replace("\\", "")  # of Markdown
        for name in known:
            rest = rest.replace(name, "")
        if text in table or re.search(r"[A-Za-z]{2,}", rest):
            found.append(text)
    return found


def data_of(report: dict[str, Any]) -> Iterator[str]:
    """What people named: runs, models, folders, sets; not what x3spatial calls things."""
    yield report["title"]
    for run in report["runs"]:
        name = run["name"]
        yield from (name, run["model"], run["path"])
        # Legends cut long names.
        yield from (f"{name[:length]}…" for length in range(8, len(name)))
        yield from (f"{key}={value}" for key, value in run["settings"].items())
    for one in report["sets"]:
        yield from (one["name"], one["title"], one["path"])
    yield from (problem["path"] for problem in report["problems"])


@pytest.fixture(scope="module")
def talkative(written: Written, tmp_path_factory: pytest.TempPathFactory) -> Written:
    """The page with every kind of text that Python writes."""
    folder = tmp_path_factory.mktemp("languages") / "report"
    shutil.copytree(written.folder, folder)
    cells = [
        {
            **cell,
            "conditions": "dilated and tight masks, build seed 42",
            "missing": 3,
            "unparsed_reasons": {"empty": 2, "form of another convention": 1},
            "consistency": {
                name: {"value": 0.5, "units": 4, "ci95": [0.2, 0.8], "independent": 0.3}
                for name in ("cycle", "object_all_right", "follows_object")
            },
        }
        for cell in written.report["cells"]
    ]
    comparisons = [dict(one) for one in written.report["comparisons"]]
    comparisons[0] |= {"refused": "no sample was answered in both", "metrics": {}}
    reason = (
        "image: file is missing; 12 of 1,300 images cannot be shown;"
        " if folders were moved, use --image-root"
    )
    problems = [
        {"path": "/data/a.png", "reason": reason},
        {"path": "/data/b.json", "reason": "a reason that nobody translated"},
    ]
    report = {
        **written.report,
        "title": "3 runs on 2 sets",
        "cells": cells,
        "comparisons": comparisons,
        "problems": problems,
    }
    put(folder, "report", report)
    return Written(folder, report, written.sets)


@pytest.mark.parametrize("view", list(VIEWS))
def test_no_english_is_left_in_the_chinese_report(
    talkative: Written, opened: Opener, view: str
) -> None:
    hash, act = VIEWS[view]
    page = opened(talkative.folder, hash, locale="zh-CN")
    act(page)
    names = {text for one in talkative.sets for text in (*one["ids"], *one["scene"], *one["label"])}
    data = {*data_of(talkative.report), *names} - {"3 runs on 2 sets"}
    texts = page.evaluate(WALK)
    assert len(texts) > 20
    assert left_in_english(texts, data, english_table("report/words.ts")) == []


def test_no_english_is_left_in_the_chinese_page_of_a_data_root(
    written: Written, opened: Opener, tmp_path: Path
) -> None:
    folder = tmp_path / "report"
    shutil.copytree(written.folder, folder)
    empty: dict[str, list[object]] = {
        key: [] for key in ("runs", "cells", "comparisons", "outcomes", "metrics")
    }
    facts = {"scenes": 1, "objects": 2, "views_visible": 7, "views_not_visible": 3}
    problem = {"path": "val/a.png", "reason": "view left out: it has no mask"}
    report: dict[str, Any] = {
        **written.report,
        **empty,
        "kind": "root",
        "sets": [{**one, "facts": facts} for one in written.report["sets"]],
        "problems": [{**problem, "kind": "MASK_MISSING", "level": "left out"}],
        "findings": [{"kind": "MASK_MISSING", "count": 1, "words": problem["reason"]}],
    }
    put(folder, "report", report)
    data = {*data_of({**report, "runs": []}), "MASK_MISSING"}
    page = opened(folder, locale="zh-CN")
    assert page.locator(".problems .first").inner_text() == "缺少掩码"
    page.locator(".problems summary").click()
    assert left_in_english(page.evaluate(WALK), data, english_table("report/words.ts")) == []
    assert "缺少掩码 (MASK_MISSING)，已排除" in page.locator(".problems tbody").inner_text()
    english = opened(folder)
    assert "1 scene, 2 objects" in english.locator(".tile").first.inner_text()
    assert english.locator(".problems .first").inner_text() == problem["reason"]


def test_the_walk_finds_english(talkative: Written, opened: Opener) -> None:
    page = opened(talkative.folder, "#/plots")
    table = english_table("report/words.ts")
    assert {"Precision", "problems in the data", "Bold: better than", "Success rate"} <= table
    found = left_in_english(page.evaluate(WALK), data_of(talkative.report), table)
    assert {"Overview", "Recall (%)", "Metric", "share of the image", "2 problems in the data"} <= {
        *found
    }


def test_texts_without_translation_are_marked_as_english(
    talkative: Written, opened: Opener
) -> None:
    page = opened(talkative.folder, locale="zh-CN")
    page.locator(".problems summary").click()
    cells = page.locator(".problems td:nth-child(2) span")
    assert cells.evaluate_all("all => all.map(e => [e.lang, e.innerText])") == [
        ["", "图像：文件不存在；共 1,300 幅图像，12 幅无法显示；若文件夹已移动，请用 --image-root"],
        ["en", "a reason that nobody translated"],
    ]


@pytest.mark.parametrize("locale", ["en-GB", "zh-CN"])
def test_numbers_and_files_are_the_same(talkative: Written, opened: Opener, locale: str) -> None:
    page = opened(talkative.folder, locale=locale)
    figures = page.locator("td .figure").all_inner_texts()
    assert figures == opened(talkative.folder).locator("td .figure").all_inner_texts()
    page.locator(".bar .primary").click()
    page.locator("dialog button", has_text="CSV").click()
    csv = page.locator("textarea").input_value()
    assert csv.startswith("set,split,kind,run,total,total_low")
    assert not re.search("[\u4e00-\u9fff]", csv)


@pytest.mark.parametrize(
    ("locale", "lang"), [("zh-TW", "zh-Hans"), ("de-DE", "en"), ("en-US", "en"), ("zh", "zh-Hans")]
)
def test_the_language_is_that_of_the_browser(
    written: Written, opened: Opener, locale: str, lang: str
) -> None:
    page = opened(written.folder, locale=locale)
    assert page.locator("html").get_attribute("lang") == lang
    # Grouping of digits is the page's, not that of the browser.
    assert "1,234" in page.evaluate("(1234).toLocaleString('en')")
    assert page.locator(".group .muted").first.inner_text() == (
        "240 个样本" if lang == "zh-Hans" else "240 samples"
    )


def test_plural_forms(written: Written, opened: Opener, tmp_path: Path) -> None:
    folder = tmp_path / "report"
    shutil.copytree(written.folder, folder)
    sets = [{**one, "samples": n} for one, n in zip(written.report["sets"], (1, 1234), strict=True)]
    problems = [{"path": "a", "reason": "file is missing"}]
    put(folder, "report", {**written.report, "sets": sets, "problems": problems})
    page = opened(folder, locale="de-DE")
    assert page.locator(".group .muted").all_inner_texts() == ["1 sample", "1,234 samples"]
    assert "1 problem in the data" in page.locator(".problems summary").inner_text()
    chinese = opened(folder, locale="zh-CN")
    assert chinese.locator(".group .muted").all_inner_texts() == ["1 个样本", "1,234 个样本"]


def ask_screens(page: Page) -> Iterator[list[str]]:
    page.locator("summary").first.click()
    yield page.evaluate(WALK)
    page.locator("#name").fill("Ann")
    page.locator("#start").click()
    page.locator(".question").wait_for()
    page.locator("#next").click()
    yield page.evaluate(WALK)
    page.locator("#absent").click()
    yield page.evaluate(WALK)
    for _ in range(6):
        page.locator("#skip").click()
    page.locator("#again").click()
    yield page.evaluate(WALK)


def test_no_english_is_left_in_the_chinese_ask_page(tmp_path: Path, opened: Opener) -> None:
    source = make_set(tmp_path / "tasks", count=6)
    x3.ask(source, tmp_path / "page")
    script = (tmp_path / "page" / "data" / "questions.js").read_text("utf-8")
    asked = re.findall(r'"texts":\s*\["(.*?)"\]', script, re.DOTALL)
    page = opened(tmp_path / "page", locale="zh-CN", size=(360, 740))
    table = english_table("ask/words.ts")
    seen = 0
    for texts in ask_screens(page):
        own = [text for text in texts if text.strip("N SU") and text not in _questions(page)]
        assert left_in_english(own, {"Ann", *asked}, table) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        seen += len(own)
    assert seen > 40
    assert page.title() == "看图问答"


def _questions(page: Page) -> list[str]:
    """The question, which is shown as the task file has it."""
    texts: list[str] = page.locator("#asked").all_inner_texts()
    return texts
