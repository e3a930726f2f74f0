"""Write docs/audit.md from the list of findings: python scripts/make_findings.py [FILE]."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from x3spatial.roots.findings import Finding, Level, all_findings

HEAD = """# What an audit finds

Made from `src/x3spatial/roots/findings.py` by `scripts/make_findings.py`; do not edit by hand.

`x3 audit ROOT` decodes every file of a [data root](data-format.md) and names what it finds by path and
reason. `--tasks` limits it to what the tasks to be built need, and `--json` lists every path; on a terminal,
paths with the same reason are one line.
"""
TITLES = {
    Level.LEFT_OUT: (
        "Left out",
        "`x3 build` leaves these files, views or objects out and lists them in the same words. The audit says"
        " so before, for builds with the tight and with the dilated mask. Exit code 1.",
    ),
    Level.PROBLEM: (
        "Wrong samples",
        "A build does not see these, and their samples would be wrong, or a split would know the other."
        " Exit code 1.",
    ),
    Level.NOTE: ("Notes", "The data can be used as it is. Exit code 0."),
}


def main() -> None:
    """Write the file."""
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else Path("docs/audit.md")
    path.write_text(findings_markdown(), encoding="utf-8")


def findings_markdown() -> str:
    """The whole page: one table per level, in the order of the list."""
    parts = [HEAD]
    for level, (title, text) in TITLES.items():
        rows = [_row(found) for found in all_findings().values() if found.level is level]
        parts.append(
            f"## {title}\n\n{text}\n\n| reason | cure |\n|---|---|\n" + "\n".join(rows) + "\n"
        )
    return "\n".join(parts)


def _row(found: Finding) -> str:
    # Details as in the rest of the docs, {size}; without their formats, {share:.0%}.
    text = re.sub(r"(?<!{){(\w+):[^}]*}(?!})", r"{\1}", found.text)
    return f"| {_cell(text)} | {_cell(found.cure)} |"


def _cell(text: str) -> str:
    return text.replace("{{", "{").replace("}}", "}").replace("|", "\\|").replace("*", "\\*")


if __name__ == "__main__":
    main()
