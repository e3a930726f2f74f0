"""The interface of engines: one function, many independent units, results as they are completed.

A unit (a scene, an object, a shard of samples) depends on no other one, has a name, and can be done again
without harm: it replaces what an earlier try left. So a unit that failed is tried again, wherever it was.
"""

from __future__ import annotations

import errno
import logging
import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Generic, TypeVar

from x3spatial.errors import Reported, UnitsFailed, UserError
from x3spatial.program.reporting import FULL, reason, reported

T = TypeVar("T")
R = TypeVar("R")

_LOG = logging.getLogger("x3spatial")
_OF_THE_RUN = {*FULL, errno.EMFILE, errno.ENFILE}
"""Errors of the system that every other unit would meet too."""


@dataclass(frozen=True, slots=True)
class Done(Generic[R]):
    """A unit's result."""

    value: R


@dataclass(frozen=True, slots=True)
class Failed:
    """A unit that failed in every try; picklable whatever the exception was."""

    reason: str
    """One line."""
    details: str = ""
    """The traceback."""
    by_user: bool = False
    """Whether a user can mend it: a ``UserError``, an error of the system."""
    stop: Reported | None = None
    """Ends the run at once, because the other units would fail likewise."""


Outcome = Done[R] | Failed


@dataclass(frozen=True, slots=True)
class Task(Generic[T, R]):
    """What an engine calls for each unit. It raises no ``Exception``; picklable if ``work`` is.

    An exception of ``work`` is a reason to try again at once, in the same worker. The death of a worker is
    for the engine to handle.
    """

    work: Callable[[T], R]
    retries: int = 1
    folders: tuple[Path, ...] = ()
    """Folders that the worker must see, because units read or write below them."""

    def __call__(self, unit: T) -> Outcome[R]:
        """The outcome of one unit."""
        failed = self._lacks_folder()
        if failed is not None:
            return failed
        for _ in range(self.retries + 1):
            try:
                return Done(self.work(unit))
            except Reported as error:
                return Failed(str(error), stop=error)
            except Exception as error:
                if isinstance(error, OSError) and error.errno in _OF_THE_RUN:
                    return Failed(str(error), stop=reported(error))
                if error.__traceback__ is not None:  # from here on, it is of the work
                    error = error.with_traceback(error.__traceback__.tb_next)
                failed = Failed(
                    reason(error),
                    "".join(traceback.format_exception(error)),
                    isinstance(reported(error), UserError),
                )
        assert failed is not None, "at least one try"
        return failed

    def _lacks_folder(self) -> Failed | None:
        for folder in self.folders:
            if not folder.is_dir():
                import platform

                text = (
                    f"{folder}: is not on {platform.node()}; every node needs the folders of a run at the"
                    " same path (docs/cluster.md)"
                )
                return Failed(text, stop=UserError(text))
        return None


@dataclass(frozen=True, slots=True)
class Plan:
    """How the units of one ``Engine.map`` are run."""

    workers: int | None
    """Units at a time; None for what the engine has."""
    retries: int
    """Further tries of a unit whose worker died."""
    threads: bool


class Engine(ABC):
    """Runs one function on many units. Used in a ``with`` block of ``open_engine``.

    Another engine is a subclass with ``run``, and an entry in ``engine/registry.py``.
    """

    name: ClassVar[str]
    distributed: ClassVar[bool] = False
    """Whether workers may be on other machines, so that folders are checked there."""

    @abstractmethod
    def default_workers(self) -> int:
        """How many units it can do at a time."""

    @abstractmethod
    def run(
        self, task: Task[T, R], units: Iterator[tuple[int, T]], plan: Plan
    ) -> Generator[tuple[int, Outcome[R]], None, None]:
        """Yield the number and the outcome of each numbered unit, in the order of completion.

        ``units`` is read a few ahead of what is running, in the calling thread. A unit whose worker died is
        tried ``plan.retries`` times more and is ``Failed`` then. A generator that is closed, or that an
        exception leaves, cancels what is running.
        """

    def map(
        self,
        work: Callable[[T], R],
        units: Iterable[T],
        *,
        workers: int | None = None,
        name: Callable[[T], str] | None = None,
        threads: bool = False,
        retries: int = 1,
        folders: Sequence[Path] = (),
    ) -> Iterator[R]:
        """Yield ``work(unit)`` for every unit, in the order of completion.

        A unit that fails is tried again and then set aside; the other units go on, and at the end the failed
        ones are reported by name. An error that the others would meet too stops the run at once.

        Args:
            work: called with one unit; must be picklable unless ``threads`` is set.
            units: independent of each other, safe to do again; picklable under the same condition. They are
                read in the calling thread, a few ahead of what is running.
            workers: units at a time; None for what the engine has.
            name: a unit's name in messages; None for ``str``.
            threads: the local engine uses threads in place of processes. They start faster and suit work that
                spends its time in codecs, which release the GIL. Other engines ignore it.
            retries: further tries of a unit that failed, or whose worker died.
            folders: folders that units read or write; workers on other machines must see them.

        Raises:
            UserError: ``workers`` is below 1, or ``work`` raised it.
            UnitsFailed: some units failed; all others were yielded before.
        """
        if workers is not None and workers < 1:
            raise UserError(f"--workers {workers}: must be at least 1")
        seen = tuple(folder.absolute() for folder in folders) if self.distributed else ()
        task = Task(work, retries, seen)
        running: dict[int, T] = {}

        def numbered() -> Iterator[tuple[int, T]]:
            for number, unit in enumerate(units):
                running[number] = unit
                yield number, unit

        failed: list[tuple[str, Failed]] = []
        plan = Plan(workers, retries, threads)
        with closing(self.run(task, numbered(), plan)) as outcomes:
            for number, outcome in outcomes:
                unit = running.pop(number)
                if isinstance(outcome, Failed):
                    if outcome.stop is not None:
                        raise outcome.stop
                    failed.append((str(unit) if name is None else name(unit), outcome))
                    _LOG.debug("%s failed\n%s", failed[-1][0], outcome.details)
                else:
                    yield outcome.value
        if failed:
            raise _report(failed)


def _report(failed: list[tuple[str, Failed]]) -> UnitsFailed:
    failed.sort(key=lambda item: item[0])
    reasons = [(name, outcome.reason) for name, outcome in failed]
    return UnitsFailed(reasons, by_user=all(outcome.by_user for _, outcome in failed))
