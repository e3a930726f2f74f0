"""``python -m fuzzing --minutes 60``: every reader in turn, each in a process of its own.

Needs atheris (``pip install atheris``; wheels for Linux). Findings lie in ``OUT/findings/READER``: an input,
and beside it the traceback. A reader that ends early (a hang, too much memory, a crash) is started again with
the rest of its time. Exit code 1 if there are findings.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import time
from pathlib import Path

from fuzzing.readers import READERS
from helpers.paths import SRC, TESTS


def fuzz(name: str, out: Path, seconds: float, seed: int) -> int:
    """Fuzz one reader; returns how many inputs were tried."""
    end = time.monotonic() + seconds
    tried = 0
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(SRC), str(TESTS)]),
        "OMP_NUM_THREADS": "1",
        "CUDA_VISIBLE_DEVICES": "",
    }
    while (left := int(end - time.monotonic())) >= 1:
        log = out / f"{name}.log"
        with open(log, "wb") as stream:
            code = subprocess.run(
                [sys.executable, "-m", "fuzzing.worker", name, str(out), str(left), str(seed)],
                env=environment, stdout=stream, stderr=stream, check=False,
            ).returncode  # fmt: skip
        text = log.read_text(errors="replace")
        tried += sum(map(int, re.findall(r"number_of_executed_units: (\d+)", text)))
        for line in re.findall(r"^FOUND .*", text, re.MULTILINE):
            print(line, flush=True)
        if code and not re.search(r"number_of_executed_units", text):
            sys.exit(f"{name}: the fuzzer does not run:\n{text[-2000:]}")
        seed += 1
    return tried


def main() -> int:
    """Fuzz, and print a line per reader."""
    parser = argparse.ArgumentParser(prog="fuzzing", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0, help="for all readers together")
    parser.add_argument(
        "--reader", action="append", choices=list(READERS), help="only this one; repeat"
    )
    parser.add_argument(
        "--out", type=Path, default=Path("fuzz"), help="folder of corpus and findings"
    )
    parser.add_argument("--seed", type=int, default=int(time.time()) % 1_000_000)
    options = parser.parse_args()
    names = options.reader or list(READERS)
    options.out.mkdir(parents=True, exist_ok=True)
    print(f"seed {options.seed}; {options.minutes / len(names):.2f} minutes each")
    tried = 0
    for name in names:
        now = fuzz(name, options.out, 60 * options.minutes / len(names), options.seed)
        tried += now
        print(f"{name}: {now} inputs", flush=True)
    found = sorted(
        path for path in (options.out / "findings").glob("*/*") if not path.name.endswith(".txt")
    )
    for path in found:
        print(path)
    print(f"{tried} inputs, {len(found)} findings")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
