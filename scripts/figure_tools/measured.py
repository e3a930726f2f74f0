"""What counts as a measured figure, and which of them a page leaves without a source.

A measured figure is, outside of code, comments and link targets:

- a number with a unit of time, size or rate, a percentage, or a number of times;
- a number with an interval, ``0.46 [0.40, 0.52]``, or with ``±``;
- a rate or a distance: 0 or 1 with two decimals or more;
- a bare number in a column of a table whose header ends with such a unit.

Each has a marker right behind it (`figure_tools.pages`). In ``3 to 5 s`` one reason stands for both ends.

No marker is needed for 0 % and 100 %, "95 % intervals", and for what a table row or list item says that
begins with an option in code: its defaults and limits. Fractions in words (half, a fifth, twice), counts and
lengths are not looked for.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

from figure_tools.pages import MARKER, TABLE, Problem, plain_text
from figure_tools.quantities import NUMBER, PRINTED, RATE, UNIT

FREE = (
    re.compile(r"(?<![\d.,])(?:0|100)\s?%"),
    re.compile(r"95\s?%[\s-]+(?:confidence\s+)?intervals?|95\s?%\s?(?:的)?(?:置信)?区间"),
)
_A_RATE = re.compile(r"[+\-−]?[01]\.\d{2,}")
_UNIT_OF_COLUMN = re.compile(rf"(?:^|[\s(,]){'(?:' + UNIT + '|' + RATE + ')'}\)?\s*$")
_OCCASIONS = ("次",)
"""In Chinese "three times in a row" has this unit, and "three times as fast", a measurement, another."""
_BETWEEN = re.compile(r"\s*(?:to|and|or|,|/|–|-|至|到|或|~)\s*")
_OPTION = re.compile(r"^\s*(?:\|\s*|[-*]\s+)`-")
_RULE = re.compile(r"^[|:\-\s]+$")


def unmarked(page: str, text: str) -> list[Problem]:
    """The measured figures of a page that have neither a source nor a reason."""
    own = TABLE.sub(lambda found: re.sub(r"[^\n]", " ", found[0]), text)
    found = []
    for start, end in sorted(set(_measured(own))):
        if not _has_marker(own, end):
            line = own.count("\n", 0, start) + 1
            shown = " ".join(own[start:end].split())
            found.append(Problem(page, line, f"{shown}: a measured figure without a source"))
    return found


def _measured(text: str) -> Iterator[tuple[int, int]]:
    """Where measured figures stand."""
    readable = plain_text(text)
    for pattern in FREE:
        readable = pattern.sub(lambda found: " " * len(found[0]), readable)
    exempt = _option_blocks(text)
    columns = _columns_with_units(readable)
    taken = -1
    for match in PRINTED.finditer(readable):
        start, end = match.span()
        if start < taken or any(low <= start < high for low, high in exempt):
            continue
        if _is_measured(readable, match, columns):
            taken = end
            yield from _chain_before(text, readable, start, end)
            yield start, end


def _is_measured(readable: str, match: re.Match[str], columns: list[tuple[int, int]]) -> bool:
    if match["unit"] is not None or match["interval"] is not None:
        return match["unit"] not in _OCCASIONS
    if not match["number"][-1].isdigit():
        return False  # a number word without a unit
    start, end = match.span()
    if readable[end : end + 2].lstrip().startswith("±"):
        return True
    if _A_RATE.fullmatch(match["number"]):
        return True
    return any(low <= start < high for low, high in columns)


def _chain_before(text: str, readable: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """The other ends of a range: ``3`` in ``3 to 5 s``, if no reason behind it covers both."""
    marker = MARKER.match(text, _behind(text, end))
    if marker is not None and marker["reason"] is not None:
        return
    joint = re.search(rf"(?<![\w.,])({NUMBER}){_BETWEEN.pattern}$", readable[:start])
    if joint is not None:
        yield joint.start(1), joint.end(1)


def _has_marker(text: str, end: int) -> bool:
    return MARKER.match(text, _behind(text, end)) is not None


def _behind(text: str, end: int) -> int:
    while text[end : end + 1] in ("*", "_"):
        end += 1
    return end


def _option_blocks(text: str) -> list[tuple[int, int]]:
    """The table rows and list items that begin with an option."""
    found: list[tuple[int, int]] = []
    position, open_item = 0, False
    for line in text.splitlines(keepends=True):
        if _OPTION.match(line):
            found.append((position, position + len(line)))
            open_item = not line.lstrip().startswith("|")
        elif open_item and line.startswith("  ") and line.strip():
            found.append((position, position + len(line)))
        else:
            open_item = False
        position += len(line)
    return found


def _columns_with_units(readable: str) -> list[tuple[int, int]]:
    """Where the cells stand of columns whose header ends with a unit."""
    found: list[tuple[int, int]] = []
    lines = readable.splitlines(keepends=True)
    position = 0
    wanted: set[int] = set()
    for number, line in enumerate(lines):
        cells = _cells(line)
        if not cells:
            wanted = set()
        elif (
            number + 1 < len(lines) and "-" in lines[number + 1] and _RULE.match(lines[number + 1])
        ):
            wanted = {
                index for index, (low, high) in enumerate(cells)
                if _UNIT_OF_COLUMN.search(line[low:high].strip(" *"))
            }  # fmt: skip
        else:
            for index, (low, high) in enumerate(cells):
                if index in wanted:
                    found.append((position + low, position + high))
        position += len(line)
    return found


def _cells(line: str) -> list[tuple[int, int]]:
    """Where the cells of a table row stand; none if the line is no row."""
    if not line.lstrip(" >").startswith("|"):
        return []
    bars = [match.start() for match in re.finditer(r"(?<!\\)\|", line)]
    return [(low + 1, high) for low, high in pairwise(bars)]
