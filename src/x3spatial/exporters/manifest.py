"""``export.json``: what an export was told, what it read and what it wrote. Written last of all."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import x3spatial
from x3spatial.errors import UserError
from x3spatial.io.files import read_manifest, sha256_file

MANIFEST = "export.json"
NOTE = ".x3-export.json"
"""What an export that is under way may replace; removed when it is finished."""
FORMAT = 1
"""Raised whenever the same task files would give other output."""


def identity(
    sources: Sequence[Path], options: dict[str, Any], versions: dict[str, str]
) -> dict[str, Any]:
    """Everything that decides an export, but the images.

    Raises:
        UserError: a source cannot be read.
    """
    read = []
    for source in sources:
        if not source.is_file():
            raise UserError(f"{source}: no such task file")
        digest = sha256_file(source)
        read.append({"path": str(source), "bytes": source.stat().st_size, "sha256": digest})
    return {
        "format": FORMAT,
        "options": options,
        "sources": read,
        "versions": {"x3spatial": x3spatial.__version__, **versions},
    }


def previous_manifest(out_dir: Path) -> dict[str, Any] | None:
    """The manifest of a finished export in ``out_dir``; None if there is none to trust."""
    value = read_manifest(out_dir / MANIFEST)
    ours = value is not None and {"options", "sources", "files"} <= set(value)
    return value if ours else None


def written_facts(path: Path) -> dict[str, Any]:
    """Size and, for a single file, hash of something written."""
    if path.is_dir():
        parts = sorted(file for file in path.rglob("*") if file.is_file())
        return {
            "bytes": sum(part.stat().st_size for part in parts),
            "parts": {part.relative_to(path).as_posix(): sha256_file(part) for part in parts},
        }
    return {"bytes": path.stat().st_size, "sha256": sha256_file(path)}


def size_of(path: Path) -> int | None:
    """Bytes of a file, or of all files of a folder; None if it is not there."""
    if path.is_dir():
        return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    return path.stat().st_size if path.is_file() else None
