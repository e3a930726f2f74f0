"""``build.json``: what a build was told, what it wrote and what it left out. Written last of all."""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import cv2
import numpy as np

import x3spatial
from x3spatial.builder.options import BuildOptions
from x3spatial.tasks.prompts import Template

MANIFEST = "build.json"
FORMAT = 1
"""Raised whenever the same inputs would give other files, so that old results are not reused."""


def versions() -> dict[str, str]:
    """Versions that can change the bytes written."""
    return {
        "x3spatial": x3spatial.__version__,
        "numpy": np.__version__,
        "opencv": cv2.__version__,
        "isal": metadata.version("isal"),
    }


def identity(
    root: Path, out_dir: Path, options: BuildOptions, templates: Mapping[str, Template]
) -> dict[str, Any]:
    """Everything but the data that decides a build."""
    return {
        "format": FORMAT,
        "data_root": str(root),
        "out_dir": str(out_dir),
        "parameters": options.to_json(),
        "prompts": {
            name: {"source": template.source, "sha256": template.sha256}
            for name, template in sorted(templates.items())
        },
        "versions": versions(),
    }


def run_facts(seconds: float, workers: int) -> dict[str, Any]:
    """What differs between two runs of the same build."""
    return {
        "seconds": round(seconds, 3),
        "workers": workers,
        "host": platform.node(),
        "python": platform.python_version(),
    }


def summed(counts: Counter[str]) -> dict[str, int]:
    """Counts in a stable order."""
    return {name: counts[name] for name in sorted(counts)}
