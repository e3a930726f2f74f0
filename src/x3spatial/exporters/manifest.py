"""``export.json``: options, inputs and outputs of an export. It is written last."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import x3spatial
from x3spatial.errors import UserError
from x3spatial.formats.task_file import check_exists
from x3spatial.formats.task_source import data_bytes, data_sha256, is_task_source
from x3spatial.io.files import read_manifest, sha256_file

MANIFEST = "export.json"
NOTE = ".x3-export.json"
"""What an export that is under way may replace; removed when it is finished."""
FORMAT = 3
"""Incremented when the same task files would give different output."""


def identity(
    sources: Sequence[Path], options: dict[str, Any], versions: dict[str, str]
) -> dict[str, Any]:
    """Everything that affects the output of an export, except for the images.

    Raises:
        UserError: a task file does not exist.
    """
    read = []
    for source in sources:
        if not is_task_source(source):
            check_exists(source)
            raise UserError(f"{source}: is not a file; name a task file")
        digest = data_sha256(source)
        read.append({"path": str(source), "bytes": data_bytes(source), "sha256": digest})
    return {
        "format": FORMAT,
        "options": options,
        "sources": read,
        "versions": {"x3spatial": x3spatial.__version__, **versions},
    }


def previous_manifest(out_dir: Path) -> dict[str, Any] | None:
    """The manifest of a finished export in ``out_dir``; None if it is missing or invalid."""
    value = read_manifest(out_dir / MANIFEST)
    ours = value is not None and {"options", "sources", "files"} <= set(value)
    return value if ours else None


def written_facts(path: Path) -> dict[str, Any]:
    """Size and, for a single file, SHA-256 of an output."""
    if path.is_dir():
        parts = sorted(file for file in path.rglob("*") if file.is_file())
        return {
            "bytes": sum(part.stat().st_size for part in parts),
            "parts": {part.relative_to(path).as_posix(): sha256_file(part) for part in parts},
        }
    return {"bytes": path.stat().st_size, "sha256": sha256_file(path)}


def size_of(path: Path) -> int | None:
    """Size in bytes of a file, or of all files in a folder; None if it does not exist."""
    if path.is_dir():
        return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    return path.stat().st_size if path.is_file() else None
