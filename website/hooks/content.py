"""Pages are written for GitHub; here is what the site needs to show them in the same way.

Links to files outside of docs lead to the repository, anchors are GitHub's, formulas become MathML, notes get
their look, and comments, which are marks for tests, are left out.
"""

from __future__ import annotations

import html
import logging
import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote
from xml.etree.ElementTree import Element, SubElement

import latex2mathml.converter
from markdown import Extension, Markdown
from markdown.inlinepatterns import InlineProcessor
from markdown.treeprocessors import Treeprocessor
from markdown.util import AtomicString
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import Files
from mkdocs.structure.pages import Page
from project import REPOSITORY, repository_url

# A warning here fails the strict build.
log = logging.getLogger("mkdocs.hooks.content")

NOTES = {
    "Note": "note", "Tip": "tip", "Warning": "warning",
    "注意": "note", "提示": "tip", "警告": "warning",
}  # fmt: skip
"""First, bold words of a quote → its class."""

BOOST = {"commands.md": 2, "error-log.md": 0.5, "lab-book.md": 0.5, "measurements.md": 0.5}
"""How much more, or less, a page counts in the search."""

UNBROKEN = 26
"""Longest code in a line that is not broken, at hyphens for example; it fits on a phone."""

_MARKS = "\u3000-\u303f\uff01-\uff0f\uff1a-\uff20\uff3b-\uff40\uff5b-\uff65"
_CHINESE = "\u3400-\u9fff"
BETWEEN_CHINESE = re.compile(
    f"(?<=[{_MARKS}])\\n *|\\n *(?=[{_MARKS}])|(?<=[{_CHINESE}])\\n *(?=[{_CHINESE}])"
)
"""Ends of lines beside full-width marks and between Chinese letters: browsers show a blank there."""

# As GitHub reads it: no blank inside of the dollars, no letter or digit beside them.
_FORMULA = r"(?<![\\$\w])\$(?![\s$])([^$\n]+?)(?<![\s\\])\$(?![\w$])"
BAR = '<mo stretchy="false" lspace="0" rspace="0">|</mo>'
_BEFORE_CODE = re.compile("(?<=[，。；：、])(?=<code)")
"""Where a line may end; browsers break neither before the hyphen of an option nor before a quotation mark."""
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)


class GitHubMarkdown(Extension):
    """What Python-Markdown lacks of GitHub's Markdown, for one page after the other."""

    page: Path
    """The file that is being rendered."""

    def extendMarkdown(self, md: Markdown) -> None:
        """Formulas before emphasis; links before mkdocs checks them."""
        md.inlinePatterns.register(Formula(_FORMULA, md), "formula", 185)
        md.treeprocessors.register(Tree(self), "github", 5)


class Formula(InlineProcessor):
    """``$x$``."""

    def handleMatch(self, m: re.Match[str], data: str) -> tuple[str, int, int]:
        """The formula as MathML."""
        stored = self.md.htmlStash.store(mathml(m[1], "inline"))
        return stored, m.start(0), m.end(0)


class Tree(Treeprocessor):
    """Links that leave docs, tables, and notes."""

    def __init__(self, extension: GitHubMarkdown) -> None:
        super().__init__()
        self.extension = extension

    def run(self, root: Element) -> None:
        """Change the tree of a page in place."""
        for link in root.iter("a"):
            link.set("href", outside_link(link.get("href", ""), self.extension.page))
        for element in root.iter():
            if element.text and not isinstance(element.text, AtomicString):
                element.text = BETWEEN_CHINESE.sub("", element.text)
            if element.tail:
                element.tail = BETWEEN_CHINESE.sub("", element.tail)
        for cell in root.iter("th"):
            if not cell.text and not len(cell):
                cell.tag = "td"  # screen readers announce an empty heading
        for cell in root.iter("td"):
            if re.fullmatch(r"\d{4}-\d\d-\d\d", cell.text or ""):
                cell.set("class", "short")
            for code in cell.iter("code"):  # GitHub takes the backslash away there, too
                code.text = AtomicString((code.text or "").replace("\\|", "|"))
        for code in root.iter("code"):
            unbroken(code)
        for quote in root.iter("blockquote"):
            first = quote[0][0] if len(quote) and len(quote[0]) else None
            if first is not None and first.tag == "strong" and not quote[0].text:
                kind = NOTES.get((first.text or "").rstrip(".:："))
                if kind:
                    quote.set("class", f"note note-{kind}")


def unbroken(code: Element) -> None:
    """Mark code, or its words, not to be broken: browsers break options at their hyphens."""
    words = (code.text or "").split(" ")
    if len(code.text or "") <= UNBROKEN:
        code.set("class", "short")
    elif len(words) > 1 and not len(code):
        code.text = None
        for word in words:
            part = SubElement(code, "span", {"class": "short"} if len(word) <= UNBROKEN else {})
            part.text, part.tail = AtomicString(word), " "
        part.tail = None


def mathml(latex: str, display: str) -> str:
    """A formula of a page; one that cannot be read is a warning."""
    try:
        made = str(latex2mathml.converter.convert(html.unescape(latex), display=display))
    except Exception as error:
        log.warning("%s: formula %r: %s", extension.page, latex, error)
        return html.escape(latex)
    # Bars of |A| would grow and keep the distance of a relation.
    return re.sub(r"<mo[^>]*>(?:\||&#x0007C;)</mo>", BAR, made)


def math_fence(source: str, *_: Any, **__: Any) -> str:
    """A fenced block of the language ``math``."""
    return f'<div class="formula" tabindex="0">{mathml(source.strip(), "block")}</div>'


def outside_link(href: str, page: Path) -> str:
    """The address that ``href`` of a page has on the site, where its file is not part of the site."""
    if not href or re.match(r"[a-z][a-z+.-]*:|[/#]", href):
        return href
    path, _, anchor = href.partition("#")
    target = (page.parent / unquote(path)).resolve()
    if target.is_relative_to(REPOSITORY / "docs") and target.suffix != ".ipynb":
        return href
    if not target.exists() or not target.is_relative_to(REPOSITORY):
        log.warning("%s: %s: no such file", page, href)
        return href
    return repository_url(target) + (f"#{anchor}" if anchor else "")


def github_slug(title: str, separator: str) -> str:
    """The anchor of a heading, as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", title.strip().lower()).replace(" ", separator)


extension = GitHubMarkdown()


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Add the extension and the functions that YAML cannot name."""
    config.markdown_extensions.append(extension)
    config.mdx_configs.setdefault("toc", {})["slugify"] = github_slug
    fences = config.mdx_configs.setdefault("pymdownx.superfences", {})
    fences["custom_fences"] = [{"name": "math", "class": "formula", "format": math_fence}]
    return config


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> None:
    """Say which file is rendered next, and what it counts in the search."""
    page.meta["search"] = {"boost": BOOST.get(page.file.src_uri, 1)}
    extension.page = Path(page.file.abs_src_path or "")


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Leave comments out, those in code are escaped and stay; let Chinese lines end before code."""
    return _BEFORE_CODE.sub("<wbr>", _COMMENT.sub("", html))
