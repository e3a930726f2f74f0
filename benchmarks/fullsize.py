"""Full-size check: write a random 2B checkpoint in bfloat16, load it, answer one two-image question.

``make check-fullsize`` (or ``python benchmarks/fullsize.py``) prints one JSON line with seconds and peak
memory of each step and deletes its files. It needs about 6 GB of disk and 12 GB of memory.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any


def peak_gib() -> float:
    """Return the peak resident memory of this process, mapped file pages included."""
    unit = 1 if sys.platform == "darwin" else 1024
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30, 2)


def write(folder: Path, size: str) -> dict[str, Any]:
    from x3spatial.models.roborefer.inspect import inspect
    from x3spatial.models.roborefer.tiny import make_tiny

    start = time.perf_counter()
    make_tiny(out=folder / "checkpoint", size=size, dtype="bfloat16")
    seconds = time.perf_counter() - start
    report = inspect(path=folder / "checkpoint")
    return {
        "write_s": round(seconds, 1),
        "write_peak_gib": peak_gib(),
        "parameters": report["parameters"],
        "checkpoint_gib": round(report["bytes"] / 2**30, 2),
        "layers_used": report["parts"]["vision_tower"]["layers_used"],
    }


def answer(folder: Path, _: str) -> dict[str, Any]:
    import numpy as np
    from PIL import Image

    from x3spatial.models.roborefer.model import RoboReferModel
    from x3spatial.tasks.question import Question

    random = np.random.default_rng(0)
    images = []
    for name in ("01_a_marked", "02_b_original"):
        coarse = random.integers(0, 256, (15, 20, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize((640, 480)).save(folder / f"{name}.png")
        images.append(folder / f"{name}.png")
    start = time.perf_counter()
    model = RoboReferModel(folder / "checkpoint", device="cpu", max_new_tokens=8)
    dtype = model.model.dtype  # loads the model; weights are mapped and paged in on use
    loaded = time.perf_counter()
    prompt = "The first image shows an object marked in red. Point to it in the second image."
    question = Question("fullsize", "t1_multi", tuple(images), prompt, "")
    prepared = model.prepare([question])
    texts = model.answer([question], prepared)
    done = time.perf_counter()
    return {
        "dtype": str(dtype),
        "load_s": round(loaded - start, 1),
        "answer_s": round(done - loaded, 1),
        "answer_peak_gib": peak_gib(),
        "prompt_tokens": len(prepared.ids["fullsize"]),
        "new_tokens_at_most": 8,
        "answer": texts[0],  # noise, because the weights are random; empty if an id has no token
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--step", choices=("write", "answer"), help="run only this step, in FOLDER")
    parser.add_argument("--folder", type=Path, help="output folder (default: a temporary folder)")
    parser.add_argument(
        "--size", default="2b", help="size of the model as in `x3 model tiny` (default: 2b)"
    )
    options = parser.parse_args()
    if options.step:
        run_step = {"write": write, "answer": answer}[options.step]
        print(json.dumps(run_step(options.folder, options.size)))
        return
    result: dict[str, Any] = {"benchmark": "fullsize"}
    with tempfile.TemporaryDirectory(dir=options.folder) as scratch:
        for step in ("write", "answer"):  # one process per step, so that each has its own peak
            command = [sys.executable, __file__, "--step", step, "--folder", scratch]
            command += ["--size", options.size]
            run = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
            result |= json.loads(run.stdout.splitlines()[-1])
    print(json.dumps(result))


if __name__ == "__main__":
    main()
