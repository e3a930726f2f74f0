"""All shards of an output: which are done, whether they fit together, and their removal once merged."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import x3spatial
from x3spatial.engine.shard_notes import NOTE, Note, empty, first_difference, read_notes
from x3spatial.engine.shards import Shard, shard_folders
from x3spatial.errors import UserError
from x3spatial.io.locks import LOCK, lock_file

State = Literal["done", "running", "not finished", "missing"]


@dataclass(frozen=True, slots=True)
class ShardState:
    """One shard, as ``x3 merge --dry-run`` lists it."""

    shard: Shard
    state: State
    units: int | None
    """Number of its units, once it is done."""
    host: str | None
    """Where it ran."""
    run: str | None
    """How to run it; None if it is done or running, or if no shard says how it was run."""


@dataclass(frozen=True, slots=True)
class ShardSet:
    """The complete shards of one run, which fit together."""

    out: Path
    kind: str
    identity: Mapping[str, Any]
    notes: tuple[Note, ...]
    """In the order of the shards."""

    @property
    def n(self) -> int:
        """Number of shards."""
        return self.notes[0].shard.n

    def refusal(self, note: Note, reason: str) -> UserError:
        """The error that a shard must be run again.

        Args:
            note: the shard.
            reason: why, as in ``shard 3/7: t.json changed``.
        """
        return UserError(
            f"{self.out}: shard {note.shard}: {reason}; run it again: {note.to_run(note.shard)}"
        )

    @property
    def is_merged(self) -> bool:
        """Whether an earlier merge wrote the result and was interrupted while it removed the shards."""
        return any(note.merged for note in self.notes)

    def remove(self) -> None:
        """Remove the shards, whose result is on disk."""
        # All are marked before the first is removed: a merge that is killed in between is continued.
        for note in self.notes:
            if not note.merged:
                replace(note, merged=True).write()
        for note in self.notes:
            empty(note.folder)
        _remove_empty(self.out)


def _remove_empty(out: Path) -> None:
    """Remove the folders of shards in which nothing but a lock is left."""
    noted = read_notes(out)
    for shard, folder in shard_folders(out).items():
        if shard not in noted:
            shutil.rmtree(folder)


def shard_states(out: Path) -> list[ShardState]:
    """Every shard of an output, those without a folder included; empty if there is none."""
    return _states(out, read_notes(out))


def _states(out: Path, notes: Mapping[Shard, Note | None]) -> list[ShardState]:
    folders = shard_folders(out)
    known = next((note for note in notes.values() if note is not None), None)
    found = []
    for n in sorted({shard.n for shard in notes}):
        for k in range(1, n + 1):
            shard = Shard(k, n)
            note = notes.get(shard)
            state: State = "missing"
            if shard in notes:
                state = "done" if note is not None and note.complete else "not finished"
                if _is_running(folders[shard]):
                    state = "running"
            run = None if known is None or state in ("done", "running") else known.to_run(shard)
            found.append(
                ShardState(
                    shard,
                    state,
                    note.units if note is not None and note.complete else None,
                    note.host if note is not None else None,
                    run,
                )
            )
    return found


def _is_running(folder: Path) -> bool:
    if not (folder / LOCK).exists():
        return False
    try:
        with lock_file(folder / LOCK, "it runs"):
            return False
    except UserError as error:
        return str(error) == "it runs"


@contextmanager
def gathered(out: Path) -> Iterator[ShardSet | None]:
    """The shards of ``out``, locked against another merge while the block runs; None if there are none.

    Raises:
        UserError: a shard is missing, not finished or running, or they do not fit together.
    """
    notes = read_notes(out)
    if not notes:
        _remove_empty(out)
        yield None
        return
    if not any(notes.values()):
        names = ", ".join(str(folder) for folder in shard_folders(out).values())
        raise UserError(
            f"{names}: holds no {NOTE} that can be read; remove it, and run the shards again"
        )
    shards = _complete(out, notes)
    with lock_file(
        shards.notes[0].folder / LOCK, f"{out}: another x3 merge is at work on it; wait for it"
    ):
        yield shards


def _complete(out: Path, notes: Mapping[Shard, Note | None]) -> ShardSet:
    present = [note for note in notes.values() if note is not None]
    first = present[0]
    if any(note.merged for note in present):
        return ShardSet(out, first.kind, first.identity, tuple(present))
    numbers = sorted({shard.n for shard in notes})
    if len(numbers) > 1:
        example = next(folder for s, folder in shard_folders(out).items() if s.n == numbers[0])
        raise UserError(
            f"{out}: has shards of {' and of '.join(map(str, numbers))}; remove those of one number"
            f" ({example.name} and the like)"
        )
    states = _states(out, notes)
    for name in ("running", "missing", "not finished"):
        found = [state for state in states if state.state == name]
        if found:
            raise UserError(_told(out, found, first))
    for note in present:
        if note.kind != first.kind:
            raise UserError(
                f"{out}: shard {first.shard} is of x3 {first.kind}, {note.shard} of x3 {note.kind}; remove"
                " those of one"
            )
        different = first_difference(note.identity, first.identity)
        if different is not None:
            raise UserError(
                f"{out}: shard {note.shard} was made with other settings than shard {first.shard}"
                f" ({different}); run it again: {first.to_run(note.shard)} --fresh"
            )
    # Last: shards that fit together, but not to this package, whose options may have other fields.
    made_by = first.identity["x3spatial"]
    if made_by != x3spatial.__version__:
        raise UserError(
            f"{out}: its shards were made with x3spatial {made_by}, this is {x3spatial.__version__}; merge"
            f" them with {made_by}, or run them again: {first.to_run(first.shard)} --fresh"
        )
    return ShardSet(out, first.kind, first.identity, tuple(present))


def _told(out: Path, found: Sequence[ShardState], known: Note) -> str:
    numbers = ", ".join(str(state.shard.k) for state in found[:20])
    more = f" and {len(found) - 20} more" if len(found) > 20 else ""
    first = found[0].shard
    many = len(found) > 1
    state = "are " if many else "is "
    what = f"shard{'s' * many} {numbers}{more} of {first.n} {state}{found[0].state}"
    others = f" (then {'the others' if len(found) > 2 else str(found[1].shard)})" if many else ""
    if found[0].state == "running":
        return f"{out}: {what}; wait for it, or for another x3 merge"
    return f"{out}: {what}; run: {known.to_run(first)}{others}"
