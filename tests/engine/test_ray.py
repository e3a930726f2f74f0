"""Ray on a real cluster of two nodes: the bytes of the local engine, deaths, restarts, errors in one line."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from helpers.paths import FIXTURES
from helpers.processes import wait_until, x3_command
from helpers.ray_cluster import NEEDS_RAY, alive, descendants, two_nodes
from helpers.roots import tree_bytes
from helpers.spheres import write_spheres
from helpers.units import (
    dies_once,
    fails_once,
    name,
    package_folder,
    square,
    three_dies,
    three_fails,
    units,
)
from x3spatial.builder.run import build_tasks
from x3spatial.engine.base import Engine
from x3spatial.engine.ray import connect
from x3spatial.engine.registry import open_engine
from x3spatial.errors import UnitsFailed, UserError
from x3spatial.importers.options import ChoiceOptions
from x3spatial.importers.run import import_scans
from x3spatial.inpaint_bench.run import bench_engines
from x3spatial.roots.audit.run import audit
from x3spatial.roots.crop_root import crop_root
from x3spatial.synth.composites import make_composites
from x3spatial.synth.generate import render_scenes
from x3spatial.synth.layouts.run import render_scans

pytestmark = [
    pytest.mark.ray,
    # Ray's own warnings and threads are not ours to mend.
    pytest.mark.filterwarnings("default"),
    NEEDS_RAY,
]

ROOT = FIXTURES / "x3-small" / "root"
SCENES = (
    "--quiet",
    "--validation",
    0,
    "--fast",
    "--objects",
    2,
    "--views",
    3,
    "--width",
    160,
    "--height",
    160,
)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    with two_nodes() as made:
        yield made


@pytest.fixture(scope="module")
def engine(cluster: Any) -> Iterator[Engine]:
    with open_engine("ray", cluster.address) as opened:
        yield opened


def test_units_are_done_on_both_nodes_with_the_code_of_the_driver(
    engine: Engine, tmp_path: Path
) -> None:
    assert engine.default_workers() == 2
    found = list(engine.map(package_folder, units(tmp_path, 12)))
    assert len({worker for worker, _ in found}) >= 2
    assert all("runtime_resources/py_modules_files" in folder for _, folder in found)


def test_a_unit_is_done_once(engine: Engine, tmp_path: Path) -> None:
    todo = units(tmp_path, 9)
    assert sorted(engine.map(square, todo, workers=1)) == [n * n for n in range(9)]
    assert [unit.tries for unit in todo] == [1] * 9


@pytest.mark.parametrize("work", [fails_once, dies_once])
def test_a_unit_that_fails_or_whose_worker_dies_is_tried_again(
    engine: Engine, tmp_path: Path, work: Callable[[Any], int]
) -> None:
    todo = units(tmp_path, 6)
    assert sorted(engine.map(work, todo)) == [0, 1, 4, 9, 16, 25]
    assert todo[3].tries == 2


@pytest.mark.parametrize(
    ("work", "text"),
    [(three_fails, "unit 3: ValueError: three"), (three_dies, "unit 3: its worker or node died")],
)
def test_a_unit_that_always_fails_is_named_and_the_others_are_done(
    engine: Engine, tmp_path: Path, work: Callable[[Any], int], text: str
) -> None:
    found, todo = [], units(tmp_path, 6)
    with pytest.raises(UnitsFailed, match=text) as caught:
        for value in engine.map(work, todo, name=name):
            found.append(value)
    assert sorted(found) == [0, 1, 4, 16, 25]
    assert todo[3].tries == 2 and "\n" not in str(caught.value)


def test_a_folder_that_a_node_does_not_have_is_one_line(engine: Engine, tmp_path: Path) -> None:
    missing = tmp_path / "only-here"
    with pytest.raises(UserError, match=r"only-here: is not on .*every node needs") as caught:
        list(engine.map(square, units(tmp_path, 2), folders=[missing]))
    assert "\n" not in str(caught.value)


def test_an_early_end_cancels_what_runs(engine: Engine, tmp_path: Path) -> None:
    import ray

    results = engine.map(square, units(tmp_path, 50), workers=2)
    next(results)
    results.close()  # type: ignore[attr-defined]
    wait_until(lambda: ray.available_resources().get("CPU") == 2)
    assert len(list(tmp_path.glob("try-*"))) < 10


def _scenes(out: Path, engine: str | Engine) -> None:
    render_scenes(out, {"train": 3}, objects=2, views=3, fast=True, engine=engine)


def _scans(out: Path, engine: str | Engine) -> None:
    scenes = {"train": 2}
    render_scans(out, "transforms", scenes, frames=3, objects=2, views=3, fast=True, engine=engine)


def _composites(out: Path, engine: str | Engine) -> None:
    assert make_composites(out, scenes=4, shapes=(2, 2), engine=engine) == 4


def _imported(out: Path, engine: str | Engine) -> None:
    source = out.parent / "source"
    if not source.exists():
        write_spheres(source / "train" / "a")
        shutil.copytree(source / "train" / "a", source / "val" / "b")
    choice = ChoiceOptions(objects=2, views=3)
    assert import_scans("posed", source, out, choice=choice, engine=engine).made == 2


def _crops(out: Path, engine: str | Engine) -> None:
    assert crop_root(ROOT, out, engine=engine).made


def _filled(out: Path, engine: str | Engine) -> None:
    bench_engines(ROOT, out, ("telea",), (), splits=("validation",), engine=engine)
    (out / "inpaint-bench.json").unlink()  # has CPU times


@pytest.mark.parametrize("make", [_scenes, _scans, _composites, _imported, _crops, _filled])
def test_the_bytes_are_those_of_the_local_engine(
    engine: Engine, tmp_path: Path, make: Callable[[Path, str | Engine], None]
) -> None:
    for folder, runs_on in (("local", "local"), ("ray", engine)):
        make(tmp_path / folder, runs_on)
    assert tree_bytes(tmp_path / "local")
    assert tree_bytes(tmp_path / "local") == tree_bytes(tmp_path / "ray")


def test_builds_and_audits_are_those_of_the_local_engine(engine: Engine, tmp_path: Path) -> None:
    assert audit(ROOT, engine=engine).to_json() == audit(ROOT).to_json()
    found = []
    for runs_on in ("local", engine):
        shutil.rmtree(tmp_path / "tasks", ignore_errors=True)  # records hold absolute paths
        made = build_tasks(ROOT, tmp_path / "tasks", tasks=("t1", "t2a", "t2b"), engine=runs_on)
        found.append(tree_bytes(tmp_path / "tasks"))
        manifest = json.loads(found[-1].pop("build.json"))
        assert manifest.pop("run")["workers"] == (2 if runs_on is engine else made_workers())
        found[-1]["build.json"] = json.dumps(manifest).encode()
        assert made.records
    assert found[0] == found[1]


def made_workers() -> int:
    from x3spatial.engine.local import default_workers

    return default_workers()


def _wait_for_scenes(out: Path, count: int) -> None:
    wait_until(lambda: len(list(out.glob("train/*/scene.json"))) >= count)


@pytest.fixture(scope="module")
def rooms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the interrupted runs must give."""
    out = tmp_path_factory.mktemp("rooms") / "root"
    process = x3_command("scenes", out, "--train", 6, *SCENES)
    assert process.communicate()[1] == "" and process.returncode == 0
    return out


