"""Two languages in one site: the pages below docs/zh have a navigation and an interface of their own.

The search of the site covers both, and the switch in the header leads to the same page in the other language,
or to its front page where there is none.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import Files
from mkdocs.structure.nav import Link, Navigation, Section
from mkdocs.structure.pages import Page

CHINESE = "zh"
NAMES = {"en": "English", CHINESE: "简体中文"}

SEARCH = {"en": "Search", CHINESE: "搜索"}
ENGLISH_ONLY = {"参考（英文）": "Reference", "问答（英文）": "FAQ"}
"""Chinese title → section of the English navigation that Chinese pages list as well."""

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
    sections = {section.title: section for section in parts["en"]}
    for title, name in ENGLISH_ONLY.items():
        parts[CHINESE].append(Section(title, list(_links(sections[name]))))
    for code, items in parts.items():
        pages = [page for page in nav.pages if language(page) == code]
        pages[0].previous_page = pages[-1].next_page = None
        _navigations[code] = Navigation(items, pages)
        _navigations[code].homepage = pages[0]
    return nav


def _links(section: Section) -> Iterator[Link]:
    """Links to all pages of a section; the pages themselves belong to one navigation only."""
    for item in section.children:
        if isinstance(item, Section):
            yield from _links(item)
        else:
            yield Link(str(item.title), item.url)  # type: ignore[attr-defined]


def on_page_context(
    context: dict[str, Any], page: Page, config: MkDocsConfig, nav: Navigation
) -> dict[str, Any]:
    """The navigation, the words of the interface and the switch for this page."""
    code = language(page)
    context["nav"] = _navigations[code]
    config.theme["language"] = code
    other = next(name for name in NAMES if name != code)
    # No list: for lists, the theme writes links that make its script ask a server for sitemaps.
    config.extra["alternate"] = SimpleNamespace(
        code=other, name=NAMES[other], link=_counterpart(page, other)
    )
    return context


def on_post_page(output: str, page: Page, config: MkDocsConfig) -> str:
    """Give the dialog of the theme's search the name that screen readers ask for."""
    return output.replace('role="dialog"', f'role="dialog" aria-label="{SEARCH[language(page)]}"')


def _counterpart(page: Page, code: str) -> str:
    """The address of the page in a language."""
    name = page.file.src_uri.removeprefix(f"{CHINESE}/")
    path = f"{CHINESE}/{name}" if code == CHINESE else name
    found = {other.file.src_uri: other for other in _navigations[code].pages}
    home = _navigations[code].homepage
    return found.get(path, home).url  # type: ignore[union-attr]
