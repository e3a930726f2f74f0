"""What a kind of circumstances is."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from campaign.commands import Command
from campaign.lab import Case, Lab

Try = Callable[[Case, Lab, random.Random], None]
"""Runs a case and adds its findings."""


@dataclass(frozen=True, eq=False)
class Kind:
    """One kind of circumstances."""

    name: str
    variants: Callable[[Command], Sequence[str]]
    """Names of its variants for a command; none where it does not apply."""
    run: Try
    """Runs ``case.variant``."""
    repeated: bool = False
    """Whether chance decides what happens, so that each variant is worth trying again."""
