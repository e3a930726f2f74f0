"""Runs that were killed or are still going: their answers so far, read from the journals beside the output.

Nothing is locked or changed, so a run may go on meanwhile.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from x3spatial.engine.shards import is_in_shard
from x3spatial.errors import UserError
from x3spatial.evaluation.inference import Reply
from x3spatial.evaluation.journal import journal_path
from x3spatial.io.journal import Journal

_NAME = re.compile(r"\.(?P<output>.+?)(?:\.rank\d+of\d+)?\.journal")


@dataclass(frozen=True, slots=True)
class Unfinished:
    """The answers in the journals of one output."""

    output_json: Path
    """The results file that the run would write; it may exist already."""
    settings: Mapping[str, Any]
    """As ``settings`` of a results file."""
    continues: bool
    """Whether answers in an existing output belong to the run too."""
    about: Mapping[str, Any] = field(default_factory=dict)
    """Task file, name of the model, scoring: see ``run.evaluate``; empty in journals of version 0.1."""
    replies: Mapping[str, Reply] = field(default_factory=dict)
    """Sample id → reply."""


def outputs_below(folder: Path) -> Iterator[Path]:
    """The outputs of unfinished runs below ``folder``, in the order of their paths."""
    found = {
        path.with_name(match["output"])
        for path in folder.rglob(".*.journal")
        if (match := _NAME.fullmatch(path.name))
        and path.is_file()
        and not is_in_shard(path.relative_to(folder))
    }
    return iter(sorted(found))


def journals_of(output_json: Path) -> list[Path]:
    """The journals of an output, that of rank 0 first."""
    main = journal_path(output_json)
    others = [
        path
        for path in sorted(output_json.parent.glob(".*.journal"))
        if path != main
        and (match := _NAME.fullmatch(path.name))
        and match["output"] == output_json.name
    ]
    return [path for path in (main, *others) if path.is_file()]


def output_of(path: Path) -> Path | None:
    """The output whose journal ``path`` is; None if it has no journal's name."""
    match = _NAME.fullmatch(path.name)
    return None if match is None else path.with_name(match["output"])


def read_unfinished(output_json: Path) -> Unfinished | None:
    """The unfinished run of an output; None without a journal of ``x3 eval``.

    Raises:
        UserError: a journal cannot be read.
    """
    header: Any = None
    replies: dict[str, Reply] = {}
    for path in journals_of(output_json):
        values = [value for _, value in Journal(path).entries()]
        if not values or not _is_header(values[0]):
            continue
        header = header or values[0]
        try:
            replies |= {
                id: Reply.from_json(reply) for line in values[1:] for id, reply in line.items()
            }
        except (AttributeError, TypeError, ValueError):
            raise UserError(f"{path}: a damaged journal of x3 eval") from None
    if header is None:
        return None
    about = header.get("about")
    return Unfinished(
        output_json,
        header["settings"],
        bool(header["continues"]),
        about if isinstance(about, dict) else {},
        replies,
    )


def _is_header(value: Any) -> bool:
    return (
        isinstance(value, dict) and isinstance(value.get("settings"), dict) and "continues" in value
    )
