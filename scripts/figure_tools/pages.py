"""Markers in pages: which figure a number or a table comes from, or why a number is not measured."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from figure_tools.files import FIGURES, REPOSITORY, FigureError, table_of, value_of
from figure_tools.quantities import PRINTED, rewritten, same

LAB_BOOK = frozenset(
    {
        "docs/lab-book.md", "docs/training-a-tiny-model.md", "docs/measurements.md",
        "docs/error-log.md", "CHANGELOG.md",
    }
)  # fmt: skip
"""Pages of dated records, which state machine and command themselves."""
GENERATED = frozenset(
    {
        "docs/api.md", "docs/audit.md", "docs/commands.md", "docs/faq.md", "docs/notebook.md",
        "docs/schemas.md", "docs/third-party-licences.md",
    }
)  # fmt: skip
"""Made by scripts from the code, from the error log, and from what the notebook printed."""
REASONS = frozenset({"default", "limit", "definition", "example", "cited"})
"""Why a number is no measurement: default of an option, limit in the code, ..., figure of somebody else."""

MARKER = re.compile(rf"<!-- (?:fig: (?P<source>\S+)|(?P<reason>{'|'.join(sorted(REASONS))})) -->")
TABLE = re.compile(
    r"<!-- figures: (?P<source>\S+) -->\n(?P<body>.*?)<!-- end of figures -->", re.DOTALL
)
_FENCE = re.compile(r"^[ >]*(```|~~~)[^\n]*\n.*?^[ >]*\1[ ]*$", re.DOTALL | re.MULTILINE)
_CODE = re.compile(r"(?<!`)(`+)(?!`)(?:(?!\n\n).)*?(?<!`)\1(?!`)", re.DOTALL)
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_MATH = re.compile(r"(?<!\$)\$(?=[^\s$])[^$\n]+(?<=[^\s$])\$(?!\d)")
_TARGET = re.compile(r"(?<=\])\([^()\s]+\)|<?https?://\S+")


@dataclass(frozen=True)
class Problem:
    """What is wrong with a number of a page."""

    page: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}: {self.text}"


def checked_pages(repository: Path = REPOSITORY) -> list[str]:
    """The pages of the repository's top and of docs, but for the lab book and what is generated."""
    found = [*repository.glob("*.md"), *(repository / "docs").rglob("*.md")]
    names = sorted(path.relative_to(repository).as_posix() for path in found)
    return [name for name in names if name not in LAB_BOOK | GENERATED]


def language_of(page: str) -> str:
    """``zh`` for pages in Chinese, else ``en``."""
    return "zh" if page.startswith("docs/zh/") or page.endswith(".zh-CN.md") else "en"


def plain_text(text: str) -> str:
    """The text with code, formulas, comments and link targets blanked; every character stays at its place."""
    for pattern in (_FENCE, _COMMENT, _CODE, _MATH, _TARGET):
        text = pattern.sub(_blank, text)
    return text


def outside_code(text: str) -> str:
    """The text with code blanked, and comments kept."""
    return _CODE.sub(_blank, _FENCE.sub(_blank, text))


def marked(text: str) -> Iterator[tuple[re.Match[str], re.Match[str] | None]]:
    """Each marker of a page with the number right before it, or None."""
    readable = outside_code(text)
    for marker in MARKER.finditer(readable):
        before = readable[max(0, marker.start() - 80) : marker.start()].rstrip("*_")
        end = max(0, marker.start() - 80) + len(before)
        yield marker, _number_before(readable, end)


def marker_errors(page: str, text: str, folder: Path = FIGURES) -> list[Problem]:
    """Markers without a number, and numbers and tables that differ from the figure file."""
    found = []
    for marker, printed in marked(text):
        line = _line(text, marker.start())
        if printed is None:
            found.append(Problem(page, line, f"no number right before {marker[0]}"))
            continue
        source = marker["source"]
        if source is None:
            continue
        try:
            difference = same(printed, value_of(source, folder))
        except FigureError as error:
            difference = str(error)
        if difference:
            found.append(Problem(page, line, f"{printed[0].strip()} ({source}): {difference}"))
    for table in TABLE.finditer(text):
        line = _line(text, table.start())
        try:
            expected = table_of(table["source"], language_of(page), folder)
        except FigureError as error:
            found.append(Problem(page, line, str(error)))
            continue
        if table["body"].strip() != expected:
            hint = "run: python scripts/figures.py --write"
            found.append(Problem(page, line, f"table {table['source']} differs; {hint}"))
    return found


def with_figures(page: str, text: str, folder: Path = FIGURES) -> str:
    """The page with all marked numbers and tables written anew from the figure files.

    Raises:
        FigureError: a marker names what there is not.
    """
    for marker, printed in reversed(list(marked(text))):
        if marker["source"] is None or printed is None:
            continue
        known = value_of(marker["source"], folder)
        if same(printed, known) is not None:
            text = text[: printed.start()] + rewritten(printed, known) + text[printed.end() :]

    def table(found: re.Match[str]) -> str:
        body = table_of(found["source"], language_of(page), folder)
        return f"<!-- figures: {found['source']} -->\n\n{body}\n\n<!-- end of figures -->"

    return TABLE.sub(table, text)


def _number_before(text: str, end: int) -> re.Match[str] | None:
    """The longest number with interval and unit that ends at a position."""
    for match in PRINTED.finditer(text, max(0, end - 60)):
        if match.end() > end:
            return None
        if match.end() == end:
            return match
    return None


def _line(text: str, position: int) -> int:
    return text.count("\n", 0, position) + 1


def _blank(match: re.Match[str]) -> str:
    return re.sub(r"[^\n]", " ", match[0])
