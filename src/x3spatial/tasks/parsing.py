"""Parsing of numbers in answer texts, shared by all conventions.

All patterns run in linear time: repetitions are possessive, so a long run of digits or blanks causes no
backtracking.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterable
from functools import cache

NUMBER = r"[-+]?(?:[0-9]++(?:\.[0-9]*+)?+|\.[0-9]++)(?:[eE][-+]?[0-9]++)?+"
"""A decimal number in a text from ``normalize_characters``; contains no capturing group."""

# Full-width ASCII and these marks are unambiguous in every script that uses them.
_FORMS = {code: chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F)}
_FORMS |= {ord("\u3000"): " ", ord("\u3001"): ",", ord("\u2212"): "-"}
_FORMS |= {ord("\u3010"): "[", ord("\u3011"): "]"}
_FORMS |= dict.fromkeys(map(ord, "\u201c\u201d\u201e"), '"') | dict.fromkeys(
    map(ord, "\u2018\u2019"), "'"
)
_OTHER_DIGIT = re.compile(r"(?![0-9])\d")
_THOUGHT = re.compile(r"<think>.*?(?:</think>|\Z)", re.DOTALL)
_MARKED_BOX = re.compile(r"<(?:\|box_start\||box)>[^<]*+")
_BRACE = re.compile(r"""(\{)(\s*+["'])?+|\}""")


def normalize_characters(text: str) -> str:
    """Convert digits of any script, full-width signs and curly quotes to ASCII.

    Characters whose conversion would change a number (superscripts, fractions, circled digits) are kept.
    """
    if text.isascii():
        return text
    return _OTHER_DIGIT.sub(
        lambda found: str(unicodedata.decimal(found[0])), text.translate(_FORMS)
    )


def strip_thinking(text: str) -> str:
    """Remove the thinking blocks of a reasoning model, ``<think>`` to ``</think>``.

    Points in a thinking block are not the answer. A block without an end (token limit) is removed up to the
    end of the text; a block without a beginning (its tag was in the prompt) from the start of the text.
    """
    return _THOUGHT.sub("", text).rpartition("</think>")[2]


def mask_json_objects(text: str) -> str:
    """Replace JSON objects in ``text`` by ``{}``, because the meaning of their numbers depends on their keys.

    An object is an opening brace followed by a quote, up to the closing brace or the end of the text.
    """
    if "{" not in text:
        return text
    kept: list[str] = []
    start = depth = 0
    for brace in _BRACE.finditer(text):
        if depth == 0:
            if brace[2]:
                kept.append(text[start : brace.start()])
                depth = 1
        elif brace[1]:
            depth += 1
        else:
            depth -= 1
            start = brace.end()
    kept.append("" if depth else text[start:])
    return "{}".join(kept)


@cache
def _pair_patterns(suffix: str) -> tuple[re.Pattern[str], re.Pattern[str]]:
    first = rf"\s*+({NUMBER})(?:\s*+{suffix})?+\s*+,"
    second = rf"\s*+({NUMBER})(?:\s*+{suffix})?+\s*+"
    # The format of the prompt, "[(x, y)]", takes precedence wherever it occurs, as in
    # "(0.1, 0.2) moved: [(0.5, 0.5)]". Without it a bare "(x, y)" or "[x, y]" is used.
    return re.compile(rf"\[\s*+\({first}{second}\)"), re.compile(rf"[(\[]{first}{second}[)\]]")


def first_pair(text: str, suffix: str = "") -> tuple[float, float] | None:
    """The first ``[(x, y)]`` in ``text``, else its first bracketed pair of numbers; None if neither.

    Pairs inside JSON objects and in the box markup of Qwen-VL and InternVL belong to other conventions and
    are ignored. A pair with a number too large for a float counts as not found.

    Args:
        text: a text from ``normalize_characters``.
        suffix: a pattern that may follow each number, such as ``%``.
    """
    text = _MARKED_BOX.sub("<>", mask_json_objects(text))
    asked, bare = _pair_patterns(suffix)
    found = asked.search(text) or bare.search(text)
    return None if found is None else finite_point(found.groups())


def finite_point(numbers: Iterable[str | float]) -> tuple[float, float] | None:
    """(x, y), or the centre of (x1, y1, x2, y2); None if a number is not finite.

    Raises:
        ValueError: there are neither two nor four numbers, or a text is not a number.
    """
    values = [float(number) for number in numbers]
    if not all(map(math.isfinite, values)):
        return None
    if len(values) == 4:
        x1, y1, x2, y2 = values
        return x1 / 2 + x2 / 2, y1 / 2 + y2 / 2
    x, y = values
    return x, y
