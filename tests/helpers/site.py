"""The documentation site: its build, and what its pages refer to."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

from helpers.paths import REPOSITORY, SRC

_VOID = {
    "area",
    "base",
    "br",
    "col",
    "embed",
    "hr",
    "img",
    "input",
    "link",
    "meta",
    "source",
    "wbr",
}
_RESOURCES = {
    ("img", "src"), ("script", "src"), ("iframe", "src"), ("source", "src"), ("video", "src"),
    ("audio", "src"), ("object", "data"), ("embed", "src"), ("use", "href"), ("image", "href"),
}  # fmt: skip
"""What a browser loads by itself; links of these relations, too."""
_LOADED_RELATIONS = {"stylesheet", "icon", "preload", "modulepreload", "preconnect", "dns-prefetch"}


@dataclass
class HtmlPage:
    """What the tests read of a built page."""

    ids: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    """Targets of anchors, and of relations such as next."""
    resources: list[str] = field(default_factory=list)
    """What the browser loads by itself."""
    images_without_alt: list[str] = field(default_factory=list)
    language: str = ""
    text: str = ""
    """Of the article, without the signs that link to headings, formulas and buttons."""


def build_site(folder: Path) -> Path:
    """Build the site with warnings as errors, as `make site` does; a test fails with what is wrong."""
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],
        cwd=REPOSITORY,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1", "PYTHONPATH": str(SRC)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def read_page(path: Path) -> HtmlPage:
    """A built page."""
    parser = _Parser()
    parser.feed(path.read_text(encoding="utf-8"))
    parser.close()
    parser.page.text = words("".join(parser.parts))
    return parser.page


def text_of(html: str) -> str:
    """The text of a piece of HTML, as that of a page."""
    parser = _Parser()
    parser.feed(f"<article>{html}</article>")
    parser.close()
    return words("".join(parser.parts))


def words(text: str) -> str:
    """``text`` with single blanks, and none within Chinese text."""
    cjk = "[\u3000-\u303f\u4e00-\u9fff\uff00-\uffef]"
    return re.sub(f"(?<={cjk}) (?={cjk})", "", re.sub(r"\s+", " ", text).strip())


class _Parser(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.page = HtmlPage()
        self.parts: list[str] = []
        self._open: list[tuple[str, bool]] = []
        """Open elements, and whether their text is left out."""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        page = self.page
        if "id" in given:
            page.ids.append(given["id"])
        if tag == "html":
            page.language = given.get("lang", "")
        for name, attribute in _RESOURCES:
            if tag == name and attribute in given:
                page.resources.append(given[attribute])
        if tag == "img" and not given.get("alt") and "article" in self._names():
            page.images_without_alt.append(given.get("src", ""))
        if tag == "link":
            loaded = _LOADED_RELATIONS & set(given.get("rel", "").split())
            (page.resources if loaded else page.links).append(given.get("href", ""))
        if tag == "a" and "href" in given:
            page.links.append(given["href"])
        if tag not in _VOID:
            out = tag in ("math", "script", "style", "button") or "headerlink" in given.get(
                "class", ""
            )
            self._open.append((tag, out))
        if tag in (
            "p",
            "li",
            "td",
            "th",
            "tr",
            "div",
            "pre",
            "br",
            "ul",
            "table",
            "h1",
            "h2",
            "h3",
        ):
            self._add(" ")

    def handle_endtag(self, tag: str) -> None:
        if tag in self._names():
            while self._open.pop()[0] != tag:
                pass

    def handle_data(self, data: str) -> None:
        self._add(data)

    def _names(self) -> list[str]:
        return [name for name, _ in self._open]

    def _add(self, data: str) -> None:
        if "article" in self._names() and not any(out for _, out in self._open):
            self.parts.append(data)
