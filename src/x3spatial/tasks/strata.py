"""Strata: what is known of a sample beyond its images; results are broken down and data filtered by it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import pairwise
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from x3spatial.arrays import Bool, Float64
from x3spatial.errors import UserError

AbsentBy = Literal["framing", "occlusion", "both"]
"""Why a view of the object's own scene does not show it: outside of the frame, hidden, or partly each."""
ABSENT_BY: tuple[AbsentBy, ...] = get_args(AbsentBy)
Absence = AbsentBy | Literal["other_scene", "removed_rescan"]
ABSENCES: tuple[Absence, ...] = (*ABSENT_BY, "other_scene", "removed_rescan")
"""Why the object of a negative is absent: as above, or the view is of another place."""

_LARGEST = 1e15
"""No fact is that large."""
Value = float | str | None
"""The value of a sample in a stratum: a number, a name, or None if it is unknown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Strata:
    """Facts of one sample; None where unknown."""

    angle_deg: float | None = None
    """Angle at the object between the directions of the two cameras, in degrees."""
    baseline_m: float | None = None
    """Distance between the two cameras, in metres."""
    overlap: float | None = None
    """Share of the object's surface points seen in view A that lie in the frame of view B."""
    visible_a: float | None = None
    visible_b: float | None = None
    """Share of the object's outline that is visible in each view."""
    lookalikes: int | None = None
    """Other objects of the same kind in view B."""
    mask_share: float | None = None
    """Share of the query image that the mask covers."""

    def to_json(self) -> dict[str, float | int | None]:
        """The facts by name."""
        return {name: getattr(self, name) for name in NAMES}

    @classmethod
    def from_json(cls, value: Any) -> Strata:
        """Read ``to_json``'s value; unknown names are ignored.

        Raises:
            ValueError: it is not an object of finite numbers.
        """
        if not isinstance(value, Mapping):
            raise ValueError("field 'strata' must be an object")
        found = {name: value.get(name) for name in NAMES}
        for name, number in found.items():
            if number is None:
                continue
            if isinstance(number, bool) or not isinstance(number, int | float):
                raise ValueError(f"field 'strata.{name}' must be a number")
            if not -_LARGEST < number < _LARGEST:  # also true for NaN
                raise ValueError(f"field 'strata.{name}' must be a finite number")
            if name == "lookalikes" and number != int(number):
                raise ValueError("field 'strata.lookalikes' must be a whole number")
        return cls(**found)


NAMES = tuple(field.name for field in fields(Strata))
"""Names of all facts."""


@dataclass(frozen=True, slots=True)
class Bin:
    """A part of a stratum: a range of numbers, or names."""

    least: float | None = None
    most: float | None = None
    """Infinity: no upper bound. Both bounds are None for names."""
    closed: bool = False
    """Whether the range contains its upper bound; it always contains the lower one."""
    names: tuple[str, ...] = ()

    def __contains__(self, value: Value) -> bool:
        """Whether a value belongs to the part; an unknown one does not."""
        if isinstance(value, str) or value is None or self.least is None or self.most is None:
            return value in self.names
        return self.least <= value < self.most or (self.closed and value == self.most)

    def contains(self, values: Float64 | npt.NDArray[np.object_]) -> Bool:
        """``[N]``: which of ``values`` belong to the part; unknown numbers are NaN."""
        if self.least is None or self.most is None:
            return np.array([value in self.names for value in values], np.bool_)
        inside = (values >= self.least) & (values < self.most)
        return np.asarray(inside | (self.closed & (values == self.most)), np.bool_)


@dataclass(frozen=True, slots=True)
class Stratum:
    """One way to group samples."""

    name: str
    """Field of ``Strata``, or ``absence``."""
    short: str
    """Name in ``--by``."""
    title: str
    bounds: tuple[float, ...] = ()
    """Bounds of the bins; empty for names."""
    names: tuple[str, ...] = ()
    """The known names; empty for numbers."""
    source: str = "scene.json"
    """What knows it."""

    def range(self, least: float, most: float) -> Bin:
        """The numbers from ``least`` up to, but not including, ``most``, except for the largest of all."""
        return Bin(least, most, closed=most >= self.bounds[-1])

    def bins(self, values: Iterable[Value]) -> tuple[Bin, ...]:
        """The bins of results: fixed ranges, or one per name among ``values``."""
        if self.bounds:
            return tuple(self.range(least, most) for least, most in pairwise(self.bounds))
        return tuple(
            Bin(names=(name,)) for name in sorted({v for v in values if isinstance(v, str)})
        )

    def value(
        self, strata: Strata | None, absence: str | None, mask_share: float | None = None
    ) -> Value:
        """The value of a sample.

        Args:
            strata: what ``scene.json`` says of it.
            absence: why its object is absent.
            mask_share: its mask's share of the image, if that is known without ``scene.json``.
        """
        if self.name == "absence":
            return absence
        if self.name == "mask_share":
            # An object that is not visible has no size.
            return (mask_share if strata is None else strata.mask_share) or None
        value: float | None = None if strata is None else getattr(strata, self.name)
        return value


STRATA: dict[str, Stratum] = {
    stratum.name: stratum
    for stratum in (
        Stratum("angle_deg", "angle", "angle between the views", (0, 20, 40, 60, 90, 180)),
        Stratum(
            "baseline_m", "baseline", "metres between the cameras", (0, 0.5, 1, 2, 4, math.inf)
        ),
        Stratum("overlap", "overlap", "share of A's surface in B's frame", (0, 0.25, 0.5, 0.75, 1)),
        Stratum("visible_a", "visible-a", "visible share in A", (0, 0.25, 0.5, 0.75, 1)),
        Stratum("visible_b", "visible-b", "visible share in B", (0, 0.25, 0.5, 0.75, 1)),
        Stratum("lookalikes", "lookalikes", "look-alikes in B", (0, 1, 2, 4, math.inf)),
        Stratum("mask_share", "size", "share of the image", (0, 0.0025, 0.01, 0.04, math.inf)),
        Stratum("absence", "absence", "cause of absence", names=ABSENCES, source="t1_negatives"),
    )
}
"""All strata by name, in the order of tables. Bins contain their lower bound, the last one both bounds."""


def range_text(least: float | None, most: float | None) -> str:
    """A range as text, such as ``20 to 40``; ``most`` is None without an upper bound."""
    return f"{least:g} and more" if most is None else f"{least:g} to {most:g}"


def find_stratum(name: str) -> Stratum | None:
    """The stratum of a short or full name; None if there is no such."""
    return next((s for s in STRATA.values() if name in (s.name, s.short)), None)


def choose_strata(names: Sequence[str]) -> tuple[Stratum, ...]:
    """The strata of ``--by``, by short or full name, in the order of the registry.

    Raises:
        UserError: a name is unknown.
    """
    chosen = set()
    for name in names:
        stratum = find_stratum(name)
        if stratum is None:
            known = ", ".join(stratum.short for stratum in STRATA.values())
            raise UserError(f"--by {name}: known are {known}")
        chosen.add(stratum.name)
    return tuple(stratum for name, stratum in STRATA.items() if name in chosen)
