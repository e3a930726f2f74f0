"""What makes each figure file. Times are of the machine at that moment, so run these on one that is idle."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from figure_tools import install
from figure_tools.files import REPOSITORY, Cell, FigureError, write_figures
from figure_tools.quantities import CPU, RATIO, SIZE, TIME, Value

METRICS = ("hit_at_mask", "balanced_accuracy", "not_visible_accuracy", "median_l2_error")
QUICK = ("bootstrap", "build", "eval", "serve")
"""Benchmarks that take seconds to a minute each on an idle machine."""
_COLUMNS = {
    "en": [
        "model",
        "Task1: Hit@Mask",
        "Task1: balanced accuracy",
        "Task2A: NOT_VISIBLE accuracy",
        "Task2B: Hit@Mask",
    ],
    "zh": [
        "模型",
        "Task1：Hit@Mask",
        "Task1：平衡准确率",
        "Task2A：NOT_VISIBLE 准确率",
        "Task2B：Hit@Mask",
    ],
}
_SHOWN = (
    ("t1_multi", "hit_at_mask"),
    ("t1_multi", "balanced_accuracy"),
    ("t2a_multi", "not_visible_accuracy"),
    ("t2b_multi", "hit_at_mask"),
)
_PARTS = ("weights", "gradients", "optimizer", "buffers", "activations", "total")
_MEMORY_COLUMNS = {
    "en": ["GiB", *_PARTS, "activations *", "total *"],
    "zh": ["GiB", "权重", "梯度", "优化器", "缓冲区", "激活值", "合计", "激活值 *", "合计 *"],
}


def demo() -> Path:
    """`make demo` in a fresh clone of HEAD: time, disk, the baselines' results."""
    with tempfile.TemporaryDirectory(prefix="x3-figures-") as name:
        clone = Path(name, "x3spatial")
        _run(["git", "clone", "--quiet", str(REPOSITORY), str(clone)], Path(name))
        python = f"PYTHON={getattr(sys, '_base_executable', sys.executable)}"
        install = _run(["make", python, ".venv/.render"], clone)
        seconds = _run(["make", python, "demo"], clone)
        values = {
            "seconds": Value(seconds, TIME),
            "install_seconds": Value(install, TIME),
            "total_seconds": Value(install + seconds, TIME),
            "installed": Value(_size(clone / ".venv"), SIZE),
            "written": Value(_size(clone / "demo"), SIZE),
        }
        values["disk"] = Value(values["installed"].value + values["written"].value, SIZE)
        values |= _results(clone / "demo/results")
    rows = _rows(values, ("oracle", "sift", "pixel-diff", "centre", "always-not-visible"))
    return _write("demo", values, {"baselines": {"columns": _COLUMNS, "rows": rows}})


def tiny() -> Path:
    """`scripts/demo_vlm.sh` with this interpreter: x3-tiny and the baselines on 20 rooms, with intervals."""
    with tempfile.TemporaryDirectory(prefix="x3-figures-") as name:
        folder = Path(name)
        command = folder / "x3"
        command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m x3spatial "$@"\n')
        command.chmod(0o755)
        out = folder / "demo-vlm"
        script = REPOSITORY / "scripts/demo_vlm.sh"
        seconds = _run(["sh", str(script)], folder, {"X3": str(command), "OUT": str(out)})
        values = {"seconds": Value(seconds, TIME), "written": Value(_size(out), SIZE)}
        values |= _results(out / "results")
    models = ("x3-tiny", "sift", "pixel-diff", "chance-uniform", "chance-always-not-visible")
    rows = _rows(values, models)
    return _write("tiny", values, {"results": {"columns": _COLUMNS, "rows": rows}})


def benchmarks() -> Path:
    """The quick ones of `make bench`: each number of their JSON lines."""
    values: dict[str, Value] = {}
    for name in QUICK:
        command = [sys.executable, f"benchmarks/{name}.py"]
        done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)  # noqa: S603
        if done.returncode:
            raise FigureError(f"benchmarks/{name}.py: {done.stderr.strip().splitlines()[-1]}")
        values |= dict(_numbers(name, json.loads(done.stdout.strip().splitlines()[-1])))
    return _write("benchmarks", values, {})


def memory() -> Path:
    """`x3 sft --memory` for the 2B model on 16 GPUs, which docs/training.md shows: computed, not measured."""
    options = [
        "--model-name-or-path",
        "roborefer-2b",
        "--tune-vision-tower",
        "False",
        "--gpus",
        "16",
    ]
    command = [sys.executable, "-m", "x3spatial", "sft", "--memory", *options, "--json"]
    done = subprocess.run(command, capture_output=True, text=True)  # noqa: S603
    if done.returncode:
        raise FigureError(f"x3 sft --memory: {done.stderr.strip().splitlines()[-1]}")
    values: dict[str, Value] = {}
    rows: list[list[Cell]] = []
    for plan in json.loads(done.stdout)["plans"]:
        saved, kept = (plan[f"activations_{how}_checkpointing"] for how in ("with", "without"))
        sizes = {part: plan[part] for part in _PARTS}
        sizes |= {"activations_kept": kept, "total_kept": plan["total"] - saved + kept}
        values |= {f"{plan['plan']}.{part}": Value(size, SIZE) for part, size in sizes.items()}
        cells = ({"of": f"{plan['plan']}.{part}", "decimals": 2, "unit": "GiB"} for part in sizes)
        rows.append([plan["plan"], *cells])
    return _write("memory", values, {"plans": {"columns": _MEMORY_COLUMNS, "rows": rows}})


