"""The sizes and times of every way to install x3spatial: docs/figures/install.json.

Each way is run in a fresh environment, which is deleted afterwards. The wheel of this repository stands in
for an index: ``--find-links`` names its folder, everything else comes from where pip is set up to look.
Nothing is taken from pip's cache, so the seconds hold the downloads of the machine that the file names.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
CONSTRAINTS = REPOSITORY / "requirements" / "constraints.txt"
TORCH = ("hf", "hf-torchvision", "matching", "roborefer", "train", "dev")
"""Extras that bring torch: measured with the CPU build and with the default one, which has CUDA on Linux."""
NOT_MEASURED = ("browser",)
"""Extras for the project's own tests."""


@dataclass(frozen=True)
class Way:
    """One way to install: pip's arguments of each step."""

    name: str
    steps: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Installed:
    """What one way costs."""

    name: str
    seconds: float
    bytes: int
    """On the disk, beyond an empty environment."""
    packages: int
    failed: str = ""
    """The last line of what failed; empty where all went well."""


def ways(dist: Path, cpu_torch: Sequence[str]) -> Iterator[Way]:
    """Every way: from an index and from a clone, with and without the constraints, per extra.

    Args:
        dist: The folder with the wheel.
        cpu_torch: Arguments of the line that installs the CPU build of torch.
    """
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    index = ("--find-links", str(dist))
    pinned = ("--constraint", str(CONSTRAINTS))
    yield Way("base", ((*index, "x3spatial"),))
    for extra in project["optional-dependencies"]:
        if extra in TORCH:
            yield Way(f"{extra}.cpu", (tuple(cpu_torch), (*index, f"x3spatial[{extra}]")))
        elif extra not in NOT_MEASURED:
            yield Way(extra, ((*index, f"x3spatial[{extra}]"),))
    yield Way("clone.base", ((str(REPOSITORY),),))
    yield Way("clone.render.pinned", ((*pinned, "--editable", f"{REPOSITORY}[render]"),))
    yield Way("clone.train.pinned", ((*pinned, "--editable", f"{REPOSITORY}[train]"),))
    yield Way("roborefer.cuda", ((*index, "x3spatial[roborefer]"),))


def installed(way: Way, python: str, folder: Path, installer: str) -> Installed:
    """Run one way in a fresh environment below ``folder``, and remove it."""
    environment = folder / way.name
    shutil.rmtree(environment, ignore_errors=True)
    subprocess.run([python, "-m", "venv", str(environment)], check=True)  # noqa: S603
    inside = str(environment / "bin" / "python")
    if installer == "pip":
        install = [inside, "-m", "pip", "--no-cache-dir", "install", "--quiet"]
    else:
        install = [installer, "pip", "install", "--quiet", "--compile-bytecode", "--python", inside]
    before, start, failed = _bytes(environment), time.monotonic(), ""
    for step in way.steps:
        failed = failed or _failure([*install, *step])
    seconds = time.monotonic() - start
    size = _bytes(environment) - before
    failed = failed or _failure([inside, "-m", "pip", "check"])
    failed = failed or _failure([str(environment / "bin" / "x3"), "--version"])
    names = {p.name.partition("-")[0] for p in environment.glob("lib/*/site-packages/*.dist-info")}
    packages = len(names - {"pip", "setuptools"})
    shutil.rmtree(environment)
    return Installed(way.name, round(seconds, 1), size, packages, failed)


def _failure(command: Sequence[str]) -> str:
    """The last line of what failed, or nothing."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    if not done.returncode:
        return ""
    lines = (done.stderr.strip() or done.stdout.strip() or "no message").splitlines()
    return f"{' '.join(command[1:])}: {lines[-1]}"


def _bytes(folder: Path) -> int:
    """The bytes of all files, each hard link once."""
    files = {}
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            status = path.stat()
            files[status.st_ino] = status.st_size
    return sum(files.values())


def main() -> int:
    """Measure the named ways (default: all) and print a JSON line of each; 1 if one fails."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("ways", nargs="*", metavar="WAY")
    parser.add_argument("--dist", type=Path, required=True, help="folder with the wheel")
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--installer", default="pip", help="pip (default), or the path of uv")
    parser.add_argument(
        "--cpu-torch",
        default="torch --index-url https://download.pytorch.org/whl/cpu",
        help="what pip installs for the CPU build of torch (default: %(default)s)",
    )
    given = parser.parse_args()
    chosen = [
        way for way in ways(given.dist, given.cpu_torch.split())
        if not given.ways or way.name in given.ways
    ]  # fmt: skip
    status = 0
    with tempfile.TemporaryDirectory(prefix="x3-install-") as folder:
        for way in chosen:
            result = installed(way, given.python, Path(folder), given.installer)
            status |= bool(result.failed)
            print(json.dumps(asdict(result)), flush=True)
    return status


if __name__ == "__main__":
    raise SystemExit(main())
