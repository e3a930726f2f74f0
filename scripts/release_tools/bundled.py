"""The JavaScript libraries that are built into the pages: what, which version, under which licence."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

from release_tools.words import ReleaseError

TEXTS = "src/x3spatial/reports/web/assets/THIRD_PARTY.txt"
LOCK = "web/package-lock.json"
_HEADING = re.compile(r"^=+\n(\S+) (\S+) \(([^)]+)\)\n=+$", re.MULTILINE)


@dataclass(frozen=True)
class Bundled:
    """One library."""

    name: str
    version: str
    licence: str
    """Its SPDX expression."""
    sha512: str
    """Of npm's archive, in base64."""


def bundled(root: Path) -> list[Bundled]:
    """The libraries that THIRD_PARTY.txt has the licences of, as the lock file pins them.

    Raises:
        ReleaseError: Both files disagree.
    """
    packages = json.loads((root / LOCK).read_text(encoding="utf-8"))["packages"]
    found = []
    for name, version, licence in _HEADING.findall((root / TEXTS).read_text(encoding="utf-8")):
        pinned = packages.get(f"node_modules/{name}", {})
        if (pinned.get("version"), pinned.get("license")) != (version, licence):
            raise ReleaseError(f"{TEXTS}: {name} {version} ({licence}) is not what {LOCK} pins")
        found.append(Bundled(name, version, licence, pinned["integrity"].removeprefix("sha512-")))
    return found
