"""``scripts/slurm``, run with stand-ins for the commands of Slurm, which execute what they are given."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from helpers.paths import FIXTURES, REPOSITORY
from x3spatial.builder.run import build_tasks

SLURM = REPOSITORY / "scripts" / "slurm"
STUBS = Path(__file__).with_name("stubs")
FILES = sorted(SLURM.iterdir())


def slurm(
    folder: Path, arguments: list[str], code: int = 0, **variables: object
) -> subprocess.CompletedProcess[str]:
    """Run a command of Slurm's in a clean environment; what jobs print goes to ``folder``."""
    folder.mkdir(exist_ok=True)
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("SLURM", "X3"))
    }
    path = f"{STUBS}{os.pathsep}{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        arguments,
        env={
            **kept, "PATH": path, "PYTHONPATH": str(REPOSITORY / "src"), "OMP_NUM_THREADS": "1",
            "PYTHON": sys.executable, "SLURM_STUB": str(folder),
            **{name: str(value) for name, value in variables.items()},
        },
        cwd=REPOSITORY, capture_output=True, text=True, timeout=500,
    )  # fmt: skip
    logs = "\n".join(file.read_text() for file in sorted(folder.glob("job-*.log")))
    assert done.returncode == code, f"{done.stderr}\n{logs}"
    return done


def contents(folder: Path) -> dict[str, bytes]:
    """Every file that a build is about, except what a run says of itself."""
    found = {
        str(file.relative_to(folder)): file.read_bytes()
        for file in sorted(folder.rglob("*"))
        if file.is_file() and not file.name.startswith(".") and file.name != "build.json"
    }
    manifest = json.loads((folder / "build.json").read_text())
    manifest.pop("run")
    return {**found, "build.json": json.dumps(manifest).encode()}


