"""The pages as text: line width, links, and the table of commands."""

from __future__ import annotations

import dataclasses
import re
import tomllib

import pytest

from docs.app import commands, find, shown_options
from docs.markdown import (
    GENERATED,
    anchors,
    blocks,
    code_spans,
    documents,
    joined_links,
    prose,
    read,
    without_comments,
)
from helpers.paths import REPOSITORY, SRC

WIDEST = 110
README_LINES = 150
PROJECT = "https://github.com/x3spatial/x3spatial/blob/main/"
PICTURES = "https://raw.githubusercontent.com/x3spatial/x3spatial/main/"
"""Package indexes show README and know no relative links, so its links and pictures are absolute."""
MAIN_COMMANDS = frozenset(
    {
        "scenes",
        "import",
        "audit",
        "build",
        "zeroshot",
        "eval",
        "score",
        "compare",
        "report",
        "export",
        "sft",
    }
)
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
        "--strict",  # mkdocs, twine
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
        if len(without_comments(line)) > WIDEST
        and not line.lstrip().startswith("|")
        and not re.fullmatch(r"\[[^\]]+\]: \S+", line)
        and not re.fullmatch(r"\s*(?:[-*] )?!?\[[^\]]*\]\(\S+\)[.,]?", line)
    ]
    assert not long, "\n".join(long)


@pytest.mark.parametrize("document", [*documents(), CARD])
def test_no_words_are_lost_as_tags(document: str) -> None:
    """``<image>`` outside of code is HTML to GitHub and to the site: it does not show."""
    lost = [
        f"{document}:{number}: {tag}"
        for number, line in prose(document)
        for tag in re.findall(r"</?[a-z][\w-]*>", re.sub(r"`[^`]*`", "", without_comments(line)))
        if tag.strip("</>") not in ("details", "summary")
    ]
    assert not lost, "\n".join(lost)


def test_readme_is_short() -> None:
    assert len(read("README.md").splitlines()) <= README_LINES


@pytest.mark.parametrize("document", LINKING)
def test_links_and_anchors_resolve(document: str) -> None:
    if not (REPOSITORY / document).exists():
        pytest.skip("not there")
    broken = []
    for target in joined_links(document):
        folder = (REPOSITORY / document).parent
        for base in (PROJECT, PICTURES):
            if target.startswith(base):
                target, folder = target.removeprefix(base), REPOSITORY
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        path = folder / file if file else REPOSITORY / document
        if not path.exists():
            broken.append(f"{document}: {target}: no such file")
        elif anchor and anchor not in anchors(path):
            broken.append(f"{document}: {target}: no such heading")
    assert not broken, "\n".join(broken)


@pytest.mark.parametrize("document", ["README.md", "README.zh-CN.md"])
def test_links_of_the_readme_are_absolute(document: str) -> None:
    """Of the addresses in pyproject.toml; pictures lie where the raw file is served."""
    if not (REPOSITORY / document).exists():
        pytest.skip("not there")
    with (REPOSITORY / "pyproject.toml").open("rb") as file:
        home = tomllib.load(file)["project"]["urls"]["Homepage"]
    assert PROJECT.startswith(home) and PICTURES.endswith(f"{home.partition('.com')[2]}/main/")
    relative = {
        target for target in joined_links(document) if "://" not in target and target[0] != "#"
    }
    assert not relative
    pictures = {
        target for target in joined_links(document) if target.endswith((".png", ".jpg", ".svg"))
    }
    assert pictures and all(target.startswith(PICTURES) for target in pictures)


def test_readme_defines_the_links_that_it_uses() -> None:
    text = "\n".join(line for _, line in prose("README.md"))
    defined = re.findall(r"^\[([^\]]+)\]: ", text, re.MULTILINE)
    body = re.sub(r"`[^`]*`|^\[[^\]]+\]: .*", "", text, flags=re.MULTILINE)
    used = set(re.findall(r"\[[^\]]+\]\s?\[([^\]]+)\]", body))
    used |= set(re.findall(r"(?<!\])\[([a-z][^\]]*)\](?![\[(])", body))
    assert used == set(defined) and len(defined) == len(set(defined))


def test_readme_says_first_whom_it_is_for() -> None:
    """In three sentences, with the model and the data that it was made for and the name."""
    paragraphs = read("README.md").split("\n\n")
    first = next(one for one in paragraphs[1:] if not one.startswith("["))
    sentences = " ".join(re.split(r"(?<=[.;])\s", " ".join(first.split()))[:4])
    assert "is for people who" in sentences
    assert "https://github.com/Zhoues/RoboRefer" in sentences
    assert "https://kaldir.vc.in.tum.de/scannetpp/" in sentences
    assert "*x3*" in sentences


def test_readme_names_the_main_commands() -> None:
    """And none that there is not; all of them stand in docs/commands.md."""
    named = {span.removeprefix("x3 ") for span in code_spans("README.md") if span.startswith("x3 ")}
    named -= {"COMMAND --help"}
    known = set(commands())
    assert named <= known
    shown = {
        words[1] for block in blocks("README.md") for words in block.commands() if words[0] == "x3"
    }
    assert named | shown >= MAIN_COMMANDS


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
