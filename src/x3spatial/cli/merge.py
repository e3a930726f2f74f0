"""``x3 merge``: join the shards of a run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from x3spatial.cli import output
from x3spatial.cli.declare import DEFAULT, command
from x3spatial.cli.help import RUN
from x3spatial.cli.options import Workers
from x3spatial.cli.output import Outcome

if TYPE_CHECKING:
    from x3spatial.merging import Merged, Shards


@command(
    "OUT",
    "x3 merge tasks",
    "x3 merge results.json --dry-run",
    defaults="merging:merge",
)
def merge(
    out: Annotated[
        Path, typer.Argument(metavar="OUT", help="What the shards were given as -o or OUT.")
    ],
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="List the shards and how to run what is missing; exit 1 if one is.",
            rich_help_panel=RUN,
        ),
    ] = False,
    workers: Workers = DEFAULT,
) -> Outcome:
    """Checks that all shards are done and of one run, writes what a run without --shard would have
    written, and removes the shards. The same command continues a merge that was stopped.
    """
    from x3spatial.merging import list_shards
    from x3spatial.merging import merge as run

    if dry_run:
        return _listed(list_shards(out))
    merged = run(out, workers=workers)
    if merged.kind is None:
        return Outcome(
            lambda: _value(merged),
            lambda: output.line(f"{output.shown(merged.out)}: no shards left to merge"),
        )
    inner = _OUTCOMES[merged.kind](merged.result)

    def show() -> None:
        inner.show()
        output.line(f"{merged.shards} shards of x3 {merged.kind} merged")

    return replace(inner, value=lambda: {**_value(merged), "result": inner.value()}, show=show)


def _value(merged: Merged) -> dict[str, Any]:
    return {"out": str(merged.out), "kind": merged.kind, "shards": merged.shards}


def _listed(found: Shards) -> Outcome:
    value = [{**asdict(one), "shard": str(one.shard)} for one in found.states]
    return Outcome(
        lambda: {"out": str(found.out), "ready": found.ready, "shards": value},
        lambda: output.table(found.table()),
        code=0 if found.ready else 1,
    )


def _rendered(result: Any) -> Outcome:
    from x3spatial.cli.scenes import rendered

    return rendered(result)


def _imported(result: Any) -> Outcome:
    from x3spatial.cli.imports import imported

    return imported(result, "the source")


def _audited(result: Any) -> Outcome:
    from x3spatial.cli.data import audited

    return audited(result)


def _built(result: Any) -> Outcome:
    from x3spatial.cli.data import built

    return built(result)


def _evaluated(result: Any) -> Outcome:
    from x3spatial.cli.tables import outcome_of

    return outcome_of(result, "on all shards")


def _exported(result: Any) -> Outcome:
    from x3spatial.cli.tasks import exported

    return exported(result)


_OUTCOMES: Mapping[str, Callable[[Any], Outcome]] = {
    "scenes": _rendered,
    "import": _imported,
    "audit": _audited,
    "build": _built,
    "eval": _evaluated,
    "export": _exported,
}
"""Command → its own outcome of a result."""