@pytest.fixture(scope="module")
def tasks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Task files of the fixture, built in one run."""
    folder = tmp_path_factory.mktemp("slurm") / "tasks"
    build_tasks(FIXTURES / "x3-small" / "root", folder, mode="allpairs", workers=1)
    return folder


def test_an_array_of_builds_and_its_merge_give_the_bytes_of_one_run(
    tasks: Path, tmp_path: Path
) -> None:
    one = contents(tasks)
    # Records name their folder, so both are built in one place.
    shutil.move(tasks, tmp_path / "kept")
    variables: Mapping[str, Any] = {
        "ROOT": FIXTURES / "x3-small" / "root",
        "OUT": tasks,
        "SHARDS": 3,
    }
    try:
        submit = ["bash", str(SLURM / "submit.sh"), "build", "--mode", "allpairs"]
        done = slurm(tmp_path / "jobs", submit, **variables)
        assert done.stdout == "shards 1 to 3: job 1; merge: job 2\n"
        assert contents(tasks) == one
        assert not list(tasks.glob(".shard-*"))
    finally:
        shutil.rmtree(tasks, ignore_errors=True)
        shutil.move(tmp_path / "kept", tasks)


def test_a_failed_shard_stops_the_merge_and_is_run_alone(tmp_path: Path) -> None:
    root = tmp_path / "root"
    shutil.copytree(FIXTURES / "x3-small" / "root", root)
    out, jobs = tmp_path / "tasks", tmp_path / "jobs"
    broken = tmp_path / "python"  # fails for the second shard
    broken.write_text(
        f'#!/bin/sh\ncase "$*" in *"--shard 2/3"*) exit 9;; esac\nexec {sys.executable} "$@"\n'
    )
    broken.chmod(0o755)
    submit = ["bash", str(SLURM / "submit.sh"), "build"]
    variables: dict[str, Any] = {"ROOT": root, "OUT": out, "SHARDS": 3}
    slurm(jobs, submit, **variables, PYTHON=broken)
    assert (jobs / "failed-1").exists() and not (out / "build.json").exists()
    assert "after=1" in (jobs / "job-2.log").read_text()
    slurm(jobs, ["sbatch", "--array=2", str(SLURM / "build.sbatch")], **variables)
    slurm(jobs, ["sbatch", str(SLURM / "merge.sbatch")], **variables)
    assert (out / "build.json").exists() and not (jobs / "failed-4").exists()


def figures(path: Path) -> dict[str, Any]:
    """A results file without what differs between runs of one evaluation."""
    found: dict[str, Any] = json.loads(path.read_text())
    found.pop("run")
    return found


def test_an_array_of_evaluations_and_its_merge_give_the_results_of_one_run(
    tasks: Path, tmp_path: Path
) -> None:
    from x3spatial.evaluation.run import evaluate

    file = tasks / "t1_train_multi.json"
    evaluate(file, tmp_path / "one.json", model="centre")
    out = tmp_path / "out.json"
    submit = ["bash", str(SLURM / "submit.sh"), "eval"]
    slurm(tmp_path / "jobs", submit, TASKS=file, OUT=out, MODEL="centre", SHARDS=3)
    assert figures(out) == figures(tmp_path / "one.json")


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


def two_machines() -> dict[str, Any]:
    """An allocation of two machines, with one process each."""
    return {
        "SLURM_JOB_NUM_NODES": 2, "SLURM_JOB_NODELIST": "here,there", "GPUS": 1, "PORT": free_port()
    }  # fmt: skip


@pytest.mark.slow
def test_torchrun_over_two_machines_gives_the_results_of_one_process(
    tasks: Path, tmp_path: Path
) -> None:
    pytest.importorskip("torch")
    from x3spatial.evaluation.run import evaluate

    file = tasks / "t1_train_multi.json"
    evaluate(file, tmp_path / "one.json", model="centre")
    given: dict[str, Any] = {
        "TASKS": file,
        "OUT": tmp_path / "out.json",
        "MODEL": "centre",
        **two_machines(),
    }
    jobs = tmp_path / "jobs"
    slurm(jobs, ["sbatch", str(SLURM / "eval_torchrun.sbatch")], **given)
    assert not (jobs / "failed-1").exists(), (jobs / "job-1.log").read_text()
    assert figures(tmp_path / "out.json") == figures(tmp_path / "one.json")


@pytest.mark.slow
def test_training_over_two_machines(tmp_path: Path) -> None:
    """DDP: FSDP is refused without GPUs, which is tried too."""
    pytest.importorskip("torch")
    fixture = FIXTURES / "roborefer-tiny"
    records = json.loads((fixture / "samples_rgb.json").read_text())
    chosen = [record for record in records if record["id"] in ("t1_visible", "t1_not_visible")]
    data, jobs = tmp_path / "data.json", tmp_path / "jobs"
    data.write_text(json.dumps(chosen))
    given: dict[str, Any] = {
        "MODEL": fixture / "checkpoint",
        "DATA": data,
        "RUN": tmp_path / "run",
        **two_machines(),
    }
    options = ["--image-folder", str(fixture), "--max-steps", "1", "--bf16", "False"]
    file = str(SLURM / "sft.sbatch")
    slurm(jobs, ["sbatch", file, *options], **given, CONFIG="")
    assert not (jobs / "failed-1").exists(), (jobs / "job-1.log").read_text()
    assert "2 processes" in (jobs / "job-1.log").read_text()
    assert json.loads((tmp_path / "run" / "x3_run.json").read_text())["finished"]
    slurm(jobs, ["sbatch", file, *options], **{**given, "PORT": free_port()})
    assert "--fsdp: needs GPUs" in (jobs / "job-2.log").read_text()


@pytest.mark.ray
def test_a_ray_cluster_inside_an_allocation(tasks: Path, tmp_path: Path) -> None:
    """On one machine: a second Ray of the same address cannot start here."""
    pytest.importorskip("ray")
    out, jobs = tmp_path / "tasks", tmp_path / "jobs"
    given: dict[str, Any] = {
        "SLURM_JOB_NUM_NODES": 1,
        "SLURM_JOB_NODELIST": "here,there",
        "PORT": free_port(),
    }
    root = str(FIXTURES / "x3-small" / "root")
    build = ["build", root, "-o", str(out), "--mode", "allpairs"]
    slurm(jobs, ["sbatch", str(SLURM / "ray.sbatch"), *build], **given)
    assert not (jobs / "failed-1").exists(), (jobs / "job-1.log").read_text()
    assert contents(out).keys() == contents(tasks).keys()


@pytest.mark.parametrize("file", [f for f in FILES if f.suffix == ".sbatch"], ids=lambda f: f.name)
def test_a_missing_variable_is_named(file: Path, tmp_path: Path) -> None:
    if file.name == "ray.sbatch":
        pytest.skip("all of it has defaults")
    done = slurm(tmp_path / "jobs", ["bash", str(file)], code=1, SLURM_ARRAY_TASK_ID=1)
    first = next(line for line in file.read_text().splitlines() if ":?" in line).partition("=")[0]
    assert f"{first}: {first}: " in done.stderr and len(done.stderr.splitlines()) == 1


def test_submit_names_what_it_can_submit(tmp_path: Path) -> None:
    done = slurm(tmp_path / "jobs", ["bash", str(SLURM / "submit.sh"), "sft"], code=2)
    assert done.stderr == "x3: submit.sh sft: expected build or eval\n"


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_every_file_is_headed_by_its_command(file: Path) -> None:
    lines = file.read_text().splitlines()
    assert lines[0] == "#!/usr/bin/env bash"
    head = "\n".join(lines[: lines.index("set -euo pipefail")])
    assert f"scripts/slurm/{file.name}" in head or "scripts/slurm/submit.sh" in head
    if file.suffix == ".sbatch":
        assert "#SBATCH --time=" in head and "#SBATCH --output=" in head


@pytest.mark.shellcheck
@pytest.mark.parametrize("file", [*FILES, *sorted(STUBS.iterdir())], ids=lambda file: file.name)
def test_shellcheck(file: Path) -> None:
    if shutil.which("shellcheck") is None:
        pytest.skip("needs shellcheck")
    done = subprocess.run(["shellcheck", str(file)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
