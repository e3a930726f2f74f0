"""What commands print: tables at any width, JSON, marks, and why something failed."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from helpers.roots import make_photos, make_root
from x3spatial.cli import output, run
from x3spatial.cli.table import ENTRIES
from x3spatial.tables import Table
from x3spatial.training import commands as training_commands

MODELS = ["--model", "oracle", "--model", "centre", "--model", "always-not-visible"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root, its task files and results of two models."""
    folder = tmp_path_factory.mktemp("terminal")
    root = make_root(folder / "root")
    make_photos(folder / "photos")
    assert run(["build", str(root), "-o", str(folder / "tasks"), "-q"]) == 0
    shard = ["--shard", "1/3", "-q"]  # two are missing
    assert run(["build", str(root), "-o", str(folder / "shards"), *shard]) == 0
    for model in ("oracle", "centre"):
        assert run(evaluating(folder, model, folder / f"{model}.json")) == 0
    registry = {"datasets": {"all": {"data_path": str(folder / "tasks" / "t1_val_multi.json")}}}
    (folder / "mixtures.yaml").write_text(json.dumps(registry))
    return folder


def evaluating(folder: Path, model: str, out: Path) -> list[str]:
    tasks = str(folder / "tasks" / "t1_val_multi.json")
    return ["eval", tasks, "-o", str(out), "--model", model, "-q"]


def command_lines(folder: Path, tmp: Path) -> dict[str, list[str]]:
    """A call of each command that prints a table or results."""
    tasks = folder / "tasks" / "t1_val_multi.json"
    lines: dict[str, list[Any]] = {
        "audit": [folder / "root"],
        "build": [folder / "root", "-o", tmp / "tasks"],
        "eval": [tasks, "-o", tmp / "r.json", "--model", "centre"],
        "score": [folder / "centre.json", tasks, "-o", tmp / "s.json"],
        "compare": [folder / "centre.json", folder / "oracle.json"],
        "import": ["photos", folder / "photos", "-o", tmp / "i"],
        "inpaint-bench": [
            folder / "root",
            "-o",
            tmp / "b",
            "--inpaint",
            "telea",
            "--model",
            "pixel-diff",
            "--limit",
            1,
        ],
        "report": [folder / "centre.json", "-o", tmp / "report"],
        "table": [folder / "centre.json", folder / "oracle.json"],
        "plot": [folder / "centre.json", "-o", tmp / "f.svg"],
        "agreement": [folder / "centre.json", folder / "oracle.json"],
        "ask": [tasks, "-o", tmp / "q"],
        "zeroshot": ["-o", tmp / "z", "--tasks-dir", folder / "tasks", *MODELS],
        "check-model": ["--model", "centre", "--dots", 4],
        "models": [],
        "conventions": [],
        "preview": [tasks, "-o", tmp / "p.png", "--limit", 1],
        "export": [tasks, "--to", "llava", "-o", tmp / "e"],
        "pack": [tasks, "-o", tmp / "p"],
        "crop": [folder / "root", "-o", tmp / "c"],
        "merge": [folder / "shards", "--dry-run"],
        "composites": [tmp / "f", "--scenes", 1],
        "data list": ["--data-registry", folder / "mixtures.yaml"],
        "check-data": ["--data-path", tasks],
    }
    return {name: [*name.split(), *map(str, rest)] for name, rest in lines.items()}


TABLES = {
    "audit": 0, "build": 0, "eval": 0, "score": 0, "compare": 0, "agreement": 0, "zeroshot": 0,
    "check-model": 1, "models": 0, "conventions": 0, "data list": 0, "merge": 1,
}  # fmt: skip
"""Commands that print tables, with their exit code here (no baseline passes check-model)."""


@pytest.fixture
def printed(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Table]]:
    """Every table that is printed."""
    found: list[Table] = []
    lines = Table.lines

    def noting(self: Table, width: int | None = None) -> Any:
        found.append(self)
        return lines(self, width)

    monkeypatch.setattr(Table, "lines", noting)
    yield found


