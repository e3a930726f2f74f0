"""Parsing of numbers in answer texts, shared by all conventions.

All patterns run in linear time: repetitions are possessive, so a long run of digits or blanks causes no
backtracking.
"""

from __future__ import annotations

import html
import math
import re
import unicodedata
from collections.abc import Iterable
from functools import cache

NUMBER = r"[-+]?(?:[0-9]++(?:\.[0-9]*+)?+|\.[0-9]++)(?:[eE][-+]?[0-9]++)?+"
"""A decimal number in a text from ``normalize_characters``; contains no capturing group."""
SPACED_NUMBER = rf"\s*+({NUMBER})\s*+"
"""A number with blanks around it; the number is captured."""

# Full-width ASCII and these marks are unambiguous in every script that uses them.
_FORMS = {code: chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F)}
_FORMS |= {ord("\u3000"): " ", ord("\u3001"): ",", ord("\u2212"): "-"}
_FORMS |= {ord("\u3010"): "[", ord("\u3011"): "]", ord("\u066b"): "."}
_FORMS |= dict.fromkeys(map(ord, "\u201c\u201d\u201e"), '"') | dict.fromkeys(
    map(ord, "\u2018\u2019"), "'"
)
_OTHER_DIGIT = re.compile(r"(?![0-9])\d")
_INVISIBLE = dict.fromkeys(
    [
        *map(ord, "\u00ad\u061c\u200b\u200c\u200d\u200e\u200f\u2060\ufe0e\ufe0f\ufeff"),
        *range(0x202A, 0x202F),  # directions of text
        *range(0x2066, 0x206A),
    ]
)
"""Characters without a glyph, which web pages and editors put into words."""
_ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z]{2,8});")
# Two backslashes where a text was escaped once more, as a string of JSON.
_ESCAPED = re.compile(r"""\\{1,3}([_*"'`\[\](){}<>#$%&~^|-])""")
_LATEX = re.compile(
    r"\\(?:left|right|math(?:rm|bf|tt|it|sf)|text(?:bf|tt|rm|it|sf)?|operatorname|boxed|fbox|q?quad)"
    r"(?![A-Za-z])|\\[,;:! ]"
)
# Bold, code and maths around a number. A mark between two numbers is a product and stays.
_MARK_BEFORE = re.compile(r"(?<![\w.)\]*])(?:[*_]{1,3}|[`$]{1,2})(?=[-+]?[.0-9])")
_MARK_AFTER = re.compile(r"(?<=[0-9.])(?:[*_]{1,3}|[`$]{1,2})(?![\w.(\[*])")

# Marks of thinking that model families have published, in any case. What a tag opens, any of them closes.
_TAGS = (
    r"(?:[a-z]{1,12}:)?think|thinking|thoughts?|reason|reasoning|reflection|analysis|scratchpad|cot"
    r"|rationale|chain[_-]of[_-]thought|(?:internal|inner)[_-](?:monologue|thoughts?)"
    r"|(?:thinking|thought|reasoning)[_-]process"
)
_THINKING = (
    (rf"<(?:{_TAGS})(?:\s[^<>]*)?>", rf"</(?:{_TAGS})\s*>"),
    (rf"<\|(?:{_TAGS})\|>", rf"<\|/(?:{_TAGS})\|>"),
    (r"\[THINK\]", r"\[/THINK\]"),  # Magistral
    ("\u25c1think\u25b7", "\u25c1/think\u25b7"),  # Kimi-VL
    (r"<\|begin_of_thought\|>", r"<\|end_of_thought\|>"),  # OpenThinker, Sky-T1
    (r"<\|START_THINKING\|>", r"<\|END_THINKING\|>"),  # Command A
    (r"<unused94>(?:thought)?", r"<unused95>"),  # MedGemma
    (r"<\|channel>(?:thought|analysis)", r"<channel\|>"),  # Gemma 4
    (r"<\|im_start\|>think\b", r"<\|im_start\|>answer\b"),  # s1
)
_BLOCKS = tuple(
    (
        re.compile(rf"{begin}.*?(?:{end}|\Z)", re.DOTALL | re.IGNORECASE),
        re.compile(end, re.IGNORECASE),
    )
    for begin, end in _THINKING
)
_MAY_THINK = re.compile(r"[<\u25c1]|\[/?THINK\]|\A\s*analysis", re.IGNORECASE)
"""How every mark below and above begins; a short answer without any is not searched for each of them."""
_FINAL_CHANNEL = re.compile(r"<\|channel\|>\s*final\b[^<]*<\|message\|>")  # gpt-oss
_OTHER_CHANNEL = re.compile(
    r"<\|channel\|>\s*(?:analysis|commentary)\b.*?(?:<\|end\|>|<\|call\|>|\Z)", re.DOTALL
)
# gpt-oss where the server left out its special tokens.
_BARE_CHANNELS = re.compile(r"\A\s*analysis.*?assistant\s*final", re.DOTALL)
# The end of a turn, or the beginning of the next one where a family marks that alone (GLM, Phi, Mistral).
_END_OF_TURN = re.compile(
    r"<\|(?:im_end|endoftext|end_of_text|eot_id|eom_id|end|return|eot|eos|end_of_turn|endofturn"
    r"|assistant_end|END_OF_TURN_TOKEN|end_of_sentence|user|system|observation)\|>"
    r"|<\|(?:im_start|start|start_header_id)\|>\s*(?:user|system|tool)\b|<\|?(?:start_of_)?turn>\s*user\b"
    r"|<turn\|>|\[\|endofturn\|\]|\[INST\]|</s>|<eos>|<end_of_turn>|<end_of_utterance>|<im_end>"
    "|<\uff5cend\u2581of\u2581sentence\uff5c>|<\uff5cUser\uff5c>|\\[EOS\\]",
    re.IGNORECASE,
)
_MARKED_BOX = re.compile(r"<(?:\|box_start\||box)>[^<]*+")
_BRACE = re.compile(r"""(\{)(\s*+["'])?+|\}""")


