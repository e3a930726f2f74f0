"""Provenance of a results file: versions of packages, task file and build."""

from __future__ import annotations

import platform
from importlib import metadata
from pathlib import Path
from typing import Any

from x3spatial import __version__
from x3spatial.formats.results_file import DataInfo
from x3spatial.io.files import read_manifest, sha256_json

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
    manifest = read_manifest(data_json.parent / "build.json")
    parameters = (manifest or {}).get("parameters")
    seed = parameters.get("seed") if isinstance(parameters, dict) else None
    return DataInfo(
        path=str(data_json.absolute()),
        sha256=sha256,
        build=build_identity(data_json),
        build_seed=seed if isinstance(seed, int) else None,
    )


def build_identity(data_json: Path) -> str | None:
    """Hash of settings that affect the images but are not in the records, such as the overlay.

    None without a ``build.json`` beside the task file.
    """
    manifest: dict[str, Any] | None = read_manifest(data_json.parent / "build.json")
    if manifest is None:
        return None
    prompts = {name: prompt["sha256"] for name, prompt in manifest.get("prompts", {}).items()}
    # Formats 1 and 2 have the same images: results on builds of both can be compared.
    images = 1 if manifest.get("format") == 2 else manifest.get("format")
    return sha256_json([images, manifest.get("parameters"), prompts])
