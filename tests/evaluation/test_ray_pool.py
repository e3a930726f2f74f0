"""Evaluation on a real Ray cluster of two nodes: nodes, actors and drivers are killed in the middle."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from helpers.processes import wait_until, x3_command
from helpers.ray_cluster import NEEDS_RAY, add_second, two_nodes
from helpers.ray_models import Noting
from helpers.roots import make_root
from helpers.task_sets import make_set
from x3spatial.errors import Unfinished, UserError
from x3spatial.evaluation.options import PoolOptions
from x3spatial.evaluation.ray_hosts import Recipe
from x3spatial.evaluation.ray_pool import resources
from x3spatial.evaluation.run import evaluate

pytestmark = [pytest.mark.ray, NEEDS_RAY, pytest.mark.filterwarnings("ignore")]

COUNT, BATCH = 48, 2
IN_HAND = 2 * BATCH
"""Samples that an actor has at a time."""


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    with two_nodes() as made:
        yield made


class Pool:
    """Evaluations of one set on the cluster."""

    def __init__(self, folder: Path, cluster: Any) -> None:
        self.folder, self.cluster = folder, cluster
        self.data = make_set(folder, count=COUNT)
        self.output, self.log = folder / "out.json", folder / "asked.log"

    def spec(self, **given: Any) -> str:
        return f"helpers.ray_models:Noting:{json.dumps({'log': str(self.log), **given})}"

    def of_two(self, seconds: float) -> str:
        """A model of which two copies answer."""
        return self.spec(seconds=seconds, partners=str(self.folder / "partners"))

    def command(self, spec: str, *more: object) -> subprocess.Popen[str]:
        return x3_command(
            "eval", self.data, "-o", self.output, "--model", spec, "--engine", "ray",
            "--ray-address", self.cluster.address, "--batch-size", BATCH, *more,
        )  # fmt: skip

    def asked(self) -> list[tuple[str, str]]:
        """(process, id) of every question asked, as often as it was."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        return [(pid, id) for pid, _, id in (line.partition(" ") for line in lines)]

    def local(self, spec: str) -> dict[str, Any]:
        """The results of the local engine, without ``run``."""
        log = self.log.read_bytes()
        evaluate(self.data, self.folder / "local.json", spec, workers=1)
        self.log.write_bytes(log)
        return _without_run(self.folder / "local.json")


@pytest.fixture
def pool(tmp_path: Path, cluster: Any) -> Pool:
    return Pool(tmp_path, cluster)


def _without_run(path: Path) -> dict[str, Any]:
    results: dict[str, Any] = json.loads(path.read_text())
    del results["run"]
    return results


def test_results_are_those_of_the_local_engine(pool: Pool) -> None:
    spec = pool.of_two(0.2)
    process = pool.command(spec)
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    assert "hit_at_mask" in out
    run = json.loads(pool.output.read_text())["run"]
    assert (run["engine"], run["actors"], run["processes"], run["asked"]) == ("ray", 2, 1, COUNT)
    counts = Counter(pid for pid, _ in pool.asked())
    assert len(counts) == 2 and min(counts.values()) >= COUNT / 8  # both had their part
    assert len(set(pool.asked())) == len(pool.asked()) == COUNT
    assert _without_run(pool.output) == pool.local(spec)
    pool.log.unlink()
    assert pool.command(spec).wait(timeout=300) == 0
    assert pool.asked() == []  # finished: nothing is left to ask


def test_a_node_is_killed(pool: Pool) -> None:
    """Its batches are asked again by the other node; no sample is lost or without an answer."""
    spec = pool.of_two(0.4)
    process = pool.command(spec)
    wait_until(lambda: len({pid for pid, _ in pool.asked()}) == 2)
    before = len(pool.asked())
    pool.cluster.remove_node(pool.cluster.second, allow_graceful=False)
    try:
        _, err = process.communicate(timeout=300)
    finally:
        add_second(pool.cluster)
    assert process.returncode == 0, err
    assert "a copy of noting died" in err
    assert before < COUNT
    asked = Counter(id for _, id in pool.asked())
    assert sum(asked.values()) <= COUNT + IN_HAND
    assert _without_run(pool.output) == pool.local(spec)