def normalize_characters(text: str) -> str:
    """Reduce a text to plain characters, so that every convention reads numbers and words alike.

    Digits of any script, full-width signs and curly quotes become ASCII; characters without a glyph,
    backslashes of Markdown and LaTeX, and bold, code and maths marks around numbers are removed. Characters
    whose conversion would change a number (superscripts, fractions, circled digits) are kept.
    """
    if not text.isascii():
        text = text.translate(_INVISIBLE).translate(_FORMS)
        text = _OTHER_DIGIT.sub(lambda found: str(unicodedata.decimal(found[0])), text)
    if "\\" in text:
        text = _LATEX.sub("", _ESCAPED.sub(r"\1", text))
    return _MARK_AFTER.sub("", _MARK_BEFORE.sub("", text))


def unescape_entities(text: str) -> str:
    """Replace the entities of HTML (``&lt;``, ``&#95;``), with which web pages and some servers escape."""
    return _ENTITY.sub(lambda found: html.unescape(found[0]), text) if "&" in text else text


def strip_thinking(text: str) -> str:
    """Remove the thinking blocks of a reasoning model, in any published markup.

    Points in a thinking block are not the answer. A block without an end (token limit) is removed up to the
    end of the text; a block without a beginning (its tag was in the prompt) from the start of the text.
    """
    if not _MAY_THINK.search(text):
        return text
    for block, end in _BLOCKS:
        text = block.sub("", text)
        ends = list(end.finditer(text))
        text = text[ends[-1].end() :] if ends else text
    text = _BARE_CHANNELS.sub("", text)
    finals = list(_FINAL_CHANNEL.finditer(text))
    return text[finals[-1].end() :] if finals else _OTHER_CHANNEL.sub("", text)


def first_turn(text: str) -> str:
    """The text up to the first token with which a model family ends its turn; it may begin with one.

    What follows is text that a server or a decoder without a stop token let the model go on with.
    """
    start = 0
    for found in _END_OF_TURN.finditer(text):
        if text[start : found.start()].strip():
            return text[start : found.start()]
        start = found.end()
    return text[start:]


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
    # Models write numbers as strings, and a comma after the last one.
    number = rf"\s*+[\"']?+({NUMBER})(?:\s*+{suffix})?+[\"']?+\s*+"
    first, second = rf"{number},", rf"{number}(?:,\s*+)?+"
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


def finite_box(numbers: Iterable[str | float]) -> tuple[float, float, float, float] | None:
    """(x1, y1, x2, y2); None if a number is not finite.

    Raises:
        ValueError: there are not four numbers, or a text is not a number.
    """
    x1, y1, x2, y2 = (float(number) for number in numbers)
    box = x1, y1, x2, y2
    return box if all(map(math.isfinite, box)) else None
