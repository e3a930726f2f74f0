"""Speed of rendering scenes; prints one JSON line.

The ratio of a full to an incremental render of a counterfactual carries over between machines; the
wall-clock and CPU seconds do not.

    python benchmarks/scenes.py [--scenes N] [--workers N]
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import tempfile
import time
from pathlib import Path

import numpy as np

from x3spatial.raycast.tracer import backend
from x3spatial.synth.generate import render_scenes
from x3spatial.synth.options import SceneOptions
from x3spatial.synth.plan import make_plan
from x3spatial.synth.rendering.counterfactual import remove
from x3spatial.synth.rendering.denoise import final_image
from x3spatial.synth.rendering.render import render


def counterfactual_ratio(width: int, height: int, side: int) -> dict[str, float]:
    """Compare full and incremental counterfactuals of one scene in CPU seconds and pixels."""
    options = SceneOptions(4, 5, width, height, side**2, 0, False, backend())
    plan = make_plan("validation", 0, options)
    full = quick = original_cost = 0.0
    count = differing = 0
    rests = {choice.uid: plan.world.without(choice.uid) for choice in plan.choices}
    for rest in rests.values():
        assert rest.geometry.tracer is not None  # build the trees before timing
    for number, camera in plan.cameras.items():
        start = time.process_time()
        gbuffer = render(plan.world, camera, side)
        original = final_image(gbuffer, height, width, side, plan.exposure)
        original_cost += time.process_time() - start
        for choice in plan.choices:
            if not any(v.camera == number and v.mask.any() for v in choice.views):
                continue
            rest = rests[choice.uid]
            start = time.process_time()
            fast = remove(gbuffer, original, choice.uid, rest, camera, side, plan.exposure)
            middle = time.process_time()
            slow = final_image(render(rest, camera, side), height, width, side, plan.exposure)
            full += time.process_time() - middle
            quick += middle - start
            count += 1
            differing += int(np.count_nonzero((fast != slow).any(axis=-1)))
    return {
        "full_over_incremental": round(full / quick, 2),
        "pixels_differing": differing,
        "seconds_per_original": round(original_cost / len(plan.cameras), 3),
        "seconds_per_counterfactual": round(quick / count, 3),
    }


def timed(folder: Path, **options: object) -> dict[str, float]:
    """Time one run of ``render_scenes`` in wall-clock and CPU seconds."""

    def cpu() -> float:
        usage = [resource.getrusage(w) for w in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        return sum(u.ru_utime + u.ru_stime for u in usage)

    start, before = time.perf_counter(), cpu()
    summary = render_scenes(out_dir=folder, **options)  # type: ignore[arg-type]
    wall = time.perf_counter() - start
    return {
        "views": summary.views,
        "originals": summary.originals,
        "wall_s": round(wall, 2),
        "cpu_s": round(cpu() - before, 2),
        "views_per_cpu_s": round(summary.views / (cpu() - before), 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenes", type=int, default=2, help="number of full-size scenes")
    parser.add_argument("--fast-scenes", type=int, default=20, help="number of scenes with --fast")
    parser.add_argument("--workers", type=int, default=2)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        full = timed(root / "full", scenes={"validation": args.scenes}, workers=args.workers)
        fast = timed(
            root / "fast", scenes={"train": args.fast_scenes}, workers=args.workers, fast=True
        )
    result = {
        "benchmark": "scenes",
        "tracer": backend(),
        "workers": args.workers,
        "load_before": round(os.getloadavg()[0], 2),
        "incremental": counterfactual_ratio(640, 480, 2),
        "full": full,
        "fast": {**fast, "wall_s_per_2000_views": round(2000 * fast["wall_s"] / fast["views"], 1)},
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
