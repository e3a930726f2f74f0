#!/usr/bin/env python3
"""Fast tests with the oldest and the newest versions of what x3spatial depends on (make check-versions).

Each cell of the matrix is an environment of its own below `.venv-versions/`, and a line of the table that is
printed at the end. `oldest` installs the lower bounds of pyproject.toml, `newest` what pip finds.

usage: check_versions.py [CELL...], where a CELL is a name that --list prints; without one, all.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[1]
ENVIRONMENTS = REPOSITORY / ".venv-versions"
CORE_TESTS = (
    "tests/tasks", "tests/conventions", "tests/exporters/test_export_tables.py",
    "tests/exporters/test_export_hub.py", "tests/training/test_rewards.py",
    "tests/io/test_png.py", "tests/io/test_images.py", "tests/io/test_orientation.py",
    "tests/builder/test_build.py", "tests/cli/test_help.py", "tests/cli/test_misuse.py",
)  # fmt: skip
MODEL_TESTS = (
    "tests/training/test_rewards.py", "tests/exporters/test_export_tables.py",
    "tests/exporters/test_export_hub.py", "tests/models/test_huggingface.py",
    "tests/training/test_lora.py",
)  # fmt: skip
SHOWN = ("numpy", "datasets", "transformers", "trl", "peft")
_REQUIREMENT = re.compile(r"([A-Za-z0-9._-]+)(?:\[[^]]*\])?\s*(?:>=([0-9.]+))?")
_TORCH = re.compile(r"^torch==.*", re.MULTILINE)
_COUNTS = re.compile(r"\d+ (?:passed|failed|skipped|errors?)")


@dataclass(frozen=True)
class Cell:
    """One environment and its tests."""

    python: str
    versions: str
    """``oldest`` or ``newest``."""
    extras: tuple[str, ...]
    tests: tuple[str, ...]
    slow: bool = False
    """Whether tests marked slow run too: one step of each trainer."""

    @property
    def name(self) -> str:
        """Its name on the command line."""
        kind = "models" if "train" in self.extras else "core"
        return f"{kind}-{self.versions}-{self.python}"


CELLS = (
    Cell("3.11", "oldest", ("export",), CORE_TESTS),
    *(Cell(f"3.{minor}", "newest", ("export",), CORE_TESTS) for minor in range(11, 15)),
    Cell("3.11", "oldest", ("hf", "train", "roborefer"), MODEL_TESTS, slow=True),
    Cell("3.11", "newest", ("hf", "train", "roborefer"), MODEL_TESTS, slow=True),
)


def main() -> int:
    """Run the cells; 1 if one fails, 0 otherwise, also if a Python is not on this machine."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("cells", nargs="*", metavar="CELL")
    parser.add_argument("--list", action="store_true", help="print the names of the cells")
    given = parser.parse_args()
    known = {cell.name: cell for cell in CELLS}
    if given.list:
        print("\n".join(known))
        return 0
    unknown = [name for name in given.cells if name not in known]
    if unknown:
        parser.error(f"{unknown[0]}: no such cell; known are {', '.join(known)}")
    lines: list[tuple[str, ...]] = [("cell", *SHOWN, "tests")]
    failed = False
    for name in given.cells or known:
        print(f"-- {name}", file=sys.stderr, flush=True)
        line, right = run(known[name])
        lines.append(line)
        failed |= not right
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    for line in lines:
        cells = (text.ljust(width) for text, width in zip(line, widths, strict=True))
        print("  ".join(cells).rstrip())
    return int(failed)


def run(cell: Cell) -> tuple[tuple[str, ...], bool]:
    """The line of the table, and whether the cell is not wrong."""
    nothing = ("-",) * len(SHOWN)
    base = interpreter(cell.python)
    if base is None:
        return (cell.name, *nothing, f"no Python {cell.python} on this machine"), True
    python = ENVIRONMENTS / cell.name / "bin/python"
    try:
        if not (ENVIRONMENTS / cell.name / ".created").exists():
            install(cell, base, python)
    except subprocess.CalledProcessError as error:
        print(error.stderr or "", file=sys.stderr)
        last = (error.stderr or "").strip().splitlines() or ["?"]
        return (cell.name, *nothing, f"cannot be installed: {last[-1][:100]}"), False
    marks = ("-m", "not gpu and not peer and not browser") if cell.slow else ()
    done = subprocess.run(  # noqa: S603
        [
            str(python), "-m", "pytest", "-p", "no:cacheprovider", "-o", "filterwarnings=default",
            *marks, *cell.tests,
        ],
        cwd=REPOSITORY, env={**os.environ, "PYTHONPATH": str(REPOSITORY / "src")},
        capture_output=True, text=True,
    )  # fmt: skip
    (ENVIRONMENTS / f"{cell.name}.log").write_text(done.stdout + done.stderr)
    last = done.stdout.strip().splitlines()[-1:] or ["?"]
    counts = ", ".join(_COUNTS.findall(last[0])) or f"see {ENVIRONMENTS.name}/{cell.name}.log"
    return (cell.name, *shown_versions(python), counts), done.returncode == 0


