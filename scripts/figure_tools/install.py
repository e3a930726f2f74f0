"""The sizes and times of every way to install x3spatial: docs/figures/install.json.

Each way is run in a fresh environment, which is deleted afterwards. The wheel of this repository stands in
for an index: ``--find-links`` names its folder, everything else comes from where pip is set up to look.
Nothing is taken from pip's cache, so the seconds hold the downloads of the machine that the file names.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from figure_tools.files import REPOSITORY, FigureError, write_figures
from figure_tools.quantities import SIZE, TIME, Value

CPU_TORCH = "torch --index-url https://download.pytorch.org/whl/cpu"
"""What pip installs for the CPU build of torch."""
CONSTRAINTS = REPOSITORY / "requirements" / "constraints.txt"
TORCH = ("hf", "hf-torchvision", "matching", "roborefer", "train")
"""Extras that bring torch: measured with the CPU build and with the default one, which has CUDA on Linux."""
NOT_MEASURED = ("browser", "dev", "docs")
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
            # Installed later, torchvision would replace torch by the build that it was made with.
            first = (*cpu_torch, *(["torchvision"] if extra == "hf-torchvision" else []))
            yield Way(f"{extra}.cpu", (first, (*index, f"x3spatial[{extra}]")))
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


def labels(name: str) -> dict[str, str]:
    """What a row of the table calls a way, per language."""
    clone, pinned = name.startswith("clone."), name.endswith(".pinned")
    extra = name.removeprefix("clone.").removesuffix(".pinned")
    extra, _, torch = extra.partition(".")
    what = "." if clone else "x3spatial"
    code = f"`{what}`" if extra == "base" else f"`{what}[{extra}]`"
    words = {
        "cpu": ("the CPU build of torch, then {}", "先装 CPU 版 torch，再装 {}"),
        "cuda": ("{}, with torch for CUDA", "{}，torch 为 CUDA 版"),
        "": ("{}", "{}"),
    }[torch]
    ends = ("", "")
    if clone:
        ends = (" from a clone", "（在克隆的仓库里）")
    if pinned:
        ends = (" from a clone, pinned versions", "（在克隆的仓库里，固定版本）")
    return {
        language: word.format(code) + end
        for language, word, end in zip(("en", "zh"), words, ends, strict=True)
    }


def write(results: Sequence[Installed], made_by: str) -> Path:
    """Write docs/figures/install.json.

    Raises:
        FigureError: A way failed.
    """
    values, rows = {}, []
    for one in results:
        if one.failed:
            raise FigureError(f"{one.name}: {one.failed}")
        values[f"{one.name}.disk"] = Value(one.bytes, SIZE)
        values[f"{one.name}.seconds"] = Value(one.seconds, TIME)
        values[f"{one.name}.packages"] = Value(one.packages)
        large = one.bytes >= 1e9
        disk = f"{one.bytes / 1e9:.1f} GB" if large else f"{one.bytes / 1e6:.0f} MB"
        long = one.seconds >= 90
        time_taken = f"{one.seconds / 60:.1f} min" if long else f"{one.seconds:.0f} s"
        rows.append([labels(one.name), f"{one.packages}", disk, time_taken])
    columns = {
        "en": ["installed", "packages", "disk", "time on a busy machine"],
        "zh": ["安装内容", "软件包数", "占用磁盘", "用时（繁忙的机器）"],
    }
    table = {"columns": columns, "rows": rows}
    return write_figures("install", made_by=made_by, values=values, tables={"sizes": table})


def make() -> Path:
    """Every way to install, with pip, from a wheel of this repository: packages, disk, time. An hour."""
    with tempfile.TemporaryDirectory(prefix="x3-install-") as name:
        folder = Path(name)
        command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir"]
        if failed := _failure([*command, str(folder / "dist"), str(REPOSITORY)]):
            raise FigureError(failed)
        results = [
            installed(way, sys.executable, folder, "pip")
            for way in ways(folder / "dist", CPU_TORCH.split())
        ]
    return write(results, "python scripts/figures.py install")
