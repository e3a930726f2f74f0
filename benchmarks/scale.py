"""Cost of a data root of the document's size, 15,000 objects in 5 views each; prints one JSON line.

The root is made of links: some 200 real objects stand in it many times, in scenes of other names. Rooms of
the first nine tenths are train, the others validation, so that no image is in two splits. Each command runs
in a process of its own, for every number of ``--objects`` in turn:

- ``audit``: `x3 audit`;
- ``build``: `x3 build --emit-concat 0`;
- ``build again``: the same command on the finished build, which finds nothing to do;
- ``build concat``: `x3 build`, up to ``--concat-objects``;
- ``eval``: `x3 eval --model centre` of t1_train_multi.json.

``cpu_s`` is user and system time, ``peak_mb`` the largest resident size in 10^6 bytes, ``growth`` the CPU
time per object at the largest number over that at the smallest (1: linear; below 1, because every process
starts once). Linked images are decoded as often as others, but have few different contents. An audit keeps a
digest of every content, so ``--distinct`` writes every image anew with a comment of its own (5 GB for 15,000
objects of 112 px).
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

Object = tuple[Path, Path]
"""Folders of a scene and of one of its objects."""


def real_objects(root: Path) -> list[list[Object]]:
    """The objects of a root by scene."""
    scenes = sorted({folder.parent for folder in root.glob("*/*/uid_*")})
    return [[(scene, folder) for folder in sorted(scene.glob("uid_*"))] for scene in scenes]


def commented(data: bytes, text: str) -> bytes:
    """A PNG file with a comment before its end."""
    body = b"tEXtComment\0" + text.encode()
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    return data[:-12] + chunk + data[-12:]


def place(folder: Path, target: Path, *, distinct: bool) -> None:
    """Put an object into another scene: a link, or new files with other bytes."""
    if not distinct:
        target.symlink_to(folder.resolve())
        return
    target.mkdir()
    for file in folder.iterdir():
        if file.name.endswith(("_original.png", "_inpainted.png")):
            (target / file.name).write_bytes(commented(file.read_bytes(), str(target)))
        else:
            (target / file.name).symlink_to(file.resolve())


def make_root(source: Path, root: Path, objects: int, *, distinct: bool) -> None:
    """Make a root of this many objects out of the scenes of another."""
    scenes = real_objects(source)
    train = len(scenes) * 9 // 10
    left = objects
    for number in count():
        for index, members in enumerate(scenes):
            split = "train" if index < train else "validation"
            scene = root / split / f"room_{index:03d}_{number:03d}"
            scene.mkdir(parents=True)
            about = members[0][0] / "scene.json"
            if about.exists():
                (scene / about.name).symlink_to(about.resolve())
            for _, folder in members[:left]:
                place(folder, scene / folder.name, distinct=distinct)
            left -= len(members[:left])
            if not left:
                return


def measured(name: str, objects: int, arguments: list[str]) -> dict[str, Any]:
    """Run an x3 command and measure it.

    Raises:
        SystemExit: it failed.
    """
    start = time.perf_counter()
    command = [sys.executable, "-m", "x3spatial", *arguments, "--quiet"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    code = process.returncode = os.waitstatus_to_exitcode(status)
    if code not in (0, 1):  # 1: an audit that found something
        raise SystemExit(f"{' '.join(arguments)}: exit code {code}")
    scale = 1 if sys.platform == "darwin" else 1024
    found = {
        "step": name,
        "objects": objects,
        "wall_s": round(time.perf_counter() - start, 1),
        "cpu_s": round(usage.ru_utime + usage.ru_stime, 1),
        "peak_mb": round(usage.ru_maxrss * scale / 1e6),
        "load": round(os.getloadavg()[0], 1),
        "code": code,
    }
    print(json.dumps(found), file=sys.stderr)
    return found


def steps(
    root: Path, out: Path, objects: int, *, concat: bool, workers: list[str]
) -> Iterator[dict[str, Any]]:
    """Run and measure all commands on a root."""
    yield measured("audit", objects, ["audit", str(root), *workers])
    build = ["build", str(root), "-o", str(out / "tasks"), "--emit-concat", "0", *workers]
    yield measured("build", objects, build)
    yield measured("build again", objects, build)
    if concat:
        both = ["build", str(root), "-o", str(out / "concat"), *workers]
        yield measured("build concat", objects, both)
        shutil.rmtree(out / "concat")
    tasks = str(out / "tasks" / "t1_train_multi.json")
    results = str(out / "results.json")
    yield measured("eval", objects, ["eval", tasks, "-o", results, "--model", "centre"])


def growth(found: list[dict[str, Any]]) -> dict[str, float]:
    """Step → CPU time per object at the largest number of objects over that at the smallest."""
    by_step: dict[str, list[float]] = {}
    for entry in sorted(found, key=lambda entry: int(entry["objects"])):
        by_step.setdefault(entry["step"], []).append(entry["cpu_s"] / entry["objects"])
    return {step: round(v[-1] / v[0], 2) for step, v in by_step.items() if len(v) > 1}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--objects", type=int, nargs="+", default=[1500, 15000])
    parser.add_argument("--concat-objects", type=int, default=1500)
    parser.add_argument("--root", type=Path, help="real objects; default: 50 rooms are rendered")
    parser.add_argument("--scratch", type=Path, help="folder for everything that is written")
    parser.add_argument("--distinct", action="store_true", help="images of other bytes, not links")
    parser.add_argument("--workers", type=int)
    arguments = parser.parse_args()
    workers = [] if arguments.workers is None else ["--workers", str(arguments.workers)]
    with tempfile.TemporaryDirectory(prefix="x3-scale-", dir=arguments.scratch) as name:
        scratch = Path(name)
        source = arguments.root
        if source is None:
            source = scratch / "rooms"
            rooms = ["--fast", "--train", "45", "--validation", "5"]
            measured("scenes", 200, ["scenes", str(source), *rooms])
        found: list[dict[str, Any]] = []
        for objects in arguments.objects:
            folder = scratch / str(objects)
            make_root(source, folder / "root", objects, distinct=arguments.distinct)
            concat = objects <= arguments.concat_objects
            found += steps(folder / "root", folder, objects, concat=concat, workers=workers)
            shutil.rmtree(folder)
    line = {
        "benchmark": "scale",
        "distinct": arguments.distinct,
        "steps": found,
        "growth": growth(found),
    }
    print(json.dumps(line))


if __name__ == "__main__":
    main()
