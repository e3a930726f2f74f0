"""Which engine asks a model, and options that do not fit it; no cluster is needed."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest

from helpers.task_sets import Scripted, make_set
from x3spatial.engine.base import Engine, Outcome, Plan, Task
from x3spatial.engine.world import World
from x3spatial.errors import UserError
from x3spatial.evaluation.asking import asking, check_engine
from x3spatial.evaluation.options import EvalOptions, PoolOptions
from x3spatial.evaluation.run import evaluate


class RayByName(Engine):
    """Has the name of Ray, and no cluster."""

    name: ClassVar[str] = "ray"

    def default_workers(self) -> int:
        return 1

    def run(
        self, task: Task[Any, Any], units: Iterator[tuple[int, Any]], plan: Plan
    ) -> Generator[tuple[int, Outcome[Any]], None, None]:
        raise AssertionError("not asked")


class Served(Scripted):
    """A model behind a server."""

    name = "served"
    concurrent = True
    in_flight = 4


def test_a_served_model_is_asked_by_this_process(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Its key and the limit of questions at a time are here, and copies would share the server."""
    data, model = make_set(tmp_path, count=12), Served(default="[(0.1, 0.1)]")
    result = evaluate(
        data, tmp_path / "out.json", model, engine=RayByName(), pool=PoolOptions(actors=3)
    )
    assert result.asked == len(model.asked) == 12
    assert "served is asked by this process" in caplog.text
    run = result.results_file().run
    assert (run.engine, run.actors) == ("ray", None)


@pytest.mark.parametrize(
    ("pool", "named"),
    [
        (PoolOptions(actors=2), "--actors: only with --engine ray"),
        (PoolOptions(cpus_per_model=2), "--cpus-per-model: only with --engine ray"),
        (PoolOptions(gpus_per_model=0), "--gpus-per-model: only with --engine ray"),
    ],
)
def test_options_of_a_pool_need_one(tmp_path: Path, pool: PoolOptions, named: str) -> None:
    with pytest.raises(UserError, match=named):
        evaluate(make_set(tmp_path, count=4), tmp_path / "out.json", "centre", pool=pool)


def test_a_cluster_has_one_driver() -> None:
    with pytest.raises(UserError, match="start it without torchrun"):
        check_engine(RayByName(), None, World(0, 2))


@pytest.mark.parametrize("options", [{"actors": 0}, {"cpus_per_model": 0}, {"gpus_per_model": -1}])
def test_numbers_of_a_pool_are_checked(options: dict[str, int]) -> None:
    name = next(iter(options)).replace("_", "-")
    with pytest.raises(UserError, match=f"--{name} .*: must be at least"):
        PoolOptions(**options)


def test_a_model_that_was_made_stays_open() -> None:
    from x3spatial.engine.local import LocalEngine

    model = Scripted()
    with asking(model, EvalOptions(), LocalEngine()) as asker:
        assert asker.model is model and asker.actors is None
