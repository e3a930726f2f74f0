"""Help at 80 columns: whole lines, groups, lists from the registries, examples that are true; completion."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from x3spatial.cli import make_app, run
from x3spatial.cli.table import ENTRIES, GROUPS, Entry, entries_of

OURS = [e for e in ENTRIES if e.target is not None and not e.target.startswith("train:")]
SHOWN = [e for e in OURS if not e.hidden]


def command_of(path: str) -> Any:
    """The click command at a path of names."""
    found = make_app()
    for name in path.split():
        found = found.get_command(None, name)
        assert found is not None, path
    return found


@contextmanager
def context_of(path: str, arguments: list[str]) -> Iterator[Any]:
    """The click context of a command whose ``arguments`` are parsed, but which is not run."""
    app = make_app()
    context = app.make_context("x3", [*path.split(), *arguments])
    while context.command is not None and hasattr(context.command, "prefix"):
        words = [*context._protected_args, *context.args]
        name, command, rest = context.command.resolve_command(context, words)
        context = command.make_context(name, rest, parent=context)
    yield context


def help_of(path: str, capsys: pytest.CaptureFixture[str]) -> str:
    assert run([*path.split(), "--help"]) == 0
    return capsys.readouterr().out


@pytest.fixture(autouse=True)
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    for name in ("DATA_ROOT_X3", "OUT_DIR", "EVAL_DIR", "MODEL"):
        monkeypatch.delenv(name, raising=False)


def test_every_command_is_one_whole_line_of_the_overview(
    capsys: pytest.CaptureFixture[str],
) -> None:
    text = help_of("", capsys).partition("\nData:\n")[2]
    for entry in entries_of(""):
        if entry.hidden:
            assert f"\n  {entry.name} " not in text
        else:
            (line,) = [line for line in text.splitlines() if line.startswith(f"  {entry.name} ")]
            assert line.split(maxsplit=1)[1] == entry.summary
    headings = re.findall(r"^(\w+):$", text, re.MULTILINE)
    assert headings == [*GROUPS[1:], "Options"]
    for entry in ENTRIES:
        assert not any(re.search(rf"\b{former}\b", text) for former in entry.former)


@pytest.mark.parametrize("entry", OURS, ids=lambda e: e.path)
def test_help_fits_and_is_for_users(entry: Entry, capsys: pytest.CaptureFixture[str]) -> None:
    text = help_of(entry.path, capsys)
    assert max(map(len, text.splitlines())) <= 80
    assert entry.summary in " ".join(text.split())
    for leak in ("Raises", "Args:", "``", "UserError", "<int", "<str", "None", "_also_"):
        assert leak not in text, leak
    assert not re.search(r"--\w+_", text)  # one spelling: dashes
    examples = text.partition("\nExamples:\n")[2].splitlines()
    assert len(examples) == 2
    for example in examples:
        assert example.strip().startswith(f"x3 {entry.path}") or entry.hidden


@pytest.mark.parametrize("entry", SHOWN, ids=lambda e: e.path)
def test_examples_are_true_commands(entry: Entry) -> None:
    for example in command_of(entry.path).examples:
        words = shlex.split(re.split(r"[|>]", example)[0])[1:]
        arguments = words[len(entry.path.split()) :]
        with context_of(entry.path, arguments) as context:
            given = {name: context.get_parameter_source(name) for name in context.params}
            assert "COMMANDLINE" in {s.name for s in given.values() if s} or not arguments
            for name in context.params:  # canonical spellings only
                assert "_also_" not in name or given[name].name != "COMMANDLINE"


@pytest.mark.parametrize("entry", SHOWN, ids=lambda e: e.path)
def test_usage_lines_name_the_parameters(entry: Entry) -> None:
    command = command_of(entry.path)
    arguments = [
        p.metavar for p in command.params if p.param_type_name == "argument" and not p.hidden
    ]
    words = re.findall(r"[A-Z][A-Z_0-9|]*(?:\.\.\.)?", command.usage)
    assert [w for w in words if w in arguments] == arguments
    options = {opt for p in command.params if not getattr(p, "hidden", False) for opt in p.opts}
    assert set(re.findall(r"(?<!\S)--?[a-z-]+", command.usage)) <= options


def test_lists_in_help_come_from_the_registries(capsys: pytest.CaptureFixture[str]) -> None:
    from typing import get_args

    from x3spatial.conventions.registry import CONVENTIONS
    from x3spatial.exporters.image_paths import PATHS
    from x3spatial.exporters.points import point_formats
    from x3spatial.exporters.registry import FORMATS
    from x3spatial.formats.results_file import MaskChoice, ScoringRule
    from x3spatial.models import choices
    from x3spatial.synth.options import STYLES
    from x3spatial.tasks.spec import TASKS

    lists = {
        "eval": [*CONVENTIONS, *get_args(MaskChoice), *get_args(ScoringRule), *choices.DTYPES,
                 *choices.ATTENTIONS, *choices.ASPECT_MODES],
        "export": [*FORMATS, *PATHS, *point_formats()],
        "build": [task.group for task in TASKS.values()],
        "scenes": STYLES,
        "model tiny": [*choices.SIZES, *choices.DTYPES],
    }  # fmt: skip
    for path, names in lists.items():
        text = re.sub(r"\s+", " ", help_of(path, capsys))
        missing = [name for name in names if not re.search(rf"[ (]{re.escape(name)}\b", text)]
        assert not missing, path


def test_lists_follow_a_registry_that_grew(capsys: pytest.CaptureFixture[str]) -> None:
    from dataclasses import replace

    from x3spatial.tasks.spec import TASKS, registered

    toy = replace(TASKS["t2b_multi"], name="toy_set", group="toy", file_name="toy_{split}.json")
    with registered(toy):
        assert re.search(r"\btoy\b", help_of("build", capsys))
    assert not re.search(r"\btoy\b", help_of("build", capsys))


def test_choices_are_those_of_the_code_that_needs_torch() -> None:
    pytest.importorskip("torch")
    from x3spatial.models import choices
    from x3spatial.models.local.runtime import DTYPES
    from x3spatial.models.roborefer.tiny import SIZES

    assert tuple(DTYPES) == choices.DTYPES
    assert set(choices.SIZES) == set(SIZES)


def test_long_helps_have_groups(capsys: pytest.CaptureFixture[str]) -> None:
    groups = ["Model", "RoboRefer", "Hugging Face", "Servers", "Run", "Examples"]
    for path, expected in (
        ("eval", ["Arguments", *groups]),
        ("zeroshot", ["Arguments", "Task files", *groups]),
        ("check-model", groups),
        ("build", ["Arguments", "Task files", "Run", "Examples"]),
    ):
        text = help_of(path, capsys)
        assert re.findall(r"^([A-Z][\w ]+):$", text, re.MULTILINE) == expected
    assert "qwen2.5-px" in help_of("eval", capsys).partition("RoboRefer:")[0]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["-V"], "x3spatial 0."),
        (["--version"], "x3spatial 0."),
        (["version"], "x3spatial 0."),
        ([], "Usage: x3 COMMAND"),
        (["help"], "Usage: x3 COMMAND"),
        (["-h"], "Usage: x3 COMMAND"),
        (["help", "build"], "Usage: x3 build ROOT"),
        (["help", "model", "tiny"], "Usage: x3 model tiny"),
        (["model"], "resize   Convert"),
        (["data"], "list  List"),
        (["recipe"], "run  Train"),
        (["models"], "roborefer:x3-tiny"),
        (["conventions"], "gemini-yx-1000"),
    ],
    ids=" ".join,
)
def test_what_beginners_type(
    arguments: list[str], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments) == 0
    assert expected in capsys.readouterr().out


def test_conventions_are_described(capsys: pytest.CaptureFixture[str]) -> None:
    from x3spatial.conventions.registry import CONVENTIONS

    assert run(["conventions"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(maxsplit=1) for line in lines] == [
        [name, convention.describes] for name, convention in CONVENTIONS.items()
    ]


@pytest.mark.parametrize(
    ("words", "expected", "absent"),
    [
        (["x3", "ev"], {"eval"}, {"build"}),
        (["x3", ""], {"build", "composites", "model"}, {"scenes-flat", "zoom", "version"}),
        (["x3", "model", "re"], {"resize"}, {"grow"}),
        (["x3", "eval", "--mo"], {"--model"}, {"--data-json"}),
        (["x3", "eval", "--o"], {"--out"}, {"--output-json"}),
        (["x3", "eval", "--model", "si"], {"sift"}, {"oracle"}),
        (["x3", "export", "--to", "l"], {"llava"}, {"trl"}),
    ],
)
def test_completion(words: list[str], expected: set[str], absent: set[str]) -> None:
    env = {
        **os.environ,
        "_X3_COMPLETE": "complete_bash",
        "COMP_WORDS": " ".join(words),
        "COMP_CWORD": str(len(words) - 1),
    }
    done = subprocess.run(
        [sys.executable, "-m", "x3spatial"], env=env, capture_output=True, text=True, check=False
    )
    found = set(done.stdout.split())
    assert expected <= found and not absent & found, done


def test_completion_can_be_shown() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "x3spatial", "--show-completion", "bash"],
        env={**os.environ, "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0 and "_X3_COMPLETE=complete_bash" in done.stdout