def test_the_driver_is_killed_and_started_again(pool: Pool) -> None:
    spec = pool.of_two(0.4)
    process = pool.command(spec)
    wait_until(lambda: len(pool.asked()) >= COUNT / 4 or process.poll() is not None)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not pool.output.exists() and len(pool.asked()) < COUNT
    process = pool.command(spec)
    _, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    asked = Counter(id for _, id in pool.asked())
    assert sum(asked.values()) <= COUNT + 2 * IN_HAND  # the batches in flight
    assert set(asked) == {e["id"] for e in json.loads(pool.output.read_text())["results"]}
    assert _without_run(pool.output) == pool.local(spec)


def test_a_question_that_kills_its_process_costs_only_its_answer(pool: Pool) -> None:
    bad = json.loads(pool.data.read_text())[9]["id"]
    poison = pool.folder / "poison"
    poison.write_text(bad)
    spec = pool.spec(poison=str(poison))
    process = pool.command(spec)
    _, err = process.communicate(timeout=300)
    assert process.returncode == 1, err
    results = json.loads(pool.output.read_text())
    assert results["metrics"]["errors"] == 1
    failed = next(e for e in results["results"] if e["status"] == "error")
    assert failed["id"] == bad and "died 3 times" in failed["error"]
    poison.unlink()
    pool.log.unlink()
    assert pool.command(spec).wait(timeout=300) == 0
    assert [id for _, id in pool.asked()] == [bad]


def test_a_model_that_cannot_be_loaded_says_why_in_one_line(pool: Pool) -> None:
    process = pool.command(pool.spec(fault="load"))
    _, err = process.communicate(timeout=300)
    assert process.returncode == 2 and err.count("\n") == 1, err
    assert err == "x3: --model noting: the weights are damaged; load them again\n"


def test_a_model_whose_process_always_dies_ends_the_run(pool: Pool) -> None:
    with pytest.raises(Unfinished, match="its process died 3 times on Ray without an answer"):
        evaluate(
            pool.data, pool.output, pool.spec(fault="die"), engine="ray",
            ray_address=pool.cluster.address, pool=PoolOptions(actors=1),
        )  # fmt: skip


def test_copies_that_differ_are_refused(pool: Pool) -> None:
    with pytest.raises(UserError, match="its copies would answer differently: process is"):
        evaluate(
            pool.data, pool.output, pool.spec(fault="differ", seconds=0.5), engine="ray",
            ray_address=pool.cluster.address,
        )  # fmt: skip


def test_a_model_object_is_sent(pool: Pool) -> None:
    model = Noting({"log": str(pool.log)})
    common: dict[str, Any] = {"engine": "ray", "ray_address": pool.cluster.address}
    assert evaluate(pool.data, pool.output, model, **common).asked == COUNT
    model = Noting({"log": str(pool.log), "lock": threading.Lock()})
    with pytest.raises(UserError, match="the model noting cannot be sent"):
        evaluate(pool.data, pool.output, model, fresh=True, **common)


@pytest.mark.parametrize(
    ("options", "changes", "named"),
    [
        (PoolOptions(cpus_per_model=2), {}, "--cpus-per-model 2, --gpus-per-model 0: no machine"),
        (PoolOptions(gpus_per_model=1), {}, "--cpus-per-model 1, --gpus-per-model 1: no machine"),
        (None, {"model_options": {"device": "cuda:1"}}, "--device cuda:1: with --engine ray, Ray"),
    ],
)
def test_room_that_no_machine_has_is_named(
    pool: Pool, options: PoolOptions | None, changes: dict[str, Any], named: str
) -> None:
    spec = "roborefer:x3-tiny" if changes else pool.spec()
    with pytest.raises(UserError, match=named):
        evaluate(
            pool.data, pool.output, spec, engine="ray", ray_address=pool.cluster.address,
            pool=options, **changes,
        )  # fmt: skip


