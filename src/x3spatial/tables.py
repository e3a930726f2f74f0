"""Tables of results as text for terminals and as HTML for notebooks."""

from __future__ import annotations

import html
import unicodedata
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

_CELL = "padding: 0.15em 0.7em"


@dataclass(frozen=True, slots=True)
class Table:
    """A title, column heads and rows of texts; the first column is left-aligned."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()
    """Lines below the table."""

    def text(self) -> str:
        """The table as plain text with aligned columns; nothing is truncated."""
        lines = [self.columns, *self.rows]
        widths = [max(map(_width, cells)) for cells in zip(*lines, strict=True)]
        shown = [self.title] if self.title else []
        for cells in lines:
            padded = [
                _pad(cell, width, left=index == 0)
                for index, (cell, width) in enumerate(zip(cells, widths, strict=True))
            ]
            shown.append("  ".join(padded).rstrip())
        return "\n".join([*shown, *self.notes])

    def html(self) -> str:
        """The table as HTML; texts are escaped."""
        head = "".join(f"<th>{html.escape(cell)}</th>" for cell in self.columns)
        rows = "".join(
            "<tr>"
            + "".join(_cell(cell, left=index == 0) for index, cell in enumerate(row))
            + "</tr>"
            for row in self.rows
        )
        notes = "".join(f"<p>{html.escape(note)}</p>" for note in self.notes)
        caption = f"<caption>{html.escape(self.title)}</caption>" if self.title else ""
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


def _cell(text: str, *, left: bool) -> str:
    align = "left" if left else "right"
    return f'<td style="text-align: {align}; {_CELL}">{html.escape(text)}</td>'


def _width(text: str) -> int:
    """Width of a text in terminal columns; wide characters take two."""
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text)


def _pad(text: str, width: int, *, left: bool) -> str:
    blanks = " " * (width - _width(text))
    return text + blanks if left else blanks + text
