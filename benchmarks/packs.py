"""A pack against the files that it was made from; prints one JSON line.

Size, the time to open it (all records read, as a training run does), images read per second, samples of the
training loader per second, and evaluations. Loader and reader ask for the same samples in one random order,
in interleaved rounds of files, pack and the pack in ``memory://``; ratios are medians over rounds.

    python benchmarks/packs.py [--root ROOT] [--copies 1] [--samples 1000] [--rounds 5] [--drawn 400]

``--copies`` multiplies the root's scenes by hard links to reach ``--samples``; without ``--root`` small rooms
are rendered.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader, Subset

import x3spatial as x3
from x3spatial.formats.image_paths import PATH_FIELDS, ImagePaths
from x3spatial.formats.task_file import read_records
from x3spatial.io.images import read_bytes
from x3spatial.io.members import file_at
from x3spatial.training.dataset import LazySupervisedSpatialDataset
from x3spatial.training.setup import processor_for

SPLIT = "validation"
NAME = "t1_val_multi"


def multiplied(root: Path, copies: int, target: Path) -> Path:
    """A root with every scene ``copies`` times, as hard links (copies on another file system).

    Copies of one scene are far apart, so that no row group stores an image once for two of them.
    """
    for scene in sorted((root / SPLIT).iterdir()):
        for number in range(copies):
            for file in scene.rglob("*"):
                if file.is_file() and (".png" in file.suffix or file.name == "scene.json"):
                    place = target / SPLIT / f"c{number}_{scene.name}" / file.relative_to(scene)
                    place.parent.mkdir(parents=True, exist_ok=True)
                    try:
                        os.link(file, place)
                    except OSError:
                        place.write_bytes(file.read_bytes())
    return target


def task_file(root: Path, folder: Path, samples: int) -> Path:
    """A task file of the first samples of every ordered pair of views."""
    x3.build_tasks(root, folder, mode="allpairs", tasks=("t1_multi",), emit_concat=False)
    path = folder / f"{NAME}.json"
    path.write_text(json.dumps(json.loads(path.read_text())[:samples]))
    return path


def of_files(path: Path) -> dict[str, int]:
    """Number and bytes of the files that the records name, and the space that they take on disk."""
    named: set[str] = set()
    for record in read_records(path):
        fields = (getattr(record, name) for name in PATH_FIELDS)
        named.update(file for file in (*record.images, *fields) if file is not None)
    states = [Path(file).stat() for file in named]
    return {
        "files": len(named),
        "bytes": sum(state.st_size for state in states) + path.stat().st_size,
        "on_disk": sum(state.st_blocks * 512 for state in states) + path.stat().st_blocks * 512,
    }


def seconds(work: Callable[[], Any]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def rate_of_loader(source: Path | str, numbers: Sequence[int], workers: int) -> float:
    """Samples per second of the loader of ``x3 sft``."""
    data = _dataset(source)
    loader: DataLoader[Any] = DataLoader(
        Subset(data, numbers),
        batch_size=None,
        num_workers=workers,
        prefetch_factor=8 if workers else None,
    )
    items = iter(loader)
    next(items)  # processes are started and files are open
    start = time.perf_counter()
    count = sum(1 for _ in items)
    return count / (time.perf_counter() - start)


_DATASETS: dict[str, LazySupervisedSpatialDataset] = {}


def _dataset(source: Path | str) -> LazySupervisedSpatialDataset:
    key = str(source)
    if key not in _DATASETS:
        _DATASETS[key] = LazySupervisedSpatialDataset(Path(source), processor_for(None, "resize"))
    return _DATASETS[key]


def rate_of_reads(source: Path | str, numbers: Sequence[int]) -> float:
    """Images read per second, without decoding."""
    path = Path(source)
    records = read_records(path)
    located = ImagePaths(path).records([records[n] for n in numbers])
    paths = [file_at(image) for record in located for image in record.images]
    read_bytes(paths[0])
    return len(paths) / seconds(lambda: [read_bytes(image) for image in paths])


def interleaved(
    sources: dict[str, Path | str], rounds: int, measure: Callable[[Path | str], float]
) -> dict[str, Any]:
    """Median rates, and median ratios to the first source, of rounds in which the sources take turns."""
    found: dict[str, list[float]] = {name: [] for name in sources}
    for number in range(rounds):
        order = list(sources) if number % 2 == 0 else list(reversed(sources))
        for name in order:
            found[name].append(measure(sources[name]))
    first = found[next(iter(sources))]
    rates = {name: float(f"{statistics.median(rate):.4g}") for name, rate in found.items()}
    ratios = {
        f"{name}_of_files": round(
            statistics.median(a / b for a, b in zip(rate, first, strict=True)), 3
        )
        for name, rate in found.items()
        if rate is not first
    }
    return rates | ratios


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--root", type=Path)
    parser.add_argument("--copies", type=int, default=1)
    parser.add_argument("--samples", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--drawn", type=int, default=400)
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        root = options.root
        if root is None:
            root = folder / "rooms"
            x3.render_scenes(root, {"train": 0, "validation": 6}, objects=3, width=112, height=84)
        root = multiplied(root, options.copies, folder / "root")
        tasks = task_file(root, folder / "tasks", options.samples)
        files = of_files(tasks)
        start = time.perf_counter()
        made = x3.pack(tasks, folder / "pack", license="cc0-1.0")
        packing = time.perf_counter() - start
        x3.pack(folder / "pack", "memory://benchmark", license="cc0-1.0")
        pack = folder / "pack" / NAME
        sources: dict[str, Path | str] = {
            "files": tasks, "pack": pack, "memory": f"memory://benchmark/{NAME}",
        }  # fmt: skip
        whole = sum(p.stat().st_size for p in (folder / "pack").rglob("*") if p.is_file())
        records = read_records(tasks)
        drawn = random.Random(0).sample(range(len(records)), min(options.drawn, len(records)))
        opening = interleaved(
            sources, 3, lambda source: seconds(lambda: read_records(Path(source)))
        )
        metrics = {}
        for kind, source in sources.items():
            out = folder / f"{kind}.json"
            x3.evaluate(source, out, "copy-reference")
            x3.evaluate(source, folder / f"{kind}-sift.json", "sift", limit=100)
            metrics[kind] = [
                json.loads(path.read_text())["metrics"]
                for path in (out, folder / f"{kind}-sift.json")
            ]
        print(
            json.dumps(
                {
                    "samples": len(records),
                    "image_size": list(records[0].image_sizes[0]),
                    "files": files,
                    "pack_bytes": whole,
                    "pack_of_files": round(whole / files["bytes"], 3),
                    "pack_of_files_on_disk": round(whole / files["on_disk"], 3),
                    "shards": len(made.manifest["sets"][NAME]["shards"]),
                    "packing_seconds": round(packing, 2),
                    "opening_seconds": opening,
                    "images_read_per_second": interleaved(
                        sources, options.rounds, lambda source: rate_of_reads(source, drawn)
                    ),
                    "loader_samples_per_second": interleaved(
                        sources, options.rounds, lambda source: rate_of_loader(source, drawn, 0)
                    ),
                    "loader_2_processes": interleaved(
                        sources, options.rounds, lambda source: rate_of_loader(source, drawn, 2)
                    ),
                    "evaluations_equal": metrics["files"] == metrics["pack"] == metrics["memory"],
                }
            )
        )


if __name__ == "__main__":
    main()
