"""The pages as text: line width, links, and the table of commands."""

from __future__ import annotations

import re

import pytest
from x3spatial.cli.table import ENTRIES

from docs.app import commands
from docs.markdown import GENERATED, anchors, documents, joined_links, links, prose, read
from helpers.paths import REPOSITORY

WIDEST = 110
README_LINES = 170
CARD = "src/x3spatial/models/roborefer/x3_tiny/README.md"

LINKING = [*documents(), CARD, "CHANGELOG.md", "CONTRIBUTING.md"]


@pytest.mark.parametrize("document", [*documents(), CARD])
def test_prose_lines_are_not_too_long(document: str) -> None:
    """Tables and lines that are one link cannot be wrapped."""
    if document in GENERATED:
        pytest.skip("made from docstrings")
    long = [
        f"{document}:{number}: {len(line)} characters"
        for number, line in prose(document)
        if len(line) > WIDEST
        and not line.lstrip().startswith("|")
        and not re.fullmatch(r"\s*(?:[-*] )?!?\[[^\]]*\]\(\S+\)[.,]?", line)
    ]
    assert not long, "\n".join(long)


def test_readme_is_short() -> None:
    assert len(read("README.md").splitlines()) <= README_LINES


@pytest.mark.parametrize("document", LINKING)
def test_links_and_anchors_resolve(document: str) -> None:
    if not (REPOSITORY / document).exists():
        pytest.skip("not there")
    broken = []
    for target in joined_links(document):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        path = (REPOSITORY / document).parent / file if file else REPOSITORY / document
        if not path.exists():
            broken.append(f"{document}: {target}: no such file")
        elif anchor and anchor not in anchors(path):
            broken.append(f"{document}: {target}: no such heading")
    assert not broken, "\n".join(broken)


def test_every_page_is_linked_from_the_readme() -> None:
    linked = {target.partition("#")[0] for _, target in links("README.md")}
    linked |= {target.partition("#")[0] for target in joined_links("README.md")}
    assert set(documents()) - {"README.md"} <= linked


def test_readme_names_exactly_the_commands() -> None:
    """Each under the group that ``x3 --help`` lists it in."""
    known = sorted(commands(), key=len, reverse=True)
    named: dict[str, str] = {}
    group = ""
    for row in re.findall(r"^\|(.*)\| `x3 (.*?)` \|", read("README.md"), re.MULTILINE):
        group = row[0].strip(" *") or group
        name = next((name for name in known if f"{row[1]} ".startswith(f"{name} ")), row[1])
        assert name not in named
        named[name] = group
    groups = {entry.path: entry.group for entry in ENTRIES}
    assert named == {name: groups[name] for name in known}
