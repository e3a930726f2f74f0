"""docs/install.md against pyproject.toml."""

from __future__ import annotations

import re
import tomllib

from docs.markdown import prose
from helpers.paths import REPOSITORY

PAGE = "docs/install.md"


def test_the_page_lists_every_extra() -> None:
    """Each once; a new extra needs a line that says what it is for."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = [line for _, line in prose(PAGE)]
    start = lines.index("| extra | for |")
    stop = next(i for i in range(start, len(lines)) if not lines[i])
    named = [
        name
        for line in lines[start:stop]
        for name in re.findall(r"`([^`]+)`", line.split(" | ")[0])
    ]
    assert sorted(named) == sorted(project["optional-dependencies"])
