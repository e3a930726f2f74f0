"""Units of work for the tests of engines; workers import them by name, so they need the folder of tests."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import NamedTuple


class Unit(NamedTuple):
    """A number, and a folder where the tries of each unit are counted."""

    number: int
    folder: Path

    @property
    def tries(self) -> int:
        return len(list(self.folder.glob(f"try-{self.number}-*")))


def name(unit: Unit) -> str:
    return f"unit {unit.number}"


def units(folder: Path, count: int) -> list[Unit]:
    return [Unit(number, folder) for number in range(count)]


def _tried(unit: Unit) -> int:
    """The number of this try, from 1."""
    number = unit.tries + 1
    (unit.folder / f"try-{unit.number}-{number}-{os.getpid()}").touch()
    return number


def square(unit: Unit) -> int:
    _tried(unit)
    return unit.number**2


def fails_once(unit: Unit) -> int:
    if _tried(unit) == 1 and unit.number % 2:
        raise ValueError(f"odd {unit.number}")
    return unit.number**2


def three_fails(unit: Unit) -> int:
    _tried(unit)
    if unit.number == 3:
        raise ValueError("three")
    return unit.number**2


def dies_once(unit: Unit) -> int:
    if _tried(unit) == 1 and unit.number == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return unit.number**2


def three_dies(unit: Unit) -> int:
    _tried(unit)
    if unit.number == 3:
        time.sleep(0.3)  # others are running
        os.kill(os.getpid(), signal.SIGKILL)
    return unit.number**2


def package_folder(unit: Unit) -> tuple[int, str]:
    """The worker, and where it has x3spatial from."""
    import x3spatial

    _tried(unit)
    time.sleep(0.1)  # so that both nodes get some
    return os.getpid(), str(x3spatial.__file__)
