"""The documentation site from its folder: widths, accessibility, search, contrast, languages."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from helpers.pages import Opener, violations
from helpers.site import build_site

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser

WIDTHS = {360: 740, 820: 1100, 1440: 900}
LOOKED_AT = ("index", "install", "models", "metrics", "gallery", "faq", "zh/index")
"""Pages of every kind: cards, code, long tables, formulas, pictures, Chinese."""

_OVERFLOW = """() => {
  const width = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth <= width) return [];
  const scrolls = ".md-typeset__scrollwrap, pre, .formula";
  return [...document.querySelectorAll("article *")]
    .filter((e) => e.getBoundingClientRect().right > width + 1 && !e.closest(scrolls))
    .map((e) => e.outerHTML.slice(0, 80)).concat("wider than the screen").slice(0, 4);
}"""


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_site(tmp_path_factory.mktemp("site"))


def names(site: Path) -> list[str]:
    return sorted(
        path.relative_to(site).as_posix().removesuffix(".html") for path in site.rglob("*.html")
    )


def go(page: Page, site: Path, name: str) -> None:
    page.goto((site / f"{name}.html").as_uri())


@pytest.mark.parametrize("width", WIDTHS)
def test_no_page_is_wider_than_the_screen(site: Path, opened: Opener, width: int) -> None:
    """With X3_SHOTS=DIR every page is also drawn there."""
    page = opened(site, size=(width, WIDTHS[width]))
    wide = {}
    for name in names(site):
        go(page, site, name)
        found = page.evaluate(_OVERFLOW)
        if found:
            wide[name] = found
        if folder := os.environ.get("X3_SHOTS"):
            path = Path(folder) / f"{name.replace('/', '-')}-{width}.png"
            page.screenshot(path=path, full_page=name in LOOKED_AT)
    assert wide == {}


@pytest.mark.parametrize(
    ("width", "dark"), [(360, False), (820, True), (1440, False), (1440, True)]
)
def test_axe_finds_nothing(site: Path, opened: Opener, width: int, dark: bool) -> None:
    """Contrast included, in both colour schemes."""
    page = opened(site, size=(width, WIDTHS[width]), dark=dark)
    found = {}
    for name in LOOKED_AT:
        go(page, site, name)
        if faults := violations(page):
            found[name] = faults
    assert found == {}


def search(page: Page, text: str) -> list[str]:
    """The titles of the pages that are found."""
    page.keyboard.press("/")
    page.locator(".md-search__input").fill(text)
    page.keyboard.press("Shift")  # the theme looks when a key is released
    page.locator(".md-search-result__item").first.wait_for()
    return page.locator(".md-search-result__item h1").all_inner_texts()


@pytest.mark.parametrize(
    ("text", "title"),
    [("hit_at_mask", "Metrics"), ("use-dilated-mask", "Commands"), ("微调", "微调")],
)
def test_search_works_from_a_folder(site: Path, opened: Opener, text: str, title: str) -> None:
    page = opened(site)
    assert title in search(page, text)
    page.locator(".md-search-result__link").first.click()
    page.wait_for_load_state()
    page.locator("article h1").wait_for()
    assert "?h=" in page.url


def test_search_with_its_results_has_no_violations(site: Path, opened: Opener) -> None:
    page = opened(site)
    assert search(page, "mask")
    assert violations(page) == []


def test_the_switch_of_colours_is_kept(site: Path, opened: Opener) -> None:
    page = opened(site)
    ground = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(ground)
    page.locator("label[for=__palette_1]").click()
    dark = page.evaluate(ground)
    assert dark != light
    go(page, site, "install")
    assert page.evaluate(ground) == dark


def test_the_switch_of_languages(site: Path, opened: Opener) -> None:
    page = opened(site)
    go(page, site, "install")
    page.locator(".x3-language").click()
    page.wait_for_load_state()
    assert page.url.endswith("/zh/install.html")
    assert page.locator("html").get_attribute("lang") == "zh"
    page.locator(".x3-language").click()
    page.wait_for_load_state()
    assert page.url == (site / "install.html").as_uri()


def test_keys_alone_reach_the_content(site: Path, opened: Opener) -> None:
    page = opened(site)
    go(page, site, "commands")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.matches('.md-skip')")
    page.keyboard.press("Enter")
    assert "#" in page.url
