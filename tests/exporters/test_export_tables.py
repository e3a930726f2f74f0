"""The formats made of tables, loaded by the packages they are made for."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from helpers.export_sets import four_set
from helpers.task_sets import box_mask, make_record, write_set
from helpers.tiny_llava import tiny_llava, tiny_processor
from x3spatial.errors import UserError
from x3spatial.exporters import tables
from x3spatial.exporters.run import export
from x3spatial.formats.record_fields import KNOWN
from x3spatial.formats.task_file import read_records
from x3spatial.io.images import decode_channels, encode_png, read_mask, read_rgb
from x3spatial.tasks.strata import Strata


def load_parquet(path: Path, cache: Path) -> Any:
    datasets = pytest.importorskip("datasets")
    return datasets.load_dataset(
        "parquet", data_files=str(path), split="train", cache_dir=str(cache)
    )


def same_pictures(shown: list[Any], paths: tuple[str, ...]) -> bool:
    return len(shown) == len(paths) and all(
        np.array_equal(np.asarray(image.convert("RGB")), read_rgb(Path(path)))
        for image, path in zip(shown, paths, strict=True)
    )


def test_hf_datasets_gives_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(tables, "ROWS", 3)  # so that four records are two batches
    source = four_set(tmp_path / "data")
    export(data_json=[source], out_dir=tmp_path / "out", to="hf-datasets", point_format="thousand")
    records = read_records(source)
    expected = [[read_rgb(Path(path)) for path in record.images] for record in records]
    for record in records:  # inside means inside
        for path in record.images:
            Path(path).unlink(missing_ok=True)
    loaded = datasets.load_from_disk(str(tmp_path / "out/mixed"))
    assert len(loaded) == len(records)
    for row, record, images in zip(loaded, records, expected, strict=True):
        assert row["id"] == record.id and row["task"] == record.task
        assert "<image>" not in row["prompt"] and row["question"] == record.question
        assert row["scene"] == record.scene and row["label"] is None
        point = record.reference_point
        assert row["reference_point"] == (None if point is None else list(point))
        for image, pixels in zip(row["images"], images, strict=True):
            assert np.array_equal(np.asarray(image), pixels)
        assert record.query_mask is not None
        assert np.array_equal(np.asarray(row["query_mask"]) > 0, read_mask(Path(record.query_mask)))
        assert row["convention"] == "thousand"
    assert sorted(path.name for path in (tmp_path / "out").glob("[!.]*")) == [
        "export.json",
        "mixed",
    ]
    assert not export(data_json=[source], out_dir=tmp_path / "out", to="hf-datasets",
                      point_format="thousand").written  # fmt: skip


@pytest.mark.parametrize("paths", ["absolute", "embed"])
def test_trl_parquet_loads_with_pictures(tmp_path: Path, paths: str) -> None:
    source = four_set(tmp_path / "data")
    export(data_json=[source], out_dir=tmp_path / "out", to="trl", paths=paths)
    loaded = load_parquet(tmp_path / "out/mixed.parquet", tmp_path / "cache")
    columns = {
        "id", "task", "images", "prompt", "completion", "answer", "convention", "query_mask",
        "mask_area_fraction", "image_sizes", "pixel_sizes", *KNOWN, "strata",
    }  # fmt: skip
    assert set(loaded.column_names) == columns
    for row, record in zip(loaded, read_records(source), strict=True):
        assert row["prompt"] == [{"role": "user", "content": record.prompt}]
        assert row["completion"] == [{"role": "assistant", "content": record.answer}]
        assert same_pictures(row["images"], record.images)
        assert (row["answer"], row["task"]) == (record.answer, record.task)
        assert record.query_mask is not None
        assert np.array_equal(np.asarray(row["query_mask"]) > 0, read_mask(Path(record.query_mask)))


def test_images_stand_after_their_names_in_trl(tmp_path: Path) -> None:
    source = four_set(tmp_path / "data")
    export(source, tmp_path / "out", "trl", point_format="qwen3-pictures-1000")
    loaded = load_parquet(tmp_path / "out/mixed.parquet", tmp_path / "cache")
    for row, record in zip(loaded, read_records(source), strict=True):
        (turn,) = row["prompt"]
        parts = [part["text"] or part["type"] for part in turn["content"]]
        if len(record.images) == 1:  # one image needs no name
            assert parts[:-1] == ["image"]
        else:
            assert parts[:-1] == ["Picture 1: ", "image", "Picture 2: ", "image"]
        assert "Where is it?" in parts[-1] and "Picture 1:" not in parts[-1]
        assert row["completion"] == [{"role": "assistant", "content": row["answer"]}]


def test_trl_fills_the_images_in_where_they_are_named(tmp_path: Path) -> None:
    data_utils = pytest.importorskip("trl.data_utils", reason="TRL is not installed")
    source = four_set(tmp_path / "data")
    export(source, tmp_path / "out", "trl", point_format="qwen3-pictures-1000")
    row = load_parquet(tmp_path / "out/mixed.parquet", tmp_path / "cache")[0]
    (turn,) = data_utils.prepare_multimodal_messages(row["prompt"], row["images"])
    kinds = [part["type"] for part in turn["content"]]
    assert kinds == ["text", "image", "text", "image", "text"]
    assert [part["image"] for part in turn["content"] if part["type"] == "image"] == row["images"]


def test_names_of_images_are_a_column_of_hf_datasets(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    source = four_set(tmp_path / "data")
    for family in ("qwen3-pictures-1000", "qwen3-1000"):
        export(source, tmp_path / family, "hf-datasets", point_format=family)
    named = datasets.load_from_disk(str(tmp_path / "qwen3-pictures-1000/mixed"))
    pictures = ["Picture 1", "Picture 2"]
    assert [row["image_names"] for row in named] == [
        pictures if len(record.images) == 2 else [] for record in read_records(source)
    ]
    plain = datasets.load_from_disk(str(tmp_path / "qwen3-1000/mixed"))
    assert "image_names" not in plain.column_names


@pytest.mark.parametrize("to", ["hf-datasets", "trl"])
def test_what_only_some_records_have_is_in_columns(tmp_path: Path, to: str) -> None:
    datasets = pytest.importorskip("datasets")
    plain = make_record(tmp_path / "a", "01", box_mask(32, 24, 4, 5, 10, 11))
    strata = Strata(angle_deg=31.5, lookalikes=2)
    rich = replace(plain, id="rich", absence="occlusion", verified="geometry", strata=strata,
                   place="hall")  # fmt: skip
    twin = replace(plain, id="twin", task="t1_counterfactual", twin=plain.id)
    files = [
        write_set(tmp_path / f"{name}.json", records)
        for name, records in (("plain", [plain]), ("rich", [rich, twin, plain]))
    ]
    export(data_json=files, out_dir=tmp_path / "out", to=to, paths="embed")
    if to == "trl":
        tables = [load_parquet(tmp_path / f"out/{n}.parquet", tmp_path) for n in ("plain", "rich")]
    else:
        tables = [datasets.load_from_disk(str(tmp_path / "out" / n)) for n in ("plain", "rich")]
    whole = datasets.concatenate_datasets(tables)  # the columns are the same
    expected = [plain, rich, twin, plain]
    for row, record in zip(whole, expected, strict=True):
        for name in ("place", "twin", "absence", "verified"):
            assert row[name] == getattr(record, name)
        values = Strata() if record.strata is None else record.strata
        assert (row["strata"] or Strata().to_json()) == values.to_json()
    (hidden,) = whole.filter(lambda row: row["absence"] == "occlusion")
    assert hidden["strata"]["angle_deg"] == 31.5 and hidden["strata"]["lookalikes"] == 2


def test_embedded_masks_are_plain(tmp_path: Path) -> None:
    """Readers of a table may know neither palettes nor other channels: masks are 8-bit grey, 0 and 255."""
    datasets = pytest.importorskip("datasets")
    record = make_record(tmp_path / "data", "01", box_mask(32, 24, 4, 5, 10, 11))
    assert record.query_mask is not None
    blue = np.zeros((24, 32, 3), np.uint8)
    blue[5:12, 4:11, 2] = 1
    Path(record.query_mask).write_bytes(encode_png(blue))
    source = write_set(tmp_path / "data/mine.json", [record])
    export(data_json=source, out_dir=tmp_path / "out", to="hf-datasets")
    rows = datasets.load_from_disk(str(tmp_path / "out/mine"))
    stored = rows.cast_column("query_mask", datasets.Image(decode=False))[0]["query_mask"]["bytes"]
    pixels = decode_channels(stored)
    assert pixels.dtype == np.uint8 and set(np.unique(pixels)) == {0, 255}
    assert np.array_equal(pixels > 0, box_mask(32, 24, 4, 5, 10, 11))


@pytest.mark.parametrize("to", ["hf-datasets", "trl"])
def test_a_mask_that_is_missing_or_none_is_one_line(to: str, tmp_path: Path) -> None:
    pytest.importorskip("datasets")
    record = make_record(tmp_path / "data", "01", box_mask(32, 24, 4, 5, 10, 11))
    source = write_set(tmp_path / "data/mine.json", [record])
    assert record.query_mask is not None
    mask = Path(record.query_mask)
    mask.write_bytes(b"no mask")
    with pytest.raises(UserError, match=rf"record {record.id}: mask .*{mask.name}: "):
        export(data_json=source, out_dir=tmp_path / "out", to=to)
    mask.unlink()
    with pytest.raises(UserError, match=rf"record {record.id}: mask .* is missing; build again"):
        export(data_json=source, out_dir=tmp_path / "out", to=to)
    assert not (tmp_path / "out/export.json").exists()


def test_an_empty_set_is_an_empty_table(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    source = tmp_path / "t2a_val_multi.json"
    source.write_text("[]")
    export(data_json=[source], out_dir=tmp_path / "hf", to="hf-datasets")
    assert len(datasets.load_from_disk(str(tmp_path / "hf/t2a_val_multi"))) == 0
    # load_dataset refuses files without rows altogether, so here Arrow has to do.
    export(data_json=[source], out_dir=tmp_path / "trl", to="trl")
    table = pytest.importorskip("pyarrow.parquet").read_table(
        tmp_path / "trl/t2a_val_multi.parquet"
    )
    assert table.num_rows == 0 and "images" in table.column_names


def test_json_formats_load_as_datasets_too(tmp_path: Path) -> None:
    """LLaMA-Factory and ms-swift read their files through this package: types must not vary."""
    datasets = pytest.importorskip("datasets")
    source = four_set(tmp_path / "data")
    for to, name in (("sharegpt", "mixed.json"), ("ms-swift", "mixed.jsonl")):
        export(data_json=[source], out_dir=tmp_path / to, to=to)
        loaded = datasets.load_dataset(
            "json", data_files=str(tmp_path / to / name), split="train", cache_dir=str(tmp_path)
        )
        assert len(loaded) == 4
        assert loaded[1]["images"] == list(read_records(source)[1].images)


def test_a_missing_package_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    source = four_set(tmp_path / "data")
    for to in ("trl", "hf-datasets"):
        with pytest.raises(
            UserError, match=rf"--to {to} needs .* pip install 'x3spatial\[export\]'"
        ):
            export(data_json=[source], out_dir=tmp_path / "out", to=to)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_trl_trains_on_it(tmp_path: Path) -> None:
    """TRL's own preparation, collator and one training step, with a tiny LLaVA model."""
    pytest.importorskip("datasets")
    trl = pytest.importorskip("trl")
    pytest.importorskip("transformers")
    records = [
        make_record(tmp_path / "data", f"{n:02d}", box_mask(32, 24, 4 + n, 5, 11 + n, 10))
        for n in range(4)
    ]
    source = write_set(tmp_path / "data/t1_train_multi.json", records)
    export(data_json=[source], out_dir=tmp_path / "out", to="trl")
    loaded = load_parquet(tmp_path / "out/t1_train_multi.parquet", tmp_path / "cache")
    processor = tiny_processor()
    tokenizer = processor.tokenizer
    model = tiny_llava(processor)
    trainer = trl.SFTTrainer(
        model=model,
        processing_class=processor,
        train_dataset=loaded,
        args=trl.SFTConfig(
            output_dir=str(tmp_path / "run"), max_length=None, max_steps=1, use_cpu=True,
            per_device_train_batch_size=4, report_to="none", save_strategy="no", bf16=False,
        ),
    )  # fmt: skip
    batch = next(iter(trainer.get_train_dataloader()))
    image = tokenizer.convert_tokens_to_ids("<image>")
    assert batch["pixel_values"].shape == (8, 3, 28, 28)
    assert (batch["input_ids"] == image).sum(1).tolist() == [2 * 4] * 4
    answers = {
        tokenizer.decode(labels[labels >= 0].tolist(), skip_special_tokens=True)
        for labels in batch["labels"]
    }
    spaced = {" ".join(tokenizer.tokenize(record.answer)) for record in records}
    assert {text.replace(" ", "") for text in answers} == {t.replace(" ", "") for t in spaced}
    assert np.isfinite(trainer.train().training_loss)
