"""What two pages of one content must have in common whatever their language, and where they differ."""

from __future__ import annotations

import posixpath
import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from translation.pages import MEASURED, Pair, chinese_of, digest, mark_of, without_mark

BLOB = "https://github.com/x3spatial/x3spatial/blob/main/"
RAW = "https://raw.githubusercontent.com/x3spatial/x3spatial/main/"
"""Where README links to, which package indexes show, too."""
_FENCE = re.compile(r"^\s*```(\S*)")
_HEADING = re.compile(r"^(#{1,6})\s+(.*?)\s*$")
_COMMENT = re.compile(r"<!--\s*(.*?)\s*-->", re.DOTALL)
_LINK = re.compile(r"(!?)\[[^\]]*\]\(([^()\s]+)\)")
_DEFINITION = re.compile(r"^()\[[^\]]+\]: (\S+)$", re.MULTILINE)
_SPAN = re.compile(r"`([^`]+)`")
_NUMBER = re.compile(r"(?<![A-Za-z0-9_.,])\d(?:[\d,]*\.\d+|[\d,]*\d)(?![A-Za-z0-9_]|\.\d)")
"""Of two digits or more; small ones may be words."""
_SHELL_COMMENT = re.compile(r"(^|\s)#\s.*$", re.MULTILINE)
_REASONS = frozenset({"default", "limit", "definition", "example", "cited"})
"""Marks of numbers that are no measurement; a language that has a word there needs none."""
_WITH_COMMENTS = frozenset({"bash", "python", "yaml", "toml"})


@dataclass(slots=True)
class Structure:
    """A page without its words."""

    levels: list[int] = field(default_factory=list)
    anchors: list[str] = field(default_factory=list)
    blocks: list[tuple[str, str]] = field(default_factory=list)
    comments: Counter[str] = field(default_factory=Counter)
    links: Counter[str] = field(default_factory=Counter)
    code: set[str] = field(default_factory=set)
    numbers: set[str] = field(default_factory=set)
    tables: list[tuple[int, int]] = field(default_factory=list)
    """Rows and columns."""
    items: int = 0
    """Points of lists."""


def anchor_of(title: str) -> str:
    """GitHub's anchor of a heading."""
    plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", title).lower()
    return re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")


def structure(text: str) -> Structure:
    """The structure of a page."""
    found = Structure()
    prose: list[str] = []
    block: list[str] | None = None
    language = ""
    for line in text.splitlines():
        fence = _FENCE.match(line)
        if block is not None and fence:
            found.blocks.append((language, code_of(language, block)))
            block = None
        elif block is not None:
            block.append(line.strip())
        elif fence:
            block, language = [], fence[1]
            prose.append("")
        else:
            prose.append(line)
            if heading := _HEADING.match(line):
                found.levels.append(len(heading[1]))
                found.anchors.append(anchor_of(heading[2]))
    comments = (" ".join(one.split()) for one in _COMMENT.findall("\n".join(prose)))
    found.comments.update(one for one in comments if one not in _REASONS)
    plain = _COMMENT.sub("", MEASURED.sub("", "\n".join(prose)))
    found.tables = tables_of(plain.splitlines())
    found.items = sum(bool(re.match(r"\s*(?:[-*]|\d+\.) ", line)) for line in plain.splitlines())
    found.code = {" ".join(span.split()) for span in _SPAN.findall(plain)}
    plain = _SPAN.sub("", plain)
    links = _LINK.findall(plain) + _DEFINITION.findall(plain)
    found.links.update(f"{sign}{target}" for sign, target in links)
    found.numbers = set(_NUMBER.findall(_DEFINITION.sub("", _LINK.sub("", plain))))
    return found


def code_of(language: str, lines: Iterable[str]) -> str:
    """A block without its comments."""
    text = "\n".join(lines)
    if language in _WITH_COMMENTS:
        text = "\n".join(line.rstrip() for line in _SHELL_COMMENT.sub("", text).splitlines())
    return text


def tables_of(lines: Iterable[str]) -> list[tuple[int, int]]:
    """Rows and columns of each table."""
    found: list[tuple[int, int]] = []
    inside = False
    for line in lines:
        if not line.lstrip().startswith("|"):
            inside = False
            continue
        columns = len(re.findall(r"(?<!\\)\|", line)) - 1
        rows = found.pop()[0] + 1 if inside else 1
        found.append((rows, columns))
        inside = True
    return found


Anchors = Callable[[str], list[str] | None]
"""The anchors of a page of the repository in order; None if there is no such page."""


