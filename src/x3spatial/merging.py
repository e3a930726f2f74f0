"""``x3 merge``: all shards of an output into what a single run would have written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from x3spatial.engine.local import default_workers
from x3spatial.engine.shard_sets import ShardSet, ShardState, gathered, shard_states
from x3spatial.errors import UserError
from x3spatial.tables import Table, Tabular

KINDS = {
    "scenes": "synth.merge",
    "import": "importers.merge",
    "audit": "roots.audit.shards",
    "build": "builder.merge",
    "eval": "evaluation.merge",
    "export": "exporters.merge",
}
"""Command with ``--shard`` → the module that merges its shards."""


@dataclass(frozen=True, slots=True)
class Merged:
    """What a merge did."""

    out: Path
    kind: str | None
    """The command whose shards were merged; None if there were none, because they are merged already."""
    shards: int
    """Number of shards."""
    result: Any = None
    """What the command's own function returns for a single run: ``BuildSummary``, ``AuditReport`` and so
    on."""


@dataclass(frozen=True, slots=True, repr=False)
class Shards(Tabular):
    """The shards of an output."""

    out: Path
    states: tuple[ShardState, ...]

    @property
    def ready(self) -> bool:
        """Whether all are done."""
        return all(state.state == "done" for state in self.states)

    def table(self) -> Table:
        """A row per shard."""
        rows = tuple(
            (
                str(one.shard),
                one.state,
                "-" if one.units is None else str(one.units),
                one.host or "-",
                one.run or "-",
            )
            for one in self.states
        )
        return Table(str(self.out), ("shard", "state", "units", "host", "run"), rows)


def merge(out: str | Path, *, workers: int | None = None) -> Merged:
    """Merge the shards of an output; they are removed when its result is on disk.

    The result has the bytes of a single run, but for facts about the run itself (seconds, host). An
    interrupted merge is continued by the same call. Nothing happens if the shards are merged already.

    Args:
        out: what the shards were given as ``--out``.
        workers: threads; None for one per usable CPU.

    Raises:
        UserError: a shard is missing, not finished or running, the shards do not fit together, or there is
            no such output.
    """
    out = Path(out)
    workers = default_workers() if workers is None else workers
    with gathered(out) as shards:
        if shards is None:
            if not out.exists():
                raise UserError(f"{out}: no such output, and no shards of one")
            return Merged(out, None, 0)
        if shards.is_merged:
            shards.remove()
            return Merged(out, None, 0)
        result = _merge_of(shards)(shards, workers)
        shards.remove()
    return Merged(out, shards.kind, shards.n, result)


def list_shards(out: str | Path) -> Shards:
    """The shards of an output and what is missing.

    Raises:
        UserError: it has none.
    """
    out = Path(out)
    states = shard_states(out)
    if not states:
        raise UserError(f"{out}: has no shards; if it had any, they are merged")
    return Shards(out, tuple(states))


def _merge_of(shards: ShardSet) -> Callable[[ShardSet, int], Any]:
    if shards.kind not in KINDS:
        raise UserError(
            f"{shards.out}: has shards of {shards.kind!r}, which x3 merge does not know"
        )
    found: Callable[[ShardSet, int], Any] = import_module(f"x3spatial.{KINDS[shards.kind]}").merge
    return found
