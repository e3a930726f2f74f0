"""Every command and Python snippet of README and docs runs as it is printed.

A block that cannot run here (weights, a GPU, a server, the network, hours) says so in
``<!-- not run: reason -->`` right before it. The ``x3`` commands in such a block are still checked: command
and options must exist. ``<!-- needs: torch -->`` runs a block only where these modules are installed.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from docs.app import below, is_group, root, shown_options
from docs.markdown import Block, blocks, documents
from helpers.paths import REPOSITORY
from x3spatial.builder.run import build_tasks
from x3spatial.evaluation.run import evaluate

BLOCKS = [block for document in documents() for block in blocks(document)]
SHELL = [block for block in BLOCKS if block.language == "bash"]
CODE = [block for block in SHELL if block.not_run is None]
SNIPPETS = [block for block in BLOCKS if block.language == "python" and block.not_run is None]
OTHERS = [block for block in BLOCKS if block.language not in ("bash", "python")]

_DATA = re.compile(r"(?<![\w.])/data/")
_ASSIGNMENT = re.compile(r"[A-Z][A-Z0-9_]*=")


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the reader works: views in /data/views, which is data/views here, task files in tasks, and a
    baseline's results in eval."""
    folder = tmp_path_factory.mktemp("docs")
    fixture = REPOSITORY / "tests" / "fixtures" / "x3-small" / "root"
    shutil.copytree(fixture, folder / "data" / "views")
    build_tasks(data_root=folder / "data" / "views", out_dir=folder / "tasks")
    name = "t1_val_multi.json"
    evaluate(data_json=folder / "tasks" / name, output_json=folder / "eval" / name, model="centre")
    return folder


def placed(text: str, workspace: Path) -> str:
    """``text`` with the paths of the documents where they are here."""
    return _DATA.sub(f"{workspace}/data/", text)


def environment(**more: str) -> dict[str, str]:
    """Our sources first, one thread, this interpreter for scripts."""
    path = os.pathsep.join(filter(None, [str(REPOSITORY / "src"), os.environ.get("PYTHONPATH")]))
    fixed = {"PYTHONPATH": path, "OMP_NUM_THREADS": "1", "PYTHON": sys.executable}
    return {**os.environ, **fixed, **more}


def run(arguments: list[str], workspace: Path, where: str, **env: str) -> None:
    done = subprocess.run(
        arguments,
        cwd=workspace,
        env=environment(**env),
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    shown = " ".join(arguments)
    assert done.returncode == 0, f"{where}: {shown}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"


def runnable(words: list[str]) -> tuple[dict[str, str], list[str]] | None:
    """Variables and arguments of a command that this test can run; None for any other."""
    variables = {}
    while words and _ASSIGNMENT.match(words[0]):
        name, _, variables[name] = words[0].partition("=")
        words = words[1:]
    match words:
        case ["x3", *rest]:
            return variables, [sys.executable, "-m", "x3spatial", *rest]
        case [("python" | "bash") as program, script, *rest] if (REPOSITORY / script).is_file():
            interpreter = sys.executable if program == "python" else program
            return variables, [interpreter, str(REPOSITORY / script), *rest]
        case ["make", "help"]:
            return variables, ["make", "-C", str(REPOSITORY), "help"]
    return None


def require(block: Block) -> None:
    missing = [name for name in block.needs if importlib.util.find_spec(name) is None]
    if missing:
        pytest.skip(f"{missing[0]} is not installed")


@pytest.mark.parametrize("block", CODE, ids=str)
def test_shell_blocks_run(block: Block, workspace: Path) -> None:
    require(block)
    commands = block.commands()
    assert commands, f"{block}: an empty block"
    for words in commands:
        known = runnable(words)
        assert known is not None, (
            f"{block}: '{' '.join(words)}' cannot run here; write <!-- not run: reason --> before the block"
        )
        variables, arguments = known
        run(
            [placed(argument, workspace) for argument in arguments],
            workspace,
            str(block),
            **{name: placed(value, workspace) for name, value in variables.items()},
        )


@pytest.mark.parametrize("block", SNIPPETS, ids=str)
def test_python_blocks_run(block: Block, workspace: Path) -> None:
    require(block)
    script = workspace / "snippet.py"
    script.write_text(placed(block.text, workspace) + "\n", encoding="utf-8")
    run([sys.executable, str(script)], workspace, str(block))


@pytest.mark.parametrize("block", SHELL, ids=str)
def test_commands_and_options_exist(block: Block) -> None:
    """Also those of blocks that are not run. ``x3 sft`` and its like read their options themselves."""
    for words in block.commands():
        if "-m" in words and words[words.index("-m") + 1 :][:1] == ["x3spatial"]:
            words = ["x3", *words[words.index("x3spatial") + 1 :]]
        while words and _ASSIGNMENT.match(words[0]):
            words = words[1:]
        if words[0] == "x3":
            check_words(words[1:], str(block))


def check_words(words: list[str], where: str) -> None:
    """Whether the command can be parsed, and help shows it and its options under the names used."""
    command = root()
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
    assert block.language not in ("sh", "shell", "console", "py")
    assert not re.search(
        r"^\s*(?:\$ *)?(?:x3|make|python|pip|torchrun) ", block.text, re.MULTILINE
    ), str(block)


@pytest.mark.parametrize("block", BLOCKS, ids=str)
def test_a_reason_is_a_reason(block: Block) -> None:
    if block.not_run is not None:
        assert block.language in ("bash", "python") and len(block.not_run.split()) >= 2
