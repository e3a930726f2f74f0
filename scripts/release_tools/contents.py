"""What has to be in a wheel and in an sdist, and what must not be in them."""

from __future__ import annotations

import tarfile
import zipfile
from collections.abc import Iterable
from pathlib import Path

WHEEL_BYTES = 5_000_000
SDIST_BYTES = 5_000_000
"""Limits of both files; docs/dependencies.md states them. Most of it are the weights of x3-tiny."""

NEEDED = (
    "py.typed",
    "conventions/templates/common.txt",
    "exporters/harnesses/templates/lmms_eval.yaml.txt",
    "models/roborefer/x3_tiny/llm/model.safetensors",
    "models/roborefer/x3_tiny/llm/tokenizer.json",
    "models/roborefer/x3_tiny/mm_projector/model.safetensors",
    "models/roborefer/x3_tiny/vision_tower/model.safetensors",
    "reports/web/assets/THIRD_PARTY.txt",
    "reports/web/assets/ask.js",
    "reports/web/assets/report.js",
    "reports/web/index.html",
    "tasks/prompts/t1_multi.txt",
)
"""Files of the package without which a command fails or a licence is broken; below ``x3spatial/``."""
LICENCES = ("licenses/LICENSE", "licenses/src/x3spatial/reports/web/assets/THIRD_PARTY.txt")
METADATA = ("METADATA", "RECORD", "WHEEL", "entry_points.txt", "top_level.txt", *LICENCES)
SDIST_OWN = (
    "CHANGELOG.md", "CITATION.cff", "LICENSE", "MANIFEST.in", "PKG-INFO", "README.md", "SECURITY.md",
    "pyproject.toml", "setup.cfg",
)  # fmt: skip
"""Files of an sdist beside ``src/`` and ``web/``."""


def wheel_faults(wheel: Path, tracked: Iterable[str]) -> list[str]:
    """How a wheel differs from the package; empty where nothing does.

    Args:
        wheel: The file.
        tracked: What git tracks, relative to the repository.
    """
    prefix = "src/"
    package = {
        name[len(prefix) :] for name in tracked if name.startswith(f"{prefix}x3spatial/")
    } - {"x3spatial/reports/web/assets/.gitignore"}
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    info = f"{'-'.join(wheel.name.split('-')[:2])}.dist-info"
    expected = package | {f"{info}/{name}" for name in METADATA}
    expected |= {f"x3spatial/{name}" for name in NEEDED}
    return _differences(wheel, names, expected, WHEEL_BYTES)


def sdist_faults(sdist: Path, tracked: Iterable[str]) -> list[str]:
    """How an sdist differs from what it should hold; empty where nothing does."""
    files = {
        name for name in tracked
        if name.startswith(("src/x3spatial/", "web/")) and not name.endswith(".gitignore")
    }  # fmt: skip
    base = sdist.name.removesuffix(".tar.gz")
    with tarfile.open(sdist) as archive:
        names = {m.name.removeprefix(f"{base}/") for m in archive.getmembers() if m.isfile()}
    names = {name for name in names if not name.startswith("src/x3spatial.egg-info/")}
    expected = files | set(SDIST_OWN) | {f"src/x3spatial/{name}" for name in NEEDED}
    return _differences(sdist, names, expected, SDIST_BYTES)


def _differences(file: Path, names: set[str], expected: set[str], limit: int) -> list[str]:
    found = [f"{file.name}: {name} is missing" for name in sorted(expected - names)]
    found += [f"{file.name}: {name} does not belong there" for name in sorted(names - expected)]
    if (size := file.stat().st_size) > limit:
        found.append(f"{file.name}: {size:,} bytes, more than {limit:,}")
    return found