def test_models_of_zeroshot_share_the_pool_by_turns(tmp_path: Path, cluster: Any) -> None:
    root = make_root(tmp_path / "root")
    tasks, log = tmp_path / "tasks", tmp_path / "asked.log"
    summaries = []
    for name, engine in (
        ("local", ()),
        ("ray", ("--engine", "ray", "--ray-address", cluster.address)),
    ):
        spec = f"helpers.ray_models:Noting:{json.dumps({'log': str(log)})}"
        process = x3_command(
            "zeroshot", root, "-o", tmp_path / "results", "--tasks-dir", tasks, "--model", "uniform",
            "--model", spec, "--model", "roborefer:x3-tiny", *engine,
        )  # fmt: skip
        _, err = process.communicate(timeout=400)
        assert process.returncode == 0, err
        summary = json.loads((tmp_path / "results" / "summary.json").read_text())
        files = sorted((tmp_path / "results").glob("*/*.json"))
        assert len(files) == 12
        runs = {json.loads(file.read_text())["run"]["engine"] for file in files}
        assert runs == {name}
        summaries.append((summary, [_without_run(file) for file in files]))
        shutil.rmtree(tmp_path / "results")
    assert summaries[0] == summaries[1]


NODES = [{"CPU": 8.0, "GPU": 4.0}, {"CPU": 4.0, "GPU": 2.0}, {"CPU": 16.0}]


@pytest.mark.parametrize(
    ("spec", "device", "given", "cpus", "gpus", "room"),
    [
        ("uniform", None, {}, 1, 0, 28),
        ("uniform", None, {"cpus_per_model": 5}, 5, 0, 4),
        ("roborefer:x3-tiny", None, {}, 1, 1, 6),
        ("roborefer:x3-tiny", "auto", {"cpus_per_model": 4}, 4, 1, 3),
        ("roborefer:x3-tiny", "cuda", {}, 1, 1, 6),
        ("roborefer:x3-tiny", "spread", {}, 1, 4, 1),
        ("roborefer:x3-tiny", "spread", {"gpus_per_model": 2}, 1, 2, 3),
        ("roborefer:x3-tiny", "cpu", {}, 4, 0, 7),
        ("roborefer:x3-tiny", "cpu", {"cpus_per_model": 1}, 1, 0, 28),
    ],
)
def test_resources_of_a_copy_and_room_in_a_cluster(
    monkeypatch: pytest.MonkeyPatch, spec: str, device: str | None, given: dict[str, int],
    cpus: int, gpus: int, room: int,
) -> None:  # fmt: skip
    import ray

    from x3spatial.models import registry

    nodes = [{"Alive": True, "Resources": node} for node in NODES]
    nodes.append({"Alive": False, "Resources": {"CPU": 64.0, "GPU": 8.0}})
    monkeypatch.setattr(ray, "nodes", lambda: nodes)
    recipe = Recipe(spec, {} if device is None else {"device": device})
    found = resources(registry.create(spec), recipe, PoolOptions(**given))
    assert found == ({"num_cpus": cpus, "num_gpus": gpus}, room)


def test_without_gpus_a_checkpoint_has_a_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    import ray

    from x3spatial.models import registry

    monkeypatch.setattr(
        ray, "nodes", lambda: [{"Alive": True, "Resources": {"CPU": 6.0}} for _ in range(3)]
    )
    spec = "roborefer:x3-tiny"
    found = resources(registry.create(spec), Recipe(spec, {}), PoolOptions())
    assert found == ({"num_cpus": 6, "num_gpus": 0}, 3)
