"""Shards: every Nth unit of a run, so that N processes on any machines can share it without an engine."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from x3spatial.errors import UserError

T = TypeVar("T")

MOST = 100_000
"""Most shards of a run."""
_TEXT = re.compile(r"(\d{1,6})/(\d{1,6})", re.ASCII)
_IN_FOLDER = re.compile(r"^\..*shard-[1-9]\d*-of-[1-9]\d*$", re.ASCII)
_FOLDER = re.compile(r"\.shard-([1-9]\d{0,5})-of-([1-9]\d{0,5})", re.ASCII)


@dataclass(frozen=True, slots=True, order=True)
class Shard:
    """Every ``n``-th unit of a run, beginning with the ``k``-th; ``k`` is 1 to ``n``.

    Raises:
        UserError: they are not.
    """

    k: int
    n: int

    def __post_init__(self) -> None:
        if not 1 <= self.k <= self.n <= MOST:
            raise UserError(f"--shard {self}: K/N needs K from 1 to N, and N up to {MOST}")

    def __str__(self) -> str:
        return f"{self.k}/{self.n}"

    def of(self, units: Sequence[T]) -> list[T]:
        """The units of this shard, in order; those of all shards together are ``units``.

        >>> Shard(2, 3).of("abcdefg")
        ['b', 'e']
        """
        return list(units[self.k - 1 :: self.n])

    def has(self, index: int) -> bool:
        """Whether the unit with this index, from 0, belongs to this shard."""
        return index % self.n == self.k - 1

    def folder(self, out: Path, *, is_file: bool = False) -> Path:
        """Where this shard of the output ``out`` lies.

        Args:
            out: the output of the whole run.
            is_file: whether that is one file; the shard then lies beside it.
        """
        name = f".shard-{self.k}-of-{self.n}"
        return out.with_name(f".{out.name}{name}") if is_file else out / name


def parse_shard(shard: str | Shard | None) -> Shard | None:
    """The shard that ``--shard`` names, such as ``3/7``; None for none.

    Raises:
        UserError: it is not K/N with K from 1 to N.
    """
    if shard is None or isinstance(shard, Shard):
        return shard
    found = _TEXT.fullmatch(shard)
    if found is None:
        raise UserError(f"--shard {shard}: must be K/N, such as 3/7: the third of seven shards")
    return Shard(int(found[1]), int(found[2]))


def is_in_shard(path: Path) -> bool:
    """Whether a path lies in the folder of a shard: it is a part of a result, not one itself."""
    return any(_IN_FOLDER.search(part) for part in path.parts[:-1])


def shard_folders(out: Path) -> dict[Shard, Path]:
    """The folders of the shards of an output, a folder or a file, sorted."""
    found: dict[Shard, Path] = {}
    for parent, prefix in ((out, ""), (out.parent, f".{out.name}")):
        if not parent.is_dir():
            continue
        for entry in parent.iterdir():
            if not entry.name.startswith(f"{prefix}.shard-"):
                continue
            named = _FOLDER.fullmatch(entry.name[len(prefix) :])
            if named is None or entry.is_symlink() or not entry.is_dir():
                continue
            k, n = int(named[1]), int(named[2])
            if k <= n <= MOST:  # else no shard of ours has this name
                found[Shard(k, n)] = entry
    return dict(sorted(found.items(), key=lambda item: (item[0].n, item[0].k)))
