"""Speed of `x3 build` relative to its image codecs and to a plain loop; prints one JSON line.

Makes 50 objects x 5 views of photo-like images of 640x480, then times:

- ``build``: `x3 build` as a user runs it;
- ``floor``: only the necessary decodes and encodes, on the same number of threads;
- ``plain``: one process that decodes both images of every pair again and writes a marked image of
  every view with Pillow's default PNG settings.

``of_floor`` is floor time / build time (1.0: nothing but codecs). ``times_plain`` is plain time /
build time. A build is one process; its workers are threads.
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
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from x3spatial.builder.options import BuildOptions
from x3spatial.builder.run import build_tasks
from x3spatial.io.images import (
    decode_mask,
    decode_rgb,
    encode_jpeg,
    encode_mask_png,
    encode_png,
)

WIDTH, HEIGHT, VIEWS = 640, 480, 5
QUALITY = 95


def make_root(root: Path, objects: int) -> None:
    rng = np.random.default_rng(0)
    for number in range(objects):
        folder = root / "train" / f"scene_{number // 10}" / f"uid_{number}"
        folder.mkdir(parents=True)
        for rank in range(1, VIEWS + 1):
            # Noise blurred at two scales compresses about as well as a photograph.
            fine = cv2.GaussianBlur(rng.normal(0, 70, (HEIGHT, WIDTH, 3)).astype("f4"), (0, 0), 1.4)
            coarse = cv2.resize(rng.normal(0, 40, (12, 16, 3)).astype("f4"), (WIDTH, HEIGHT))
            image = np.clip(128 + fine + coarse, 0, 255).astype(np.uint8)
            x, y = int(rng.integers(40, 500)), int(rng.integers(40, 360))
            mask = np.zeros((HEIGHT, WIDTH), dtype=bool)
            mask[y : y + 71, x : x + 91] = True
            inpainted = image.copy()
            inpainted[mask] = 255 - inpainted[mask]
            prefix = folder / f"{rank:02d}_{rank * 10:06d}"
            files = {
                "original": encode_png(image),
                "inpainted": encode_png(inpainted),
                "mask": encode_mask_png(mask),
                "mask_dialated": encode_mask_png(mask),
            }
            for kind, data in files.items():
                prefix.with_name(f"{prefix.name}_{kind}.png").write_bytes(data)


def floor_object(job: tuple[str, str]) -> None:
    """Do the necessary codec work of one object in anchor mode."""
    folder, out = Path(job[0]), Path(job[1])
    out.mkdir(parents=True, exist_ok=True)
    originals = [decode_rgb(p.read_bytes()) for p in sorted(folder.glob("*_original.png"))]
    for path in sorted(folder.glob("*_mask_dialated.png")):
        decode_mask(path.read_bytes())
    (out / "marked.png").write_bytes(encode_png(originals[0]))
    pair = np.concatenate([originals[0], originals[1]], axis=1)
    for rank in range(1, len(originals)):
        (out / f"{rank}.jpg").write_bytes(encode_jpeg(pair, QUALITY))


def floor(root: Path, out: Path, workers: int) -> None:
    jobs = [(str(f), str(out / f.name)) for f in sorted(root.glob("train/*/uid_*"))]
    if workers == 1:
        for job in jobs:
            floor_object(job)
        return
    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(floor_object, jobs))


def plain(root: Path, out: Path) -> None:
    """Build without caching: decode both images for every pair, with Pillow."""
    for folder in sorted(root.glob("train/*/uid_*")):
        target = out / folder.name
        target.mkdir(parents=True, exist_ok=True)
        views = sorted(folder.glob("*_original.png"))
        for view in views:
            image = np.asarray(Image.open(view).convert("RGB"), dtype=np.float32)
            mask = np.asarray(Image.open(str(view).replace("original", "mask_dialated"))) > 0
            marked = image.copy()
            marked[mask] = 0.55 * marked[mask] + 0.45 * np.array([255, 0, 0], dtype=np.float32)
            Image.fromarray(marked.astype(np.uint8)).save(target / f"{view.stem}_marked.png")
        for query in views[1:]:
            a, b = (np.asarray(Image.open(p).convert("RGB")) for p in (views[0], query))
            for view in (views[0], query):
                mask = np.asarray(Image.open(str(view).replace("original", "mask_dialated"))) > 0
                np.where(mask)
            both = Image.fromarray(np.concatenate([a, b], axis=1))
            both.save(target / f"{query.stem}_concat.jpg", quality=QUALITY)


def seconds(work: Callable[[Path], None], repeats: int) -> float:
    taken = []
    for _ in range(repeats):
        out = Path(tempfile.mkdtemp(prefix="x3-bench-"))
        start = time.perf_counter()
        work(out)
        taken.append(time.perf_counter() - start)
        shutil.rmtree(out)
    return statistics.median(taken)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--objects", type=int, default=50)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()

    def build(out: Path, workers: int) -> None:
        options = BuildOptions(use_dilated_mask=True, jpeg_quality=QUALITY)
        build_tasks(data_root=root, out_dir=out, options=options, workers=workers)

    root = Path(tempfile.mkdtemp(prefix="x3-bench-root-"))
    try:
        make_root(root, arguments.objects)
        size = statistics.mean(p.stat().st_size for p in root.rglob("*_original.png"))
        many, repeats = arguments.workers, arguments.repeats
        build_many = seconds(lambda out: build(out, many), repeats)
        floor_many = seconds(lambda out: floor(root, out, many), repeats)
        build_one = seconds(lambda out: build(out, 1), repeats)
        floor_one = seconds(lambda out: floor(root, out, 1), repeats)
        plain_one = seconds(lambda out: plain(root, out), 1)
    finally:
        shutil.rmtree(root)
    print(
        json.dumps(
            {
                "benchmark": "build",
                "objects": arguments.objects,
                "original_kb": round(size / 1000),
                "workers": many,
                "build_s": round(build_many, 3),
                "of_floor": round(floor_many / build_many, 3),
                "build_1_worker_s": round(build_one, 3),
                "of_floor_1_worker": round(floor_one / build_one, 3),
                "plain_s": round(plain_one, 3),
                "times_plain": round(plain_one / build_many, 2),
                "times_plain_1_worker": round(plain_one / build_one, 2),
            }
        )
    )


if __name__ == "__main__":
    main()
