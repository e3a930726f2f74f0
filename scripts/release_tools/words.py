"""The versions and dates that a release writes in more than one file: CHANGELOG.md and CITATION.cff."""

from __future__ import annotations

import datetime
import re
import tomllib
from pathlib import Path

PACKAGE = "src/x3spatial/__init__.py"
CHANGELOG = "CHANGELOG.md"
CITATION = "CITATION.cff"

_VERSION = re.compile(r'^__version__ = "([^"]+)"$', re.MULTILINE)
_HEADING = re.compile(r"^## \[([^\]]+)\](?: - (\S+))?$", re.MULTILINE)
_LINKS = re.compile(r"\n*(?:^\[[^\]]+\]: .*\n?)+\Z", re.MULTILINE)
_CITED = {key: re.compile(rf"^{key}: (.*)$", re.MULTILINE) for key in ("version", "date-released")}


class ReleaseError(Exception):
    """Something that the maintainer has to put right; one line."""


def version(root: Path) -> str:
    """The version, from the only place that has it."""
    found = _VERSION.search((root / PACKAGE).read_text(encoding="utf-8"))
    if found is None:
        raise ReleaseError(f'{PACKAGE}: no line __version__ = "..."')
    return found[1]


def releases(changelog: str) -> dict[str, str]:
    """Version → date of the headings of a changelog, newest first; the date of ``Unreleased`` is empty."""
    return {found[1]: found[2] or "" for found in _HEADING.finditer(changelog)}


def unreleased(changelog: str) -> str:
    """What stands below ``[Unreleased]``, without blank lines around it."""
    headings = list(_HEADING.finditer(changelog))
    for number, heading in enumerate(headings):
        if heading[1] == "Unreleased":
            after = headings[number + 1 :]
            end = after[0].start() if after else len(changelog)
            return _LINKS.sub("", changelog[heading.end() : end]).strip()
    raise ReleaseError(f"{CHANGELOG}: no heading ## [Unreleased]")


def with_links(changelog: str, url: str) -> str:
    """The changelog with a link for every heading at its end: what changed since the version before.

    Args:
        changelog: The text, with or without such links.
        url: Where the repository is.
    """
    names = list(releases(changelog))
    lines = []
    for number, name in enumerate(names):
        before = names[number + 1] if number + 1 < len(names) else None
        tag = "HEAD" if name == "Unreleased" else f"v{name}"
        target = f"compare/v{before}...{tag}" if before else f"releases/tag/{tag}"
        lines.append(f"[{name}]: {url}/{target}")
    return _LINKS.sub("", changelog).rstrip() + "\n\n" + "\n".join(lines) + "\n"


def dated(changelog: str, version: str, date: str, url: str) -> str:
    """The changelog with ``[Unreleased]`` as the release ``version``, and an empty ``[Unreleased]`` above it.

    Raises:
        ReleaseError: The version has a heading already, or there is nothing to release.
    """
    done = releases(changelog)
    if version in done:
        raise ReleaseError(
            f"{CHANGELOG}: [{version}] is there already, dated {done[version]};"
            f" raise __version__ in {PACKAGE}"
        )
    if not unreleased(changelog):
        raise ReleaseError(f"{CHANGELOG}: nothing stands below [Unreleased]")
    heading = "## [Unreleased]"
    text = changelog.replace(f"{heading}\n", f"{heading}\n\n## [{version}] - {date}\n", 1)
    return with_links(text, url)


def cited(citation: str, version: str, date: str) -> str:
    """CITATION.cff with this version and date."""
    for key, value in (("version", version), ("date-released", date)):
        if not _CITED[key].search(citation):
            raise ReleaseError(f"{CITATION}: no line {key}: ...")
        citation = _CITED[key].sub(f"{key}: {value}", citation)
    return citation


def write_date(root: Path, date: str) -> list[str]:
    """Date the changelog and the citation; returns the files that changed.

    Raises:
        ReleaseError: The date is none, or see `dated`; nothing is written then.
    """
    try:
        datetime.date.fromisoformat(date)
    except ValueError as error:
        raise ReleaseError(f"--date {date}: write YYYY-MM-DD") from error
    number = version(root)
    texts = {name: (root / name).read_text(encoding="utf-8") for name in (CHANGELOG, CITATION)}
    new = {
        CHANGELOG: dated(texts[CHANGELOG], number, date, repository_url(root)),
        CITATION: cited(texts[CITATION], number, date),
    }
    for name, text in new.items():
        (root / name).write_text(text, encoding="utf-8")
    return [name for name in new if new[name] != texts[name]]


def faults(root: Path) -> list[str]:
    """What the files say otherwise than the version does; empty before a release."""
    number = version(root)
    changelog = (root / CHANGELOG).read_text(encoding="utf-8")
    citation = (root / CITATION).read_text(encoding="utf-8")
    found = []
    date = releases(changelog).get(number)
    if not date:
        found.append(f"{CHANGELOG}: no dated [{number}]; run: python scripts/release.py date")
    elif unreleased(changelog):
        found.append(f"{CHANGELOG}: entries below [Unreleased] are in no release")
    if with_links(changelog, repository_url(root)) != changelog:
        found.append(f"{CHANGELOG}: the links at its end are not those of its headings")
    for key, value in (("version", number), ("date-released", date)):
        line = _CITED[key].search(citation)
        if value and (line is None or line[1] != value):
            found.append(f"{CITATION}: {key} is {line[1] if line else 'missing'}, not {value}")
    return found


def repository_url(root: Path) -> str:
    """Where the repository is, from pyproject.toml."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return str(project["urls"]["Source"])
