"""Two languages in one site: the pages below docs/zh have a navigation and an interface of their own.

The search of the site covers both, and the switch in the header leads to the same page in the other language,
or to its front page where there is none.
"""

from __future__ import annotations

from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import Files
from mkdocs.structure.nav import Navigation, Section
from mkdocs.structure.pages import Page

CHINESE = "zh"
NAMES = {"en": "English", CHINESE: "简体中文"}

_navigations: dict[str, Navigation] = {}


def language(page: Page) -> str:
    """Which language a page is in, by its folder."""
    return CHINESE if page.file.src_uri.startswith(f"{CHINESE}/") else "en"


def on_nav(nav: Navigation, config: MkDocsConfig, files: Files) -> Navigation:
    """Split the navigation, and end each language's chain of next pages."""
    chinese = next(
        item for item in nav.items if isinstance(item, Section) and item.title == NAMES[CHINESE]
    )
    for section in chinese.children:
        section.parent = None
    parts: dict[str, list[Any]] = {
        "en": [item for item in nav.items if item is not chinese],
        CHINESE: chinese.children,
    }
    for code, items in parts.items():
        pages = [page for page in nav.pages if language(page) == code]
        pages[0].previous_page = pages[-1].next_page = None
        _navigations[code] = Navigation(items, pages)
        _navigations[code].homepage = pages[0]
    return nav


def on_page_context(
    context: dict[str, Any], page: Page, config: MkDocsConfig, nav: Navigation
) -> dict[str, Any]:
    """The navigation, the words of the interface and the switch for this page."""
    code = language(page)
    context["nav"] = _navigations[code]
    config.theme["language"] = code
    config.extra["alternate"] = [
        {"name": name, "lang": other, "link": _counterpart(page, other)}
        for other, name in NAMES.items()
    ]
    return context


def _counterpart(page: Page, code: str) -> str:
    """The address of the page in a language."""
    name = page.file.src_uri.removeprefix(f"{CHINESE}/")
    path = f"{CHINESE}/{name}" if code == CHINESE else name
    found = {other.file.src_uri: other for other in _navigations[code].pages}
    home = _navigations[code].homepage
    return found.get(path, home).url  # type: ignore[union-attr]
