"""Write docs/commands.md, the reference of every command and option: python scripts/make_commands.py [FILE].

The source is the help that the commands print, so page and ``--help`` cannot differ.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path

from markdown_text import escaped

from x3spatial.cli import run
from x3spatial.cli.table import ENTRIES, GROUPS, Entry

HEAD = """# Commands

Made from `x3 COMMAND --help` by `scripts/make_commands.py`; do not edit by hand.

`x3` without a command lists them; every command has `-h`, and `-V` prints the version. Exit codes: 0 done, 1
problems in the data or samples without an answer, 2 a mistake in the command, 130 interrupted.
"""
EXAMPLES = (
    "<!-- not run: help: with files of your own; tests/cli/test_help.py checks the examples -->"
)


@dataclass
class Help:
    """The text of ``--help``, taken apart."""

    usage: str = ""
    text: list[str] = field(default_factory=list)
    """Paragraphs."""
    sections: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    """Title → rows of an argument or option, and its description."""
    examples: list[str] = field(default_factory=list)
    """Lines of shell."""


def main() -> None:
    """Write the file."""
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else Path("docs/commands.md")
    path.write_text(commands_markdown(), encoding="utf-8")


def commands_markdown() -> str:
    """The whole page: the commands in the groups and the order of ``x3 --help``."""
    parts = [HEAD]
    groups = {entry.path for entry in ENTRIES if entry.target is None}
    for title in GROUPS:
        parts.append(f"## {title}\n")
        for entry in ENTRIES:
            if entry.group == title and entry.path not in groups:
                parts.append(_command(entry, parse(help_text(entry.path))))
    return "\n".join(parts)


def help_text(command: str) -> str:
    """What ``x3 COMMAND --help`` prints.

    Raises:
        RuntimeError: the command failed.
    """
    printed, columns = io.StringIO(), os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = "80"
    try:
        with contextlib.redirect_stdout(printed):
            code: object = run([*command.split(), "--help"])
    except SystemExit as end:  # argparse ends the process after its help
        code = end.code
    finally:
        os.environ.pop("COLUMNS")
        if columns is not None:
            os.environ["COLUMNS"] = columns
    if code not in (None, 0):
        raise RuntimeError(f"x3 {command} --help ended with {code}")
    return printed.getvalue()


def parse(text: str) -> Help:
    """Take a help text apart: that of click or that of argparse."""
    found = Help()
    usage, *blocks = re.split(r"\n\s*\n", text.strip("\n"))
    found.usage = " ".join(usage.split()).partition(": ")[2]
    for block in blocks:
        title, _, rest = block.partition("\n")
        name = title.removesuffix(":").capitalize() if title.islower() else title.removesuffix(":")
        if not re.fullmatch(r"[A-Z][\w ]*:|[a-z][a-z ]*:", title):
            found.text.append(" ".join(block.split()))
        elif name == "Examples":
            found.examples += [line[2:] for line in rest.splitlines()]
        else:
            found.sections["Arguments" if name == "Positional arguments" else name] = _rows(rest)
    return found


def _rows(block: str) -> list[tuple[str, str]]:
    """The rows of a section; the description may begin in the next line, and goes on in indented ones."""
    rows: list[tuple[str, str]] = []
    for line in block.splitlines():
        first = re.match(r"  (\S.*?)(?:  +(.*))?$", line)
        if first:
            rows.append((first[1], first[2] or ""))
        else:
            rows[-1] = (rows[-1][0], f"{rows[-1][1]} {line.strip()}".strip())
    return [(term, " ".join(text.split())) for term, text in rows]


def _command(entry: Entry, shown: Help) -> str:
    summary, *more = [*(escaped(text) for text in shown.text), ""]
    lines = [f"### `x3 {entry.path}`", "", summary, "", f"Usage: `{shown.usage}`", ""]
    for paragraph in more:
        lines += [paragraph, ""] if paragraph else []
    for title, rows in shown.sections.items():
        lines += [f"| {title} | |", "|---|---|"]
        lines += [
            f"| `{_code(term)}` | {escaped(text)} |" for term, text in rows if term != "-h, --help"
        ]
        lines.append("")
    if shown.examples:
        lines += [EXAMPLES, "```bash", *shown.examples, "```", ""]
    return "\n".join(lines)


def _code(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    main()