MAKERS: dict[str, Callable[[], Path]] = {
    "demo": demo,
    "tiny": tiny,
    "memory": memory,
    "install": install.make,
    "benchmarks": benchmarks,
}


def _write(name: str, values: Mapping[str, Value], tables: Mapping[str, Any]) -> Path:
    return write_figures(
        name, made_by=f"python scripts/figures.py {name}", values=values, tables=tables
    )


def _run(command: list[str], folder: Path, more: Mapping[str, str] | None = None) -> float:
    """Run a command; the seconds it took.

    Raises:
        FigureError: it failed.
    """
    start = time.perf_counter()
    environment = os.environ | dict(more or {})
    done = subprocess.run(command, cwd=folder, env=environment, stdout=sys.stderr)  # noqa: S603
    if done.returncode:
        raise FigureError(f"{' '.join(command)}: exit code {done.returncode}")
    return round(time.perf_counter() - start, 1)


def _size(folder: Path) -> int:
    """Bytes on disk, each file once."""
    seen = {(one.st_dev, one.st_ino): one.st_blocks * 512 for one in map(os.lstat, _below(folder))}
    return sum(seen.values())


def _below(folder: Path) -> Iterable[Path]:
    return (path for path in folder.rglob("*") if not path.is_dir() or path.is_symlink())


def _results(folder: Path) -> dict[str, Value]:
    """SET.MODEL.METRIC of all results below a folder, and of chance (chance-NAME)."""
    found: dict[str, Value] = {}
    for path in sorted(folder.glob("*/*_val_*.json")):
        content = json.loads(path.read_text(encoding="utf-8"))
        task = path.stem.replace("_val_", "_")
        found[f"{task}.samples"] = Value(content["metrics"]["total"])
        for metric in METRICS:
            value = content["metrics"].get(metric)
            if value is not None:
                low, high = content["ci95"].get(metric) or (None, None)
                found[f"{task}.{path.parent.name}.{metric}"] = Value(value, RATIO, low, high)
            for name, chance in content["chance"].items():
                # A baseline without a value is one that the set has no use for.
                if chance is not None and chance.get(metric) is not None:
                    found[f"{task}.chance-{name}.{metric}"] = Value(chance[metric])
    return found


def _rows(values: Mapping[str, Value], models: Iterable[str]) -> list[list[Cell]]:
    rows: list[list[Cell]] = []
    for model in models:
        keys = [f"{task}.{model}.{metric}" for task, metric in _SHOWN]
        rows.append([_LABELS.get(model, model), *(_cell(key, values) for key in keys)])
    return rows


_LABELS: dict[str, Cell] = {
    "oracle": "oracle*",
    "sift": "sift*",
    "chance-uniform": {"en": "chance: a uniform point", "zh": "随机水平：均匀随机点"},
    "chance-centre": {"en": "chance: the centre", "zh": "随机水平：图像中心"},
    "chance-always-not-visible": {
        "en": "chance: always NOT_VISIBLE",
        "zh": "随机水平：总答 NOT_VISIBLE",
    },
}
"""`*`: reads masks or answers, which models do not get."""


def _cell(key: str, values: Mapping[str, Value]) -> Cell:
    return {"of": key, "decimals": 3} if key in values else "-"


def _numbers(prefix: str, content: Any) -> Iterable[tuple[str, Value]]:
    """Every number of a JSON line under its path; units from the ends of names."""
    if isinstance(content, Mapping):
        for name, one in content.items():
            yield from _numbers(f"{prefix}.{name}", one)
    elif isinstance(content, (int, float)) and not isinstance(content, bool):
        unit, factor = _unit(prefix.rpartition(".")[2])
        yield prefix, Value(content * factor, unit)


def _unit(name: str) -> tuple[str, float]:
    """Base unit and factor of a number that is called so in a JSON line."""
    rate = re.fullmatch(r"(?:.*_)?(\w+?)_per_s(?:econd)?", name)
    if rate:
        return f"{rate[1]}/s", 1.0
    for pattern, unit, factor in _ENDINGS:
        if re.fullmatch(rf"(?:.*_)?(?:{pattern})", name):
            return unit, factor
    return RATIO, 1.0


_ENDINGS = (
    ("cpu_s|cpu_seconds", CPU, 1.0),
    ("cpu_ms", CPU, 1e-3),
    ("s|seconds", TIME, 1.0),
    ("ms", TIME, 1e-3),
    ("mb|megabytes", SIZE, 1e6),
)
