"""Writing safely: nothing is ever half there."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from x3spatial.errors import UserError
from x3spatial.formats.task_file import TaskRecord, read_records
from x3spatial.io.files import Journal, JsonArrayWriter, check_output, read_json, write_json
from x3spatial.io.images import decode_rgb, encode_png, probe_png


def test_array_writer_leaves_the_old_file_if_interrupted(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    with JsonArrayWriter(path) as writer:
        writer.write({"n": 1})
    with pytest.raises(RuntimeError), JsonArrayWriter(path) as writer:
        writer.write({"n": 2})
        raise RuntimeError
    assert json.loads(path.read_text()) == [{"n": 1}]
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]


@pytest.mark.parametrize("count", [0, 1, 3])
def test_array_is_valid_json_one_record_per_line(count: int, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    with JsonArrayWriter(path) as writer:
        for number in range(count):
            writer.write({"text": "line\nbreak é", "n": number})
    assert len(json.loads(path.read_text(encoding="utf-8"))) == count
    assert len(path.read_text(encoding="utf-8").splitlines()) == (1 if count == 0 else count + 2)


def test_nan_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError):
        write_json(tmp_path / "a.json", float("nan"))
    assert not (tmp_path / "a.json").exists()


@given(st.lists(st.dictionaries(st.text(max_size=3), st.integers()), max_size=5), st.data())
def test_a_journal_cut_anywhere_keeps_its_whole_lines(
    values: list[dict[str, int]], data: st.DataObject
) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "j"
        with Journal(path).open() as journal:
            offsets = [journal.append(value) for value in values]
        whole = path.read_bytes()
        cut = data.draw(st.integers(0, len(whole)))
        path.write_bytes(whole[:cut])
        kept = whole[:cut].count(b"\n")
        journal = Journal(path)
        assert list(journal.entries()) == list(zip(offsets, values, strict=True))[:kept]
        with journal.open():
            offset = journal.append({"new": 1})
        assert [value for _, value in journal.entries()] == [*values[:kept], {"new": 1}]
        assert journal.value_at(offset) == {"new": 1}


def test_read_json_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nope.json: no such task file"):
        read_json(tmp_path / "nope.json", what="task file")
    (tmp_path / "bad.json").write_text("[1,")
    with pytest.raises(UserError, match=r"bad.json: cannot read"):
        read_json(tmp_path / "bad.json")


def test_an_output_that_cannot_be_written_is_known_before(tmp_path: Path) -> None:
    source = tmp_path / "in.json"
    source.write_text("[]")
    (tmp_path / "alias.json").symlink_to(source)
    (tmp_path / "folder").mkdir()
    for name, reason in (
        ("folder", "is a folder"),
        ("x" * 405, "name too long"),
        ("in.json", "that is read"),
        ("alias.json", "that is read"),
        ("in.json/out.json", "cannot write there"),
    ):
        with pytest.raises(UserError, match=f"--output .*(?i:{reason})") as error:
            check_output(tmp_path / name, "--output", [source, tmp_path / "nope.json"])
        assert "\n" not in str(error.value)
    check_output(tmp_path / "new/out.json", "--output", [source])
    assert {path.name for path in tmp_path.rglob("*")} == {
        "in.json", "alias.json", "folder", "new",
    }  # fmt: skip


RECORD = {
    "id": "a",
    "image": ["x.png", "y.png"],
    "conversations": [{"from": "human", "value": "q"}, {"from": "gpt", "value": "NOT_VISIBLE"}],
}


def test_records_of_other_builders_are_read_by_their_shape(tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    path.write_text(json.dumps([RECORD, {**RECORD, "id": "b", "image": "xy.jpg"}]))
    multi, concat = read_records(path)
    assert (multi.task, multi.images, multi.is_concat) == ("t1_multi", ("x.png", "y.png"), False)
    assert (concat.task, concat.images, concat.is_concat) == ("t1_concat", ("xy.jpg",), True)


@pytest.mark.parametrize(
    ("image", "task"),
    [
        (["s/01_a_original.png", "s/01_a_inpainted.png"], "t2b_multi"),
        (["s/01_a_inpainted.png", "s/01_a_original.png"], "t1_multi"),
        (["s/01_a_original.png", "s/02_b_inpainted.png"], "t1_multi"),
        (["r/01_a_original.png", "s/01_a_inpainted.png"], "t1_multi"),
        (["s/01_a_original.png", "s/02_b_original.png"], "t1_multi"),
        (["s/01_a_original.png"], "t1_multi"),
    ],
)
def test_two_pictures_of_one_view_are_task_2b(image: list[str], task: str) -> None:
    assert TaskRecord.from_json({**RECORD, "image": image}).task == task
    assert TaskRecord.from_json({**RECORD, "image": image, "task": "t2a_multi"}).task == "t2a_multi"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"image": []}, "image"),
        ({"image": None}, "image"),
        ({"id": ""}, "id"),
        ({"task": "t9"}, "t9"),
        ({"conversations": []}, "conversations"),
        ({"conversations": [{"from": "gpt", "value": "a"}] * 2}, "turn 1"),
        ({"image_sizes": [[1]]}, "malformed|unpack"),
        ({"query_mask": 3}, "query_mask"),
    ],
)
def test_malformed_records_are_named(
    change: dict[str, object], reason: str, tmp_path: Path
) -> None:
    path = tmp_path / "t.json"
    path.write_text(json.dumps([RECORD, {**RECORD, "id": "b", **change}]))
    with pytest.raises(UserError, match=rf"record 2: .*({reason})"):
        read_records(path)


def test_ids_must_be_unique(tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    path.write_text(json.dumps([RECORD, RECORD]))
    with pytest.raises(UserError, match="twice"):
        read_records(path)


def test_records_go_through_json_unchanged() -> None:
    record = TaskRecord.from_json({**RECORD, "image_sizes": [[4, 3], [4, 3]], "label": "cup"})
    assert TaskRecord.from_json(json.loads(json.dumps(record.to_json()))) == record


@given(hnp.arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9), st.just(3))))
def test_png_is_lossless_for_every_reader(image: npt.NDArray[np.uint8]) -> None:
    data = encode_png(image)
    assert probe_png(data) == (image.shape[1], image.shape[0])
    assert (decode_rgb(data) == image).all()
    with Image.open(io.BytesIO(data)) as opened:
        assert opened.mode == "RGB" and (np.asarray(opened) == image).all()
    assert encode_png(image[:, ::-1]) == encode_png(np.ascontiguousarray(image[:, ::-1]))
