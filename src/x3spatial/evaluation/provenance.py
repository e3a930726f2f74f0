"""Provenance of a results file: versions of packages, task file and build."""

from __future__ import annotations

import platform
from importlib import metadata
from pathlib import Path

from x3spatial import __version__
from x3spatial.formats.results_file import DataInfo
from x3spatial.formats.task_source import build_facts, recorded_path

_PACKAGES = ("numpy", "opencv-python-headless")


def versions() -> dict[str, str]:
    """Versions of the packages that affect the results."""
    found = {"x3spatial": __version__, "python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:  # for example if opencv-contrib is installed instead
            found[package] = "unknown"
    return found


def data_provenance(data_json: Path, sha256: str) -> DataInfo:
    """Path and hash of the task file, and hash of the settings of its build."""
    build = build_facts(data_json)
    return DataInfo(
        path=recorded_path(data_json),
        sha256=sha256,
        build=build.identity,
        build_seed=build.seed,
    )
