"""Strata: what is known of a sample beyond its images; results are broken down and data filtered by it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any


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
        return asdict(self)

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
