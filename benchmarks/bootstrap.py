"""Speed-up of the vectorised bootstrap over a plain loop; prints one JSON line.

Both compute all intervals of the same 100,000 samples in 1,000 scenes. The loop draws scenes, gathers their
samples and recomputes every metric; it is timed over a few resamples and extrapolated to all of them.

    python benchmarks/bootstrap.py [--samples 100000] [--scenes 1000] [--loop 20]
"""

from __future__ import annotations

import argparse
import json
import time

import numpy as np

from x3spatial.evaluation.statistics.intervals import RESAMPLES, Clusters, draw_counts, intervals
from x3spatial.evaluation.statistics.metrics import Table, estimated, value_of


def random_table(samples: int, rng: np.random.Generator) -> Table:
    visible = rng.random(samples) < 0.7
    said_point = rng.random(samples) < 0.8
    measured = visible & said_point
    l2 = np.where(measured, np.abs(rng.normal(0, 0.2, samples)), np.nan)
    none = np.zeros(samples, dtype=bool)
    return Table(
        error=none,
        visible=visible,
        hidden=~visible,
        said_not_visible=~said_point,
        said_point=said_point,
        unparsed=none,
        contradictory=none,
        out_of_range=none,
        missing_mask=none,
        cut_off=none,
        evaluated=np.full(samples, np.nan),
        l2=l2,
        l2_full=np.full(samples, np.nan),
        hit=np.where(visible, np.nan_to_num(l2, nan=9.0) < 0.1, np.nan),
        hit_tight=np.where(visible, np.nan_to_num(l2, nan=9.0) < 0.05, np.nan),
        at_removed=np.full(samples, np.nan),
        correct=np.full(samples, np.nan),
        asked_box=none,
        iou=np.full(samples, np.nan),
        centre_in_mask=np.full(samples, np.nan),
        swapped=none,
        degenerate=none,
    )


def plain_loop(table: Table, clusters: Clusters, resamples: int) -> None:
    members = [np.flatnonzero(clusters.index == scene) for scene in range(clusters.count)]
    rng = np.random.default_rng(0)
    for _ in range(resamples):
        drawn = rng.integers(0, clusters.count, clusters.count)
        resample = table.take(np.concatenate([members[scene] for scene in drawn]))
        for name in estimated(table):
            value_of(name, resample)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=int, default=100_000)
    parser.add_argument("--scenes", type=int, default=1_000)
    parser.add_argument(
        "--loop", type=int, default=20, help="number of resamples to time the loop over"
    )
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    table = random_table(options.samples, rng)
    index = rng.integers(0, options.scenes, options.samples)
    clusters = Clusters("scene", index, options.scenes, index)
    next(draw_counts(options.scenes, 1, 0))  # imports and page faults are not what is measured

    start = time.perf_counter()
    intervals(table, clusters)
    vectorised = time.perf_counter() - start
    start = time.perf_counter()
    plain_loop(table, clusters, options.loop)
    loop = (time.perf_counter() - start) / options.loop * RESAMPLES
    print(
        json.dumps(
            {
                "benchmark": "bootstrap",
                "samples": options.samples,
                "scenes": options.scenes,
                "resamples": RESAMPLES,
                "seconds": round(vectorised, 3),
                "plain_loop_seconds": round(loop, 1),
                "ratio": round(loop / vectorised, 1),
            }
        )
    )


if __name__ == "__main__":
    main()
