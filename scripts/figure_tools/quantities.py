"""Numbers with units, as pages print them: reading, comparing, printing.

A quantity is kept in its base unit (seconds, bytes, ratios); a page prints it in any unit of the same kind.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

RATIO, TIME, CPU, SIZE = "", "s", "CPU s", "B"

UNITS: dict[str, tuple[str, float]] = {
    "ms": (TIME, 1e-3), "s": (TIME, 1), "sec": (TIME, 1), "min": (TIME, 60), "h": (TIME, 3600),
    "second": (TIME, 1), "minute": (TIME, 60), "hour": (TIME, 3600), "day": (TIME, 86400),
    "毫秒": (TIME, 1e-3), "秒": (TIME, 1), "分钟": (TIME, 60), "小时": (TIME, 3600),
    "CPU ms": (CPU, 1e-3), "CPU s": (CPU, 1), "CPU second": (CPU, 1), "CPU minute": (CPU, 60),
    "CPU 毫秒": (CPU, 1e-3), "CPU 秒": (CPU, 1), "核秒": (CPU, 1),
    "KB": (SIZE, 1e3), "kB": (SIZE, 1e3), "MB": (SIZE, 1e6), "GB": (SIZE, 1e9), "TB": (SIZE, 1e12),
    "KiB": (SIZE, 2**10), "MiB": (SIZE, 2**20), "GiB": (SIZE, 2**30), "TiB": (SIZE, 2**40),
    "%": (RATIO, 0.01), "times": (RATIO, 1), "x": (RATIO, 1), "×": (RATIO, 1), "倍": (RATIO, 1),
    "次": (RATIO, 1),
}  # fmt: skip
"""How a unit is printed: the base unit of its kind, and the factor to it."""

_ENGLISH = [
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
]
_TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
WORDS = {word: number for number, word in enumerate(_ENGLISH, 2)}
WORDS |= {word: 10 * number for number, word in enumerate(_TENS, 2)}
_CHINESE = {word: number for number, word in enumerate("二三四五六七八九十", 2)} | {"两": 2}
_PLURAL = ("second", "minute", "hour", "day", "CPU second", "CPU minute")

NUMBER = r"[+\-−]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?!\.?\d)"
_NAMES = sorted([*UNITS, *(f"{name}s" for name in _PLURAL), "天"], key=len, reverse=True)
UNIT = "(?:" + "|".join(re.escape(name).replace(r"\ ", r"\s+") for name in _NAMES) + ")"
RATE = r"(?:\w+/s\b|\w+\s+(?:a|per)\s+second\b)"
"""Such as `samples/s`; a unit of its own, whatever is counted."""

_WORD = rf"(?:\b(?:{'|'.join(WORDS)})(?![a-z])|(?<![第十百])[{''.join(_CHINESE)}])"
_UNIT_END = r"(?![A-Za-z0-9_])(?<![x×](?=\s?\d))"
"""In `640 x 480` the x is no unit."""
INTERVAL = rf"\[\s*{NUMBER},\s*{NUMBER}\s*\]"
PRINTED = re.compile(
    rf"(?P<number>(?<![\w.,]){NUMBER}|{_WORD})(?P<interval>\s?{INTERVAL})?"
    rf"(?:(?P<gap>[ \u00a0-]|\s*\n\s*|)(?P<unit>{RATE}|{UNIT}{_UNIT_END}))?"
)
"""A number as a page prints it: with an interval, a unit, both or neither."""


@dataclass(frozen=True)
class Value:
    """A measured value in its base unit."""

    value: float
    unit: str = RATIO
    low: float | None = None
    """The lower end of its 95 % interval."""
    high: float | None = None


def base_of(unit: str | None) -> tuple[str, float]:
    """Base unit and factor of a printed unit; an unknown one is its own base."""
    if unit is None:
        return "", 1.0
    name = " ".join(unit.split())
    if name == "天":
        return UNITS["day"]
    if name not in UNITS and name.removesuffix("s") in _PLURAL:
        name = name.removesuffix("s")
    return UNITS.get(name, (re.sub(r"\s(?:a|per)\ssecond$", "/s", name), 1.0))


def decimals(printed: str) -> int:
    """The decimals of a printed number."""
    return len(printed.partition(".")[2])


def number(printed: str) -> float:
    """The value of a printed number or number word."""
    word = WORDS.get(printed) or _CHINESE.get(printed)
    return float(word) if word else float(printed.replace(",", "").replace("−", "-"))


def written(value: float, like: str) -> str:
    """The value with the decimals, sign and thousands separators of another printed number."""
    known = WORDS if like in WORDS else _CHINESE
    if like in known:
        words = {one: word for word, one in known.items()}
        return words.get(round(value), f"{value:.0f}")
    sign = "+" if like.startswith("+") else ""
    comma = "," if "," in like or abs(value) >= 10_000 else ""
    text = f"{value:{sign}{comma}.{decimals(like)}f}"
    if not text.strip("+-0.,"):
        text = text.lstrip("-")
    return text.replace("-", "−") if like.startswith("−") else text


def same(found: re.Match[str], known: Value) -> str | None:
    """What differs between a printed quantity and the known value; None if they agree.

    Args:
        found: a match of `PRINTED`.
        known: the value of the figure file.
    """
    base, factor = base_of(found["unit"])
    if base != known.unit and not (found["unit"] is None and known.unit in (TIME, CPU, SIZE)):
        return f"is in {found['unit'] or 'no unit'}, the figure in {known.unit or 'no unit'}"
    if not _rounds_to(found["number"], known.value / factor):
        return f"the figure is {known.value / factor:.6g}"
    if found["interval"] is not None:
        if known.low is None or known.high is None:
            return "the figure has no interval"
        low, high = re.findall(NUMBER, found["interval"])
        if not (_rounds_to(low, known.low / factor) and _rounds_to(high, known.high / factor)):
            return f"the interval is [{known.low / factor:.6g}, {known.high / factor:.6g}]"
    return None


def rewritten(found: re.Match[str], known: Value) -> str:
    """The printed quantity with the known value in its place; decimals and unit stay."""
    factor = base_of(found["unit"])[1]
    interval = found["interval"] or ""
    if interval and known.low is not None and known.high is not None:
        ends = iter((known.low / factor, known.high / factor))
        interval = re.sub(NUMBER, lambda end: written(next(ends), end[0]), interval)
    unit = f"{found['gap']}{found['unit']}" if found["unit"] else ""
    return written(known.value / factor, found["number"]) + interval + unit


def _rounds_to(printed: str, value: float) -> bool:
    return abs(number(printed) - value) <= 0.5 * 10.0 ** -decimals(printed) * (1 + 1e-9)
