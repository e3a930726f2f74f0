"""Ids, labels and batches against the reference fixture; the checks before training."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from helpers.roots import make_root
from x3spatial.builder.run import build_tasks
from x3spatial.errors import UserError

from .common import CHECKPOINT, FIXTURE, RGB, expected, records, torch, write_data


@pytest.fixture(scope="module")
def processor() -> Any:
    from x3spatial.models.roborefer import load_processor

    return load_processor(CHECKPOINT)


def _dataset(path: Path, processor: Any, **options: Any) -> Any:
    from x3spatial.training.dataset import LazySupervisedSpatialDataset

    return LazySupervisedSpatialDataset(path, processor, image_folder=FIXTURE, **options)


@pytest.mark.parametrize("number", range(5))
def test_ids_and_labels_are_the_references(processor: Any, number: int) -> None:
    dataset = _dataset(FIXTURE / "samples_rgb.json", processor)
    wanted = expected("tokenization_rgb.json")["records"][number]
    item = dataset[number]
    assert item["input_ids"].tolist() == wanted["input_ids"]
    assert item["labels"].tolist() == wanted["labels"]
    shape = None if item["image"] is None else list(item["image"].shape)
    assert shape == wanted["image_shape"]
    learned = item["labels"][item["labels"] >= 0]
    assert processor.tokenizer.decode(learned) == wanted["label_text"]


@pytest.mark.parametrize("number", range(2))
def test_rgbd_ids_and_labels(processor: Any, number: int) -> None:
    dataset = _dataset(FIXTURE / "samples_rgbd.json", processor, enable_depth=True)
    wanted = expected("tokenization_rgbd.json")[number]
    item = dataset[number]
    assert item["input_ids"].tolist() == wanted["input_ids"]
    assert item["labels"].tolist() == wanted["labels"]
    assert list(item["image"].shape) == wanted["image"]
    assert list(item["depth"].shape) == wanted["depth"]


@pytest.mark.parametrize("case", expected("label_corner_cases.json"), ids=lambda case: case["id"])
def test_label_corner_cases(processor: Any, case: dict[str, Any], tmp_path: Path) -> None:
    path = write_data(tmp_path / "d.json", [{"id": "c", "conversations": case["conversation"]}])
    if "error" in case:
        with pytest.raises(UserError, match="record 1: a turn is from 'system'"):
            _dataset(path, processor)
        return
    dataset = _dataset(path, processor)
    item = dataset[0]
    assert item["input_ids"].tolist() == case["input_ids"]
    assert item["labels"].tolist() == case["labels"]


def test_a_template_that_is_not_found_masks_everything() -> None:
    from x3spatial.training.labels import answer_labels

    messages = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]
    assert answer_labels(messages, [1, 2, 3], lambda text: [9, 8, 7], 5) == [-100] * 3


def test_the_retry_drops_the_token_before_the_sentinel_too() -> None:
    from x3spatial.training.labels import answer_labels

    # The tokenizer melts the space before an answer with it: 3 stands in the template only.
    template = [1, 2, 3, 50, 60, 4]
    ids = [1, 2, 7, 60, 4]
    labels = answer_labels([], ids, lambda text: template, 50)
    assert labels == [-100, -100, 7, 60, -100]


def test_plain_batches_are_the_references(processor: Any) -> None:
    from x3spatial.training.collate import SpatialCollator

    dataset = _dataset(FIXTURE / "samples_rgb.json", processor)
    collator = SpatialCollator(processor)
    reference = expected("tokenization_rgb.json")
    wanted = reference["collator_two_plus_one"]
    batch = collator.plain([dataset[0], dataset[2]])
    for name in ("input_ids", "labels", "attention_mask"):
        assert batch[name].tolist() == wanted[name]
    cut = reference["collator_truncated"]
    batch = collator.plain([dataset[0], dataset[2]], cut["model_max_length"])
    for name in ("input_ids", "labels", "attention_mask"):
        assert batch[name].tolist() == cut[name]
    assert [list(p.shape) for p in batch["media"]["image"]] == cut["media"]["image"]
    wanted = reference["collator_two_plus_text_only"]
    batch = collator.plain([dataset[0], dataset[4]])
    assert [list(p.shape) for p in batch["media"]["image"]] == wanted["media"]["image"]
    assert list(batch["input_ids"].shape) == wanted["input_ids_shape"]


def test_model_batches_keep_each_samples_media(processor: Any) -> None:
    from x3spatial.training.collate import SpatialCollator

    dataset = _dataset(FIXTURE / "samples_rgb.json", processor)
    batch = SpatialCollator(processor)([dataset[0], dataset[4], dataset[2]])
    assert batch["image_indices"].tolist() == [[0, 1], [-1, -1], [2, -1]]
    assert batch["pixel_values"].shape == (3, 3, 112, 112)
    assert torch.equal(batch["pixel_values"][2], dataset[2]["image"][0])
    labels = batch["labels"][0]
    wanted = expected("tokenization_rgb.json")["records"][0]["labels"]
    assert labels[labels >= 0].tolist() == [label for label in wanted if label >= 0]
    stolen = {**dataset[0], "image": dataset[0]["image"][:1]}
    spare = {**dataset[2], "image": dataset[0]["image"]}
    with pytest.raises(
        UserError, match="sample 0 of a batch: 2 <image> in the text, 1 in its media"
    ):
        SpatialCollator(processor)([stolen, spare])


def test_batches_give_the_references_loss(processor: Any) -> None:
    from x3spatial.models.roborefer import load_model
    from x3spatial.training.collate import SpatialCollator

    model = load_model(CHECKPOINT, attention="eager")
    collator = SpatialCollator(processor)
    rgb = _dataset(FIXTURE / "samples_rgb.json", processor)
    rgbd = _dataset(FIXTURE / "samples_rgbd.json", processor, enable_depth=True)
    for items, loss in (
        ([rgb[2]], 10.15303),
        ([rgb[0]], 9.569427),
        ([rgb[0], rgb[2]], 9.861230),
        ([rgbd[0]], 10.37218),
        ([rgbd[1]], 10.16901),
    ):
        with torch.no_grad():
            assert float(model(**collator(items)).loss) == pytest.approx(loss, rel=1e-5)


@pytest.mark.parametrize("mode", ["pad", "dynamic"])
def test_other_aspect_modes_prepare_the_text_too(mode: str, tmp_path: Path) -> None:
    from x3spatial.models.roborefer import load_processor
    from x3spatial.training.checks import check_samples
    from x3spatial.training.collate import SpatialCollator

    processor = load_processor(CHECKPOINT, image_aspect_ratio=mode)
    dataset = _dataset(write_data(tmp_path / "d.json", RGB), processor)
    item = dataset[0]
    tiles = {"view_a": 13, "view_b": 7} if mode == "dynamic" else {"view_a": 1, "view_b": 1}
    assert len(item["image"]) == sum(tiles.values())
    batch = SpatialCollator(processor)([item])
    assert int((batch["input_ids"] == 513).sum()) == 9 * sum(tiles.values())
    wanted = expected("tokenization_rgb.json")["records"][0]["labels"]
    assert [x for x in item["labels"].tolist() if x >= 0] == [x for x in wanted if x >= 0]
    # The check's count, made from file headers, is the length of the real batch.
    assert (
        check_samples(dataset, 10_000, text_samples="keep").lengths[0]
        == batch["input_ids"].shape[1]
    )


def test_the_first_sample_is_checked(
    processor: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from x3spatial.training import dataset as module

    real = vars(module)["preprocess_rgbd"]
    monkeypatch.setattr(module, "preprocess_rgbd", lambda turns, n, depth: real(turns, n - 1))
    with pytest.raises(AssertionError, match=r"record t1_visible: .* 2 x '<image>'"):
        _dataset(FIXTURE / "samples_rgb.json", processor)


def test_a_miscounted_record_is_named(processor: Any, tmp_path: Path) -> None:
    from x3spatial.training.checks import check_samples

    record = json.loads(json.dumps(records()["t1_visible"]))
    record["conversations"][0]["value"] = "<image> and <image> and <image>: where?"
    path = write_data(tmp_path / "d.json", ["t1_not_visible", {**record, "id": "odd"}])
    dataset = _dataset(path, processor)
    with pytest.raises(
        UserError, match=r"d\.json: record odd: 3 <image> .* 2 in its field 'image'"
    ):
        check_samples(dataset, 8192)
    tagged = {"id": "tag", "conversations": [
        {"from": "human", "value": "an <image> without one"}, {"from": "gpt", "value": "no"},
    ]}  # fmt: skip
    with pytest.raises(UserError, match=r"record tag: 1 <image> .* 0 in its field"):
        check_samples(_dataset(write_data(path, [tagged]), processor), 8192)


def test_a_missing_image_is_named_before_training(processor: Any, tmp_path: Path) -> None:
    from x3spatial.training.checks import check_samples

    lost = {**records()["t1_visible"], "image": ["images/view_a.png", "images/none.png"]}
    dataset = _dataset(write_data(tmp_path / "d.json", [lost]), processor)
    with pytest.raises(UserError, match=r"record t1_visible: .*none\.png: no such image"):
        check_samples(dataset, 8192)
    with pytest.raises(UserError, match=r"none\.png: no such image"):
        dataset[0]


def test_long_samples_are_an_error_or_left_out(processor: Any, tmp_path: Path) -> None:
    from x3spatial.training.data_arguments import DataArguments
    from x3spatial.training.data_module import make_supervised_data_module

    path = write_data(tmp_path / "d.json", RGB)
    choices = DataArguments(data_path=str(path), image_folder=str(FIXTURE), text_samples="keep")
    everything = make_supervised_data_module(processor, choices, model_max_length=200)
    lengths = everything.train_dataset.lengths
    # A two-image record: its text, 9 rows for 1 tag and a newline, twice.
    assert lengths[0] == len(expected("tokenization_rgb.json")["records"][0]["input_ids"]) + 2 * 9
    with pytest.raises(UserError, match=rf"record t1_visible: {lengths[0]} tokens .*100; raise it"):
        make_supervised_data_module(processor, choices, model_max_length=100)
    choices.long_samples = "drop"
    module = make_supervised_data_module(processor, choices, model_max_length=100)
    assert module.findings[0].dropped == sum(length > 100 for length in lengths) == 2
    assert module.provenance()[0]["dropped"] == 2
    assert [s.id for s in module.train_dataset.parts[0].samples] == list(RGB[2:])
    with pytest.raises(UserError, match="no sample to train on"):
        make_supervised_data_module(processor, choices, model_max_length=5)


def test_what_the_check_encoded_stays_with_its_sample(
    processor: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from x3spatial.training.checks import check_samples
    from x3spatial.training.dataset import LazySupervisedSpatialDataset

    path = write_data(tmp_path / "d.json", RGB)
    fresh = _dataset(path, processor)
    wanted = [fresh[number] for number in range(len(RGB))]
    dataset = _dataset(path, processor)
    check_samples(dataset, 8192, text_samples="keep")
    dataset.keep([3, 1])

    def again(*args: Any) -> None:
        raise AssertionError("a sample was tokenised twice")

    monkeypatch.setattr(LazySupervisedSpatialDataset, "encode", again)
    for place, number in enumerate([3, 1]):
        for name in ("input_ids", "labels"):
            assert torch.equal(dataset[place][name], wanted[number][name])


def test_processes_of_the_loader_make_the_same_batches(processor: Any) -> None:
    from torch.utils.data import DataLoader

    from x3spatial.training.collate import SpatialCollator

    collator = SpatialCollator(processor)
    dataset = _dataset(FIXTURE / "samples_rgb.json", processor)
    batches = [collator([dataset[i] for i in part]) for part in ((0, 1), (2, 3), (4,))]
    loader = DataLoader(dataset, batch_size=2, num_workers=2, collate_fn=collator)
    for batch, wanted in zip(loader, batches, strict=True):
        assert batch.keys() == wanted.keys()
        assert all(torch.equal(batch[name], value) for name, value in wanted.items())


def test_depth_maps_come_from_the_record_or_a_mirrored_folder(
    processor: Any, tmp_path: Path
) -> None:
    view = tmp_path / "root" / "train" / "s" / "uid_1"
    maps = tmp_path / "maps" / "train" / "s" / "uid_1"
    for folder, name, source in (
        (view, "01_000_original", "view_a"),
        (maps, "01_000_depth", "depth_a"),
    ):
        folder.mkdir(parents=True)
        shutil.copy(FIXTURE / "images" / f"{source}.png", folder / f"{name}.png")
    record = {
        "id": "r",
        "image": str(view / "01_000_original.png"),
        "conversations": records("samples_rgbd.json")["rgbd_one"]["conversations"],
    }
    path = write_data(tmp_path / "d.json", [record])
    found = _dataset(path, processor, enable_depth=True, depth_folder=tmp_path / "maps")[0]
    given = _dataset(FIXTURE / "samples_rgbd.json", processor, enable_depth=True)[0]
    assert torch.equal(found["depth"], given["depth"])
    with pytest.raises(UserError, match="record r: no field 'depth'; give --depth-path"):
        _dataset(path, processor, enable_depth=True)[0]


@pytest.mark.parametrize(
    ("field", "hint"),
    [
        ("images", "; it has the field 'images'"),
        ("Image_path", "; it has the field 'Image_path'"),
        (None, ""),
    ],
)
def test_records_without_an_image_are_an_error_or_kept(
    processor: Any, tmp_path: Path, field: str | None, hint: str
) -> None:
    from x3spatial.training.checks import check_samples

    record = dict(records()["t1_visible"])
    paths = record.pop("image")
    if field is not None:
        record[field] = paths
    dataset = _dataset(write_data(tmp_path / "d.json", [record]), processor)
    with pytest.raises(
        UserError, match=f"record t1_visible: no image in its field 'image'{hint}; ren"
    ):
        check_samples(dataset, 8192)
    assert check_samples(dataset, 8192, text_samples="keep").images == {0: 1}
    with pytest.raises(UserError, match="--text-samples some: expected error or keep"):
        check_samples(dataset, 8192, text_samples="some")


def test_json_lines_and_a_byte_order_mark_are_read(processor: Any, tmp_path: Path) -> None:
    array = write_data(tmp_path / "d.json", RGB)
    values = json.loads(array.read_text())
    marked = tmp_path / "bom.json"
    marked.write_bytes(b"\xef\xbb\xbf" + array.read_bytes())
    lines = tmp_path / "d.jsonl"
    lines.write_text("".join(json.dumps(value) + "\n" for value in values) + "\n")
    wanted = _dataset(array, processor).samples
    assert _dataset(marked, processor).samples == wanted
    assert _dataset(lines, processor).samples == wanted


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{}", "expected a JSON array"),
        ('[{"id": "a"}]', "record 1: field 'conversations'"),
        (
            '[{"conversations": [{"from": "human", "value": "q"}]}]',
            "record 1: no turn is from 'gpt'",
        ),
        ('[{"image": 3, "conversations": [{"from": "gpt", "value": "q"}]}]', "field 'image'"),
    ],
)
def test_malformed_files(processor: Any, tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "d.json").write_text(text)
    with pytest.raises(UserError, match=rf"d\.json: .*{message}"):
        _dataset(tmp_path / "d.json", processor)


def test_check_data_prints_the_documents_lines(tmp_path: Path) -> None:
    from x3spatial.training.data_arguments import CheckArguments
    from x3spatial.training.data_check import check_data

    data = write_data(tmp_path / "d.json", RGB)
    lines: list[str] = []
    # No checkpoint at all: 448 pixels, as the published model has them.
    given = CheckArguments(data_path=str(data), image_folder=str(FIXTURE), text_samples="keep")
    found = check_data(given, echo=lines.append)
    assert "media['image']: len = 2" in lines
    assert "first image shape: torch.Size([3, 448, 448])" in lines
    assert lines[-1] == "OK: one-batch dataloader check passed"
    assert found["samples"] == 4
    shown = next(line for line in lines if "[[[(0.412, 0.733)]<|im_end|>]]" in line)
    assert shown.count("<image>\n") == 2


def test_check_data_reads_checkpoints_and_tokenizer_folders(tmp_path: Path) -> None:
    from x3spatial.training.data_arguments import CheckArguments
    from x3spatial.training.data_check import check_data

    data = write_data(tmp_path / "d.json", ["t1_visible"])
    given = CheckArguments(data_path=str(data), image_folder=str(FIXTURE))
    shapes = {}
    for name, folder in (("checkpoint", CHECKPOINT), ("tokenizer", CHECKPOINT / "llm")):
        lines: list[str] = []
        given.model_name_or_path = str(folder)
        check_data(given, echo=lines.append)
        shapes[name] = next(line for line in lines if line.startswith("first image"))
    assert "112, 112" in shapes["checkpoint"] and "448, 448" in shapes["tokenizer"]
    given.model_name_or_path = str(tmp_path)
    with pytest.raises(UserError, match="neither a checkpoint nor a tokenizer folder"):
        check_data(given)


def test_check_data_has_the_defaults_and_the_help_of_training() -> None:
    """One fact in one place: an option of both commands is one field."""
    import dataclasses

    from x3spatial.training.arguments import SftArguments
    from x3spatial.training.data_arguments import CheckArguments, DataArguments

    ours = {field.name: field for field in dataclasses.fields(CheckArguments)}
    for kind in (DataArguments, SftArguments):
        for field in dataclasses.fields(kind):
            if field.name in ours:
                mine = ours[field.name]
                assert (mine.default, mine.metadata) == (field.default, field.metadata)
    assert {"image_folder", "long_samples", "model_max_length"} <= set(ours)


def test_fields_that_nobody_reads_are_named(tmp_path: Path) -> None:
    """A misspelt field changes what a record means."""
    from x3spatial.training.data_arguments import CheckArguments
    from x3spatial.training.data_check import check_data

    first, second = records()["t1_visible"], records()["t1_not_visible"]
    data = write_data(
        tmp_path / "d.json",
        [{**first, "images": ["a.png"], "deph": "b.png"}, {**second, "deph": 1}],
    )
    lines: list[str] = []
    given = CheckArguments(data_path=str(data), image_folder=str(FIXTURE))
    check_data(given, echo=lines.append)
    assert f"{data}: fields that are not read: 'deph' (2 records), 'images' (1 record)" in lines
    data = write_data(tmp_path / "d.json", [first, second])
    lines.clear()
    check_data(given, echo=lines.append)
    assert not any("not read" in line for line in lines)


@pytest.mark.parametrize("paths", ["absolute", "relative"])
def test_check_data_finds_moved_images(tmp_path: Path, paths: str) -> None:
    from x3spatial.training.data_arguments import CheckArguments
    from x3spatial.training.data_check import check_data

    root = make_root(tmp_path / "views", splits=("train",), objects=1)
    build_tasks(root, tmp_path / "tasks", paths=paths, workers=1)
    data = tmp_path / "tasks" / "t1_train_multi.json"
    lines: list[str] = []
    assert check_data(CheckArguments(data_path=str(data)), echo=lines.append)["samples"] == 2
    moved, data = (
        root.rename(tmp_path / "v2"),
        (tmp_path / "tasks").rename(tmp_path / "t2") / data.name,
    )
    with pytest.raises(UserError, match=r"no such image; .*--image-root"):
        check_data(CheckArguments(data_path=str(data)), echo=lines.append)
    assert (
        check_data(CheckArguments(data_path=str(data), image_root=str(moved)), echo=lines.append)[
            "samples"
        ]
        == 2
    )


def test_a_missing_data_file_names_the_command_to_run_first(tmp_path: Path) -> None:
    from x3spatial.training.data_arguments import CheckArguments
    from x3spatial.training.data_check import check_data

    with pytest.raises(
        UserError, match=rf"no such data file; build it first: x3 build ROOT -o {tmp_path}$"
    ):
        check_data(CheckArguments(data_path=str(tmp_path / "t1_train_multi.json")))
