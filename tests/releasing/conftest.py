"""The wheel and the sdist, built once from what git tracks."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from helpers.paths import REPOSITORY

sys.path.insert(0, str(REPOSITORY / "scripts"))

EPOCH = 1_764_000_000


@dataclass(frozen=True)
class Built:
    """What a release publishes, and what it was made from."""

    source: Path
    wheel: Path
    sdist: Path
    tracked: list[str]


def tracked_files() -> list[str]:
    """What git tracks, as far as it is in the working tree."""
    done = subprocess.run(
        ["git", "ls-files", "-z"], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip("no git, or no repository: what belongs into a wheel is what git tracks")
    return [name for name in done.stdout.split("\0") if name and (REPOSITORY / name).is_file()]


@pytest.fixture(scope="package")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    from release_tools.build import build

    folder = tmp_path_factory.mktemp("built")
    source, tracked = folder / "source", tracked_files()
    for name in tracked:
        if name.startswith(("docs/", "tests/fixtures/")):
            continue  # only to save time
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(REPOSITORY / name, source / name)
    # What an earlier build in the repository leaves must not get into a wheel.
    (source / "build/lib/x3spatial").mkdir(parents=True)
    (source / "src/x3spatial/tasks/__pycache__").mkdir()
    (source / "src/x3spatial/tasks/__pycache__/spec.cpython-311.pyc").write_bytes(b"")
    (source / "build/lib/x3spatial/stale.py").write_text("")
    (source / "web/node_modules/preact").mkdir(parents=True)
    (source / "web/node_modules/preact/package.json").write_text("{}")
    wheel, sdist = build(source, folder / "out", EPOCH)
    return Built(source, wheel, sdist, tracked)