@pytest.fixture(scope="module")
def large_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Many objects, by links to the files of a few."""
    root = tmp_path_factory.mktemp("large") / "root"
    found = sorted(path for path in ROOT.glob("*/*/uid_*") if path.is_dir())
    for number in range(120):
        folder = found[number % len(found)]
        target = root / "train" / f"scene{number // 4:04d}_00" / f"uid_{number}"
        target.mkdir(parents=True)
        for file in folder.iterdir():
            os.link(file, target / file.name)
    return root


def test_a_node_that_is_lost_costs_scenes_a_retry(rooms: Path, tmp_path: Path) -> None:
    out = tmp_path / "root"
    with two_nodes() as cluster:
        process = x3_command(
            "scenes", out, "--train", 6, *SCENES, "--engine", "ray", "--ray-address", cluster.address,
            "--json",
        )  # fmt: skip
        _wait_for_scenes(out, 1)
        cluster.remove_node(cluster.second, allow_graceful=False)
        printed, errors = process.communicate()
    assert process.returncode == 0 and errors == ""
    assert json.loads(printed)["made"] == 6  # stdout has the result only
    assert tree_bytes(out) == tree_bytes(rooms)


def _lines(out: Path) -> int:
    journal = out / ".x3-build.jsonl"
    return journal.read_bytes().count(b"\n") if journal.exists() else 0


def _build(root: Path, out: Path, *arguments: object) -> Any:
    return x3_command("build", root, "-o", out, "--quiet", *arguments)


def _built(out: Path) -> dict[str, bytes]:
    found = tree_bytes(out)
    manifest = json.loads(found.pop("build.json"))
    del manifest["run"]
    return {**found, "build.json": json.dumps(manifest).encode()}


def test_a_build_survives_the_loss_of_a_node_and_of_the_driver(
    large_root: Path, tmp_path: Path
) -> None:
    out = tmp_path / "tasks"  # one folder: records hold absolute paths
    process = _build(large_root, out)
    assert process.communicate()[1] == "" and process.returncode == 0
    local = _built(out)
    shutil.rmtree(out)
    with two_nodes() as cluster:
        joined = ("--engine", "ray", "--ray-address", cluster.address)
        process = _build(large_root, out, *joined)
        wait_until(lambda: _lines(out) >= 10)
        process.kill()
        process.communicate()
        done = _lines(out)
        assert 10 <= done < 120 and not (out / "build.json").exists()
        process = _build(large_root, out, *joined, "--json")
        wait_until(lambda: _lines(out) >= done + 10)
        cluster.remove_node(cluster.second, allow_graceful=False)
        printed, errors = process.communicate()
    assert process.returncode == 0 and errors == ""
    assert 0 < json.loads(printed)["objects_built"] < 120
    assert _built(out) == local


def test_a_killed_driver_in_a_cluster_is_started_again(
    cluster: Any, rooms: Path, tmp_path: Path
) -> None:
    out = tmp_path / "root"
    command = ("scenes", out, "--train", 6, *SCENES, "--engine", "ray")
    process = x3_command(*command, "--ray-address", cluster.address)
    _wait_for_scenes(out, 1)
    process.kill()
    process.communicate()
    kept = len(list(out.glob("train/*/scene.json")))
    process = x3_command(*command, "--ray-address", cluster.address, "--json")
    printed, errors = process.communicate()
    assert process.returncode == 0 and errors == ""
    assert 0 < json.loads(printed)["made"] <= 6 - kept < 6
    assert tree_bytes(out) == tree_bytes(rooms)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_a_ray_that_was_started_here_ends_with_the_command(
    rooms: Path, tmp_path: Path, number: signal.Signals
) -> None:
    out = tmp_path / "root"
    process = x3_command("scenes", out, "--train", 6, *SCENES, "--engine", "ray")
    _wait_for_scenes(out, 1)
    started = descendants(process.pid, agents=number != signal.SIGKILL)
    assert len(started) >= 3  # the store, the raylet, workers
    process.send_signal(number)
    _, errors = process.communicate()
    if number == signal.SIGKILL:
        assert process.returncode == -signal.SIGKILL
    else:
        assert process.returncode == 130
        assert errors == "x3: interrupted; the same command continues where it stopped\n"
    wait_until(lambda: not alive(started), 30)
    process = x3_command("scenes", out, "--train", 6, *SCENES)
    assert process.communicate()[1] == "" and process.returncode == 0
    assert tree_bytes(out) == tree_bytes(rooms)


def test_handlers_of_signals_are_kept_and_the_address_of_the_environment_counts(
    cluster: Any,
) -> None:
    script = (
        "import os, signal, ray\n"
        "from x3spatial.engine.ray import connect\n"
        "before = signal.getsignal(signal.SIGTERM)\n"
        "with connect():\n"
        "    assert ray.get_runtime_context().gcs_address == os.environ['RAY_ADDRESS']\n"
        "    assert signal.getsignal(signal.SIGTERM) is before\n"
        "assert not ray.is_initialized() and signal.getsignal(signal.SIGTERM) is before\n"
        "ray.init(log_to_driver=False)\n"
        "with connect():\n"
        "    pass\n"
        "assert ray.is_initialized()  # the connection of the program itself\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script],
        env={**os.environ, "RAY_ADDRESS": cluster.address, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("address", "text"),
    [
        ("127.0.0.1:{free}", "nothing answers there (Connection refused)"),
        ("somewhere", "expected auto, or HOST:PORT"),
        ("ray://head:10001", "expected auto, or HOST:PORT"),
        ("head:99999", "expected auto, or HOST:PORT"),
        ("no-such-host.invalid:6379", "nothing answers there"),
    ],
)
def test_an_address_that_cannot_be_used_is_one_line(address: str, text: str) -> None:
    with socket.socket() as unused:  # nobody listens on its port
        unused.bind(("127.0.0.1", 0))
        address = address.replace("{free}", str(unused.getsockname()[1]))
        process = x3_command("audit", ROOT, "--quiet", "--engine", "ray", "--ray-address", address)
    _, errors = process.communicate()
    assert process.returncode == 2
    assert errors.startswith(f"x3: --ray-address {address}: {text}") and errors.count("\n") == 1


@pytest.mark.parametrize(
    ("address", "error", "text"),
    [
        ("auto", ConnectionError("Could not find any running Ray"), "no Ray runs on this machine"),
        (
            "{here}",
            RuntimeError("Version mismatch: cluster 2.1\npython 3.9"),
            "need the same Ray and",
        ),
        (
            "{here}",
            RuntimeError("Can't find a raylet"),
            "this machine must be a node of the cluster",
        ),
        ("{silent}", None, "something else than Ray answers there"),
        (None, ValueError("no memory"), "--engine ray: Ray could not be started here: no memory"),
    ],
)
def test_what_ray_refuses_is_one_line(
    cluster: Any,
    address: str | None,
    error: Exception | None,
    text: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import ray

    def init(**settings: object) -> None:
        assert error is not None
        raise error

    monkeypatch.setattr(ray, "init", init)
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr("x3spatial.engine.ray._REACH_SECONDS", 3)
    with socket.socket() as server:  # accepts connections and says nothing
        server.bind(("127.0.0.1", 0))
        server.listen()
        port = server.getsockname()[1]
        given = address
        if address is not None:
            given = address.format(here=cluster.address, silent=f"127.0.0.1:{port}")
        with pytest.raises(UserError, match=text) as caught, connect(given):
            pass
    assert "\n" not in str(caught.value)
