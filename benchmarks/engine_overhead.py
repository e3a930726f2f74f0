"""What the engines add to the time of the units themselves: prints one JSON line.

Units take ``--seconds`` each: ``sleep`` waits, ``burn`` computes for so much CPU time. Every unit returns its
worker and when it began and ended. ``overhead``: between the first and the last unit of a worker, the time
that is not in units, relative to the time in units. ``overhead_whole``: the same of the whole run,
with the start of the workers (``start_s``: until all of them work) and their waiting at the end. The load of
the machine is printed, because on a busy one everybody waits for the processor.

    python benchmarks/engine_overhead.py [--units 100] [--seconds 0.2] [--workers 2] [--engines local,ray]
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import time
from collections.abc import Callable
from typing import Any

from x3spatial.engine.base import Engine
from x3spatial.engine.registry import ENGINES, open_engine

Span = tuple[int, float, float]
"""A worker, and when a unit began and ended."""


def sleep(seconds: float, _: int) -> Span:
    """Wait."""
    start = time.time()
    time.sleep(seconds)
    return os.getpid(), start, time.time()


def burn(seconds: float, _: int) -> Span:
    """Compute for so many seconds of CPU time."""
    start, cpu = time.time(), time.process_time()
    while time.process_time() - cpu < seconds:
        sum(range(10_000))
    return os.getpid(), start, time.time()


UNITS: dict[str, Callable[[float, int], Span]] = {"sleep": sleep, "burn": burn}


def measure(engine: Engine, kind: str, given: argparse.Namespace) -> dict[str, float]:
    """Run the units on an open engine."""
    work = functools.partial(UNITS[kind], given.seconds)
    begin = time.time()
    spans: dict[int, list[tuple[float, float]]] = {}
    for worker, start, end in engine.map(work, range(given.units), workers=given.workers):
        spans.setdefault(worker, []).append((start, end))
    wall = time.time() - begin
    used = sum(end - start for found in spans.values() for start, end in found)
    present = sum(
        max(end for _, end in found) - min(start for start, _ in found) for found in spans.values()
    )
    return {
        "wall_s": round(wall, 2),
        "unit_s": round(used / given.units, 4),
        "start_s": round(
            max(min(start for start, _ in found) for found in spans.values()) - begin, 2
        ),
        "overhead": round(present / used - 1, 4),
        "overhead_whole": round(given.workers * wall / used - 1, 4),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--units", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=0.2)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--engines", default=",".join(ENGINES))
    given = parser.parse_args()
    report: dict[str, Any] = {
        "units": given.units,
        "seconds": given.seconds,
        "workers": given.workers,
        "load": os.getloadavg()[0],
    }
    for name in given.engines.split(","):
        begin = time.perf_counter()
        with open_engine(name) as engine:
            report[name] = {"open_s": round(time.perf_counter() - begin, 2)}
            for kind in UNITS:
                report[name][kind] = measure(engine, kind, given)
    print(json.dumps(report))


if __name__ == "__main__":
    main()
