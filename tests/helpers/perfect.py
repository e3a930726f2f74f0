"""What a perfect result is, metric by metric."""

from __future__ import annotations

from pathlib import Path

import pytest

from x3spatial.builder.options import BuildOptions
from x3spatial.evaluation.run import evaluate
from x3spatial.evaluation.statistics.metrics import COUNTS, ESTIMATED
from x3spatial.evaluation.twins import follows
from x3spatial.formats.results_file import read_results
from x3spatial.formats.task_file import read_records
from x3spatial.pipeline import zeroshot
from x3spatial.tasks.spec import TASKS

ZERO = frozenset({
    "false_not_visible_rate", "points_at_removed", "mean_l2_error", "mean_l2_error_full",
    "std_l2_error", "median_l2_error",
    "parse_failures", "out_of_range", "contradictory", "missing_mask", "cut_off", "errors",
})  # fmt: skip
TOTALS = frozenset(COUNTS) - ZERO
"""Numbers of samples, which are as they are."""


def check_perfect(results: Path, *, dilated: bool) -> None:
    """Assert that every metric of a results file is perfect, and every figure of its consistency.

    Metrics with a denominator of zero are null. With dilated masks a right answer may miss the tight mask.
    """
    found = read_results(results)
    assert found.metrics["total"]
    for name, value in found.metrics.items():
        where = f"{results.name}: {name}"
        if name in TOTALS or value is None or (name == "hit_at_mask_tight" and dilated):
            continue
        if name in ZERO:
            assert value == pytest.approx(0.0, abs=1e-12), where
        else:
            assert name in ESTIMATED and value == 1.0, where
    assert found.metrics["hit_at_mask_count"] == found.metrics["hit_at_mask_total"]
    for name, row in found.consistency.items():
        assert row.value in (1.0, None), name
    hits = [part.metrics["hit_at_mask"] for part in found.by_mask_area]
    hits += [part.metrics["hit_at_mask"] for parts in found.by_stratum.values() for part in parts]
    assert set(hits) <= {1.0, None}


def check_oracle(root: Path, folder: Path, options: BuildOptions) -> dict[str, int]:
    """Build all tasks of a root and assert that the oracle is perfect on every file that has samples.

    Returns:
        Task → number of samples in all splits.
    """
    summary = zeroshot(root, folder / "eval", ["oracle"], options, tasks_dir=folder / "tasks",
                       sets="all", workers=1)  # fmt: skip
    for part in summary.sets:
        if part.samples:
            check_perfect(folder / "eval" / part.data_json.name, dilated=options.use_dilated_mask)
    for row in summary.consistency.get("oracle", {}).values():
        assert row.value in (1.0, None)
    built = summary.built
    assert built is not None
    for name in set(built.manifest["files"]) - {part.data_json.name for part in summary.sets}:
        data = folder / "tasks" / name
        if read_records(data):
            evaluate(data, folder / "other" / name, model="oracle", workers=1)
            check_perfect(folder / "other" / name, dilated=options.use_dilated_mask)
    train = folder / "tasks" / TASKS["t1_counterfactual"].file("train")
    if train.exists():
        plain, removed = (
            folder / "other" / TASKS[task].file("train")
            for task in ("t1_multi", "t1_counterfactual")
        )
        row = follows(read_results(plain), read_results(removed), read_records(train))
        assert row.value == 1.0 and row.units == len(read_records(train))
    counts = built.manifest["counts"].values()
    return {task: sum(c["samples"].get(task, 0) for c in counts) for task in TASKS}