@pytest.mark.parametrize("name", TABLES)
def test_tables_of_every_command_at_every_width(
    name: str,
    folder: Path,
    tmp_path: Path,
    printed: list[Table],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(command_lines(folder, tmp_path)[name]) == TABLES[name]
    tables = list(printed)
    assert tables
    for table in tables:
        cells = {cell for row in table.rows for cell in (row[:-1] if table.prose else row) if cell}
        for width in range(60, 201, 7):
            text = table.text(width)
            assert "…" not in text
            for cell in cells:
                if len(cell) <= 40:
                    assert re.search(rf"(?<!\S){re.escape(cell)}(?!\S)", text), (width, cell)
            for line in text.splitlines():
                assert len(line) <= width or any(len(word) > 30 for word in line.split())
    # A terminal of 80 columns gets tables of 80 columns.
    capsys.readouterr()
    for module in (output, training_commands):
        monkeypatch.setattr(module, "terminal_width", lambda: 80)
    again = command_lines(folder, tmp_path)[name]
    assert run(again) == TABLES[name]
    rows = {" ".join(line.split()) for table in tables for line in table.text(80).splitlines()}
    shown = {" ".join(line.split()) for line in capsys.readouterr().out.splitlines()}
    assert len(rows - shown) <= 2  # counts of what was done now


def named(name: str, folder: Path, tmp_path: Path) -> list[str]:
    return [*command_lines(folder, tmp_path)[name], "--json"]


@pytest.mark.parametrize("name", [e.path for e in ENTRIES if e.target and not e.without_json])
def test_json_is_one_document_and_nothing_else(
    name: str, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if name in ("scenes", "model inspect", "model tiny", "model resize"):
        pytest.importorskip("torch")
        words = {
            "scenes": ["scenes", str(tmp_path / "s"), "--fast", "--train", "0", "--validation", "1",
                       "--objects", "1", "--views", "2"],
            "model inspect": ["model", "inspect", "x3-tiny"],
            "model tiny": ["model", "tiny", str(tmp_path / "t")],
            "model resize": ["model", "resize", "x3-tiny", "-o", str(tmp_path / "u"),
                             "--image-size", "216"],
        }[name]  # fmt: skip
    else:
        words = command_lines(folder, tmp_path)[name]
    code = run([*words, "--json"])
    assert code == TABLES.get(name, 0)
    out = capsys.readouterr().out
    value = json.loads(out, parse_constant=lambda word: pytest.fail(f"{word} in JSON"))
    assert value


def test_commands_without_json_say_why() -> None:
    without = {entry.path: entry.without_json for entry in ENTRIES if entry.without_json}
    assert set(without) == {"sft", "recipe run", "view", "help", "version"}
    assert all(len(reason) > 5 for reason in without.values())


def test_what_a_model_prints_does_not_reach_json(
    folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "noisy.py").write_text(
        "import x3spatial as x3\n"
        "class Noisy(x3.Model):\n"
        "    name, convention = 'noisy', 'fraction'\n"
        "    def answer(self, questions, prepared):\n"
        "        print('thinking aloud')\n"
        "        return ['[(0.1, 0.1)]' for _ in questions]\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    assert run([*evaluating(folder, "noisy:Noisy", tmp_path / "n.json"), "--json"]) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["model"] == "noisy"
    assert "thinking aloud" in captured.err


def test_an_error_prints_no_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["audit", str(tmp_path / "nope"), "--json"]) == 2
    captured = capsys.readouterr()
    assert (captured.out, captured.err.count("\n")) == ("", 1)


def test_titles_name_mask_and_seed(folder: Path, tmp_path: Path, printed: list[Table]) -> None:
    for name in ("eval", "score", "compare", "zeroshot"):
        printed.clear()
        assert run(command_lines(folder, tmp_path)[name]) == 0
        titled = [t.title for t in printed if "by size" not in t.title and "share" not in t.title]
        assert titled
        for title in titled:
            assert "tight masks, build seed 42" in title, title
    printed.clear()
    assert run([*command_lines(folder, tmp_path)["build"], "--seed", "7"]) == 0
    assert printed[0].title.endswith(": tight masks preferred, seed 7")


def test_zeroshot_begins_with_models_by_sets(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(command_lines(folder, tmp_path)["zeroshot"]) == 0
    first, *others = capsys.readouterr().out.split("\n\n")
    lines = first.splitlines()
    heads = [" ".join(line.split()) for line in lines[1:5]]
    assert heads[-1].split()[-1] == "Hit@Mask"
    assert [line.split()[0] for line in lines[4:] if line[0] != " "] == [
        "samples", "oracle*", "centre", "always-not-visible", "best", "*",
    ]  # fmt: skip
    assert "* reads masks or right answers" in first
    oracle = next(line for line in lines if line.startswith("oracle*")).split()[1:]
    assert oracle == ["1.000"] * 6
    long = "\n\n".join(others)
    assert "balanced acc" in long and "chance: copy-reference*" in long
    assert "square brackets" not in long or "[" in long
    assert long.count("under 0.25 %") == 3  # not Task2A, whose objects are not visible
    summary = json.loads((tmp_path / "z" / "summary.json").read_text())
    cell = summary["sets"][0]["models"][0]
    assert cell["privileged"] is True and len(cell["by_mask_area"]) == 4


def test_brackets_are_explained_only_where_there_are_some(
    folder: Path, tmp_path: Path, printed: list[Table]
) -> None:
    assert run(command_lines(folder, tmp_path)["zeroshot"]) == 0
    for table in printed:
        brackets = any("[" in cell for row in table.rows for cell in row)
        assert brackets is any("square brackets" in note for note in table.notes)


MODULE = """
import x3spatial as x3
class Fails(x3.Model):
    name, convention = "fails", "fraction"
    def answer(self, questions, prepared):
        raise RuntimeError(f"\\x1b[31mdevice 0x{id(questions):x} lost at {questions[0].id}")
class Late(x3.Model):
    name, convention = "late", "fraction"
    calls = 0
    def answer(self, questions, prepared):
        Late.calls += 1
        if Late.calls != 2:
            raise RuntimeError("lost")
        return ["[(0.1, 0.1)]" for _ in questions]
class Prose(x3.Model):
    name, convention = "prose", "fraction"
    def answer(self, questions, prepared):
        texts = ["left of it, " * 100, "", '<point x="1" y="2">a</point>', "at 12", "<think>no</think>"]
        return [texts[int(q.id.rpartition("_B")[2][:2]) % 5] for q in questions]
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    name = f"models_{tmp_path.name}".replace("-", "_").replace("[", "").replace("]", "")
    (tmp_path / f"{name}.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield name
    sys.modules.pop(name, None)


Asks = Callable[..., tuple[int, dict[str, Any], str]]


@pytest.fixture
def ask(folder: Path, tmp_path: Path, module: str, capsys: pytest.CaptureFixture[str]) -> Asks:
    def run_it(model: str, *options: str) -> tuple[int, dict[str, Any], str]:
        words = evaluating(folder, f"{module}:{model}", tmp_path / f"{model}.json")
        code = run([*words, "--batch-size", "1", *options, "--json"])
        captured = capsys.readouterr()
        return code, json.loads(captured.out), captured.err

    return run_it


def test_a_run_that_cannot_succeed_stops_and_says_why(ask: Asks, tmp_path: Path) -> None:
    code, value, err = ask("Fails", "--stop-after-failures", "3")
    total = value["metrics"]["total"]
    assert (code, value["asked"], value["errors"]) == (1, 3, total)
    last = err.splitlines()[-1]
    assert f"3 questions in a row failed alike and none succeeded, so {total - 3} were not" in last
    assert "--stop-after-failures" in last and r"RuntimeError: \x1b[31mdevice" in last
    stored = json.loads((tmp_path / "Fails.json").read_text())["results"]
    assert [r["error"].startswith("RuntimeError") for r in stored].count(True) == 3
    assert {r["error"] for r in stored if not r["error"].startswith("Run")} == {"not asked"}


def test_nothing_stops_if_something_succeeded(ask: Asks) -> None:
    code, value, _ = ask("Late", "--stop-after-failures", "3")
    total = value["metrics"]["total"]
    assert (code, value["asked"], value["errors"], value["stopped"]) == (1, total, total - 1, None)
    # The one answer of the first call counts for the second.
    code, value, _ = ask("Late", "--stop-after-failures", "1")
    assert (code, value["asked"], value["stopped"]) == (1, total - 1, None)


def test_zero_asks_all(ask: Asks) -> None:
    code, value, err = ask("Fails", "--stop-after-failures", "0")
    assert (code, value["asked"], value["stopped"]) == (1, value["metrics"]["total"], None)
    total = value["metrics"]["total"]
    assert f"{total} of {total} samples without an answer" in err.splitlines()[-1]


def test_missing_images_are_no_reason_to_stop(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    records = json.loads((folder / "tasks" / "t1_val_multi.json").read_text())
    for record in records[:-1]:
        record["image"] = [f"{path}.gone" for path in record["image"]]
    tasks = tmp_path / "t1_val_multi.json"
    tasks.write_text(json.dumps(records))
    words = ["eval", str(tasks), "-o", str(tmp_path / "r.json"), "--model", "centre"]
    assert run([*words, "--stop-after-failures", "1", "--json"]) == 1
    value = json.loads(capsys.readouterr().out)
    assert (value["asked"], value["errors"]) == (len(records), len(records) - 1)


def test_unread_answers_are_counted_by_reason_and_shown(
    ask: Asks, folder: Path, tmp_path: Path, module: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, value, err = ask("Prose")
    total = value["metrics"]["total"]
    reasons = value["unparsed_reasons"]
    assert code == 0 and sum(reasons.values()) == value["metrics"]["parse_failures"] == total
    assert set(reasons) <= {
        "no number", "empty", "form of another convention", "one number", "thinking only",
    }  # fmt: skip
    assert len(reasons) > 1 and 1 < len(value["unread"]) <= 3
    last = err.splitlines()[-1]
    assert last.startswith(f"x3: {total} of {total} unparsed; first: ")
    assert last.endswith("see x3 check-model") and len(last) < 400
    stored = json.loads((tmp_path / "Prose.json").read_text())
    assert stored["unparsed_reasons"] == reasons
    assert run(evaluating(folder, f"{module}:Prose", tmp_path / "Prose.json")) == 0
    assert "unread (" in capsys.readouterr().out


def test_zeroshot_names_set_count_and_reason(
    folder: Path, tmp_path: Path, module: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["zeroshot", "-o", str(tmp_path / "z"), "--tasks-dir", str(folder / "tasks"), "-q"]
    code = run([*words, "--model", f"{module}:Fails", "--stop-after-failures", "0"])
    lines = capsys.readouterr().err.splitlines()
    assert code == 1 and len(lines) == 4
    pattern = (
        r"x3: Task\w+( \w+)?, fails: \d+ of \d+ samples without an answer; .* First: \S+: Runtime"
    )
    assert all(re.match(pattern, line) for line in lines), lines
    assert not any("\x1b" in line for line in lines)


def test_debug_shows_the_traceback_of_a_failed_sample(
    folder: Path, tmp_path: Path, module: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = evaluating(folder, f"{module}:Fails", tmp_path / "r.json")[:-1]
    assert run([*words, "--limit", "1", "--log-level", "debug"]) == 1
    err = capsys.readouterr().err
    assert "Traceback" in err and "raise RuntimeError" in err and "\x1b" not in err
    assert run([*words, "--limit", "1", "--log-level", "info"]) == 1
    assert "Traceback" not in capsys.readouterr().err


def test_file_names_do_not_steer_the_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = make_root(tmp_path / "root")
    folder = next((root / "validation").glob("*/uid_*"))
    (folder / "01_\x1b]0;owned\x07_x.png").write_bytes(b"")
    assert run(["audit", str(root)]) == 1
    captured = capsys.readouterr()
    assert "\x1b" not in captured.out + captured.err and r"\x1b]0;owned\x07" in captured.err
    assert run(["audit", str(root), "--json"]) == 1
    assert "\x1b" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("sfit", "did you mean sift?"),
        ("SIFT", "did you mean sift?"),
        ("always_not_visible", "did you mean always-not-visible?"),
        ("x3-tiny", "did you mean roborefer:x3-tiny?"),
        ("roborefr:x3", "did you mean roborefer?"),
        ("Qwen/Qwen2.5-VL-3B-Instruct", "write hf:Qwen/Qwen2.5-VL-3B-Instruct"),
        ("nothing-like-it", "known are oracle, "),
    ],
)
def test_unknown_models_get_a_hint(
    name: str, hint: str, tmp_path: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(evaluating(folder, name, tmp_path / "r.json")) == 2
    err = capsys.readouterr().err
    assert hint in err and err.count("\n") == 1


def test_models_lists_what_needs_no_download(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["models"]) == 0
    out = capsys.readouterr().out
    assert re.search(r"^roborefer:x3-tiny ", out, re.MULTILINE)
    assert re.search(r"^try: .*roborefer:x3-tiny", out, re.MULTILINE)
