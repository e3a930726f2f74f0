"""Every command and every Python block of README, CONTRIBUTING and docs runs as it is printed.

Also those of the Chinese pages; what both languages have alike runs once. A block that cannot run says why
(``docs.reasons``); its ``x3`` commands are still checked: command and options must exist.
``<!-- needs: torch -->`` runs a block only where these modules are installed. The cells of the notebook are
run by test_notebook.py.
"""

from __future__ import annotations

import functools
import importlib.util
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from docs.app import below, is_group, root, shown_options
from docs.markdown import Block, blocks, read, with_blocks
from docs.running import run, without_variables
from docs.stand_ins import clone, with_views
from docs.test_walk import PAGES, REASON, walked

LANGUAGES = ("bash", "python")
BLOCKS = [block for document in with_blocks() for block in blocks(document)]
CODE = [block for block in BLOCKS if block.language in LANGUAGES]
SHELL = {block.code: block for block in reversed(CODE) if block.language == "bash"}
OTHERS = [block for block in BLOCKS if block.language not in LANGUAGES]
RUN: dict[tuple[str, str], Block] = {}
for _block in CODE:
    if not (_block.not_run or _block.run_by):
        RUN.setdefault(_block.code, _block)
"""What is run: of equal blocks the first, so an English page's before its translation."""

LEAST_RUN = 51
LEAST_WALKED = 16
MOST_NOT_RUN = 43
"""Blocks: the limits show that collecting them, or the readiness to run them, has not shrunk unnoticed."""

FROM_NOTHING = ("docs/your-own-photos.md",)
"""Pages whose reader begins in an empty folder; the others' has views, task files and results."""


@pytest.fixture(scope="module")
def with_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return with_views(tmp_path_factory.mktemp("docs"))


@pytest.fixture
def workspace(
    block: Block, with_data: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Path]:
    """Where the reader of the block's page works; ``/data/views`` is ``data/views`` here."""
    if block.document not in FROM_NOTHING:
        yield with_data
        return
    folder = with_data.parent / f"{with_data.name}-{Path(block.document).stem}"
    yield folder if folder.exists() else clone(folder)


def require(block: Block) -> None:
    missing = [name for name in block.needs if importlib.util.find_spec(name) is None]
    if missing:
        pytest.skip(f"{missing[0]} is not installed")


@pytest.mark.parametrize("block", RUN.values(), ids=str)
def test_blocks_run(block: Block, workspace: Path) -> None:
    require(block)
    assert block.text.strip(), f"{block}: an empty block"
    run(block, workspace)


@pytest.mark.parametrize("block", SHELL.values(), ids=str)
def test_commands_and_options_exist(block: Block) -> None:
    """Also those of blocks that are not run. ``x3 sft`` and its like read their options themselves."""
    for words in block.commands():
        if "-m" in words and words[words.index("-m") + 1 :][:1] == ["x3spatial"]:
            words = ["x3", *words[words.index("x3spatial") + 1 :]]
        words = without_variables(words)
        if words and words[0] == "x3":
            check_words(before_redirection(words)[1:], str(block))


def before_redirection(words: list[str]) -> list[str]:
    ends = [place for place, word in enumerate(words) if set(word) <= {"<", ">", "&"}]
    return words[: ends[0]] if ends else words


@functools.cache
def app() -> Any:
    """One for all blocks: making it takes longer than checking a block."""
    return root()


def check_words(words: list[str], where: str) -> None:
    """Whether the command can be parsed, and help shows it and its options under the names used."""
    command = app()
    context = typer.Context(command, info_name="x3", **command.context_settings)
    while is_group(command) and words and not words[0].startswith("-"):
        found = below(command, words[0])
        path = context.command_path
        assert found is not None, (
            f"{where}: {path} has no command {words[0]!r}, or calls it otherwise"
        )
        if is_group(found):
            context = typer.Context(
                found, info_name=words[0], parent=context, **found.context_settings
            )
        command, name, words = found, words[0], words[1:]
    if is_group(command) or command.context_settings.get("ignore_unknown_options"):
        return
    options = shown_options(command)
    for word in words:
        option = word.partition("=")[0]
        if re.match(r"--?[a-z]", option):
            assert option in options, (
                f"{where}: {name} has no option {option}, or calls it otherwise"
            )
    try:
        command.make_context(name, list(words), parent=context)
    except Exception as error:  # whichever copy of click is in use
        pytest.fail(f"{where}: x3 {name} {' '.join(words)}: {error}")


@pytest.mark.parametrize("block", OTHERS, ids=str)
def test_other_blocks_hold_no_commands(block: Block) -> None:
    """A block without a language, or with another one, would escape the tests above."""
    assert block.language not in ("sh", "shell", "console", "zsh", "py", "python3", "pycon")
    assert not re.search(
        r"^\s*(?:\$ *)?(?:x3|make|python|pip|torchrun) ", block.text, re.MULTILINE
    ), str(block)


@pytest.mark.parametrize("block", BLOCKS, ids=str)
def test_a_reason_is_one_of_the_kinds(block: Block) -> None:
    if block.not_run is not None:
        assert block.language in LANGUAGES, f"{block}: is never run"
        fault = block.not_run.fault(block.text, block.document)
        assert fault is None, f"{block}: {fault}"


def test_blocks_that_another_test_runs_are_run_by_it() -> None:
    there = {one.code for page in PAGES for one, _ in walked(f"docs/{page}.md")}
    for block in CODE:
        if block.run_by is not None:
            assert block.run_by == REASON, f"{block}: {block.run_by} is not known to run blocks"
            assert block.code in there, f"{block}: {REASON} does not run it"


def test_equal_blocks_are_treated_alike() -> None:
    """Of equal blocks one is run, so what is said of them must be the same."""
    treated: dict[tuple[str, str], Block] = {}
    for block in CODE:
        first = treated.setdefault(block.code, block)
        assert how(block) == how(first), f"{first} and {block}"


def how(block: Block) -> tuple[str | None, str | None, tuple[str, ...]]:
    kind = None if block.not_run is None else block.not_run.kind
    return kind, block.run_by, block.needs


def test_no_block_is_left_out() -> None:
    """Counted in the plain text, without the parser of the blocks."""
    fences = re.compile(rf"^[ >\t]*(?:```+|~~~+) *(?:{'|'.join(LANGUAGES)})\b", re.MULTILINE)
    assert len(CODE) == sum(len(fences.findall(read(document))) for document in with_blocks())
    kinds = {b.code: b.not_run.kind for b in CODE if b.not_run}
    elsewhere = {b.code for b in CODE if b.run_by}
    counted = ", ".join(
        f"{number} {kind}" for kind, number in Counter(kinds.values()).most_common()
    )
    print(
        f"{len(CODE)} blocks; different ones: {len(RUN)} run here, {len(elsewhere)} by {REASON}, {counted}"
    )
    assert len(RUN) >= LEAST_RUN and len(elsewhere) >= LEAST_WALKED
    assert sum(kind != "help" for kind in kinds.values()) <= MOST_NOT_RUN
