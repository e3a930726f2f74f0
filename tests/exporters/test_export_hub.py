"""A data set of the Hugging Face Hub: tables, card, Croissant metadata, eval.yaml."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

import x3spatial as x3
from helpers.export_sets import four_set
from helpers.roots import make_root, tree_bytes
from helpers.task_sets import box_mask, make_record, write_set
from x3spatial.errors import UserError
from x3spatial.exporters import tables
from x3spatial.exporters.hub.sets import set_of
from x3spatial.exporters.run import export
from x3spatial.formats.hub import size_category
from x3spatial.io.images import read_mask, read_rgb
from x3spatial.training.rewards import hit_at_mask

datasets = pytest.importorskip("datasets")
STEMS = {
    "t1_train_multi": ("t1_multi", "train"),
    "t1_val_multi": ("t1_multi", "validation"),
    "t1_val_concat": ("t1_concat", "validation"),
    "t2b_val_multi": ("t2b_multi", "validation"),
    "t2a_val_multi": ("t2a_multi", "validation"),
}


@pytest.fixture(scope="module")
def tasks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hub")
    x3.build_tasks(
        make_root(folder / "root", scenes=2), folder / "tasks", tasks=["t1", "t2a", "t2b"]
    )
    return folder / "tasks"


@pytest.fixture(scope="module")
def hub(tasks: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hub") / "bench"
    sources = [tasks / f"{stem}.json" for stem in STEMS]
    export(sources, folder, "hf-benchmark", license="cc-by-4.0", title="Rooms: two")
    return folder


def header(folder: Path) -> dict[str, Any]:
    _, top, _ = (folder / "README.md").read_text().split("---\n", 2)
    value: dict[str, Any] = yaml.safe_load(top)
    return value


@pytest.mark.parametrize("stem", STEMS)
def test_load_dataset_reads_images_and_masks(
    stem: str, tasks: Path, hub: Path, tmp_path: Path
) -> None:
    config, split = STEMS[stem]
    rows = datasets.load_dataset(str(hub), config, split=split, cache_dir=str(tmp_path))
    records = x3.read_tasks(tasks / f"{stem}.json")
    assert len(rows) == len(records) > 0
    for row, record in zip(rows, records, strict=True):
        assert (row["id"], row["prompt"], row["answer"]) == (
            record.id,
            record.prompt,
            record.answer,
        )
        for image, path in zip(row["images"], record.images, strict=True):
            assert np.array_equal(np.asarray(image.convert("RGB")), read_rgb(Path(path)))
        assert record.query_mask is not None
        assert np.array_equal(np.asarray(row["query_mask"]) > 0, read_mask(Path(record.query_mask)))
    columns = {
        name: rows[name] for name in ("query_mask", "answer", "task", "convention", "pixel_sizes")
    }  # as the card says
    assert hit_at_mask(list(rows["answer"]), **columns) == [1.0] * len(rows)


def test_the_card(tasks: Path, hub: Path) -> None:
    found = header(hub)
    assert (found["license"], found["pretty_name"]) == ("cc-by-4.0", "Rooms: two")
    assert found["size_categories"] == ["n<1K"] and found["task_categories"]
    assert datasets.get_dataset_config_names(str(hub)) == [
        "t1_multi", "t1_concat", "t2b_multi", "t2a_multi",
    ]  # fmt: skip
    body = (hub / "README.md").read_text()
    records = x3.read_tasks(tasks / "t1_val_multi.json")
    absent = sum(record.answer == "NOT_VISIBLE" for record in records)
    numbers = f"| {len(records)} | {len(records) - absent} | {absent} | 2 |"
    assert f"| `t1_multi` | validation | Task1 multi {numbers} `balanced_accuracy` |" in body
    assert "| `t2b_multi` | validation | Task2B |" in body and "`hit_at_mask` |" in body
    assert '"t1_multi", split="validation"' in body  # not the split for training


def test_the_leaderboard(hub: Path) -> None:
    found = yaml.safe_load((hub / "eval.yaml").read_text())
    assert found["name"] == "Rooms: two" and found["description"]
    assert found["tasks"] == [
        {"id": config, "config": config, "split": split}
        for config, split in STEMS.values()
        if split != "train"
    ]
    assert "t2a_multi (not_visible_accuracy)" in found["description"]


def test_the_croissant_metadata(hub: Path) -> None:
    """make check-croissant reads the rows by it; here: files, checksums, columns."""
    found = json.loads((hub / "croissant.json").read_text())
    assert found["license"] == "cc-by-4.0"
    files = [part for part in found["distribution"] if part["@type"] == "cr:FileObject"]
    assert {file["contentUrl"] for file in files} == {
        path.relative_to(hub).as_posix() for path in hub.glob("*/*.parquet")
    }
    for file in files:
        data = (hub / file["contentUrl"]).read_bytes()
        assert file["sha256"] == hashlib.sha256(data).hexdigest()
        assert file["contentSize"] == f"{len(data)} B"
    assert len(found["recordSet"]) == len(STEMS)
    columns = [*tables.row_features(datasets)]
    for records in found["recordSet"]:
        assert [field["name"] for field in records["field"]] == columns


def test_sets_larger_than_a_file(
    tasks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "ROWS", 3)
    monkeypatch.setattr(tables, "SHARD_BYTES", 1)
    source = tasks / "t1_val_multi.json"
    export(source, tmp_path / "out", "hf-benchmark")
    records = x3.read_tasks(source)
    count = -(-len(records) // 3)
    assert [path.name for path in sorted((tmp_path / "out/t1_val_multi").iterdir())] == [
        f"validation-{number:05d}-of-{count:05d}.parquet" for number in range(count)
    ]
    rows = datasets.load_dataset(
        str(tmp_path / "out"), "t1_multi", split="validation", cache_dir=str(tmp_path / "cache")
    )
    assert list(rows["id"]) == [record.id for record in records]


def test_equal_exports_have_equal_bytes(tasks: Path, tmp_path: Path) -> None:
    source = tasks / "t1_val_multi.json"
    export(source, tmp_path / "out", "hf-benchmark")
    before = tree_bytes(tmp_path / "out")
    assert not export(source, tmp_path / "out", "hf-benchmark").written
    assert header(tmp_path / "out")["license"] == "unknown"
    export(source, tmp_path / "out", "hf-benchmark", fresh=True)
    assert tree_bytes(tmp_path / "out") == before
    assert export(source, tmp_path / "out", "hf-benchmark", license="mit").written
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/README.md").write_text("keep")
    with pytest.raises(UserError, match=r"holds README\.md, which x3 export did not write"):
        export(source, tmp_path / "mine", "hf-benchmark")
    assert (tmp_path / "mine/README.md").read_text() == "keep"


def test_task_files_of_other_names(tmp_path: Path) -> None:
    assert (set_of("t2b_val_unchanged").config, set_of("t2b_val_unchanged").split) == (
        "t2b_unchanged", "validation",
    )  # fmt: skip
    mine = set_of("my set: 1")
    assert (mine.config, mine.split, mine.folder) == ("my_set__1", "test", "my set: 1")
    record = make_record(tmp_path / "data", "01", box_mask(32, 24, 4, 5, 10, 11))
    one, other = (write_set(tmp_path / name, [record]) for name in ("a b.json", "a_b.json"))
    with pytest.raises(UserError, match="a_b and a b: both would be a_b, split test; rename one"):
        export([one, other], tmp_path / "out", "hf-benchmark")
    assert not (tmp_path / "out/README.md").exists()
    readme = write_set(tmp_path / "README.md.json", [record])
    with pytest.raises(UserError, match=r"would be written as README\.md, which is taken"):
        export(readme, tmp_path / "out", "hf-benchmark")


def test_options_of_the_card(tmp_path: Path) -> None:
    source = four_set(tmp_path / "data")
    with pytest.raises(UserError, match="--license mit: --to trl has no card"):
        export(source, tmp_path / "out", "trl", license="mit")
    with pytest.raises(UserError, match="--title T: --to llava has no card"):
        export(source, tmp_path / "out", "llava", title="T")
    with pytest.raises(UserError, match="--license Not a licence: must be an identifier"):
        export(source, tmp_path / "out", "hf-benchmark", license="Not a licence")
    with pytest.raises(UserError, match=r"--title .*: must be one line"):
        export(source, tmp_path / "out", "hf-benchmark", title="a\nb")


def test_sizes() -> None:
    sizes = [size_category(rows) for rows in (0, 999, 1000, 99_999, 100_000, 2_000_000)]
    assert sizes == ["n<1K", "n<1K", "1K<n<10K", "10K<n<100K", "100K<n<1M", "1M<n<10M"]
