"""Time, memory and size of ``x3 report``: 100,000 samples of 400 images, answered by four runs.

``python benchmarks/report.py`` prints one JSON line. The samples are 320 pairs of views, asked again under
other ids; the answers are drawn at random. ``--keep DIR`` leaves inputs and report there, to open the page.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from x3spatial.evaluation.assess import score_run
from x3spatial.evaluation.inference import Reply
from x3spatial.evaluation.provenance import data_provenance, versions
from x3spatial.formats.results_file import ModelInfo, RunInfo, RunSettings, write_results
from x3spatial.formats.task_file import TaskRecord
from x3spatial.io.files import sha256_file
from x3spatial.io.images import encode_mask_png, encode_png
from x3spatial.io.json_stream import JsonArrayWriter

OBJECTS, VIEWS = 80, 5
WIDTH, HEIGHT = 640, 480
PROMPT = (
    "The first image shows a scene with one object marked in red. The second image shows the same room"
    " from a different viewpoint. Point to the same object in the second image. Answer with [(x, y)]"
    " between 0 and 1, or NOT_VISIBLE if the object cannot be seen."
)


def make_images(root: Path) -> dict[tuple[int, int], tuple[float, float]]:
    """Write originals, marked references and masks; returns the place of each object in each view."""
    random = np.random.default_rng(0)
    places = {}
    for number in range(OBJECTS):
        folder = root / "validation" / f"scene{number // 4:04d}_00" / f"uid_{number}"
        folder.mkdir(parents=True)
        for view in range(1, VIEWS + 1):
            coarse = random.integers(0, 256, (15, 20, 3), dtype=np.uint8)
            smooth = np.asarray(cv2.resize(coarse, (WIDTH, HEIGHT)), np.uint8) // 2
            image = smooth + random.integers(0, 6, smooth.shape, dtype=np.uint8)
            x, y = (float(v) for v in random.uniform(0.2, 0.8, 2))
            places[number, view] = x, y
            mask = np.zeros((HEIGHT, WIDTH), np.uint8)
            cv2.ellipse(mask, (int(x * WIDTH), int(y * HEIGHT)), (50, 35), 30, 0, 360, 1, -1)
            stem = folder / f"{view:02d}_{view * 10:06d}"
            Path(f"{stem}_original.png").write_bytes(encode_png(image))
            Path(f"{stem}_mask.png").write_bytes(encode_mask_png(mask > 0))
            if view == 1:
                image[mask > 0] = (255, 0, 0)
                Path(f"{stem}_marked.png").write_bytes(encode_png(image))
    return places


def records(
    root: Path, places: dict[tuple[int, int], tuple[float, float]], count: int
) -> Iterator[TaskRecord]:
    """``count`` samples of Task1 multi."""
    pairs = [(number, view) for number in range(OBJECTS) for view in range(2, VIEWS + 1)]
    for sample in range(count):
        number, view = pairs[sample % len(pairs)]
        scene = f"scene{number // 4:04d}_00"
        folder = root / "validation" / scene / f"uid_{number}"
        x, y = places[number, view]
        query = f"{folder}/{view:02d}_{view * 10:06d}"
        yield TaskRecord(
            id=f"T1_MULTI_{scene}_uid{number}_A01000010_B{view:02d}{view * 10:06d}_{sample}",
            task="t1_multi",
            image=(f"{folder}/01_000010_marked.png", f"{query}_original.png"),
            query_original=f"{query}_original.png",
            prompt=PROMPT,
            answer=f"[({x:.3f}, {y:.3f})]",
            split="validation",
            scene=scene,
            uid=str(number),
            label=f"object {number % 20}",
            query_mask=f"{query}_mask.png",
            query_mask_kind="tight",
            image_sizes=((WIDTH, HEIGHT), (WIDTH, HEIGHT)),
            mask_area_fraction=0.018,
        )


def make_results(tasks: Path, asked: list[TaskRecord], path: Path, seed: int) -> None:
    """A results file of a model that is right more often, the higher its number is."""
    random = np.random.default_rng(seed)
    sha256 = sha256_file(tasks)
    replies = {}
    for record in asked:
        x, y = json.loads(record.answer.replace("(", "[").replace(")", "]"))[0]
        offset = random.normal(0, 0.02 + 0.2 * random.random() ** (1 + seed), 2)
        text = f"[({x + offset[0]:.3f}, {y + offset[1]:.3f})]"
        chance = random.random()
        text = (
            "NOT_VISIBLE" if chance < 0.05 else "I see no such object." if chance < 0.08 else text
        )
        replies[record.id] = Reply(text)
    scored = score_run(asked, replies, convention="unit", rule="x3", mask="auto", workers=2)
    name = f"model-{seed}"
    settings = RunSettings(
        model=name, describe={}, convention="unit", data_sha256=sha256, max_new_tokens=64, seed=0
    )
    run = RunInfo(
        seconds=1.0, samples_per_second=1.0, asked=0, host="", workers=1, batch_size=8, date=""
    )
    done = scored.complete(
        settings=settings,
        versions=versions(),
        model=ModelInfo(name=name, convention="unit"),
        data=data_provenance(tasks, sha256),
        run=run,
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    write_results(path, done)


def make_inputs(folder: Path, samples: int, runs: int) -> Path:
    """Images, a task file and results; returns the folder of the results."""
    root, tasks = folder / "root", folder / "tasks" / "t1_val_multi.json"
    places = make_images(root)
    asked = list(records(root, places, samples))
    tasks.parent.mkdir()
    with JsonArrayWriter(tasks) as writer:
        for record in asked:
            writer.write(record.to_json())
    for seed in range(runs):
        make_results(tasks, asked, folder / "results" / f"model-{seed}" / tasks.name, seed)
    return folder / "results"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=100_000)
    parser.add_argument("--runs", type=int, default=4)
    parser.add_argument("--images", default="copy")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--keep", type=Path, help="leave inputs and report in this new folder")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.keep or Path(temporary)
        results = folder / "results"
        if not results.is_dir():
            folder.mkdir(parents=True, exist_ok=True)
            # In another process: a child's peak memory begins with that of the process that starts it.
            making = multiprocessing.get_context("spawn").Process(
                target=make_inputs, args=(folder, arguments.samples, arguments.runs)
            )
            making.start()
            making.join()
        command = [
            sys.executable, "-m", "x3spatial", "report", str(results), "-o", str(folder / "report"),
            "--images", arguments.images, "--workers", str(arguments.workers), "--json", "--quiet",
        ]  # fmt: skip
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        started = time.perf_counter()
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        seconds = time.perf_counter() - started
        found = json.loads(done.stdout)
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
    figures = {
        "benchmark": "report",
        "samples": arguments.samples,
        "runs": arguments.runs,
        "images": arguments.images,
        "workers": arguments.workers,
        "seconds": round(seconds, 1),
        "cpu_seconds": round(used.ru_utime + used.ru_stime - before.ru_utime - before.ru_stime, 1),
        "load": round(os.getloadavg()[0], 1),
        "peak_memory_mb": round(used.ru_maxrss / 1024),
        "files": found["files"],
        "report_mb": round(found["size"] / 1e6, 1),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
