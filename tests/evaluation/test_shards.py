"""``x3 eval --shard``; that merged shards give the bytes of one run is in ``test_merging``."""

from __future__ import annotations

from pathlib import Path

import x3spatial as x3
from helpers.roots import make_root
from x3spatial.evaluation.run import evaluate


def test_a_merged_output_is_reported_as_one_run_is(tmp_path: Path) -> None:
    x3.build_tasks(make_root(tmp_path / "root"), tmp_path / "tasks", seed=7, workers=1)
    data, out = tmp_path / "tasks" / "t1_val_multi.json", tmp_path / "out.json"
    whole = evaluate(data, tmp_path / "whole.json", "centre")
    for shard in ("1/2", "2/2"):
        evaluate(data, out, "centre", shard=shard)
    x3.merge(out)
    again = evaluate(data, out, "centre", shard="1/2")
    assert (again.asked, again.kept) == (0, whole.asked) and "build seed 7" in whole.conditions
    assert again.conditions == whole.conditions and again.metrics == whole.metrics
