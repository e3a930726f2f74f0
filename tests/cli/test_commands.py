"""The commands as a user runs them: real processes, exit codes, one line per mistake."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from helpers.paths import REPOSITORY
from helpers.roots import make_root


def x3(*arguments: object, cwd: Path | None = None, **env: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "x3spatial", *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, cwd=cwd, env={**os.environ, **env}, check=False
    )


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_root(tmp_path_factory.mktemp("cli") / "root")


def test_help_is_instant_and_imports_nothing_heavy() -> None:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert x3("--help").returncode == 0
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    # Ten times the target of 0.3 s: this catches an import of torch, not a busy machine.
    assert after.ru_utime - before.ru_utime < 3
    for command, more in (("[]", "cv2 numpy PIL"), ("['eval']", ""), ("['model', 'tiny']", "")):
        probe = (
            f"import sys; from x3spatial.cli import run; run([*{command}, '--help'])\n"
            f"heavy = {{*'torch transformers embreex numba {more}'.split()}}\n"
            "sys.exit(', '.join(heavy & set(sys.modules)) or 0)"
        )
        done = subprocess.run(
            [sys.executable, "-c", probe], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, (command, done.stderr)


@pytest.mark.parametrize("dash", ["-", "_"])
def test_both_spellings_of_options(dash: str, root: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = x3(
        "build", f"--data{dash}root", root, f"--out{dash}dir", out, "--mode", "anchor",
        f"--anchor{dash}k", "1", "--alpha", "0.45", f"--use{dash}dilated{dash}mask",
        f"--emit{dash}concat", "1", f"--jpeg{dash}quality", "90",
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    manifest = json.loads((out / "build.json").read_text())
    assert manifest["parameters"]["use_dilated_mask"] is True
    assert manifest["parameters"]["jpeg_quality"] == 90


def mistakes(root: Path, tmp: Path) -> list[tuple[list[object], str]]:
    (tmp / "empty").mkdir()
    (tmp / "nosplit" / "scenes").mkdir(parents=True)
    (tmp / "file").write_text("x")
    both = tmp / "both"
    for name in ("val", "validation"):
        (both / name).mkdir(parents=True)
    build: list[object] = ["build", root, "-o", tmp / "o"]
    return [
        (["build"], "ROOT is missing"),
        (["eval", tmp / "t.json", "--model", "centre"], "--out is missing"),
        (["export", tmp / "t.json", "-o", tmp / "e"], "--to is missing"),
        (["score", tmp / "r.json"], "TASKS is missing"),
        (["eval", tmp, "-o", tmp / "r.json", "--model", "centre"], f"{tmp}: is a folder; name one"),
        (["recipe", "run", "r.yaml"], "required: --model-name-or-path, --data-dir, --output-dir;"),
        (["build", "--data-root", tmp / "nope"], "no such folder"),
        (["build", "--data-root", tmp / "empty"], "no split folder"),
        (["build", "--data-root", tmp / "nosplit"], "no split folder"),
        (["build", "--data-root", both], "both val/ and validation/"),
        (["audit", tmp / "empty"], "no split folder"),
        (["audit", tmp / "nope"], f"ROOT {tmp / 'nope'}: no such folder"),
        ([*build, "--mode", "some"], "--mode some"),
        ([*build, "--alpha", "0"], "--alpha 0"),
        ([*build, "--alpha", "2"], "--alpha 2"),
        ([*build, "--alpha", "x"], "--alpha"),
        ([*build, "--crop-reference", "1", "4"], "--crop-reference"),
        ([*build, "--anchor-k", "0"], "--anchor-k 0"),
        ([*build, "--jpeg-quality", "101"], "--jpeg-quality 101"),
        ([*build, "--limit", "0"], "--limit 0"),
        ([*build, "--workers", "0"], "--workers"),
        ([*build, "--splits", "tset"], "--splits tset"),
        ([*build, "--emit-concat", "2"], "--emit-concat"),
        ([*build, "--tasks", "t1,t3"], "--tasks t3"),
        ([*build, "--tasks", "t1_concat", "--emit-concat", "0"], "--emit-concat 0"),
        ([*build, "--prompts", tmp / "nope"], "--prompts"),
        ([*build, "--nonsense"], "--nonsense"),
        (["build", root, "-o", tmp / "file" / "o"], f"--out {tmp / 'file' / 'o'}: cannot write there"),
        (["build", root, "-o", root], f"--out {root}: lies in the data root"),
        (["zeroshot", root, "--tasks-dir", root, "--model", "centre"], f"--tasks-dir {root}: lies in"),
        (["build", "--data-root", root, "--out-dir", root / "out"], "lies in the data root"),
        (["build", "--data-root", tmp / "file"], "not a folder"),
        (["zeroshot", "--model", "centre", "--out-dir", tmp / "none", "--alpha", "0.2"], "--alpha"),
        (["zeroshot", "--out-dir", tmp / "none"], "t1_val_multi.json is missing"),
        (["zeroshot", root, "--tasks-dir", tmp / "t9"], "RoboRefer-2B-Depth-Align"),
        (["preview", tmp / "nope.json"], "no such task file"),
        (["eval", "--data-json", tmp / "nope.json", "--output-json", tmp / "r.json", "--model",
          "centre"], "no such task file"),
        (["eval", "--data-json", tmp / "nope.json", "--output-json", tmp / "r.json"], "--model"),
        (["zeroshot", "--data-root", root, "--out-dir", tmp / "o", "--model", "gpt-99"], "gpt-99"),
        (["zeroshot", "--model", "centre", "--out-dir", tmp / "none"], "t1_val_multi.json is missing"),
        (["score", tmp / "r.json", tmp / "d.json"], "r.json"),
        (["frobnicate"], "frobnicate"),
        (["score", tmp / "r.json", tmp / "t.json", "--outt", "x"], "(Possible options: --out, --quiet)"),
        (["audt", root], "'audit'"),
        (["eval", tmp / "t.json", "-o", tmp / "r.json", "--model", "sfit"], "did you mean sift?"),
        (["eval", tmp / "t.json", "-o", tmp / "r.json", "--model", "Qwen/Qwen2.5-VL-3B-Instruct"],
         "write hf:Qwen/Qwen2.5-VL-3B-Instruct"),
        (["models", "--log-level", "loud"], "--log-level loud: must be one of debug, info"),
    ]  # fmt: skip


def test_a_mistake_is_one_clear_line_and_exit_code_2(root: Path, tmp_path: Path) -> None:
    for arguments, expected in mistakes(root, tmp_path):
        done = x3(*arguments, cwd=tmp_path)
        assert done.returncode == 2, (arguments, done.stderr)
        lines = done.stderr.splitlines()
        assert len(lines) == 1 and expected in lines[0], (arguments, done.stderr)
        assert "Traceback" not in done.stderr


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="needs permissions that bind")
def test_unwritable_out_dir(root: Path, tmp_path: Path) -> None:
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    done = x3("build", "--data-root", root, "--out-dir", locked / "o")
    assert done.returncode == 2 and "cannot write there" in done.stderr


def test_audit_exit_codes_and_json(root: Path, tmp_path: Path) -> None:
    clean = x3("audit", root)
    assert clean.returncode == 0 and "no problems" in clean.stdout
    spoilt = make_root(tmp_path / "root")
    next(spoilt.rglob("*_mask.png")).write_bytes(b"")
    done = x3("audit", spoilt)
    assert done.returncode == 1 and "mask: file is empty" in done.stderr
    done = x3("audit", spoilt, "--json")
    report = json.loads(done.stdout)
    assert done.returncode == 1 and report["problems_total"] == 1


def test_a_build_with_nothing_to_ask_exits_1(tmp_path: Path) -> None:
    (tmp_path / "root" / "train").mkdir(parents=True)
    done = x3("build", "--data-root", tmp_path / "root", "--out-dir", tmp_path / "out")
    assert done.returncode == 1 and "no sample" in done.stderr


def test_a_build_that_left_out_bad_data_exits_0_and_names_it(tmp_path: Path) -> None:
    root = make_root(tmp_path / "root")
    path = next(root.rglob("02_*_original.png"))
    path.write_bytes(path.read_bytes()[:100])
    done = x3("build", "--data-root", root, "--out-dir", tmp_path / "out")
    assert done.returncode == 0
    assert f"{path}: view left out: original: PNG is cut short" in done.stderr


def test_a_closed_pipe_is_no_error(root: Path) -> None:
    command = f"{sys.executable} -m x3spatial audit {root} --json | head -c 1 > /dev/null"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    # Here the pipe is closed before the first line, and every line is flushed by itself.
    command = f"set -o pipefail; {sys.executable} -m x3spatial models | true"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_set_that_no_model_answers_says_so_and_has_its_chance_rows(
    root: Path, tmp_path: Path
) -> None:
    done = x3(
        "zeroshot", root, "-o", tmp_path / "r", "--tasks-dir", tmp_path / "t", "--model", "sift"
    )
    count = len(json.loads((tmp_path / "t" / "t2b_val_multi.json").read_text()))
    _, _, last = done.stdout.partition("Task2B")
    assert f"t2b_val_multi.json, {count} samples, asked of no model" in last and count > 0
    assert "not asked: sift does not answer t2b_multi" in last
    assert "chance: centre" in last


def test_the_documents_own_commands(root: Path, tmp_path: Path) -> None:
    out = tmp_path / "tasks"
    build = [
        sys.executable, "tools/build_spatial_tasks_x3.py", "--data-root", str(root), "--out-dir",
        str(out), "--mode", "anchor", "--anchor-k", "1", "--alpha", "0.45", "--use-dilated-mask",
        "--emit-concat", "1",
    ]  # fmt: skip
    subprocess.run(build, cwd=REPOSITORY, check=True, capture_output=True)
    results = tmp_path / "t1.json"
    evaluate = [
        sys.executable, "tools/eval_spatial_tasks.py", "--model", "oracle", "--data-json",
        str(out / "t1_val_multi.json"), "--image-folder", "/", "--max-new-tokens", "64",
        "--output-json", str(results),
    ]  # fmt: skip
    subprocess.run(evaluate, cwd=REPOSITORY, check=True, capture_output=True)
    assert json.loads(results.read_text())["metrics"]["hit_at_mask"] == 1.0


def test_the_documents_zeroshot_script(root: Path, tmp_path: Path) -> None:
    env = {
        **os.environ,
        "DATA_ROOT_X3": str(root),
        "OUT_DIR": str(tmp_path / "tasks"),
        "EVAL_DIR": str(tmp_path / "eval"),
        "MODEL": "oracle",
        "PYTHON": sys.executable,
    }
    done = subprocess.run(
        ["bash", "scripts/run_zeroshot_x3.sh"],
        cwd=REPOSITORY, env=env, check=True, capture_output=True, text=True,
    )  # fmt: skip
    names = sorted(path.name for path in (tmp_path / "eval").iterdir() if path.name[0] != ".")
    assert names == [
        "summary.json",
        "t1_val_concat.json",
        "t1_val_multi.json",
        "t2a_val_multi.json",
        "t2b_val_multi.json",
    ]
    assert "Task2B" in done.stdout and "1.000" in done.stdout


@pytest.mark.parametrize("blank", ["", " "])
def test_which_model_is_asked(blank: str, root: Path, tmp_path: Path) -> None:
    out = tmp_path / "tasks"
    x3("build", "--data-root", root, "--out-dir", out)
    checkpoint = tmp_path / f"my{blank}model"
    checkpoint.mkdir()
    ask = ("eval", "--data-json", out / "t1_val_multi.json", "--output-json", tmp_path / "r.json")
    # A folder is a checkpoint, also a bare name and one with a blank; it is refused as an empty one.
    for done in (
        x3(*ask, "--model", checkpoint.name, cwd=tmp_path),
        x3(*ask, cwd=tmp_path, MODEL=checkpoint.name),
        x3(*ask, cwd=tmp_path, MODEL=str(checkpoint)),
        x3(*ask, "--model-name-or-path", checkpoint, MODEL="centre"),
    ):
        assert done.returncode == 2 and "config.json is missing" in done.stderr, done.stderr
    assert x3(*ask, "--model", "uniform", MODEL="centre").returncode == 0
    assert json.loads((tmp_path / "r.json").read_text())["model"]["name"] == "uniform"


def test_zeroshot_says_which_samples_failed_and_why(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sometimes.py").write_text(
        "import x3spatial as x3\n"
        "class Sometimes(x3.Model):\n"
        "    name = 'sometimes'\n"
        "    def answer(self, questions, prepared):\n"
        "        if questions[0].task == 't2b_multi':\n"
        "            raise ValueError('no lamp in the lens')\n"
        "        return ['NOT_VISIBLE' for _ in questions]\n"
    )
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    model = "sometimes:Sometimes"
    done = x3(
        "zeroshot", root, "-o", tmp_path / "r", "--tasks-dir", tmp_path / "t", "--model", model
    )
    count = len(json.loads((tmp_path / "t" / "t2b_val_multi.json").read_text()))
    assert done.returncode == 1
    (line,) = [line for line in done.stderr.splitlines() if "without an answer" in line]
    assert line.startswith(f"x3: Task2B, sometimes: {count} of {count} samples without an answer; ")
    assert "First: T2B_MULTI_" in line and "no lamp in the lens" in line