def install(cell: Cell, base: str, python: Path) -> None:
    """Make the environment of a cell."""
    folder = ENVIRONMENTS / cell.name
    shutil.rmtree(folder, ignore_errors=True)

    def call(*command: str) -> None:
        subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603

    call(base, "-m", "venv", str(folder))
    wanted = [*requirements(cell), "pytest", "hypothesis", "pyyaml", "jsonschema"]
    if "train" in cell.extras:
        # Wheels of one torch fit one kind of machine, so it is the pinned one in every cell.
        # TRL decides on the version of datasets.
        wanted += [pinned_torch(), exactly("trl", bounds()["trl"]) if oldest(cell) else "trl"]
    call(str(python), "-m", "pip", "--disable-pip-version-check", "install", "--quiet", *wanted)
    (folder / ".created").touch()


def oldest(cell: Cell) -> bool:
    """Whether the cell has the lower bounds."""
    return cell.versions == "oldest"


def requirements(cell: Cell) -> list[str]:
    """The requirements of pyproject.toml for a cell: as they are, or their lower bounds."""
    declared = project()
    extras = declared["optional-dependencies"]
    wanted = [*declared["dependencies"], *(name for extra in cell.extras for name in extras[extra])]
    wanted = [name for name in dict.fromkeys(wanted) if not name.startswith(("torch", "x3spatial"))]
    if not oldest(cell):
        return wanted
    return [exactly(name, bound) for name, bound in map(split, wanted) if bound]


def exactly(name: str, bound: str) -> str:
    """The requirement of a lower bound itself: ``numpy>=2.0`` → ``numpy==2.0.0.*``.

    The star is for builds of one release, such as 4.11.0.86 of OpenCV.
    """
    parts = bound.split(".")
    return f"{name}=={'.'.join(parts + ['0'] * (3 - len(parts)))}.*"


def bounds() -> dict[str, str]:
    """Package → lower bound, of everything that tests need."""
    return dict(split(text) for text in project()["optional-dependencies"]["dev"])


def project() -> dict[str, Any]:
    """The table ``project`` of pyproject.toml."""
    text = (REPOSITORY / "pyproject.toml").read_text(encoding="utf-8")
    found: dict[str, Any] = tomllib.loads(text)["project"]
    return found


def split(requirement: str) -> tuple[str, str]:
    """(name, lower bound) of a requirement; an empty bound without one."""
    found = _REQUIREMENT.match(requirement)
    assert found is not None
    return found[1], found[2] or ""


def pinned_torch() -> str:
    """The torch of the constraints."""
    found = _TORCH.search((REPOSITORY / "requirements/constraints.txt").read_text(encoding="utf-8"))
    assert found is not None
    return found[0].split()[0].split("+")[0]


def interpreter(version: str) -> str | None:
    """A Python of this version: of the path, or of pyenv; None without one."""
    installed = sorted(Path("~/.pyenv/versions").expanduser().glob(f"{version}.*/bin/python"))
    for candidate in (shutil.which(f"python{version}"), *map(str, installed)):
        if candidate is None:
            continue
        command = [candidate, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
        done = subprocess.run(command, capture_output=True, text=True)  # noqa: S603
        if done.stdout.strip() == version:
            return candidate
    return None


def shown_versions(python: Path) -> list[str]:
    """The versions of the packages ``SHOWN`` in an environment; ``-`` without one."""
    command = (
        "import sys\nfrom importlib import metadata\nfor name in sys.argv[1:]:"
        "\n  try: print(metadata.version(name))"
        "\n  except metadata.PackageNotFoundError: print('-')"
    )
    done = subprocess.run(  # noqa: S603
        [str(python), "-c", command, *SHOWN], capture_output=True, text=True
    )
    return done.stdout.split() or ["?"] * len(SHOWN)


if __name__ == "__main__":
    sys.exit(main())
