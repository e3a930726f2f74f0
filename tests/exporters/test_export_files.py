"""Each format against a golden file, and the rules that all of them share."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from helpers.export_sets import four_records, four_set
from helpers.task_sets import box_mask, make_record, make_set, write_set
from x3spatial.cli import run
from x3spatial.errors import UserError
from x3spatial.evaluation.answers import score_text
from x3spatial.exporters import sampling
from x3spatial.exporters.image_paths import PATHS
from x3spatial.exporters.points import point_formats
from x3spatial.exporters.registry import FORMATS
from x3spatial.exporters.run import export
from x3spatial.formats.task_file import iter_records, read_records
from x3spatial.io.files import read_json

GOLDEN = Path(__file__).parent / "golden"


def lines(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def rows_of(path: Path) -> list[Any]:
    return lines(path) if path.suffix == ".jsonl" else read_json(path)


@pytest.mark.parametrize(
    ("to", "points"),
    [("llava", "unit"), ("sharegpt", "unit"), ("ms-swift", "placeholder"), ("ms-swift", "unit")]
    + [("llava", name) for name in point_formats()],
)
def test_golden_files(tmp_path: Path, to: str, points: str) -> None:
    source = four_set(tmp_path / "data")
    export(data_json=[source], out_dir=tmp_path / "out", to=to, paths="relative",
           point_format=points)  # fmt: skip
    out = next(path for path in (tmp_path / "out").glob("mixed.*"))
    golden = GOLDEN / f"{to}-{points}{out.suffix}"
    if os.environ.get("X3_WRITE_GOLDEN"):
        golden.write_text(out.read_text())
    assert out.read_text() == golden.read_text()


def test_llava_never_has_both_image_keys_and_always_counts_its_tags(tmp_path: Path) -> None:
    source = four_set(tmp_path / "data")
    export(data_json=[source], out_dir=tmp_path / "out", to="llava")
    for row, record in zip(rows_of(tmp_path / "out/mixed.json"), read_records(source), strict=True):
        assert set(row) == {"id", "image", "conversations"}
        assert row["image"] == (list(record.images) if len(record.images) > 1 else record.images[0])
        human, answer = (turn["value"] for turn in row["conversations"])
        assert human == "<image>\n" * len(record.images) + record.prompt
        assert answer == record.answer


def test_sharegpt_registers_itself_as_llama_factory_wants(tmp_path: Path) -> None:
    """data/README.md of LLaMA-Factory: formatting, and columns named messages and images."""
    first, second = four_set(tmp_path / "a"), make_set(tmp_path / "b", count=2)
    export(data_json=[first, second], out_dir=tmp_path / "out", to="sharegpt")
    info = read_json(tmp_path / "out/dataset_info.json")
    assert set(info) == {"mixed", "t1_val_multi"}
    for entry in info.values():
        assert entry["formatting"] == "sharegpt"
        rows = rows_of(tmp_path / "out" / entry["file_name"])
        for row in rows:
            turns = row[entry["columns"]["messages"]]
            images = row[entry["columns"]["images"]]
            assert [turn["from"] for turn in turns] == ["human", "gpt"]
            assert isinstance(images, list)
            assert sum(turn["value"].count("<image>") for turn in turns) == len(images)
            assert "image" not in row


def test_ms_swift_objects_follow_its_document(tmp_path: Path) -> None:
    """Custom-dataset.md: a bbox per <bbox> in order of the text, two numbers for a point, in pixels
    of the image that image_id (from 0) names; a tag per image.
    """
    source = four_set(tmp_path / "data")
    export(data_json=[source], out_dir=tmp_path / "out", to="ms-swift")
    rows = lines(tmp_path / "out/mixed.jsonl")
    for row in rows:
        assert set(row) == {"messages", "images", "objects"}
        assert [message["role"] for message in row["messages"]] == ["user", "assistant"]
        text = "".join(message["content"] for message in row["messages"])
        objects = row["objects"]
        assert text.count("<image>") == len(row["images"])
        assert text.count("<bbox>") == len(objects["bbox"]) == len(objects["image_id"])
        assert objects["ref"] == [] and objects["bbox_type"] == "real"
        assert all(
            len(box) == 2 and index < len(row["images"])
            for box, index in zip(objects["bbox"], objects["image_id"], strict=True)
        )
    multi, concat, absent, _ = rows
    # The mask covers columns 4..11 and rows 5..10 of 32x24: its centre is the corner (8, 8).
    assert multi["objects"]["image_id"] == [1]
    assert multi["messages"][1]["content"] == "<bbox>"
    column, row = (int(number) for number in multi["objects"]["bbox"][0])
    assert (4 <= column <= 11) and (5 <= row <= 10)
    # Side by side: the reference first, in the left half; the answer in the right.
    (left, _), (right, _) = concat["objects"]["bbox"]
    assert 20 <= left < 29 and 36 <= right < 44
    assert concat["objects"]["image_id"] == [0, 0]
    assert absent["messages"][1]["content"] == "NOT_VISIBLE" and absent["objects"]["bbox"] == []


@pytest.mark.parametrize("points", list(point_formats()))
def test_rewriting_keeps_not_visible_and_drops_the_old_paragraph(
    tmp_path: Path, points: str
) -> None:
    source = four_set(tmp_path / "data")
    export(data_json=[source], out_dir=tmp_path / "out", to="llava", point_format=points)
    for row, record in zip(rows_of(tmp_path / "out/mixed.json"), read_records(source), strict=True):
        human, answer = (turn["value"] for turn in row["conversations"])
        assert record.question is not None and record.question in human
        assert record.prompt not in human
        assert not re.search(r"\{[a-z]", human)  # a field that was not filled in
        absent = point_formats()[points].absent
        assert (answer == absent) == (record.answer == "NOT_VISIBLE")
        assert (absent in human) == (record.task != "t2b_multi")
        assert ("reference point" in human) == record.is_concat


def test_boxes_are_the_tight_ones_of_the_masks(tmp_path: Path) -> None:
    source = four_set(tmp_path / "data")
    found = {}
    for points in ("qwen3-box-1000", "deepseek-vl2-box-999"):
        export(data_json=[source], out_dir=tmp_path / points, to="llava", point_format=points)
        rows = rows_of(tmp_path / points / "mixed.json")
        found[points] = [row["conversations"][1]["value"] for row in rows]
    texts = found["qwen3-box-1000"]
    records = read_records(source)
    for record, text in zip(records, texts, strict=True):
        entry = score_text(record, text, convention="qwen3-box-1000")
        assert entry.status == "answered" and entry.box is not None
        if entry.gt.is_not_visible:
            assert text == "NOT_VISIBLE"
        else:
            assert entry.box.iou is not None and entry.box.iou > 0.9
    # The query mask of the first record: columns 4 to 11 of 32, rows 5 to 10 of 24.
    assert found["deepseek-vl2-box-999"][0] == (
        "<|ref|>object<|/ref|><|det|>[[125, 208, 375, 458]]<|/det|>"
    )


def test_names_of_images_stand_before_their_tags(tmp_path: Path) -> None:
    source = four_set(tmp_path / "data")
    for to in ("lmms-eval", "hf-benchmark"):  # which place the images themselves
        with pytest.raises(UserError, match=r"--points qwen3-pictures-1000: .*"):
            export(
                data_json=[source],
                out_dir=tmp_path / "out",
                to=to,
                point_format="qwen3-pictures-1000",
            )
    export(
        data_json=[source],
        out_dir=tmp_path / "out",
        to="sharegpt",
        point_format="qwen3-pictures-1000",
    )
    rows = rows_of(tmp_path / "out" / "mixed.json")
    prompts = [row["conversations"][0]["value"] for row in rows]
    assert prompts[0].startswith("Picture 1: <image>Picture 2: <image>Where is it?")
    assert prompts[1].startswith("<image>\nWhere is it?")  # one image needs no name


def test_paths(tmp_path: Path) -> None:
    source = four_set(tmp_path / "data")
    for paths in ("absolute", "relative", "copy"):
        out = tmp_path / paths
        summary = export(data_json=[source], out_dir=out, to="sharegpt", paths=paths)
        for row, record in zip(rows_of(out / "mixed.json"), read_records(source), strict=True):
            for written, original in zip(row["images"], record.images, strict=True):
                assert Path(written).is_absolute() == (paths == "absolute")
                assert (out / written).read_bytes() == Path(original).read_bytes()
                assert written.startswith("images/") == (paths == "copy")
        copies = summary.manifest["counts"]["images_copied"]
        assert copies == (len(list((out / "images").iterdir())) if paths == "copy" else 0)


def test_copies_of_one_name_stay_apart(tmp_path: Path) -> None:
    records = [
        make_record(tmp_path / "data", "01", box_mask(32 + n, 24, 2, 2, 9, 9), scene=f"s{n}")
        for n in range(3)
    ]
    source = write_set(tmp_path / "data/one.json", records)
    export(data_json=[source], out_dir=tmp_path / "out", to="llava", paths="copy")
    queries = [row["image"][-1] for row in rows_of(tmp_path / "out/one.json")]
    assert len(set(queries)) == 3
    for written, record in zip(queries, records, strict=True):
        assert (tmp_path / "out" / written).read_bytes() == Path(record.images[-1]).read_bytes()


def test_tags_in_a_record_are_refused_by_name_and_count(tmp_path: Path) -> None:
    record = make_record(tmp_path, "01", box_mask(32, 24, 2, 2, 9, 9)).to_json()
    record["conversations"][0]["value"] = "<image>\nWhere?"
    source = tmp_path / "tagged.json"
    source.write_text(json.dumps([record]))
    with pytest.raises(UserError, match=r"tagged.json: record T1_MULTI_.*: 3 <image> .* 2 belong"):
        export(data_json=[source], out_dir=tmp_path / "out", to="llava")
    assert list((tmp_path / "out").glob("*.json")) == []


def test_records_of_other_builders_keep_their_points(tmp_path: Path) -> None:
    record = make_record(tmp_path, "01", box_mask(32, 24, 2, 2, 9, 9), named=False)
    source = write_set(tmp_path / "other.json", [record])
    for points in ("thousand", "placeholder"):
        with pytest.raises(UserError, match=f"{record.id}: has no field 'question'.*--points unit"):
            export(data_json=[source], out_dir=tmp_path / "o", to="ms-swift", point_format=points)
    export(data_json=[source], out_dir=tmp_path / "o", to="ms-swift", point_format="unit")
    row = lines(tmp_path / "o/other.jsonl")[0]
    assert row["messages"][1]["content"] == record.answer and "objects" not in row


def test_a_point_off_its_mask_is_refused(tmp_path: Path) -> None:
    record = make_record(tmp_path, "01", box_mask(32, 24, 2, 2, 9, 9)).to_json()
    record["conversations"][1]["value"] = "[(0.900, 0.900)]"
    source = tmp_path / "off.json"
    source.write_text(json.dumps([record]))
    with pytest.raises(UserError, match="misses query_mask"):
        export(data_json=[source], out_dir=tmp_path / "o", to="llava", point_format="pixel")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"to": "coco"}, "--to coco: unknown; known are llava"),
        ({"paths": "embed"}, "--paths embed: --to llava can have absolute, relative, copy"),
        ({"point_format": "placeholder"}, "--points placeholder: --to llava can have unit"),
        ({"max_pixels": 9}, "only --points qwen2.5-px"),
        ({"point_format": "qwen2.5-px", "max_pixels": 9}, "--max-pixels 9: the first"),
        ({"limit": 0}, "--limit 0"),
        ({"data_json": []}, "at least one task file"),
        ({"data_json": [Path("none.json")]}, "none.json: no such task file"),
        ({"data_json": [Path("a/x.json"), Path("b/x.json")]}, "x.json, which is taken"),
    ],
)
def test_mistakes_are_one_line(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    source = four_set(tmp_path / "data")
    with pytest.raises(UserError, match=message):
        export(**{"data_json": [source], "out_dir": tmp_path / "o", "to": "llava", **options})


def test_the_sources_are_never_overwritten(tmp_path: Path) -> None:
    source = four_set(tmp_path / "data")
    before = source.read_bytes()
    with pytest.raises(UserError, match="holds the task files"):
        export(data_json=[source], out_dir=source.parent, to="llava")
    assert source.read_bytes() == before


def test_a_missing_image_is_named(tmp_path: Path) -> None:
    source = four_set(tmp_path / "data")
    lost = Path(read_records(source)[0].images[0])
    lost.unlink()
    with pytest.raises(UserError, match=f"image {lost} is missing"):
        export(data_json=[source], out_dir=tmp_path / "o", to="llava")


def test_image_folder(tmp_path: Path) -> None:
    record = make_record(tmp_path / "data", "01", box_mask(32, 24, 2, 2, 9, 9)).to_json()
    text = json.dumps([record]).replace(f"{tmp_path}/", "")
    source = tmp_path / "moved.json"
    source.write_text(text)
    export(data_json=[source], out_dir=tmp_path / "o", to="sharegpt", image_folder=tmp_path,
           point_format="pixel")  # fmt: skip
    assert all(Path(image).is_file() for image in rows_of(tmp_path / "o/moved.json")[0]["images"])


def test_an_equal_export_is_kept_and_any_change_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = four_set(tmp_path / "data")
    out = tmp_path / "out"

    def again(**options: Any) -> bool:
        return export(**{"data_json": [source], "out_dir": out, "to": "llava", **options}).written

    assert again(paths="copy")
    assert not again(paths="copy")
    assert again(paths="copy", fresh=True)
    assert again(paths="copy", limit=2)
    assert len(rows_of(out / "mixed.json")) == 2
    image = next((out / "images").iterdir())
    image.unlink()
    assert again(paths="copy", limit=2) and image.is_file()
    (out / "mixed.json").write_text("[]")
    assert again(paths="copy", limit=2)
    assert again()
    assert not (out / "images").exists()
    assert again(to="ms-swift")
    assert sorted(path.name for path in out.glob("[!.]*")) == ["export.json", "mixed.jsonl"]
    source.write_text(source.read_text() + "\n")
    assert again(to="ms-swift")

    # Interrupted: the data file stays as it was, and no manifest vouches for the folder.
    before = (out / "mixed.jsonl").read_bytes()
    monkeypatch.setattr(sampling, "iter_records", lambda _: (_ for _ in ()).throw(OSError("!")))
    with pytest.raises(OSError, match="!"):
        again(to="ms-swift", fresh=True)
    assert (out / "mixed.jsonl").read_bytes() == before
    assert not (out / "export.json").exists()
    assert list(out.glob(".*.part")) == []


def test_the_manifest_records_the_export(tmp_path: Path) -> None:
    source = four_set(tmp_path / "data")
    summary = export(data_json=[source], out_dir=tmp_path / "o", to="llava", limit=3)
    manifest = read_json(tmp_path / "o/export.json")
    assert manifest == json.loads(json.dumps(summary.manifest))
    assert manifest["options"]["to"] == "llava" and manifest["options"]["limit"] == 3
    assert len(manifest["sources"][0]["sha256"]) == 64
    assert manifest["files"]["mixed.json"]["records"] == summary.records == 3
    assert manifest["counts"]["not_visible"] == 1
    trainers = {"llava", "sharegpt", "ms-swift", "trl", "hf-datasets"}
    benchmarks = {"lmms-eval", "vlmevalkit", "inspect", "refspatial-bench", "hf-benchmark"}
    assert FORMATS.keys() == trainers | benchmarks


def test_an_empty_task_file_gives_an_empty_export(tmp_path: Path) -> None:
    (tmp_path / "t2a_val_multi.json").write_text("[]\n")
    source = tmp_path / "t2a_val_multi.json"
    for to in ("llava", "sharegpt", "ms-swift"):
        summary = export(data_json=[source], out_dir=tmp_path / to, to=to)
        assert summary.records == 0


def test_streaming_reads_what_the_whole_reader_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("x3spatial.io.json_stream._CHUNK", 7)
    source = four_set(tmp_path)
    assert list(iter_records(source)) == read_records(source) == four_records(tmp_path)


@pytest.mark.parametrize(
    "text", ["", "{}", "[1]", "[{}]", "[{} {}]", "[", '[{"id": ', "[,]", "[] x", "nonsense"]
)
def test_streaming_refuses_what_the_whole_reader_refuses(tmp_path: Path, text: str) -> None:
    path = tmp_path / "bad.json"
    path.write_text(text)
    for read in (lambda: list(iter_records(path)), lambda: read_records(path)):
        with pytest.raises(UserError, match=r"bad\.json"):
            read()


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = four_set(tmp_path / "data")
    command = ["export", str(source), "--to", "llava", "--out-dir", str(tmp_path / "out"),
               "--paths", "copy", "--points", "qwen2.5-px", "--max-pixels", "100000",
               "--limit", "3"]  # fmt: skip
    assert run(command) == 0
    assert capsys.readouterr().out.startswith("3 samples, 1 of them not visible, in ")
    assert run(command) == 0
    assert capsys.readouterr().out.endswith("(already there)\n")
    assert run([*command, "--fresh"]) == 0
    assert "already" not in capsys.readouterr().out
    options = read_json(tmp_path / "out/export.json")["options"]
    assert options["max_pixels"] == 100000 and options["paths"] == "copy"
    assert run([*command, "--points", "inches"]) == 2
    error = capsys.readouterr().err
    assert (
        error.startswith("x3: --points inches: --to llava can have unit") and error.count("\n") == 1
    )


@pytest.mark.parametrize("to", sorted(FORMATS))
def test_the_command_exports_an_empty_set(
    tmp_path: Path, to: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if to in ("trl", "hf-datasets"):
        pytest.importorskip("datasets")
    source = tmp_path / "t2a_val_multi.json"
    source.write_text("[]")
    command = ["export", str(source), "--to", to, "--out-dir", str(tmp_path / "out")]
    for _ in range(2):
        assert run(command) == 0
        assert capsys.readouterr().out.startswith("0 samples, 0 of them not visible, in ")


def test_the_help_names_every_choice(capsys: pytest.CaptureFixture[str]) -> None:
    run(["export", "--help"])
    shown = "".join(capsys.readouterr().out.split())
    for name in (*FORMATS, *point_formats(), *PATHS, "unit", "placeholder"):
        assert name in shown
