"""Cost of `x3 build --tasks all` relative to the codecs it needs; prints one JSON line.

Renders rooms (or takes ``--root``), builds all tasks of them, and times in turn:

- ``build``: `x3 build --tasks all` as a user runs it;
- ``floor``: every input that the images are made of decoded once, as many images of the same kinds, sizes and
  contents encoded and written as the build wrote, and the task files' records encoded and written; images on
  the same number of threads.

``times_floor`` is the median over the rounds of build time / floor time, ``times_floor_cpu`` the same of the
CPU time, which other programs on the machine disturb less.

    python benchmarks/build_all.py [--rooms 4] [--width 640 --height 480] [--mode anchor] [--workers 2]
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import numpy as np

from x3spatial.arrays import UInt8
from x3spatial.builder.options import BuildOptions
from x3spatial.builder.run import build_tasks
from x3spatial.io.images import decode_mask, decode_rgb, encode_jpeg, encode_png
from x3spatial.synth.generate import render_scenes

KINDS = ("marked_abs", "concat_abs", "pairs_abs")


def outputs(built: Path) -> dict[str, list[str]]:
    """Folder of an object, relative to the root → names of the images that the build made of it."""
    found: dict[str, list[str]] = {}
    for kind in KINDS:
        for path in sorted((built / kind).rglob("*.*")):
            folder = path.parent.relative_to(built / kind).as_posix()
            found.setdefault(folder, []).append(path.name)
    return found


def floor_object(root: Path, folder: str, names: list[str], out: Path, quality: int) -> None:
    """Do the codec work of one object."""
    (out / folder).mkdir(parents=True, exist_ok=True)
    files = {path.name[:9]: path for path in sorted((root / folder).glob("*_original.png"))}

    @cache
    def original(view: str) -> UInt8:
        return decode_rgb(files[view].read_bytes())

    @cache
    def removed(view: str) -> UInt8:
        return decode_rgb((root / folder / f"{view}_inpainted.png").read_bytes())

    for path in sorted((root / folder).glob("*_mask.png")):
        decode_mask(path.read_bytes())
    for name in names:
        kind = name.rpartition("_")[2]
        if kind == "concat.jpg":  # 01000010_to_02000020_concat.jpg
            a, b = (f"{part[:2]}_{part[2:8]}" for part in name.split("_to_"))
            data = encode_jpeg(np.concatenate([original(a), original(b)], axis=1), quality)
        elif kind == "marked.png":
            data = encode_png(original(name[:9]))
        else:
            image = removed(name[:9]) if kind == "removed.jpg" else original(name[:9])
            data = encode_jpeg(image, quality)
        (out / folder / name).write_bytes(data)


def seconds(work: Callable[[Path], object]) -> tuple[float, float]:
    """Wall time and CPU time of all threads."""
    out = Path(tempfile.mkdtemp(prefix="x3-bench-"))
    wall, cpu = time.perf_counter(), time.process_time()
    work(out)
    taken = time.perf_counter() - wall, time.process_time() - cpu
    shutil.rmtree(out)
    return taken


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", type=Path, help="a root of x3 scenes, instead of new rooms")
    parser.add_argument("--rooms", type=int, default=4)
    parser.add_argument("--width", type=int, default=640)
    parser.add_argument("--height", type=int, default=480)
    parser.add_argument("--mode", choices=("anchor", "allpairs"), default="anchor")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    options = BuildOptions(tasks=("all",), mode=given.mode)
    with tempfile.TemporaryDirectory(prefix="x3-bench-") as folder:
        root = given.root or Path(folder, "rooms")
        if given.root is None:
            render_scenes(root, {"validation": given.rooms}, width=given.width, height=given.height)
        build_tasks(root, Path(folder, "tasks"), options)
        wanted = outputs(Path(folder, "tasks"))
        task_files = {
            path.name: json.loads(path.read_text())
            for path in Path(folder, "tasks").glob("t*.json")
        }

        def build(out: Path) -> None:
            build_tasks(root, out, options, workers=given.workers)

        def floor(out: Path) -> None:
            with ThreadPoolExecutor(given.workers) as pool:
                jobs = [
                    pool.submit(floor_object, root, key, names, out, options.jpeg_quality)
                    for key, names in wanted.items()
                ]
                for job in jobs:
                    job.result()
            for name, records in task_files.items():
                lines = ",\n".join(json.dumps(one, ensure_ascii=False) for one in records)
                (out / name).write_text(f"[\n{lines}\n]\n")

        rounds = [(seconds(build), seconds(floor)) for _ in range(given.rounds)]
    print(
        json.dumps(
            {
                "benchmark": "build_all",
                "objects": len(wanted),
                "images": sum(map(len, wanted.values())),
                "mode": given.mode,
                "workers": given.workers,
                "build_s": round(statistics.median(one[0] for one, _ in rounds), 3),
                "floor_s": round(statistics.median(other[0] for _, other in rounds), 3),
                "times_floor": round(statistics.median(a[0] / b[0] for a, b in rounds), 3),
                "times_floor_cpu": round(statistics.median(a[1] / b[1] for a, b in rounds), 3),
            }
        )
    )


if __name__ == "__main__":
    main()
