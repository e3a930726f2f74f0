"""Commands that list models and conventions."""

from __future__ import annotations

import typer

from x3spatial.cli.declare import command


@command("", "x3 models", "x3 models | grep server")
def models() -> None:
    """Each line is a KIND for --model KIND[:ARG]."""
    from x3spatial.models.registry import KINDS

    width = max(map(len, KINDS))
    for name, kind in KINDS.items():
        needs = "" if kind.extra is None else f"; needs the extra [{kind.extra}]"
        typer.echo(f"{name:{width}}  {kind.summary}{needs}")
    typer.echo("try: --model sift, or with the extra [roborefer] --model roborefer:x3-tiny")


@command("", "x3 conventions", "x3 conventions | grep pixel")
def conventions() -> None:
    """Each line is a NAME for --convention NAME: how points are written in prompts and answers."""
    from x3spatial.conventions.registry import CONVENTIONS

    width = max(map(len, CONVENTIONS))
    for name, convention in CONVENTIONS.items():
        typer.echo(f"{name:{width}}  {convention.describes}")
