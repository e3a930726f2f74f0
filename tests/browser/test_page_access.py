"""axe finds nothing in any view, theme and language; nothing is wider than the screen."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from helpers.page_data import Page as Written
from helpers.page_data import put
from helpers.pages import Opener, violations

if TYPE_CHECKING:
    from playwright.sync_api import Page


pytestmark = pytest.mark.browser

NARROW = (320, 760)


def press(*keys: str) -> Callable[[Page], None]:
    def act(page: Page) -> None:
        for key in keys:
            page.keyboard.press(key)
        page.wait_for_timeout(400)

    return act


def click(selector: str) -> Callable[[Page], None]:
    def act(page: Page) -> None:
        page.locator(selector).first.click()
        page.wait_for_timeout(300)

    return act


def nothing(page: Page) -> None:
    page.wait_for_timeout(300)


VIEWS: dict[str, tuple[str, Callable[[Page], None]]] = {
    "overview": ("#/overview?baseline=tiny-8B&sort=hit_at_mask", nothing),
    "columns": ("", click(".bar .menu .button")),
    "problems": ("", click(".problems summary")),
    "export": ("", click(".bar .primary")),
    "plots": ("#/plots", click(".as-table summary")),
    "gallery": ("#/gallery", nothing),
    "outcomes": ("#/gallery", click(".outcome-menu .button")),
    "strata": ("#/gallery?kind=absence:framing", click(".strata-menu .button")),
    "no match": ("#/gallery?text=nothing+at+all", nothing),
    "detail": ("#/gallery", press("Enter")),
    "help": ("", press("?")),
}


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("locale", ["en-GB", "zh-CN"])
@pytest.mark.parametrize("view", list(VIEWS))
def test_axe(written: Written, opened: Opener, view: str, locale: str, dark: bool) -> None:
    hash, act = VIEWS[view]
    page = opened(written.folder, hash, dark=dark, locale=locale)
    act(page)
    assert violations(page) == []


@pytest.mark.parametrize("locale", ["en-GB", "zh-CN"])
@pytest.mark.parametrize("view", ["overview", "plots", "gallery", "detail"])
def test_axe_on_a_telephone(written: Written, opened: Opener, view: str, locale: str) -> None:
    hash, act = VIEWS[view]
    page = opened(written.folder, hash, size=NARROW, locale=locale)
    act(page)
    assert violations(page) == []


WIDTHS = [(320, "en-GB"), (360, "zh-CN"), (768, "en-GB"), (1920, "zh-CN"), (3840, "en-GB")]


@pytest.mark.parametrize(("width", "locale"), WIDTHS)
@pytest.mark.parametrize("view", ["overview", "plots", "gallery", "detail"])
def test_nothing_is_wider_than_the_screen(
    written: Written, opened: Opener, view: str, width: int, locale: str
) -> None:
    hash, act = VIEWS[view]
    page = opened(written.folder, hash, size=(width, max(700, width // 2)), locale=locale)
    act(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    cut = page.locator(".card").evaluate_all(
        "all => all.filter(e => e.scrollHeight > e.clientHeight + 1).length"
    )
    assert cut == 0


def test_theme_and_language_are_switched_and_kept(written: Written, opened: Opener) -> None:
    page = opened(written.folder, "#/gallery")
    html = page.locator("html")
    assert (html.get_attribute("data-theme"), html.get_attribute("lang")) == ("light", "en")
    page.get_by_label("Theme").select_option("dark")
    page.get_by_label("Language").select_option("zh")
    assert (html.get_attribute("data-theme"), html.get_attribute("lang")) == ("dark", "zh-Hans")
    page.reload()
    page.locator("main").wait_for()
    assert (html.get_attribute("data-theme"), html.get_attribute("lang")) == ("dark", "zh-Hans")
    page.get_by_label("主题").select_option("auto")
    page.locator("html[data-theme=light]").wait_for()
    assert html.get_attribute("data-theme") == "light"
    page.emulate_media(color_scheme="dark")
    page.locator("html[data-theme=dark]").wait_for()
    assert html.get_attribute("data-theme") == "dark"


def test_the_keyboard_reaches_everything(written: Written, opened: Opener) -> None:
    page = opened(written.folder)
    seen = []
    for _ in range(40):
        page.keyboard.press("Tab")
        seen.append(page.evaluate("document.activeElement.textContent.slice(0, 30)"))
    assert seen[0] == "Skip to content"
    assert {"Overview", "Plots", "Gallery", "Export"} <= {str(text) for text in seen}


def test_axe_on_a_data_root(written: Written, opened: Opener, tmp_path: Path) -> None:
    folder = tmp_path / "report"
    shutil.copytree(written.folder, folder)
    empty: dict[str, list[object]] = {
        key: [] for key in ("runs", "cells", "comparisons", "outcomes", "metrics")
    }
    problem = {"path": "val/a.png", "reason": "mask has no original", "kind": "missing-original"}
    report = {**written.report, **empty, "kind": "root", "problems": [problem] * 3}
    put(folder, "report", report)
    for dark in (False, True):
        page = opened(folder, dark=dark)
        assert (
            page.locator("table.plain tbody tr", has_text="missing-original")
            .last.inner_text()
            .endswith("3")
        )
        assert page.get_by_role("button", name="Plots").count() == 0
        assert violations(page) == []
        page.get_by_role("button", name="Gallery").click()
        page.wait_for_timeout(400)
        assert violations(page) == []
        assert page.locator(".verdicts").count() == 0