def place_of(link: str, page: str) -> tuple[str, str, str]:
    """Sign of a picture, the path in the repository (or the address elsewhere), and the anchor."""
    sign, target = ("!", link[1:]) if link[0] == "!" else ("", link)
    path, _, anchor = target.partition("#")
    for base in (BLOB, RAW):
        if path.startswith(base):
            return sign, path.removeprefix(base), anchor
    if "://" in path or path.startswith("mailto:"):
        return sign, path, anchor
    return (
        sign,
        posixpath.normpath(posixpath.join(posixpath.dirname(page), path)) if path else page,
        anchor,
    )


def expected(link: str, pair: Pair, anchors: Anchors) -> tuple[str, str, str]:
    """Where the Chinese page must link to: the Chinese page where there is one, and the same heading."""
    sign, path, anchor = place_of(link, pair.english)
    if path == pair.chinese:  # the switch between the languages
        return sign, pair.english, anchor
    chinese = anchors(chinese_of(path)) if path.endswith(".md") else None
    if chinese is None:
        return sign, path, anchor
    english = anchors(path) or []
    place = english.index(anchor) if anchor in english else -1
    return sign, chinese_of(path), chinese[place] if 0 <= place < len(chinese) else anchor


def anchors_in(pair: Pair) -> Anchors:
    """The anchors of the pages beside a pair."""

    def found(page: str) -> list[str] | None:
        path = pair.root / page
        return structure(path.read_text("utf-8")).anchors if path.is_file() else None

    return found


def differences(pair: Pair) -> list[str]:
    """What is wrong with a translation, one line each; empty if nothing is."""
    name = pair.chinese
    missing = [page for page in (pair.english, pair.chinese) if not (pair.root / page).is_file()]
    if missing:
        return [f"{name}: {page} is not there" for page in missing]
    english, chinese = pair.texts()
    mark = mark_of(chinese)
    lines: list[str] = []
    if mark is None or mark[0] != pair.english:
        lines.append(f"its last line must be '<!-- translates: {pair.english} DIGEST -->'")
    elif mark[1] != digest(english):
        lines.append(
            f"{pair.english} has changed since it was translated: bring the translation up to date"
            f" (git log -p {pair.english})"
        )
    lines += compared(structure(english), structure(without_mark(chinese)), pair, anchors_in(pair))
    cure = (
        f", then run: python scripts/translations.py --done {name}" if mark is None or lines else ""
    )
    return [
        f"{name}: {line}{cure if number == len(lines) - 1 else ''}"
        for number, line in enumerate(lines)
    ]


def compared(a: Structure, b: Structure, pair: Pair, anchors: Anchors) -> list[str]:
    """Where the structure of a Chinese page (b) is unlike that of the English one (a)."""
    found: list[str] = []
    if a.levels != b.levels:
        found.append(f"levels of headings {b.levels}, the English page has {a.levels}")
    for number, (one, other) in enumerate(zip(a.blocks, b.blocks, strict=False), 1):
        if one != other:
            found.append(
                f"code block {number} is not the English one: {_first_unlike(one[1], other[1])}"
            )
    if len(a.blocks) != len(b.blocks):
        found.append(f"{len(b.blocks)} code blocks, the English page has {len(a.blocks)}")
    if a.tables != b.tables:
        found.append(f"rows and columns of tables {b.tables}, the English page has {a.tables}")
    if a.items != b.items:
        found.append(f"{b.items} points of lists, the English page has {a.items}")
    found += _unlike("markers and comments", a.comments, b.comments)
    wanted = Counter(expected(link, pair, anchors) for link in a.links.elements())
    links = Counter(place_of(link, pair.chinese) for link in b.links.elements())
    found += _unlike("links", _shown(wanted), _shown(links))
    found += _unlike("inline code", Counter(a.code), Counter(b.code))
    found += _unlike("numbers", Counter(a.numbers), Counter(b.numbers))
    return found


def _shown(links: Counter[tuple[str, str, str]]) -> Counter[str]:
    return Counter(
        {
            f"{sign}{path}{'#' if anchor else ''}{anchor}": n
            for (sign, path, anchor), n in links.items()
        }
    )


def _unlike(what: str, a: Counter[str], b: Counter[str]) -> list[str]:
    lost, added = sorted((a - b).elements()), sorted((b - a).elements())
    found = [f"{what} lost in translation: {_listed(lost)}"] if lost else []
    return found + (
        [f"{what} that the English page does not have: {_listed(added)}"] if added else []
    )


def _listed(names: list[str], most: int = 12) -> str:
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest} more" if rest > 0 else "")


def _first_unlike(a: str, b: str) -> str:
    pairs = zip([*a.splitlines(), ""], [*b.splitlines(), ""], strict=False)
    return next((f"{other!r} for {one!r}" for one, other in pairs if one != other), "its language")
