"""What a build returns and shows of itself."""

from __future__ import annotations

import time
from pathlib import Path

from helpers.roots import box_mask, make_root, write_view
from x3spatial.builder.run import build_tasks


def test_the_table_counts_what_the_files_hold(tmp_path: Path) -> None:
    # Two objects of three views per split, each hidden in view 3: two pairs from view 1.
    root = make_root(tmp_path / "root")
    # One more whose reference view does not show it: its pairs are left out. Its third view is damaged.
    folder = root / "train" / "train_0" / "uid_9"
    for rank in (1, 2, 3):
        write_view(folder, rank, box_mask(5, 10, 14, 20) & (rank != 1))
    (folder / "03_000030_original.png").write_bytes(b"no image")
    start = time.monotonic()
    summary = build_tasks(root, tmp_path / "out", workers=2)
    run = summary.manifest["run"]
    assert 0 < run["seconds"] <= time.monotonic() - start + 0.001
    assert (run["seconds"], run["workers"]) == (round(run["seconds"], 3), 2)
    assert (summary.records, summary.objects, summary.objects_built) == (29, 5, 5)
    table = summary.table()
    assert table.title == f"{tmp_path / 'out'}: tight masks preferred, seed 42"
    assert table.columns == (
        "split", "objects", "views", "views not visible", "views left out", "pairs",
        "pairs with empty reference", "t1_multi", "t1_concat", "t2a_multi", "t2b_multi",
    )  # fmt: skip
    assert [" ".join(row) for row in table.rows] == [
        "train 3 8 3 1 4 1 4 4 2 5",
        "validation 2 6 2 0 4 0 4 4 2 4",
    ]
    assert table.notes == ("29 samples of 5 objects (5 built now), 1 problem",)
    again = build_tasks(root, tmp_path / "out")
    assert again.table().rows == table.rows and again.objects_built == 0


def test_an_empty_split_has_a_row_of_zeros(tmp_path: Path) -> None:
    root = make_root(tmp_path / "root", splits=("train",), objects=1)
    summary = build_tasks(root, tmp_path / "out", tasks=("t2b",))
    assert [" ".join(row) for row in summary.table().rows] == [
        "train 1 3 1 0 2 0 2",
        "validation 0 0 0 0 0 0 0",
    ]
