"""The Croissant metadata of an export, read by its reference implementation (make check-croissant)."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import x3spatial as x3
from helpers.peers import run_peer
from helpers.roots import make_root
from x3spatial.exporters.run import export
from x3spatial.io.images import read_mask

pytestmark = pytest.mark.peer


def test_rows_are_read_by_the_metadata_alone(tmp_path: Path) -> None:
    if "X3_PEER_CROISSANT" not in os.environ:
        pytest.skip("X3_PEER_CROISSANT: no environment of mlcroissant; see make check-croissant")
    root = make_root(tmp_path / "root", scenes=2)
    x3.build_tasks(root, tmp_path / "tasks", tasks=["t1", "t2b"])
    stems = ("t1_train_multi", "t1_val_multi", "t1_val_concat", "t2b_val_multi")
    sources = [tmp_path / "tasks" / f"{stem}.json" for stem in stems]
    export(sources, tmp_path / "hub", "hf-benchmark", license="cc-by-4.0")
    sets = run_peer(os.environ["X3_PEER_CROISSANT"], "croissant_peer.py", tmp_path / "hub")
    names = [
        "t1_multi_train",
        "t1_multi_validation",
        "t1_concat_validation",
        "t2b_multi_validation",
    ]
    assert list(sets) == names
    for name, source in zip(names, sources, strict=True):
        records = x3.read_tasks(source)
        assert [row["id"] for row in sets[name]] == [record.id for record in records]
        for row, record in zip(sets[name], records, strict=True):
            assert (row["prompt"], row["answer"]) == (record.prompt, record.answer)
            assert [image[:2] for image in row["images"]] == [*map(list, record.image_sizes)]
            assert row["image_sizes"] == [*map(list, record.image_sizes)]
            assert record.query_mask is not None
            assert row["query_mask"][2] == read_mask(Path(record.query_mask)).sum()
            point = record.reference_point
            assert row["reference_point"] == (None if point is None else pytest.approx(list(point)))
