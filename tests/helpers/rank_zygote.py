"""Run as a script: imports torch once and forks a rank for every line of JSON on stdin.

Line: {"environment": {...}, "given": {...}, "stderr": PATH}; it prints the number of the process. A line
{"wait": NUMBER} prints its exit code, negative for a signal, or null while it runs.
"""

from __future__ import annotations

import atexit
import json
import os
import sys
import traceback
from typing import Any

from torch import distributed

from helpers import rank_eval


def main() -> None:
    """Serve until stdin ends."""
    assert distributed.is_available()
    codes: dict[int, int] = {}
    for line in sys.stdin:
        asked = json.loads(line)
        if "wait" not in asked:
            answer: int | None = _fork(asked)
        else:
            pid = asked["wait"]
            if pid not in codes:
                ended, status = os.waitpid(pid, os.WNOHANG)
                if ended:
                    codes[pid] = os.waitstatus_to_exitcode(status)
            answer = codes.get(pid)
        print(json.dumps(answer), flush=True)


def _fork(asked: dict[str, Any]) -> int:
    pid = os.fork()
    if pid:
        return pid
    code = 70
    try:
        with open(asked["stderr"], "w") as file:
            os.dup2(file.fileno(), 2)
        os.environ.update(asked["environment"])
        code = rank_eval.main(asked["given"])
        atexit._run_exitfuncs()
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    main()
