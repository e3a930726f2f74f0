"""What every engine does with units: order, retries, reports by name, errors that stop the run."""

from __future__ import annotations

import errno
import math
import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import pytest

import x3spatial as x3
from helpers.roots import make_root
from helpers.units import fails_once, name, square, three_fails, units
from x3spatial.engine.base import Engine, Plan
from x3spatial.engine.registry import ENGINES, open_engine
from x3spatial.errors import UnitsFailed, UserError


class Backwards(Engine):
    """A toy: all units here and now, the last one first."""

    name: ClassVar[str] = "backwards"

    def default_workers(self) -> int:
        return 1

    def run(
        self, task: Any, units: Iterator[tuple[int, Any]], plan: Plan
    ) -> Generator[tuple[int, Any], None, None]:
        for number, unit in reversed(list(units)):
            yield number, task(unit)


@contextmanager
def open_backwards(address: str | None) -> Iterator[Engine]:
    assert address is None
    yield Backwards()


@pytest.fixture
def engines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ENGINES, "backwards", "engine.test_engine:open_backwards")


@pytest.fixture(params=["local", "backwards"])
def engine(request: pytest.FixtureRequest, engines: None) -> Iterator[Engine]:
    with open_engine(request.param) as opened:
        yield opened


def test_every_unit_gives_one_result(engine: Engine, tmp_path: Path) -> None:
    found = engine.map(square, units(tmp_path, 20), workers=3, threads=True)
    assert sorted(found) == [number**2 for number in range(20)]


def test_a_unit_that_fails_once_is_tried_again(engine: Engine, tmp_path: Path) -> None:
    todo = units(tmp_path, 6)
    assert sorted(engine.map(fails_once, todo, workers=2, threads=True)) == [0, 1, 4, 9, 16, 25]
    assert [unit.tries for unit in todo] == [1, 2, 1, 2, 1, 2]


def test_a_unit_that_always_fails_is_named_and_the_others_are_done(
    engine: Engine, tmp_path: Path
) -> None:
    found: list[int] = []
    todo = units(tmp_path, 6)
    with pytest.raises(
        UnitsFailed, match="1 failed, all others are done; unit 3: ValueError: three"
    ) as caught:
        for value in engine.map(three_fails, todo, workers=2, name=name, threads=True, retries=2):
            found.append(value)
    assert sorted(found) == [0, 1, 4, 16, 25]
    assert todo[3].tries == 3
    assert caught.value.exit_code == 1 and "\n" not in str(caught.value)


def _raise(error: Exception) -> Callable[[int], int]:
    def work(number: int) -> int:
        if number == 1:
            raise error
        return number

    return work


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (UserError("--mode x: unknown"), "--mode x: unknown"),
        (OSError(errno.ENOSPC, "No space left on device", "out/a.png"), "out/a.png: .*make room"),
    ],
)
def test_an_error_that_all_units_would_meet_stops_the_run(
    engine: Engine, error: Exception, text: str
) -> None:
    seen: list[int] = []

    def numbers() -> Iterator[int]:
        for number in range(1000):
            seen.append(number)
            yield number

    with pytest.raises(UserError, match=text):
        list(engine.map(_raise(error), numbers(), workers=2, threads=True))
    if engine.name == "local":
        assert len(seen) < 50


def test_failures_that_a_user_can_mend_are_exit_code_2(engine: Engine) -> None:
    error = PermissionError(errno.EACCES, "Permission denied", "out/scene")
    with pytest.raises(UnitsFailed, match="1: out/scene: Permission denied") as caught:
        list(engine.map(_raise(error), range(4), workers=2, threads=True))
    assert caught.value.exit_code == 2


def test_many_failures_are_counted_and_three_are_shown(engine: Engine) -> None:
    with pytest.raises(
        UnitsFailed, match=r"5 failed, .*-1: ValueError: math domain error; -2.*; and 2 more"
    ) as caught:
        list(engine.map(math.sqrt, [-1, -2, -3, -4, -5, 4], workers=2, threads=True))
    assert len(caught.value.failed) == 5


def test_workers_below_1_are_refused(engine: Engine) -> None:
    with pytest.raises(UserError, match="--workers 0: must be at least 1"):
        list(engine.map(math.sqrt, [1], workers=0))


def test_an_engine_of_somebody_else_builds_the_same_bytes(engines: None, tmp_path: Path) -> None:
    root = make_root(tmp_path / "root")
    for kind in ("local", "backwards"):
        x3.build_tasks(root, tmp_path / "tasks", engine=kind, fresh=True)
        (tmp_path / "tasks").rename(tmp_path / kind)
    files = sorted(path.name for path in (tmp_path / "local").glob("t*.json"))
    assert files
    for file in files:
        assert (tmp_path / "local" / file).read_bytes() == (
            tmp_path / "backwards" / file
        ).read_bytes()


def test_unknown_engines_and_misplaced_addresses_are_one_line() -> None:
    with (
        pytest.raises(UserError, match="--engine spark: expected local or ray"),
        open_engine("spark"),
    ):
        pass
    with (
        pytest.raises(UserError, match="--ray-address auto: only with --engine ray"),
        open_engine("local", "auto"),
    ):
        pass


def test_an_open_engine_is_used_and_stays_open() -> None:
    engine = Backwards()
    with open_engine(engine) as opened:
        assert opened is engine
    with pytest.raises(UserError, match="open already"), open_engine(engine, "auto"):
        pass


def test_ray_that_is_not_installed_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with (
        pytest.raises(
            UserError, match=r"--engine ray: the package 'ray' is not installed; run: pip"
        ),
        open_engine("ray"),
    ):
        pass
