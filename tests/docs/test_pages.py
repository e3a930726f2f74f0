"""The pages as text: line width, links, and the table of commands."""

from __future__ import annotations

import dataclasses
import re

import pytest

from docs.app import commands, find, shown_options
from docs.markdown import (
    GENERATED,
    anchors,
    code_spans,
    documents,
    joined_links,
    links,
    prose,
    read,
)
from helpers.paths import REPOSITORY, SRC
from x3spatial.cli.table import ENTRIES

WIDEST = 110
README_LINES = 170
CARD = "src/x3spatial/models/roborefer/x3_tiny/README.md"

HISTORY = frozenset({"docs/commands-of-the-document.md", "docs/error-log.md"})
"""Pages that name former commands and options on purpose."""
FOREIGN = frozenset(
    {
        "--dataset", "--limit-mm-per-prompt", "--mm-processor-kwargs",  # ms-swift, vLLM
        "--data", "--include_path", "--log_samples", "--no-log-images", "--output_path",
        "--reasoning_tags",  # harnesses
        "--kill-on-bad-exit",  # srun
        "--index-url",  # pip
        "--records", "--root",  # benchmarks
    }
)  # fmt: skip
"""Options of other programs that the pages mention."""
RECIPE_OPTIONS = frozenset({"--processes", "--dry-run"})

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


@pytest.fixture(scope="module")
def known_options() -> set[str]:
    pytest.importorskip("transformers")
    from x3spatial.training.arguments import ModelArguments, SftArguments
    from x3spatial.training.data_arguments import DataArguments
    from x3spatial.training.memory.options import MemoryArguments

    parsed = (ModelArguments, DataArguments, SftArguments, MemoryArguments)
    fields = {field.name for group in parsed for field in dataclasses.fields(group)}
    found = {f"--{name.replace('_', '-')}" for name in fields}
    for path in commands():
        found |= shown_options(find(path))
    return found | RECIPE_OPTIONS | FOREIGN


@pytest.mark.parametrize("document", sorted({*documents(), CARD} - HISTORY - GENERATED))
def test_options_in_the_text_exist(document: str, known_options: set[str]) -> None:
    """Written as ``x3 --help`` shows them: with dashes."""
    words = [word for span in code_spans(document) for word in span.split()]
    named = {word.partition("=")[0] for word in words if re.match(r"--[a-z]", word)}
    named -= {"--install-completion"}  # Typer's own, of x3 itself
    assert named <= known_options


@pytest.mark.parametrize("document", sorted({*documents(), CARD} - HISTORY - GENERATED))
def test_files_in_the_text_exist(document: str) -> None:
    """Those of the repository, and modules by their path below ``x3spatial``."""
    packages = {path.name for path in (SRC / "x3spatial").iterdir() if path.is_dir()}
    folders = {"benchmarks", "configs", "docs", "scripts", "src", "tests", "tools"}
    missing = []
    for span in code_spans(document):
        for word in span.split():
            first, slash, rest = word.partition("/")
            if not slash or re.search(r"[{}*<>|:]", word):
                continue
            path = REPOSITORY / word
            if first in packages and rest.endswith(".py"):
                path = SRC / "x3spatial" / word
            elif first not in folders:
                continue
            if not path.exists():
                missing.append(word)
    assert not missing
