"""The documentation site: built strictly, complete, without broken links, and loading nothing from elsewhere.

The pages are written for GitHub. Their text on the site must be the one that CommonMark, which GitHub reads,
makes of them.
"""

from __future__ import annotations

import difflib
import json
import re
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
import yaml
from markdown_it import MarkdownIt

from docs.markdown import anchors
from helpers.paths import REPOSITORY
from helpers.site import HtmlPage, read_page, text_of, words

DOCS = REPOSITORY / "docs"
PAGES = sorted(path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md"))
NOT_IN_NAV: dict[str, str] = {}
"""Page → why the navigation does not have it."""

_URL = re.compile(r"https?://[a-z0-9.-]+\.[a-z]{2,}(:\d+)?(/[^\s\"<>]*)?(#\S*)?$", re.IGNORECASE)


@pytest.fixture(scope="session")
def built(site: Path) -> dict[str, HtmlPage]:
    """Every page of the site by its path."""
    return {path.relative_to(site).as_posix(): read_page(path) for path in site.rglob("*.html")}


def navigation(entry: Any) -> list[str]:
    """All targets of a part of the navigation."""
    if isinstance(entry, str):
        return [entry]
    values = entry.values() if isinstance(entry, dict) else entry
    return [target for value in values for target in navigation(value)]


def test_every_page_is_in_the_navigation() -> None:
    text = (REPOSITORY / "mkdocs.yml").read_text(encoding="utf-8")
    listed = Counter(target for target in navigation(yaml.safe_load(text)["nav"]))
    assert set(listed.values()) == {1}
    pages = {target for target in listed if not target.startswith("../")}
    assert pages == set(PAGES) - set(NOT_IN_NAV)


def test_every_page_is_built(built: dict[str, HtmlPage]) -> None:
    assert set(built) == {page.replace(".md", ".html") for page in PAGES}


def test_links_and_anchors_lead_somewhere(site: Path, built: dict[str, HtmlPage]) -> None:
    broken = []
    for name, page in built.items():
        for target in [*page.links, *page.resources]:
            parts = urlsplit(target)
            if parts.scheme or parts.netloc:
                if not _URL.match(target):
                    broken.append(f"{name}: {target}: not an address")
                continue
            path = (site / name).parent / unquote(parts.path) if parts.path else site / name
            file = path.resolve()
            if not file.is_file() or not file.is_relative_to(site.resolve()):
                broken.append(f"{name}: {target}: no such file")
            elif parts.fragment and file.suffix == ".html":
                other = built[file.relative_to(site.resolve()).as_posix()]
                if unquote(parts.fragment) not in other.ids:
                    broken.append(f"{name}: {target}: no such heading")
    assert not broken, "\n".join(broken)


def test_links_out_of_docs_lead_to_files_of_the_repository(built: dict[str, HtmlPage]) -> None:
    found = set()
    for page in built.values():
        for target in page.links:
            match = re.match(
                r"https://github.com/x3spatial/x3spatial/(?:blob|tree)/main/([^#]+)", target
            )
            if match:
                found.add(unquote(match[1]))
    assert {"CHANGELOG.md", "CONTRIBUTING.md"} <= found
    assert [name for name in sorted(found) if not (REPOSITORY / name).exists()] == []


def test_nothing_is_loaded_from_elsewhere(site: Path, built: dict[str, HtmlPage]) -> None:
    elsewhere = [
        f"{name}: {target}"
        for name, page in built.items()
        for target in page.resources
        if urlsplit(target).scheme not in ("", "data") or urlsplit(target).netloc
    ]
    for style in site.rglob("*.css"):
        text = style.read_text(encoding="utf-8")
        for target in re.findall(r"(?:url\(|@import\s*)[\"']?([^\"')]+)", text):
            if not target.startswith(("data:", "#")) and not (style.parent / target).is_file():
                elsewhere.append(f"{style.name}: {target}")
    assert elsewhere == []


def test_images_have_a_text(built: dict[str, HtmlPage]) -> None:
    assert {
        name: page.images_without_alt for name, page in built.items() if page.images_without_alt
    } == {}


@pytest.mark.parametrize("page", PAGES)
def test_page_reads_as_on_github(page: str, built: dict[str, HtmlPage]) -> None:
    source = (DOCS / page).read_text(encoding="utf-8")
    source = re.sub(r"```math\n.*?```", "", source, flags=re.DOTALL)
    source = re.sub(r"(?<![\\$\w`])\$(?![\s$])[^$\n`]+?(?<![\s\\])\$(?![\w$])", "", source)
    source = re.sub(r"<!--.*?-->", "", source, flags=re.DOTALL)
    github = text_of(MarkdownIt("commonmark").enable("table").render(source))
    github = without_blanks(github)
    here = without_blanks(built[page.replace(".md", ".html")].text)
    if here != github:
        pairs = difflib.ndiff(sentences(github), sentences(here))
        changes = [line for line in pairs if line.startswith(("- ", "+ "))]
        pytest.fail(f"docs/{page}: - GitHub, + site\n" + "\n".join(changes[:12]))


def without_blanks(text: str) -> str:
    """GitHub shows the end of a line as a blank beside Chinese, too; the site does not."""
    return re.sub(r"(?<=[\u3000-\u9fff\uff00-\uffef]) | (?=[\u3000-\u9fff\uff00-\uffef])", "", text)


def test_lines_of_chinese_are_joined_without_blanks(site: Path) -> None:
    pages = sorted((site / "zh").glob("*.html"))
    assert len(pages) > 10
    for page in pages:
        assert not re.findall(
            r"[，。；：、]\n *\w|[\u4e00-\u9fff]\n *[\u4e00-\u9fff]", page.read_text("utf-8")
        )


def test_lines_of_chinese_may_end_before_options(site: Path) -> None:
    text = (site / "zh" / "training.html").read_text("utf-8")
    assert re.search("[，。；：、]<wbr><code[^>]*>--", text)
    assert not re.search("[，。；：、]<code", text)


def sentences(text: str) -> list[str]:
    return re.split(r"(?<=[.:|。;]) ", text)


@pytest.mark.parametrize("page", PAGES)
def test_anchors_are_those_of_github(page: str, built: dict[str, HtmlPage]) -> None:
    here = built[page.replace(".md", ".html")].ids
    assert anchors(DOCS / page) <= set(here)
    assert [name for name, count in Counter(here).items() if count > 1] == []


def test_chinese_pages_have_an_interface_and_a_navigation_of_their_own(
    site: Path, built: dict[str, HtmlPage]
) -> None:
    chinese = {name for name in built if name.startswith("zh/")}
    assert chinese
    for name, page in built.items():
        assert page.language == ("zh" if name in chinese else "en"), name
        html = (site / name).read_text(encoding="utf-8")
        side = html[html.index("md-nav--primary") : html.index("md-sidebar--secondary")]
        links = {
            ((site / name).parent / link).resolve().relative_to(site.resolve()).as_posix()
            for link in re.findall(r'href="([^"#:]+)"', side)
        } | {name}
        others = {"commands.html", "faq.html"} if name in chinese else set()
        assert (chinese <= links) == (name in chinese), name
        assert others <= links and ("measurements.html" in links) == (name not in chinese), name


def test_the_switch_leads_to_the_same_page(built: dict[str, HtmlPage]) -> None:
    assert "zh/install.html" in built["install.html"].links
    assert "../install.html" in built["zh/install.html"].links
    assert "zh/index.html" in built["api.html"].links


def test_the_search_has_both_languages(site: Path) -> None:
    index = json.loads((site / "search" / "search_index.json").read_text(encoding="utf-8"))
    places = {entry["location"].partition("#")[0] for entry in index["docs"]}
    assert {page.replace(".md", ".html") for page in PAGES} <= places | {"index.html"}
    assert (
        (site / "search" / "search_index.js")
        .read_text(encoding="utf-8")
        .startswith("var __index = {")
    )


def test_comments_and_marks_do_not_show(site: Path) -> None:
    for path in site.rglob("*.html"):
        html = path.read_text(encoding="utf-8")
        assert not re.search(r"<!--\s*(not run|needs|fig|figures|log|end of figures)", html), path
        assert words("!!! note") not in html
