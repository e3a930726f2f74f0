"""Pairs of pages, and the mark at the end of a Chinese one: which English text it translates."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
README, README_ZH = "README.md", "README.zh-CN.md"
ZH = "docs/zh/"
ONLY_CHINESE = frozenset({"docs/zh/glossary.md"})
"""Chinese pages that translate nothing."""
_MARK = re.compile(r"\n<!-- translates: (\S+) ([0-9a-f]{12}) -->\n*\Z")
_TABLE = re.compile(r"<!-- figures: .*?-->.*?<!-- end of figures -->", re.DOTALL)
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
MEASURED = re.compile(r"[\d.,]+(?: ?\[[\d., ]+\])?[^\d<>\n]{0,12}?(?=<!-- fig: )")
"""A measured number with its unit: scripts/figures.py writes it, in each language in its own unit."""


@dataclass(frozen=True, slots=True)
class Pair:
    """An English page and the Chinese one that translates it, relative to the repository."""

    english: str
    chinese: str
    root: Path = REPOSITORY

    def texts(self) -> tuple[str, str]:
        """Both texts.

        Raises:
            OSError: one of them is not there.
        """
        english, chinese = (
            (self.root / name).read_text("utf-8") for name in (self.english, self.chinese)
        )
        return english, chinese


def chinese_of(english: str) -> str:
    """Where the translation of an English page lies if there is one."""
    return README_ZH if english == README else english.replace("docs/", ZH, 1)


def english_of(chinese: str) -> str:
    """The English page that a Chinese one translates."""
    return README if chinese == README_ZH else chinese.replace(ZH, "docs/", 1)


def pairs(root: Path = REPOSITORY) -> list[Pair]:
    """All Chinese pages with their English ones, README first."""
    pages = sorted(path.relative_to(root).as_posix() for path in (root / ZH).glob("*.md"))
    chinese = [README_ZH, *(page for page in pages if page not in ONLY_CHINESE)]
    return [Pair(english_of(page), page, root) for page in chinese]


def digest(english: str) -> str:
    """Of what a translation depends on: the words, without wrapping, measured figures and marks of tests."""
    text = _COMMENT.sub("", MEASURED.sub("#", _TABLE.sub("", english)))
    return hashlib.sha256(" ".join(text.split()).encode()).hexdigest()[:12]


def mark_of(chinese: str) -> tuple[str, str] | None:
    """(English page, digest of its text) at the end of a Chinese page."""
    found = _MARK.search(chinese)
    return None if found is None else (found[1], found[2])


def without_mark(chinese: str) -> str:
    """The page without its last line."""
    return _MARK.sub("\n", chinese)


def marked_as_done(pair: Pair) -> None:
    """Write the mark of today's English text."""
    english, chinese = pair.texts()
    text = without_mark(chinese).rstrip("\n")
    mark = f"<!-- translates: {pair.english} {digest(english)} -->"
    (pair.root / pair.chinese).write_text(f"{text}\n\n{mark}\n", encoding="utf-8")
