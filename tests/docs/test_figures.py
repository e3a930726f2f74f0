"""Every measured figure of the pages has a source in docs/figures, or says why it is no measurement."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from helpers.paths import REPOSITORY

sys.path.insert(0, str(REPOSITORY / "scripts"))
import figures
from figure_tools import makers
from figure_tools.files import (
    FIGURES,
    FigureError,
    read_figures,
    table_of,
    table_text,
    write_figures,
)
from figure_tools.measured import unmarked
from figure_tools.pages import checked_pages, marked, marker_errors, with_figures
from figure_tools.quantities import Value

NAMES = sorted(path.stem for path in FIGURES.glob("*.json"))


@pytest.mark.parametrize("page", checked_pages())
def test_measured_figures_have_a_source_and_agree_with_it(page: str) -> None:
    text = (REPOSITORY / page).read_text(encoding="utf-8")
    problems = marker_errors(page, text) + unmarked(page, text)
    assert not problems, "\n".join(map(str, problems))


@pytest.mark.parametrize("name", NAMES)
def test_figure_files_say_what_made_them(name: str) -> None:
    content = read_figures(name)
    assert re.fullmatch(r"20\d\d-\d\d-\d\d", content["date"])
    script = re.search(r"(?:python|sh|bash) (\S+)", content["made_by"])
    assert script is not None and (REPOSITORY / script[1]).is_file()
    assert all(
        set(value) <= {"value", "unit", "low", "high"} for value in content["values"].values()
    )
    for table in content.get("tables", {}):
        for language in ("en", "zh"):
            table_text(name, content, table, language)


def test_files_of_our_script_are_those_it_makes() -> None:
    own = {name for name in NAMES if "scripts/figures.py" in read_figures(name)["made_by"]}
    assert own <= set(makers.MAKERS)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_figures(
        "run",
        made_by="python scripts/figures.py run",
        values={
            "seconds": Value(131.4, "s"),
            "cpu": Value(40.2, "CPU s"),
            "disk": Value(310_400_000, "B"),
            "hit": Value(0.4617, "", 0.4049, 0.5183),
            "gain": Value(1.142),
            "samples": Value(12_345),
        },
        tables={
            "both": {
                "columns": {"en": ["model", "Hit@Mask"], "zh": ["模型", "命中率"]},
                "rows": [["sift", {"of": "hit", "decimals": 2}]],
            }
        },
        folder=tmp_path,
    )
    return tmp_path


@pytest.mark.parametrize(
    "text",
    [
        "takes 131 s<!-- fig: run.seconds -->",
        "takes 2.2 min<!-- fig: run.seconds --> here",
        "takes two minutes<!-- fig: run.seconds -->",
        "需要 2.2 分钟<!-- fig: run.seconds -->，约两分钟<!-- fig: run.seconds -->",
        "40 CPU s<!-- fig: run.cpu -->",
        "needs 310 MB<!-- fig: run.disk -->, or 0.31 GB<!-- fig: run.disk -->",
        "**0.462 [0.40, 0.518]**<!-- fig: run.hit -->",
        "46 %<!-- fig: run.hit -->, 46%<!-- fig: run.hit -->",
        "1.14 times<!-- fig: run.gain --> as many; 1.14 倍<!-- fig: run.gain -->",
        "12,345<!-- fig: run.samples --> samples",
        "| CPU s |\n|---|\n| 40.2<!-- fig: run.cpu --> |",
    ],
)
def test_printed_values_agree_when_they_are_rounded(folder: Path, text: str) -> None:
    assert marker_errors("README.md", text, folder) == []
    assert unmarked("README.md", text) == []
    assert with_figures("README.md", text, folder) == text


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("132 s<!-- fig: run.seconds -->", "the figure is 131.4"),
        ("2.1 min<!-- fig: run.seconds -->", "the figure is 2.19"),
        ("131 MB<!-- fig: run.seconds -->", "is in MB, the figure in s"),
        ("131 CPU s<!-- fig: run.seconds -->", "is in CPU s, the figure in s"),
        ("0.462 [0.41, 0.52]<!-- fig: run.hit -->", "the interval is"),
        ("0.463<!-- fig: run.hit -->", "the figure is 0.4617"),
        ("1.14 [1.0, 1.2] times<!-- fig: run.gain -->", "has no interval"),
        ("131 s<!-- fig: run.minutes -->", "has no value minutes"),
        ("131 s<!-- fig: walk.seconds -->", "walk.json: no such file"),
        ("131 s here<!-- fig: run.seconds -->", "no number right before"),
        ("soon<!-- limit -->", "no number right before"),
        ("<!-- figures: run.none -->\n\n<!-- end of figures -->", "has no table none"),
    ],
)
def test_what_differs_from_its_source_is_named(folder: Path, text: str, problem: str) -> None:
    (found,) = marker_errors("README.md", f"First line.\n{text}", folder)
    assert problem in str(found) and str(found).startswith("README.md:2: ")


def test_tables_are_written_and_compared(folder: Path) -> None:
    empty = "A\n\n<!-- figures: run.both -->\n<!-- end of figures -->\n\nB\n"
    assert "differs" in str(marker_errors("README.md", empty, folder)[0])
    english = with_figures("README.md", empty, folder)
    assert "| model | Hit@Mask |\n|---|---|\n| sift | 0.46 [0.40, 0.52] |" in english
    assert "| 模型 | 命中率 |" in with_figures("README.zh-CN.md", empty, folder)
    assert (
        with_figures("README.md", empty.replace("run.both", "run"), folder).count("| sift |") == 1
    )
    assert marker_errors("README.md", english, folder) == [] == unmarked("README.md", english)
    assert marker_errors("docs/zh/index.md", english, folder) != []
    changed = english.replace("0.46", "0.47")
    assert len(marker_errors("README.md", changed, folder)) == 1


def test_pages_follow_when_a_figure_changes(folder: Path) -> None:
    write_figures(
        "run",
        made_by="python scripts/figures.py run",
        values={
            "seconds": Value(200, "s"),
            "samples": Value(9_876),
            "hit": Value(0.51, "", 0.44, 0.6),
        },
        folder=folder,
    )
    page = (
        "2.2 min<!-- fig: run.seconds -->, two minutes<!-- fig: run.seconds -->,"
        " 12,345<!-- fig: run.samples -->, **0.46 [0.405, 0.52]**<!-- fig: run.hit -->, 5 s<!-- limit -->"
    )
    assert with_figures("README.md", page, folder) == (
        "3.3 min<!-- fig: run.seconds -->, three minutes<!-- fig: run.seconds -->,"
        " 9,876<!-- fig: run.samples -->, **0.51 [0.440, 0.60]**<!-- fig: run.hit -->, 5 s<!-- limit -->"
    )


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("It took 3.5 s.", ["3.5 s"]),
        ("It took 4 min 43 s.", ["4 min", "43 s"]),
        ("It took 72 CPU\n  seconds and 1.5 hours", ["72 CPU seconds", "1.5 hours"]),
        ("three minutes, four times as slow", ["three minutes", "four times"]),
        ("forty times as slow, in thirty seconds", ["forty times", "thirty seconds"]),
        ("0.2 to 1.5 ms", ["0.2", "1.5 ms"]),
        ("87 and 86 MB of 24 GiB", ["87", "86 MB", "24 GiB"]),
        ("115 samples/s, 31 answers a second", ["115 samples/s", "31 answers a second"]),
        ("46 % of 12", ["46 %"]),
        ("2.5x faster, 3 × and 1.14 times", ["2.5x", "3 ×", "1.14 times"]),
        ("a rate of 0.462, of 0.46", ["0.462", "0.46"]),
        ("44.9 [36.7, 53.3] and 7 ± 2", ["44.9 [36.7, 53.3]", "7"]),
        ("耗时 3 秒，约 2 分钟，快 2 倍", ["3 秒", "2 分钟", "2 倍"]),
        ("耗时三秒，十分快，快两倍", ["三秒", "两倍"]),
        ("| a | peak, GiB |\n|---|---|\n| 3 | 14.4 |\n", ["14.4"]),
        ("3<!-- fig: run.a --> to 5 s", ["5 s"]),
        ("3 to 5 s<!-- fig: run.a -->", ["3"]),
        ("**0.462** beside 0.3<!-- fig: x.y -->", ["0.462"]),
        ("10 s <!-- limit -->", ["10 s"]),
        ("10 s<!-- because -->", ["10 s"]),
        ("- `x3 eval` takes 3 s", ["3 s"]),
        ("95 % of them", ["95 %"]),
    ],
)
def test_measured_figures_are_found(text: str, found: list[str]) -> None:
    problems = [problem.text.partition(":")[0] for problem in unmarked("README.md", text)]
    assert problems == found


@pytest.mark.parametrize(
    "text",
    [
        "`takes 3 s`, and\n\n```text\nin 3 s: 0.462 [0.4, 0.5]\n```\n",
        "640 x 480 pixels, 640x480, 2 x 4 objects, Task1, 32 samples, Python 3.11, torch 2.11.0",
        "[a link](pages/3%20s.md) https://example.com/3%20s <!-- 3 s -->",
        "95 % intervals, a 95 % interval, 95 % 置信区间, 100 % and 0 %",
        "| `--retries N` | waits 30 s, then 60 s |",
        "- `--timeout S`: 30 s at first,\n  then 60 s",
        "within 10 minutes<!-- limit -->, 0.2 to 1.5 ms<!-- cited -->",
        "`0.05` and version 1.16.0, in 2026",
        "连续三次失败，第三次，一次，两次<!-- limit -->",
    ],
)
def test_what_is_no_measured_figure_needs_no_marker(text: str) -> None:
    assert unmarked("README.md", text) == []


def test_readme_fails_when_a_digit_changes() -> None:
    text = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    sources = [(marker, number) for marker, number in marked(text) if marker["source"]]
    assert len(sources) >= 4
    for _, number in sources:
        assert number is not None
        last = number.end("number") - 1
        if not text[last].isdigit():
            continue
        changed = text[:last] + str((int(text[last]) + 5) % 10) + text[last + 1 :]
        assert marker_errors("README.md", changed), number[0]


def test_a_value_that_is_no_number_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FigureError, match=r"run\.seconds: nan"):
        write_figures("run", made_by="x", values={"seconds": Value(float("nan"))}, folder=tmp_path)
    assert not list(tmp_path.iterdir())
    (tmp_path / "run.json").write_text(json.dumps({"values": {"a": {"value": 1}}}))
    with pytest.raises(FigureError, match=r"run\.json: has no made_by"):
        read_figures("run", tmp_path)


def test_results_and_benchmarks_become_values(tmp_path: Path) -> None:
    for name, hits in (("sift", 0.25), ("x3-tiny", None)):
        content = {
            "metrics": {"total": 32, "hit_at_mask": hits, "balanced_accuracy": 0.6},
            "ci95": {"hit_at_mask": [0.1, 0.4], "balanced_accuracy": None},
            "chance": {"uniform": {"hit_at_mask": 0.02}, "copy-reference": None},
        }
        path = tmp_path / name / "t1_val_multi.json"
        path.parent.mkdir()
        path.write_text(json.dumps(content))
    assert makers._results(tmp_path) == {
        "t1_multi.samples": Value(32),
        "t1_multi.sift.hit_at_mask": Value(0.25, "", 0.1, 0.4),
        "t1_multi.sift.balanced_accuracy": Value(0.6),
        "t1_multi.x3-tiny.balanced_accuracy": Value(0.6),
        "t1_multi.chance-uniform.hit_at_mask": Value(0.02),
    }
    one = {"wall_s": 3.5, "client_cpu_ms": 4, "peak_mb": 2, "answers_per_s": 30.5, "ratio": 0.5}
    line = {"seconds": 2, "one": one, "equal": True, "name": "a", "all": [1, 2]}
    assert dict(makers._numbers("build", line)) == {
        "build.seconds": Value(2, "s"),
        "build.one.wall_s": Value(3.5, "s"),
        "build.one.client_cpu_ms": Value(0.004, "CPU s"),
        "build.one.peak_mb": Value(2e6, "B"),
        "build.one.answers_per_s": Value(30.5, "answers/s"),
        "build.one.ratio": Value(0.5),
    }


def test_command_line(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def call(*arguments: str) -> int:
        monkeypatch.setattr(sys, "argv", ["figures.py", *arguments])
        return figures.main()

    assert call("--list") == 0
    assert {line.partition(":")[0] for line in capsys.readouterr().out.splitlines()} == set(
        makers.MAKERS
    )
    assert call("--check", "docs/lost.md") == 2
    assert "docs/lost.md: no such page" in capsys.readouterr().err
    assert call("--check", "docs/lab-book.md") == 1  # measured figures without markers
    assert "docs/lab-book.md:" in capsys.readouterr().out
    with pytest.raises(SystemExit) as ended:
        call("speed")
    assert ended.value.code == 2


def test_cells_print_values_in_the_unit_of_their_column(tmp_path: Path) -> None:
    def write(unit: str, columns: dict[str, list[str]]) -> None:
        cell = {"of": "peak", "decimals": 1, "unit": unit}
        write_figures(
            "run",
            made_by="python scripts/figures.py run",
            values={"peak": Value(3 * 2**30, "B")},
            tables={"one": {"columns": columns, "rows": [["DDP", cell]]}},
            folder=tmp_path,
        )

    both = {"en": ["", "GiB"], "zh": ["", "GiB"]}
    write("GiB", both)
    page = "<!-- figures: run.one -->\n<!-- end of figures -->\n"
    assert "| DDP | 3.0 |" in with_figures("README.md", page, tmp_path)
    with pytest.raises(FigureError, match=r"run\.peak: is in B, not in s"):
        write("s", both)
    with pytest.raises(FigureError, match=r"run\.one: has no header in zh"):
        write("GiB", {"en": ["", "GiB"]})
    with pytest.raises(FigureError, match="a row of 2 cells, not 1"):
        write("GiB", {"en": ["GiB"], "zh": ["GiB"]})


def _some_results(folder: Path) -> None:
    content = {
        "metrics": {"total": 4, "hit_at_mask": 0.5},
        "ci95": {"hit_at_mask": [0.2, 0.8]},
        "chance": {"uniform": {"hit_at_mask": 0.1}},
    }
    for model in ("x3-tiny", "sift", "oracle"):
        path = folder / model / "t2b_val_multi.json"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(content))


def test_what_the_demo_leaves_behind_becomes_figures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The makers with stand-ins for the commands that take minutes."""
    commands: list[list[str]] = []

    def stand_in(command: list[str], folder: Path, more: dict[str, str] | None = None) -> float:
        commands.append(command)
        if command[0] == "git":
            Path(command[-1], ".venv").mkdir(parents=True)
            Path(command[-1], ".venv", "one").write_bytes(b"1" * 9000)
        elif command[-1] == "demo":
            _some_results(folder / "demo" / "results")
        elif command[0] == "sh" and more is not None:
            assert (
                "x3"
                in subprocess.run([more["X3"], "--version"], capture_output=True, text=True).stdout
            )
            _some_results(Path(more["OUT"]) / "results")
        return 60.0

    monkeypatch.setattr(makers, "_run", stand_in)
    monkeypatch.setattr(
        makers, "write_figures", lambda name, **more: write_figures(name, folder=tmp_path, **more)
    )
    makers.demo()
    assert [command[-1] for command in commands[1:]] == [".venv/.render", "demo"]
    values = read_figures("demo", tmp_path)["values"]
    assert values["total_seconds"] == {"value": 120.0, "unit": "s"}
    assert values["disk"]["value"] == values["installed"]["value"] + values["written"]["value"]
    assert values["installed"]["value"] >= 9000
    table = table_of("demo.baselines", "en", tmp_path)
    assert "| oracle* | - | - | - | 0.500 [0.200, 0.800] |" in table

    makers.tiny()
    chinese = table_of("tiny.results", "zh", tmp_path)
    assert "| x3-tiny | - | - | - | 0.500 [0.200, 0.800] |" in chinese
    assert "| 随机水平：均匀随机点 | - | - | - | 0.100 |" in chinese
