"""What torch's threads cost an evaluation on the CPU: prints one JSON line.

Each round runs ``x3 eval --model roborefer:x3-tiny`` as a user would start it (``chosen``), with
``OMP_NUM_THREADS=1`` (``one``), and with one thread for every core (``all_cores``, torch's own default), in
turn. Of each: the median user + system CPU time and wall time in seconds, and the threads that the results
record. ``cpu_of_one`` is the CPU time of ``chosen`` over that of ``one``; ``equal``: all answers are equal.

    python benchmarks/threads.py [--rounds 3] [--scenes 12] [--limit 160]
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from x3spatial.engine.cores import usable_cores


def x3(*arguments: object, threads: int | None = None) -> tuple[float, float]:
    """Run a command; its CPU and wall time in seconds."""
    names = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    if threads is not None:
        names["OMP_NUM_THREADS"] = str(threads)
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    command = [sys.executable, "-m", "x3spatial", *map(str, arguments)]
    subprocess.run(command, env=names, check=True, stdout=subprocess.DEVNULL)
    after, seconds = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter() - start
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--scenes", type=int, default=12)
    parser.add_argument("--limit", type=int, default=160)
    given = parser.parse_args()
    kinds = {"chosen": None, "one": 1, "all_cores": usable_cores()}
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in kinds}
    recorded: dict[str, int | None] = {}
    answers: list[list[Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        root, tasks, output = Path(folder, "root"), Path(folder, "tasks"), Path(folder, "out.json")
        x3("scenes", root, "--fast", "--train", 0, "--validation", given.scenes)
        x3("build", "--data-root", root, "--out-dir", tasks)
        for _ in range(given.rounds):
            for name, threads in kinds.items():
                spent = x3(
                    *("eval", "--data-json", tasks / "t1_val_multi.json", "--output-json", output),
                    *("--model", "roborefer:x3-tiny", "--limit", given.limit, "--fresh"),
                    threads=threads,
                )
                times[name].append(spent)
                results = json.loads(output.read_text())
                recorded[name] = results["run"].get("torch_threads")
                answers.append([entry["pred_text"] for entry in results["results"]])
    report: dict[str, Any] = {"cores": usable_cores(), "load": os.getloadavg()[0]}
    for name, rounds in times.items():
        cpu, wall = (round(statistics.median(column), 2) for column in zip(*rounds, strict=True))
        report[name] = {"cpu_s": cpu, "wall_s": wall, "torch_threads": recorded[name]}
    report["cpu_of_one"] = round(report["chosen"]["cpu_s"] / report["one"]["cpu_s"], 2)
    report["equal"] = all(some == answers[0] for some in answers)
    print(json.dumps(report))


if __name__ == "__main__":
    main()
