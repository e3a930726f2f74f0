"""The pages that scripts write from the code are up to date, and the questions are those of the error log."""

from __future__ import annotations

import re
import sys

import pytest

from docs.app import commands, find, shown_options
from docs.markdown import read
from helpers.paths import REPOSITORY

sys.path.insert(0, str(REPOSITORY / "scripts"))

RERUN = "run: python scripts/make_{}.py"


@pytest.fixture(scope="module")
def reference() -> str:
    pytest.importorskip("transformers")
    import make_commands

    return make_commands.commands_markdown()


def test_commands_are_those_of_the_help(reference: str) -> None:
    assert read("docs/commands.md") == reference, RERUN.format("commands")


def test_every_command_and_option_has_its_row(reference: str) -> None:
    sections = dict(
        re.findall(r"^### `x3 (.*?)`\n(.*?)(?=^##|\Z)", reference, re.MULTILINE | re.DOTALL)
    )
    assert set(sections) == set(commands())
    for name, text in sections.items():
        named = set(
            re.findall(
                r"(?<![\w-])--?[a-z][\w-]*", " ".join(re.findall(r"^\| `(.*?)` \|", text, re.M))
            )
        )
        options = {option for option in shown_options(find(name)) if option.startswith("-")}
        assert options - {"--help", "-h"} <= named, name
        assert re.search(r"^Usage: `x3 .+`$", text, re.MULTILINE), name


def test_help_is_taken_apart_without_loss() -> None:
    import make_commands

    for command in ("eval", "import", "model resize"):
        text = make_commands.help_text(command)
        shown = make_commands.parse(text)
        parts = [shown.usage, *shown.text, *shown.examples]
        for title, rows in shown.sections.items():
            parts += [title, *(part for row in rows for part in row)]
        words = re.sub(r"[:\s]+", " ", " ".join(parts)).split()
        assert sorted(words) == sorted(re.sub(r"Usage:|Examples:|[:\s]+", " ", text).split())


def test_schemas_are_those_of_the_formats() -> None:
    import make_schemas

    assert read("docs/schemas.md") == make_schemas.schemas_markdown(), RERUN.format("schemas")


def test_every_question_comes_from_the_error_log() -> None:
    rows = [
        re.split(r"(?<!\\)\|", line)[2].strip()
        for line in read("docs/error-log.md").splitlines()
        if re.match(r"\| (?:before )?20\d\d", line)
    ]
    questions = re.split(r"^### ", read("docs/faq.md"), flags=re.MULTILINE)[1:]
    assert len(questions) >= 30
    for question in questions:
        title, *lines = question.splitlines()
        marks = [re.fullmatch(r"<!-- log: (.+) -->", line) for line in lines if "<!--" in line]
        assert marks, f"{title}: name an entry of docs/error-log.md: <!-- log: its first words -->"
        for mark in marks:
            assert mark is not None, title
            found = [symptom for symptom in rows if symptom.startswith(mark[1])]
            assert len(found) == 1, f"{title}: {mark[1]}: {len(found)} entries begin so"
