"""``build.json``, the manifest of a build: its settings, its files and the data it left out.

A build writes it last: a folder with a manifest is complete.
"""

from __future__ import annotations

import os
import platform
from collections import Counter
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path, PurePath
from typing import Any

import cv2
import numpy as np

import x3spatial
from x3spatial.builder.options import BuildOptions
from x3spatial.io.files import read_manifest, sha256_json
from x3spatial.roots.layout import ObjectFiles
from x3spatial.roots.neighbours import masks_of_others
from x3spatial.tasks.prompts import Template

MANIFEST = "build.json"
FORMAT = 2
"""Version of the build's output. Increase it if the same inputs give other files, so that old results
are not reused. Format 1 knew no strata; without ``scene.json`` it has the same task files and images."""


def versions() -> dict[str, str]:
    """Return the versions of the packages that can change the bytes written."""
    return {
        "x3spatial": x3spatial.__version__,
        "numpy": np.__version__,
        "opencv": cv2.__version__,
        "isal": metadata.version("isal"),
    }


def build_provenance(
    root: Path, out_dir: Path, options: BuildOptions, templates: Mapping[str, Template]
) -> dict[str, Any]:
    """Return everything that decides the output of a build, except the data.

    With relative paths only the place of the root as seen from ``out_dir`` does.
    """
    places = {"data_root": str(root), "out_dir": str(out_dir)}
    if options.paths == "relative":
        seen = os.path.relpath(os.path.realpath(root), os.path.realpath(out_dir))
        places = {"data_root": Path(seen).as_posix(), "out_dir": "."}
    return {
        "format": FORMAT,
        **places,
        "parameters": options.to_json(),
        "prompts": {
            name: {"source": template.source, "sha256": template.sha256}
            for name, template in sorted(templates.items())
        },
        "versions": versions(),
    }


def object_provenance(provenance: dict[str, Any]) -> dict[str, Any]:
    """Return the part of a build's provenance that decides one object's result."""
    parameters = {k: v for k, v in provenance["parameters"].items() if k not in ("splits", "limit")}
    prompts = {name: prompt["sha256"] for name, prompt in provenance["prompts"].items()}
    return {**provenance, "parameters": parameters, "prompts": prompts}


def fingerprint(
    item: ObjectFiles, place: str | None, scene: list[int] | None, provenance: dict[str, Any]
) -> str:
    """Return the hash of an object's inputs (name, size, modification time) and of all parameters."""
    stats = [
        [view.rank, view.frame, kind, path.name, *_state(path)]
        for view in item.views
        for kind, path in sorted(view.files.items())
    ]
    inputs = [provenance, item.label, [list(problem) for problem in item.problems], stats]
    # Only where there are such: the journals of builds from before places and strata stay valid.
    facts: list[Any] = [fact for fact in (place, scene) if fact is not None]
    if provenance["parameters"].get("decoys"):  # they keep away from the other objects
        facts.append(
            [
                [frame, str(path.relative_to(item.folder.parent)), *_state(path)]
                for frame, paths in masks_of_others(item).items()
                for path in paths
            ]
        )
    return sha256_json([*inputs, *facts])


def _state(path: Path) -> list[int | None]:
    """Size and modification time of a file, or the number of the error, reported when the file is read."""
    try:
        stat = path.stat()
    except OSError as error:
        return [error.errno]
    return [stat.st_size, stat.st_mtime_ns]


def as_spelt_before(root: Path, out_dir: Path) -> tuple[Path, Path]:
    """Both folders as the build in ``out_dir`` spelt them, if they are the same through other links."""
    manifest = read_manifest(out_dir / MANIFEST) or {}

    def spelt(path: Path, before: object) -> Path:
        absolute = isinstance(before, str) and PurePath(before).is_absolute()
        same = absolute and os.path.realpath(str(before)) == os.path.realpath(path)
        return Path(str(before)) if same else path

    return spelt(root, manifest.get("data_root")), spelt(out_dir, manifest.get("out_dir"))


def run_info(seconds: float, workers: int) -> dict[str, Any]:
    """Return facts about one run; two runs of the same build may differ in them."""
    return {
        "seconds": round(seconds, 3),
        "workers": workers,
        "host": platform.node(),
        "python": platform.python_version(),
    }


def sorted_counts(counts: Counter[str]) -> dict[str, int]:
    """Return the counts sorted by name."""
    return {name: counts[name] for name in sorted(counts)}
