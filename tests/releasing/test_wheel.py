"""The wheel and the sdist: what is in them, that they are reproducible, that the wheel works alone."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

from helpers.paths import FIXTURES, REPOSITORY, SRC
from releasing.conftest import EPOCH, Built

VERSION = re.search(r'__version__ = "(.*)"', (SRC / "x3spatial/__init__.py").read_text())


def test_they_hold_what_they_should_and_nothing_else(built: Built) -> None:
    from release_tools import contents

    assert contents.wheel_faults(built.wheel, built.tracked) == []
    assert contents.sdist_faults(built.sdist, built.tracked) == []


def test_faults_of_contents_are_found(built: Built, tmp_path: Path) -> None:
    from release_tools import contents

    wheel = tmp_path / built.wheel.name
    with zipfile.ZipFile(built.wheel) as old, zipfile.ZipFile(wheel, "w") as new:
        for name in old.namelist():
            if name != "x3spatial/py.typed":
                new.writestr(name, old.read(name))
        new.writestr("tests/test_api.py", "")
        new.writestr("x3spatial/large.bin", os.urandom(2_500_000))
    assert contents.wheel_faults(wheel, built.tracked) == [
        f"{wheel.name}: x3spatial/py.typed is missing",
        f"{wheel.name}: tests/test_api.py does not belong there",
        f"{wheel.name}: x3spatial/large.bin does not belong there",
        f"{wheel.name}: {wheel.stat().st_size:,} bytes, more than 5,000,000",
    ]


def test_the_wheel_of_the_sdist_is_that_of_the_repository(built: Built, tmp_path: Path) -> None:
    """Also from files of another time, with leftovers of an earlier build beside them."""
    from release_tools.build import normalise, wheel_of

    (built.source / "build").rename(built.source / "build-of-before")
    try:
        assert wheel_of(built.source, tmp_path, EPOCH).read_bytes() == built.wheel.read_bytes()
    finally:
        (built.source / "build").rename(tmp_path / "build")
        (built.source / "build-of-before").rename(built.source / "build")
    copy = tmp_path / built.sdist.name
    with tarfile.open(built.sdist) as old:
        entries = [(member, old.extractfile(member).read()) for member in old]  # type: ignore[union-attr]
    with tarfile.open(copy, "w:gz", compresslevel=1) as new:
        for member, content in reversed(entries):
            member.mtime, member.uid, member.uname = 5, 1000, "somebody"
            new.addfile(member, io.BytesIO(content))
    assert copy.read_bytes() != built.sdist.read_bytes()
    normalise(copy, EPOCH)
    assert copy.read_bytes() == built.sdist.read_bytes()


def test_metadata(built: Built) -> None:
    with zipfile.ZipFile(built.wheel) as archive:
        (name,) = [n for n in archive.namelist() if n.endswith(".dist-info/METADATA")]
        metadata = Parser().parsestr(archive.read(name).decode())
    assert VERSION is not None and metadata["Version"] == VERSION[1]
    assert metadata["License-Expression"] == "Apache-2.0 AND MIT"
    assert metadata["Description-Content-Type"] == "text/markdown"
    relative = [
        target
        for target in re.findall(r"\]\(([^)\s]+)\)", str(metadata.get_payload()))
        if not re.match(r"https?://|#", target)
    ]
    if relative:
        pytest.skip(f"the README has relative links, which an index cannot show: {relative[0]}")


@pytest.fixture(scope="module")
def installed(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`x3` of a fresh environment with the wheel; what it depends on is that of this environment."""
    environment = tmp_path_factory.mktemp("installed") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python"]
    options = ["--quiet", "--no-index", "--no-deps", "--no-compile"]
    subprocess.run([*pip, environment / "bin/python", "install", *options, built.wheel], check=True)
    return environment / "bin" / "x3"


def x3(command: Path, folder: Path, *arguments: object) -> str:
    """Its output. The path has the packages of this environment, but not the repository."""
    paths = {sysconfig.get_path(name) for name in ("purelib", "platlib")}
    done = subprocess.run(
        [command, *map(str, arguments)], cwd=folder, capture_output=True, text=True, check=False,
        env={"PYTHONPATH": os.pathsep.join(paths), "PATH": os.environ["PATH"], "HOME": str(folder)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_wheel_runs_without_the_repository(installed: Path, tmp_path: Path) -> None:
    assert VERSION is not None and x3(installed, tmp_path, "--version").strip().endswith(VERSION[1])
    root, tasks = FIXTURES / "x3-small" / "root", tmp_path / "tasks"
    x3(installed, tmp_path, "build", root, "-o", tasks, "--workers", 1, "-q")
    results = tmp_path / "results.json"
    x3(installed, tmp_path, "eval", tasks / "t1_val_multi.json", "-o", results,
       "--model", "oracle", "--workers", 1, "-q")  # fmt: skip
    x3(installed, tmp_path, "report", results, "-o", tmp_path / "page", "-q")
    assert (tmp_path / "page/index.html").is_file() and list(tmp_path.glob("page/**/report.js"))
    where = installed.with_name("python")
    found = subprocess.run([where, "-c", "import x3spatial; print(x3spatial.__file__)"],
                           cwd=tmp_path, env={}, capture_output=True, text=True, check=True)  # fmt: skip
    assert not Path(found.stdout.strip()).is_relative_to(REPOSITORY)


@pytest.mark.slow
def test_the_demo_of_the_wheel(installed: Path, tmp_path: Path) -> None:
    """Rooms, tasks, x3-tiny's weights, the summary."""
    x3(installed, tmp_path, "scenes", "root", "--train", 0, "--validation", 1, "--width", 112,
       "--height", 112, "--workers", 2)  # fmt: skip
    x3(installed, tmp_path, "zeroshot", "root", "-o", "results", "--tasks-dir", "tasks",
       "--model", "roborefer:x3-tiny", "--model", "oracle")  # fmt: skip
    assert (tmp_path / "results" / "summary.json").is_file()
