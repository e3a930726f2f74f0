"""What a command with ``--shard`` says beside what it always says."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

from x3spatial.cli import output
from x3spatial.cli.output import Outcome, nothing
from x3spatial.engine.shards import Shard, parse_shard


def of_shard(
    outcome: Outcome,
    shard: str | Shard | None,
    out: Path | None,
    *,
    code: int = 0,
    warn: Callable[[], None] = nothing,
) -> Outcome:
    """The outcome of a shard: that of its share of the work, and what to do next.

    Args:
        outcome: that of a run on this share.
        shard: which one; None: the outcome is not changed.
        out: the output of the whole run.
        code: the exit code. What is wrong with the data makes that of x3 merge, not of the shard.
        warn: what is logged; likewise.
    """
    part = parse_shard(shard)
    if part is None:
        return outcome

    def value() -> Any:
        return {"shard": str(part), **outcome.value()}

    def show() -> None:
        outcome.show()
        if out is not None and not any(
            part.folder(out, is_file=one).exists() for one in (True, False)
        ):
            output.line(f"{output.shown(out)} is complete: nothing was left for shard {part}")
            return
        output.line(
            f"shard {part.k} of {part.n} is done; when all are: x3 merge {shlex.quote(str(out))}"
        )

    return Outcome(value, show, warn, code)
