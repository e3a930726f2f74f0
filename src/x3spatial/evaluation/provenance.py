"""Which code and which data a results file was made with."""

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
    """What decided the numbers beside the settings."""
    found = {"x3spatial": __version__, "python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:  # e.g. opencv-contrib in its place
            found[package] = "unknown"
    return found


def data_provenance(data_json: Path, sha256: str) -> DataInfo:
    """Which data was asked: path, hash, and the settings of the build beside it, as a hash."""
    manifest = data_json.parent / "build.json"
    return DataInfo(
        path=str(data_json.absolute()),
        sha256=sha256,
        build=_build_identity(read_manifest(manifest)),
    )


def _build_identity(manifest: dict[str, Any] | None) -> str | None:
    """Hash of what decided the images but cannot be seen in the records, such as the overlay."""
    if manifest is None:
        return None
    prompts = {name: prompt["sha256"] for name, prompt in manifest.get("prompts", {}).items()}
    return sha256_json([manifest.get("format"), manifest.get("parameters"), prompts])
