"""``x3 view ...`` of somebody who looks once and presses Ctrl-C."""

from __future__ import annotations

import signal
import subprocess
import sys


def main() -> int:
    command = [sys.executable, "-m", "x3spatial", *sys.argv[1:]]
    if "--no-browser" not in command:
        command.append("--no-browser")
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        shown = next((line for line in server.stdout if "http://127.0.0.1" in line), None)
        server.send_signal(signal.SIGINT)
    print(shown)
    return 0 if shown and server.returncode in (0, 130) else 1


if __name__ == "__main__":
    sys.exit(main())
