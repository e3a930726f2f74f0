"""The rank of this process in a multi-process evaluation, and its share of the samples.

torchrun and accelerate set the environment variables RANK and WORLD_SIZE of each process. ``engine.ranks``
lets the processes meet.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass

from x3spatial.errors import UserError

TIMEOUT = 86400.0
"""Seconds: a day. A rank is lost when its process ends, never because it is slow."""


@dataclass(frozen=True, slots=True)
class World:
    """The position of this process in a multi-process evaluation."""

    rank: int
    size: int
    """The number of processes, at least 2."""
    timeout: float = TIMEOUT
    """Seconds that a process which has finished its share waits for the others."""

    @property
    def leads(self) -> bool:
        """Whether this process is rank 0, which builds, merges and writes."""
        return self.rank == 0

    def owns(self, id: str) -> bool:
        """Whether the sample ``id`` belongs to this process.

        The share follows from a hash of the id, so it does not depend on order, limit or existing answers.
        """
        digest = hashlib.sha256(id.encode("utf-8", "surrogatepass")).digest()
        return int.from_bytes(digest[:8], "big") % self.size == self.rank

    def __str__(self) -> str:
        return f"rank {self.rank} of {self.size}"


def world_from_environment(
    timeout: float = TIMEOUT, environment: Mapping[str, str] = os.environ
) -> World | None:
    """The world that RANK and WORLD_SIZE describe; None without them or for a single process.

    Raises:
        UserError: one of them is missing or not a number, the rank is not below the size, or the timeout
            is not positive.
    """
    if not timeout > 0:
        raise UserError(f"--process-timeout {timeout:g}: must be more than 0 seconds")
    if "WORLD_SIZE" not in environment and "RANK" not in environment:
        return None
    size, rank = (_number(environment, name) for name in ("WORLD_SIZE", "RANK"))
    if not 0 <= rank < size:
        raise UserError(f"environment RANK {rank}: not a rank of WORLD_SIZE {size}")
    return World(rank, size, timeout) if size > 1 else None


def _number(environment: Mapping[str, str], name: str) -> int:
    text = environment.get(name)
    if text is None or not text.isascii() or not text.isdigit():
        found = "is not set" if text is None else f"is {text!r}, not a number"
        raise UserError(
            f"environment {name} {found}; start all processes with torchrun or accelerate, or unset"
            " RANK and WORLD_SIZE"
        )
    return int(text)
