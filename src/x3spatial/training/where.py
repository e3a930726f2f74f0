"""The ``where`` of a data set or of a recipe's stage: only records of some strata.

In YAML::

    where:
      angle_deg: [0, 60]             # from 0 up to, but not including, 60; null: no bound
      absence: [occlusion, both]     # one of these names

The largest value of a stratum belongs to a range that ends there: ``overlap: [0.5, 1]`` includes 1. All
conditions must hold. Strata and their names are those of results (``tasks.strata``).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from x3spatial.errors import UserError
from x3spatial.tasks.strata import STRATA, Bin, Strata, Stratum, find_stratum
from x3spatial.texts import counted


class Facts(Protocol):
    """What is known of a record."""

    @property
    def strata(self) -> Strata | None: ...  # noqa: D102

    @property
    def absence(self) -> str | None: ...  # noqa: D102

    @property
    def mask_area_fraction(self) -> float | None: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class Condition:
    """One entry of ``where``."""

    stratum: str
    """Full name."""
    part: Bin

    def __str__(self) -> str:
        if self.part.names:
            return f"{self.stratum} {' or '.join(self.part.names)}"
        least, most = self.part.least, self.part.most
        assert least is not None and most is not None
        lower = "" if math.isinf(least) else f"from {least:g}"
        upper = "" if math.isinf(most) else f"to {most:g}"
        return " ".join(filter(None, (self.stratum, lower, upper)))


@dataclass(frozen=True, slots=True)
class Selection:
    """The records that meet all conditions, and why the others do not."""

    kept: tuple[int, ...]
    """Indices of the records."""
    outside: int
    unknown: Mapping[str, int]
    """Stratum → number of records of which it is not known; each record counts once."""

    def left_out(self) -> str:
        """``12 outside, 3 of unknown angle_deg``; empty if none was left out."""
        found = [f"{self.outside} outside"] if self.outside else []
        found += [f"{count} of unknown {name}" for name, count in self.unknown.items()]
        return ", ".join(found)


def select(records: Sequence[Facts], where: Sequence[Condition]) -> Selection:
    """Select the records that meet all conditions."""
    kept: list[int] = []
    outside = 0
    unknown: Counter[str] = Counter()
    for index, record in enumerate(records):
        facts = record.strata, record.absence, record.mask_area_fraction
        values = [STRATA[one.stratum].value(*facts) for one in where]
        missing = next((c.stratum for c, v in zip(where, values, strict=True) if v is None), None)
        if missing is not None:
            unknown[missing] += 1
        elif all(value in one.part for one, value in zip(where, values, strict=True)):
            kept.append(index)
        else:
            outside += 1
    return Selection(tuple(kept), outside, dict(unknown))


def refuse_empty(found: Selection, where: Sequence[Condition], what: str) -> None:
    """Check that a record was selected; ``what`` names the data in the message.

    Raises:
        UserError: none was, although there are records.
    """
    if found.kept or not found.left_out():
        return
    hint = ""
    if not found.outside:
        sources = {STRATA[name].source for name in found.unknown}
        hint = f"; only {' and '.join(sorted(sources))} would say it"
    raise UserError(f"{what}: no record is where {described(where)}: {found.left_out()}{hint}")


def described(where: Sequence[Condition]) -> str:
    """The conditions as text."""
    return ", ".join(map(str, where))


def counted_selection(found: Selection, where: Sequence[Condition]) -> str:
    """A line of a log: what was selected, and how many records were left out for which reason."""
    left = found.left_out() or "none"
    return f"where {described(where)}: {counted(len(found.kept), 'sample')}; left out: {left}"


def parse_where(value: Any, name: str) -> tuple[Condition, ...]:
    """The conditions of a ``where``, in the order of the registry of strata.

    Args:
        value: the mapping of a YAML file.
        name: names it in errors, such as ``data.yaml: data set 'near'``.

    Raises:
        UserError: a stratum or name is unknown, or a range is malformed or empty.
    """
    if not isinstance(value, Mapping) or not value:
        raise UserError(f"{name}: where must map strata to ranges or names, as angle_deg: [0, 60]")
    found: dict[str, Condition] = {}
    for key, given in value.items():
        stratum = find_stratum(str(key))
        if stratum is None:
            raise UserError(f"{name}: where {key}: unknown stratum; known are {', '.join(STRATA)}")
        if stratum.name in found:
            raise UserError(f"{name}: where {key}: {stratum.name} is given twice; remove one")
        parse = _names if stratum.names else _range
        found[stratum.name] = Condition(stratum.name, parse(stratum, given, f"{name}: where {key}"))
    return tuple(found[stratum] for stratum in STRATA if stratum in found)


def _range(stratum: Stratum, given: Any, name: str) -> Bin:
    bounds = given if isinstance(given, list) else []
    if len(bounds) != 2 or not all(bound is None or _is_number(bound) for bound in bounds):
        raise UserError(f"{name} is {given!r}; expected [FROM, TO], numbers or null")
    least, most = bounds
    least = -math.inf if least is None else float(least)
    most = math.inf if most is None else float(most)
    if not least < most:
        raise UserError(f"{name} is {given!r}, which contains nothing; expected FROM below TO")
    return stratum.range(least, most)


def _names(stratum: Stratum, given: Any, name: str) -> Bin:
    names = [given] if isinstance(given, str) else given
    if not isinstance(names, list) or not names:
        raise UserError(f"{name} is {given!r}; expected a list of {', '.join(stratum.names)}")
    for one in names:
        if one not in stratum.names:
            raise UserError(f"{name}: {one!r} is unknown; known are {', '.join(stratum.names)}")
    return Bin(names=tuple(one for one in stratum.names if one in names))


def _is_number(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer of hundreds of digits
        return False
