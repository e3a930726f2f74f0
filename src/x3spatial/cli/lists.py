"""Commands that list models and conventions."""

from __future__ import annotations

from x3spatial.cli import output
from x3spatial.cli.declare import command
from x3spatial.cli.output import Outcome
from x3spatial.tables import Table

_TRY = (
    "try: x3 zeroshot ROOT -o results --tasks-dir tasks --model sift",
    "try: x3 zeroshot ROOT -o results --tasks-dir tasks --model roborefer:x3-tiny (a VLM inside the"
    ' package; pip install "x3spatial[roborefer]")',
)


@command("", "x3 models", "x3 models | grep server")
def models() -> Outcome:
    """Each line is a KIND for --model KIND[:ARG]."""
    from x3spatial.models.registry import INSIDE, KINDS

    listed = [
        {"model": name, "summary": kind.summary, "extra": kind.extra}
        for name, kind in KINDS.items()
    ]
    listed += [
        {"model": name, "summary": summary, "extra": KINDS[name.partition(":")[0]].extra}
        for name, summary in INSIDE.items()
    ]
    rows = tuple(
        (
            str(entry["model"]),
            f"{entry['summary']}"
            + (f"; needs the extra [{entry['extra']}]" if entry["extra"] else ""),
        )
        for entry in listed
    )
    return Outcome(
        lambda: listed, lambda: output.table(Table("", ("", ""), rows, _TRY, prose=True))
    )


@command("", "x3 conventions", "x3 conventions | grep pixel")
def conventions() -> Outcome:
    """Each line is a NAME for --convention NAME: how points are written in prompts and answers."""
    from x3spatial.conventions.registry import CONVENTIONS

    rows = tuple((name, convention.describes) for name, convention in CONVENTIONS.items())
    value = [{"convention": name, "describes": describes} for name, describes in rows]
    return Outcome(lambda: value, lambda: output.table(Table("", ("", ""), rows, prose=True)))
