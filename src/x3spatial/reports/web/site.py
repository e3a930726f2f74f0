"""What a report consists of: named files that are made when they are needed, for a folder or a server."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from x3spatial.reports.web.images import Picture, Pictures

FORMAT = 1
"""Version of the page's data, ``docs/report-format.md``."""
DETAILS_PER_FILE = 200


class Site(Protocol):
    """A report, read and scored, of which nothing is written yet."""

    title: str
    pictures: Pictures
    live: bool
    """Whether the page asks for changes; set by a server."""

    def scripts(self) -> Mapping[str, Callable[[Mapping[int, Picture]], bytes]]:
        """Name below ``data/`` → what makes the script, given the pictures; any order, any thread."""

    def problems(self, pictures: Mapping[int, Picture]) -> list[tuple[str, str]]:
        """(path, reason) of what is missing; paths as they are, the page has them shortened."""

    def key(self) -> Any:
        """What the pages depend on: the inputs by content."""

    def close(self) -> None:
        """Give temporary files back."""


def detail_files(samples: int) -> int:
    """The number of detail files of a set."""
    return -(-samples // DETAILS_PER_FILE)


def detail_name(set_number: int, number: int) -> str:
    """Name of a detail file below ``data/``, without the ending."""
    return f"set-{set_number}/detail-{number:04d}"


def head(
    kind: str,
    title: str,
    images: str,
    problems: list[tuple[str, str]],
    *,
    live: bool,
    **parts: Any,
) -> dict[str, Any]:
    """The value of ``data/report.js``."""
    from x3spatial import __version__

    return {
        "format": FORMAT,
        "kind": kind,
        "title": title,
        "generator": f"x3spatial {__version__}",
        "images": images,
        "live": live,
        "problems": [{"path": path, "reason": reason} for path, reason in problems],
        **parts,
    }
