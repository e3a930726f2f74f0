"""Every test file runs: none lies in a folder that pytest passes by, as it does those named build."""

from __future__ import annotations

import re
import subprocess
import sys

from helpers.paths import REPOSITORY, TESTS


def _collected(*options: str) -> set[str]:
    """The test files that pytest finds with the project's own settings."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", *options],
        cwd=REPOSITORY, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return {
        found[1] for found in re.finditer(r"^(\S+\.py)(?:::|: \d+$)", done.stdout, re.MULTILINE)
    }


def test_every_test_file_is_collected() -> None:
    wanted = {
        path.relative_to(REPOSITORY).as_posix()
        for path in TESTS.rglob("*.py")
        if path.name.startswith("test_")
    }
    missing = wanted - _collected()
    if missing:  # unless all of their tests are marked as slow
        missing -= _collected("-m", "")
    assert not missing
