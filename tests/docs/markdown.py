"""What the tests read out of the Markdown files: code blocks, prose lines, headings, links."""

from __future__ import annotations

import re
import shlex
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from docs.reasons import Reason
from helpers.paths import REPOSITORY

OF_NOTEBOOK = "docs/notebook.md"
GENERATED = frozenset(
    {"docs/api.md", "docs/audit.md", "docs/commands.md", "docs/schemas.md", OF_NOTEBOOK}
)
"""Made from the code and from the notebook, which have checks of their own."""

_FENCE = re.compile(r"^(\s*)```(\S*)")
_COMMENT = re.compile(r"^\s*<!--\s*(not run|run by|needs):\s*(.+?)\s*-->\s*$")
_LINK = re.compile(r"!?\[[^\]]*\]\(([^()\s]+)\)")
_DEFINITION = re.compile(r"^\[[^\]]+\]: (\S+)$", re.MULTILINE)
_ANY_COMMENT = re.compile(r"<!--.*?-->")
_CODE = re.compile(r"`[^`]*`")
_SEPARATORS = frozenset(";&|")


@dataclass(frozen=True)
class Block:
    """A fenced code block."""

    document: str
    line: int
    """Of the opening fence, from 1."""
    language: str
    text: str
    not_run: Reason | None = None
    """The reason in ``<!-- not run: KIND: ... -->`` right before the block."""
    run_by: str | None = None
    """The test in ``<!-- run by: tests/... -->`` right before the block, which runs it in place of ours."""
    needs: tuple[str, ...] = ()
    """The modules in ``<!-- needs: ... -->`` right before the block."""

    def __str__(self) -> str:
        return f"{self.document}:{self.line}"

    @property
    def code(self) -> tuple[str, str]:
        """Language and text without comments: equal for a block and its translation."""
        bare = re.sub(r"(?:^|\s)#.*$", "", self.text, flags=re.MULTILINE)
        return self.language, " ".join(bare.split())

    def commands(self) -> list[list[str]]:
        """The words of each command of a shell block, those in loops and pipes too; without comments."""
        found: list[list[str]] = []
        for line in self.text.replace("\\\n", " ").splitlines():
            lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
            lexer.whitespace_split = True
            words: list[str] = []
            for token in [*lexer, ";"]:
                if token and set(token) <= _SEPARATORS:
                    found.append(_without_keywords(words))
                    words = []
                else:
                    words.append(token)
        return [words for words in found if words]


def _without_keywords(words: list[str]) -> list[str]:
    """A command without the words of the shell's own language before it."""
    while words and words[0] in ("do", "then", "else", "done", "fi"):
        words = words[1:]
    return [] if words[:1] in (["for"], ["if"]) else words


def with_blocks() -> list[str]:
    """All documents whose blocks a test runs: both READMEs, CONTRIBUTING, every page of docs at any depth.

    The page of the notebook is left out; its blocks are the notebook's cells.
    """
    top = [name for name in ("README.md", "README.zh-CN.md", "CONTRIBUTING.md") if _there(name)]
    pages = sorted((REPOSITORY / "docs").rglob("*.md"))
    names = [page.relative_to(REPOSITORY).as_posix() for page in pages]
    return [*top, *(name for name in names if name != OF_NOTEBOOK)]


def _there(document: str) -> bool:
    return (REPOSITORY / document).is_file()


def documents() -> list[str]:
    """README and every page of docs, relative to the repository, README first."""
    pages = sorted((REPOSITORY / "docs").glob("*.md"))
    return ["README.md", *(page.relative_to(REPOSITORY).as_posix() for page in pages)]


def read(document: str) -> str:
    """The text of a document of the repository."""
    return (REPOSITORY / document).read_text(encoding="utf-8")


def blocks(document: str) -> list[Block]:
    """All fenced blocks of a document, in order.

    Raises:
        ValueError: a block is not closed.
    """
    found: list[Block] = []
    lines = read(document).splitlines()
    number = 0
    before = ""
    while number < len(lines):
        opening = _FENCE.match(lines[number])
        if opening is None:
            before = lines[number] if lines[number].strip() else before
            number += 1
            continue
        start = number
        number += 1
        while number < len(lines) and lines[number].strip() != "```":
            number += 1
        if number == len(lines):
            raise ValueError(f"{document}:{start + 1}: the block is not closed")
        comment = _COMMENT.match(before)
        kind, value = comment.groups() if comment else ("", "")
        found.append(
            Block(
                document=document,
                line=start + 1,
                language=opening[2],
                text=textwrap.dedent("\n".join(lines[start + 1 : number])),
                not_run=Reason.parse(value) if kind == "not run" else None,
                run_by=value if kind == "run by" else None,
                needs=tuple(value.replace(",", " ").split()) if kind == "needs" else (),
            )
        )
        before = lines[number]
        number += 1
    return found


def prose(document: str) -> Iterator[tuple[int, str]]:
    """The lines outside of code blocks with their numbers from 1."""
    inside = False
    for number, line in enumerate(read(document).splitlines(), 1):
        if _FENCE.match(line):
            inside = not inside
        elif not inside:
            yield number, line


def links(document: str) -> list[tuple[int, str]]:
    """Line and target of every link and image that is not in code."""
    return [
        (number, target)
        for number, line in prose(document)
        for target in _LINK.findall(_CODE.sub("", line))
    ]


def joined_links(document: str) -> list[str]:
    """The targets of every link, those that are broken over two lines and definitions included."""
    text = _CODE.sub("", "\n".join(line for _, line in prose(document)))
    return _LINK.findall(text) + _DEFINITION.findall(text)


def without_comments(line: str) -> str:
    """The line as a reader sees it: without HTML comments."""
    return _ANY_COMMENT.sub("", line)


def code_spans(document: str) -> list[str]:
    """The inline code of a page, without its back-quotes; spans broken over two lines included."""
    text = "\n".join(line for _, line in prose(document))
    return [" ".join(span[1:-1].split()) for span in _CODE.findall(text)]


def anchors(path: Path) -> set[str]:
    """The anchors that GitHub makes of a page's headings."""
    made: dict[str, int] = {}
    found: set[str] = set()
    inside = False
    for line in path.read_text(encoding="utf-8").splitlines():
        if _FENCE.match(line):
            inside = not inside
        heading = re.match(r"^#{1,6}\s+(.*?)\s*#*$", line)
        if inside or heading is None:
            continue
        title = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading[1]).lower()
        slug = re.sub(r"[^\w\- ]", "", title).replace(" ", "-")
        count = made.get(slug, 0)
        made[slug] = count + 1
        found.add(slug if count == 0 else f"{slug}-{count}")
    return found
