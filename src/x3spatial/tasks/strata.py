"""Strata: what is known of a sample beyond its images; results are broken down and data filtered by it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from x3spatial.errors import UserError


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
            ValueError: it is not an object of numbers.
        """
        if not isinstance(value, Mapping):
            raise ValueError("field 'strata' must be an object")
        found = {name: value.get(name) for name in NAMES}
        for name, number in found.items():
            if number is not None and (
                isinstance(number, bool) or not isinstance(number, int | float)
            ):
                raise ValueError(f"field 'strata.{name}' must be a number")
        return cls(**found)


NAMES = tuple(field.name for field in fields(Strata))
"""Names of all facts."""


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
        Stratum("mask_share", "size", "share of the image", (0, 0.0025, 0.01, 0.04, 1)),
        Stratum("absence", "absence", "why the object is absent"),
    )
}
"""All strata by name, in the order of tables. Bins contain their lower bound, the last one both bounds."""


def choose_strata(names: Sequence[str]) -> tuple[Stratum, ...]:
    """The strata of ``--by``, by short or full name, in the order of the registry.

    Raises:
        UserError: a name is unknown.
    """
    known = {stratum.short: stratum.name for stratum in STRATA.values()}
    chosen = {known.get(name, name) for name in names}
    unknown = sorted(chosen - set(STRATA))
    if unknown:
        raise UserError(f"--by {unknown[0]}: known are {', '.join(known)}")
    return tuple(stratum for name, stratum in STRATA.items() if name in chosen)
