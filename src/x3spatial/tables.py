"""Tables of results as text for terminals and as HTML for notebooks."""

from __future__ import annotations

import html
import shutil
import sys
import textwrap
import unicodedata
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

from x3spatial.texts import printable

_CELL = "padding: 0.15em 0.7em"
_GAP, _NARROW_GAP = "  ", " "
_LEAST_WIDTH = 40
_LEAST_PROSE = 24
"""Least width of a wrapped column; in less room its text goes below the row."""


class Line(Enum):
    """What a line of a table is, for its style."""

    TITLE = "title"
    HEAD = "head"
    ROW = "row"
    NOTE = "note"


@dataclass(frozen=True, slots=True, repr=False)
class Table:
    """A title, column heads and rows of texts; the first column is left-aligned.

    Heads may have several lines. In a narrow terminal they are broken at blanks; what still does not fit is
    written as several tables that repeat the first columns, or as one block per row. Names and figures are
    never cut.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()
    """Lines below the table."""
    keys: int = 1
    """The number of first columns that identify a row."""
    prose: bool = False
    """Whether the last column is text: left-aligned, and broken at blanks where it does not fit."""

    def text(self, width: int | None = None) -> str:
        """The table as plain text with aligned columns.

        Args:
            width: columns of the terminal; None for a file, whose lines may have any length.
        """
        return "\n".join(line for _, line in self.lines(width))

    def lines(self, width: int | None = None) -> Iterator[tuple[Line, str]]:
        """The lines of ``text``, each with its kind."""
        columns = [printable(head) for head in self.columns]
        rows = [[_one_line(cell) for cell in row] for row in self.rows]
        yield from _wrapped(Line.TITLE, self.title, width)
        if columns and (rows or any(columns)):
            yield from self._body(columns, rows, width)
        for note in self.notes:
            yield from _wrapped(Line.NOTE, note, width)

    def _body(
        self, columns: list[str], rows: list[list[str]], width: int | None
    ) -> Iterator[tuple[Line, str]]:
        left = {*range(self.keys), *([len(columns) - 1] if self.prose else [])}
        widths = _column_widths(columns, rows)
        if width is None or _total(widths) <= width:
            yield from _grid(columns, rows, widths, left)
            return
        if self.prose:
            yield from _with_prose(columns, rows, widths, width, left)
            return
        columns = [
            _narrow(head, _widest(cells)) for head, *cells in zip(columns, *rows, strict=True)
        ]
        widths = _column_widths(columns, rows)
        if _total(widths, _NARROW_GAP) <= width < _total(widths):
            yield from _grid(columns, rows, widths, left, _NARROW_GAP)
            return
        parts = _parts(widths, width, self.keys)
        if parts is None:
            yield from _blocks(columns, rows, self.keys, width)
            return
        for number, part in enumerate(parts):
            if number:
                yield Line.ROW, ""
            yield from _grid(
                [columns[i] for i in part],
                [[row[i] for i in part] for row in rows],
                [widths[i] for i in part],
                {place for place, i in enumerate(part) if i in left},
            )

    def __repr__(self) -> str:
        return self.text()

    def _repr_html_(self) -> str:
        """The representation in notebooks."""
        return self.html()

    def html(self) -> str:
        """The table as HTML; texts are escaped."""
        left = {*range(self.keys), *([len(self.columns) - 1] if self.prose else [])}
        head = "".join(f"<th>{_in_html(cell)}</th>" for cell in self.columns)
        rows = "".join(
            "<tr>"
            + "".join(_cell(cell, left=index in left) for index, cell in enumerate(row))
            + "</tr>"
            for row in self.rows
        )
        notes = "".join(f"<p>{html.escape(note)}</p>" for note in self.notes)
        caption = f"<caption>{_in_html(self.title)}</caption>" if self.title else ""
        return f"<table>{caption}<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>{notes}"


class Tabular(ABC):
    """Base class of results that are displayed as a table."""

    __slots__ = ()

    @abstractmethod
    def table(self) -> Table:
        """The displayed table."""

    def __repr__(self) -> str:
        return self.table().text()

    def _repr_html_(self) -> str:
        """The representation in notebooks."""
        return self.table().html()


def figure(value: float | None, interval: Sequence[float] | None = None, digits: int = 3) -> str:
    """Format a number and its interval as ``0.615 [0.55, 0.68]``; ``-`` for None."""
    if value is None:
        return "-"
    if isinstance(value, int):
        return str(value)
    text = f"{value:.{digits}f}"
    if interval is None:
        return text
    low, high = interval
    return f"{text} [{low:.{digits - 1}f}, {high:.{digits - 1}f}]"


def terminal_width() -> int | None:
    """The columns of the terminal on stdout; None for a pipe or a file."""
    if not sys.stdout.isatty():
        return None
    return max(shutil.get_terminal_size().columns, _LEAST_WIDTH)


def wrap(text: str, width: int | None, indent: str = "") -> list[str]:
    """The lines of ``text``, broken at blanks alone: a word that is longer than ``width`` stays whole."""
    lines = printable(text).split("\n")
    if width is None:
        return lines
    room = max(width, len(indent) + 1)
    return [
        part
        for line in lines
        for part in textwrap.wrap(
            line, room, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
        )
        or [""]
    ]


def _wrapped(kind: Line, text: str, width: int | None) -> Iterator[tuple[Line, str]]:
    if text:
        for line in wrap(text, width, "  "):
            yield kind, line


def _grid(
    columns: Sequence[str],
    rows: Iterable[Sequence[str]],
    widths: Sequence[int],
    left: set[int],
    gap: str = _GAP,
) -> Iterator[tuple[Line, str]]:
    """Heads and rows in columns of the given widths; short heads stand on the last line."""
    heads = [head.split("\n") for head in columns]
    height = max(map(len, heads))
    for number in range(height):
        cells = [
            head[number - height + len(head)] if number >= height - len(head) else ""
            for head in heads
        ]
        if any(cells):
            yield Line.HEAD, _join(cells, widths, left, gap)
    for row in rows:
        yield Line.ROW, _join(row, widths, left, gap)


def _join(cells: Sequence[str], widths: Sequence[int], left: set[int], gap: str = _GAP) -> str:
    return gap.join(
        _pad(cell, width, left=place in left)
        for place, (cell, width) in enumerate(zip(cells, widths, strict=True))
    ).rstrip()


def _with_prose(
    columns: list[str], rows: list[list[str]], widths: list[int], width: int, left: set[int]
) -> Iterator[tuple[Line, str]]:
    """A table whose last column is broken at blanks, or stands below its row where there is no room."""
    before = _total(widths[:-1]) + len(_GAP)
    longest = max((_width(word) for row in rows for word in row[-1].split()), default=0)
    beside = width - before >= max(_LEAST_PROSE, longest)
    indent = before if beside else 2
    shown = len(columns) if beside else len(columns) - 1
    yield from _grid(columns[:shown], [], widths[:shown], left)
    for row in rows:
        start = _join(row[:-1], widths[:-1], left)
        text = wrap(row[-1], width - indent)
        if beside:
            yield Line.ROW, f"{_pad(start, before, left=True)}{text[0]}".rstrip()
            text = text[1:]
        else:
            yield Line.ROW, start
        for line in text:
            yield Line.ROW, f"{'':{indent}}{line}"


def _parts(widths: Sequence[int], width: int, keys: int) -> list[list[int]] | None:
    """The columns of each of several tables that fit into ``width``; None if a column does not fit."""
    first = list(range(keys))
    parts: list[list[int]] = []
    for column in range(keys, len(widths)):
        if parts and _total([widths[i] for i in (*parts[-1], column)]) <= width:
            parts[-1].append(column)
        elif _total([widths[i] for i in (*first, column)]) <= width:
            parts.append([*first, column])
        else:
            return None
    return parts or None


def _blocks(
    columns: Sequence[str], rows: Sequence[Sequence[str]], keys: int, width: int
) -> Iterator[tuple[Line, str]]:
    """One block per row: its names, and below them a line per figure; lists are broken at blanks."""
    heads = [" ".join(head.split()) for head in columns[keys:]]
    room = _widest(heads)
    indent = " " * (room + 2 * len(_GAP))
    for row in rows:
        yield Line.HEAD, _GAP.join(row[:keys])
        for head, cell in zip(heads, row[keys:], strict=True):
            first, *others = wrap(cell, width - len(indent))
            yield Line.ROW, f"{_GAP}{_pad(head, room, left=True)}{_GAP}{first}".rstrip()
            for line in others:
                yield Line.ROW, f"{indent}{line}"


def _one_line(cell: str) -> str:
    return printable(cell).replace("\n", "\\n").replace("\t", "\\t")


def _narrow(head: str, cells: int) -> str:
    """``head`` broken at blanks where it is wider than the column's cells."""
    room = max(cells, *(_width(word) for word in head.split()), 1) if head.strip() else 1
    return "\n".join(
        line
        for part in head.split("\n")
        for line in textwrap.wrap(part, room, break_long_words=False, break_on_hyphens=False)
    )


def _column_widths(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[int]:
    return [
        max(_widest(head.split("\n")), _widest(cells))
        for head, *cells in zip(columns, *rows, strict=True)
    ]


def _widest(texts: Iterable[str]) -> int:
    return max(map(_width, texts), default=0)


def _total(widths: Sequence[int], gap: str = _GAP) -> int:
    return sum(widths) + len(gap) * (len(widths) - 1)


def _in_html(text: str) -> str:
    """``text`` with its line breaks."""
    return html.escape(text).replace("\n", "<br>")


def _cell(text: str, *, left: bool) -> str:
    align = "left" if left else "right"
    return f'<td style="text-align: {align}; {_CELL}">{html.escape(text)}</td>'


def _width(text: str) -> int:
    """Width of a text in terminal columns: wide characters take two, combining ones none."""
    return sum(
        2 if unicodedata.east_asian_width(char) in "WF" else 1
        for char in text
        if unicodedata.category(char) not in ("Mn", "Me", "Cf")
    )


def _pad(text: str, width: int, *, left: bool) -> str:
    blanks = " " * (width - _width(text))
    return text + blanks if left else blanks + text
