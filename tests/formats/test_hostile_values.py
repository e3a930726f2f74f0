"""Values that no program writes on purpose, in task files and results files: named, in one line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from helpers.server_common import chat
from helpers.task_sets import box_mask, make_record, write_set
from x3spatial.cli import run
from x3spatial.errors import UserError
from x3spatial.formats.results_file import read_results
from x3spatial.formats.task_file import read_tasks
from x3spatial.io.json_stream import iter_array

HALF = "\ud800"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("files")
    tasks = write_set(
        folder / "t.json", [make_record(folder, "01", box_mask(32, 24, 4, 5, 11, 10))]
    )
    results = folder / "r.json"
    assert run(["eval", str(tasks), "-o", str(results), "--model", "centre", "-q"]) == 0
    return {"tasks": tasks, "results": results}


def deep(levels: int) -> str:
    return "[" * levels + "]" * levels


TURNS = [{"from": "human", "value": f"where{HALF}"}, {"from": "gpt", "value": "[(0.5, 0.5)]"}]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"id": f"a{HALF}"}, "field 'id' is not valid Unicode"),
        ({"id": "a\udcff"}, "field 'id' is not valid Unicode"),
        ({"image": [f"/a{HALF}.png", "/b.png"]}, "field 'image' is not valid Unicode"),
        ({"image": ["/a\0.png", "/b.png"]}, "field 'image' holds a NUL"),
        ({"query_mask": "/m\0"}, "field 'query_mask' holds a NUL"),
        ({"ref_original": f"/m{HALF}"}, "field 'ref_original' is not valid Unicode"),
        ({"scene": HALF}, "field 'scene' is not valid Unicode"),
        ({"label": HALF}, "field 'label' is not valid Unicode"),
        ({"label": []}, "field 'label' must be a string"),
        ({"label": float("nan")}, "field 'label' must be a string, not nan"),
        ({"question": HALF}, "field 'question' is not valid Unicode"),
        ({"conversations": TURNS}, "field 'value' is not valid Unicode"),
        ({"reference_point": {}}, "field 'reference_point' must be two numbers, not {}"),
        ({"reference_point": "ab"}, "'reference_point' must be two numbers"),
        ({"reference_point": [0.1]}, "'reference_point' must be two numbers"),
        ({"reference_point": [0.1, 0.2, 0.3]}, "'reference_point' must be two numbers"),
        ({"reference_point": [float("nan"), 0.1]}, "'reference_point' must be two numbers"),
        ({"reference_point": [10**400, 0.1]}, "'reference_point' must be two numbers"),
        ({"reference_point": [True, 0.1]}, "'reference_point' must be two numbers"),
        ({"image_sizes": [[float("inf"), 2], [3, 4]]}, "'image_sizes' must be a list"),
        ({"image_sizes": [[0, 2], [3, 4]]}, "'image_sizes' must be a list"),
        ({"image_sizes": [["3", 2], [3, 4]]}, "'image_sizes' must be a list"),
        ({"image_sizes": {}}, "'image_sizes' must be a list"),
        ({"mask_area_fraction": float("nan")}, "'mask_area_fraction' must be a number from 0"),
        ({"mask_area_fraction": -0.5}, "'mask_area_fraction' must be a number from 0"),
        ({"mask_area_fraction": True}, "'mask_area_fraction' must be a number from 0"),
        ({"task": []}, "field 'task' is []"),
        ({"task": "x" * 100_000}, "field 'task' is 'xxx"),
    ],
)
@pytest.mark.parametrize("command", ["eval", "preview", "export", "score"])
def test_a_record_is_refused_with_its_field(
    files: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str],
    command: str, change: dict[str, Any], reason: str,
) -> None:  # fmt: skip
    (record,) = json.loads(files["tasks"].read_text())
    data = tmp_path / "t.json"
    data.write_text(json.dumps([{**record, **change}]))
    out = tmp_path / "out"
    arguments: list[object] = {
        "eval": ["eval", data, "-o", out / "r.json", "--model", "centre"],
        "preview": ["preview", data, "-o", out / "s.png"],
        "export": ["export", data, "--to", "llava", "-o", out],
        "score": ["score", files["results"], data, "-o", out / "r.json"],
    }[command]
    assert run([str(part) for part in arguments]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert f"{data}: record 1: " in line
    assert reason in line
    assert len(line) < 600


@pytest.mark.parametrize(
    ("place", "value", "reason"),
    [
        (("results", 0, "pred_text"), f"x{HALF}", "result 1: 'pred_text' is not valid Unicode"),
        (("results", 0, "id"), HALF, "result 1: 'id' is not valid Unicode"),
        (
            ("results", 0, "details"),
            {"x": [1, {"y": float("inf")}]},
            "'details.x' is not a finite number",
        ),
        (("results", 0, "details"), {HALF: 1}, "is not valid Unicode"),
        (("model", "name"), HALF, "'model.name' is not valid Unicode"),
        (("data", "path"), HALF, "'data.path' is not valid Unicode"),
        (
            ("settings", "describe"),
            {"x": json.loads(deep(300))},
            "'settings.describe.x' is nested too deep",
        ),
        (("metrics", "total"), float("nan"), "'metrics.total' is not a finite number"),
    ],
)
@pytest.mark.parametrize("command", ["score", "compare", "preview"])
def test_a_results_file_is_refused_with_its_field(
    files: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str],
    command: str, place: tuple[Any, ...], value: Any, reason: str,
) -> None:  # fmt: skip
    whole = json.loads(files["results"].read_text())
    part = whole
    for key in place[:-1]:
        part = part[key]
    part[place[-1]] = value
    damaged = tmp_path / "r.json"
    damaged.write_text(json.dumps(whole))
    arguments: list[object] = {
        "score": ["score", damaged, files["tasks"], "-o", tmp_path / "out.json"],
        "compare": ["compare", damaged, files["results"]],
        "preview": ["preview", files["tasks"], "--results", damaged, "-o", tmp_path / "s.png"],
    }[command]
    assert run([str(part) for part in arguments]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert f"{damaged}: damaged results file: " in line
    assert reason in line


def test_one_sample_has_one_result(files: dict[str, Path], tmp_path: Path) -> None:
    whole = json.loads(files["results"].read_text())
    whole["results"] *= 2
    path = tmp_path / "r.json"
    path.write_text(json.dumps(whole))
    with pytest.raises(UserError, match="result 2: 'id' occurs twice"):
        read_results(path)


def test_an_unhashable_reason_to_end_is_no_cut_off(files: dict[str, Path], tmp_path: Path) -> None:
    whole = json.loads(files["results"].read_text())
    whole["results"][0]["details"] = {"finish": ["length"]}
    path = tmp_path / "r.json"
    path.write_text(json.dumps(whole))
    out = tmp_path / "out.json"
    assert run(["score", str(path), str(files["tasks"]), "-o", str(out)]) == 0
    assert read_results(out).metrics["cut_off"] == 0


def test_keys_that_occur_twice_are_refused(files: dict[str, Path], tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    text = files["tasks"].read_text().rstrip()
    path.write_text(text.removesuffix("]").rstrip().removesuffix("}") + ', "id": "other"}\n]')
    with pytest.raises(UserError, match="cannot read this task file: key 'id' occurs twice"):
        read_tasks(path)
    nested = files["tasks"].read_text().replace('"from": "human"', '"from": "gpt", "from": "human"')
    path.write_text(nested)
    with pytest.raises(UserError, match="key 'from' occurs twice"):
        read_tasks(path)
    results = tmp_path / "r.json"
    whole = files["results"].read_text()
    results.write_text(whole.replace('"metrics": {', '"metrics": {}, "metrics": {', 1))
    with pytest.raises(
        UserError, match="cannot read this results file: key 'metrics' occurs twice"
    ):
        read_results(results)
    # Also where the object is read in pieces, and in JSON Lines.
    large = tmp_path / "large.jsonl"
    large.write_text('{"a": 1}\n{"a": "' + "x" * 200_000 + '", "a": 2}\n')
    with pytest.raises(UserError, match="key 'a' occurs twice"):
        list(iter_array(large))


@pytest.mark.parametrize("levels", [2_000, 100_000])
@pytest.mark.parametrize("command", ["eval", "preview", "export", "score", "compare"])
def test_json_that_is_nested_too_deep_is_one_line(
    files: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str],
    command: str, levels: int,
) -> None:  # fmt: skip
    path = tmp_path / "deep.json"
    path.write_text(f'[{{"id": "a", "x": {deep(levels)}}}]')
    out = tmp_path / "out"
    arguments: list[object] = {
        "eval": ["eval", path, "-o", out / "r.json", "--model", "centre"],
        "preview": ["preview", path, "-o", out / "s.png"],
        "export": ["export", path, "--to", "llava", "-o", out],
        "score": ["score", files["results"], path, "-o", out / "r.json"],
        "compare": ["compare", path, files["results"]],
    }[command]
    assert run([str(part) for part in arguments]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert str(path) in line
    assert "nested too deep" in line


def call(*arguments: object) -> tuple[int, str]:
    """``x3`` in another process, because names that are not UTF-8 are bytes there."""
    command = [sys.executable, "-m", "x3spatial", *arguments]
    done = subprocess.run(command, capture_output=True, timeout=120)  # type: ignore[arg-type]
    return done.returncode, done.stderr.decode("utf-8", "surrogateescape")


@pytest.mark.parametrize(
    "command", ["build", "build out", "eval", "eval tasks", "export", "preview", "crop"]
)
def test_paths_that_are_not_utf_8_are_one_line(
    files: dict[str, Path], tmp_path: Path, command: str
) -> None:
    from helpers.roots import box_mask as mask
    from helpers.roots import write_view

    name = bytes(tmp_path) + b"/M\xfcller"
    odd = Path(name.decode("utf-8", "surrogateescape"))
    odd.mkdir()
    root = tmp_path / "root"
    for place in (root, odd):
        for rank in (1, 2):
            write_view(place / "train/s0/uid_1", rank, mask(10, 10, 20, 20))
    (odd / "t.json").write_bytes(files["tasks"].read_bytes())
    tasks, out = files["tasks"], tmp_path / "out"
    code, error = call(
        *{
            "build": ["build", name, "-o", out],
            "build out": ["build", root, "-o", name + b"/out"],
            "eval": ["eval", tasks, "-o", name + b"/r.json", "--model", "centre"],
            "eval tasks": ["eval", name + b"/t.json", "-o", out / "r.json", "--model", "centre"],
            "export": ["export", tasks, "--to", "llava", "-o", name + b"/out"],
            "preview": ["preview", tasks, "-o", name + b"/s.png"],
            "crop": ["crop", root, "-o", name + b"/out"],
        }[command]
    )
    assert code == 2
    (line,) = error.strip().splitlines()
    assert "M\\xfcller" in line
    assert "path is not valid UTF-8" in line


def test_half_of_a_surrogate_pair_in_an_answer_is_stored(
    tmp_path: Path, files: dict[str, Path]
) -> None:
    pytest.importorskip("openai")
    from helpers.hostile_server import acting, reply

    body = json.dumps(chat(f"[(0.5, 0.5)] {HALF}", "stop")).encode()
    out = tmp_path / "r.json"
    with acting(lambda handler: reply(handler, body)) as server:
        arguments = ["eval", str(files["tasks"]), "-o", str(out), "--model", "openai:m"]
        arguments += ["--convention", "unit", "--base-url", f"{server.url}/v1"]
        assert run([*arguments, "--cache", str(tmp_path / "c.db")]) == 0
    (entry,) = read_results(out).results
    assert entry.pred_text is not None
    assert entry.pred_parsed.coord == (0.5, 0.5)
