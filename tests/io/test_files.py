"""Writing safely: nothing is ever half there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from x3spatial.errors import UserError
from x3spatial.formats.task_file import TaskRecord, read_records
from x3spatial.io.files import check_output, new_dir, read_json, write_json


def test_nan_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError):
        write_json(tmp_path / "a.json", float("nan"))
    assert not (tmp_path / "a.json").exists()


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
        ("in.json", "also an input file"),
        ("alias.json", "also an input file"),
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
    ],
)
def test_two_pictures_of_one_view_are_task_2b(image: list[str], task: str) -> None:
    assert TaskRecord.from_json({**RECORD, "image": image}).task == task
    assert TaskRecord.from_json({**RECORD, "image": image, "task": "t2a_multi"}).task == "t2a_multi"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"image": ["s/01_a_original.png"]}, "holds 1 image"),
        ({"image": ["a.png", "b.png", "c.png"]}, "holds 3 image"),
        ({"image": ["a.png", "b.png"], "task": "t1_concat"}, "holds 2 image"),
        ({"image": ["a.png", "b.png"], "task": "t0_marked"}, "holds 2 image"),
        ({"image": ["a.png", "b.png"], "task": "t1_concat"}, "t1_concat shows 1"),
        ({"image": "ab.jpg", "task": "t2b_multi"}, "t2b_multi shows 2"),
        ({"image": ["a.png", ""]}, "image"),
        ({"task": ["t1_multi"]}, "field 'task'"),
        ({"reference_point": {}}, "reference_point"),
        ({"image_sizes": [[float("inf"), 3], [2, 2]]}, "image_sizes"),
        ({"mask_area_fraction": "0.1"}, "mask_area_fraction"),
        ({"image": []}, "image"),
        ({"image": None}, "image"),
        ({"id": ""}, "id"),
        ({"task": "t9"}, "t9"),
        ({"conversations": []}, "conversations"),
        ({"conversations": [{"from": "gpt", "value": "a"}] * 2}, "turn 1"),
        ({"image_sizes": [[1]]}, "image_sizes"),
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


def _fill(folder: Path) -> None:
    (folder / "part").mkdir()
    (folder / "part" / "weights").write_bytes(b"weights")
    (folder / "config.json").write_text("{}")
    (folder / "readme").write_text("text")


def _bytes(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize("moved", range(4))
def test_a_folder_that_was_killed_while_it_was_moved_is_completed(
    moved: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    out = tmp_path / "out"
    with new_dir(out, "--out") as part:
        _fill(part)
    whole = _bytes(out)
    names = sorted(path.name for path in out.iterdir())
    if moved < len(names):  # the others are still in the temporary folder, which may be damaged
        (out / ".part").mkdir()
        for name in names[moved:]:
            (out / name).rename(out / ".part" / name)
        (out / ".part" / "half").write_text("")
    with caplog.at_level("INFO"), new_dir(out, "--out") as part:
        _fill(part)
    assert _bytes(out) == whole
    assert ("already there, equal" in caplog.text) == (moved == len(names))


@pytest.mark.parametrize("theirs", ["config.json", "readme", "part/weights", "part/more", "mine"])
def test_a_folder_with_something_else_is_refused_and_stays(theirs: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with new_dir(out, "--out") as part:
        _fill(part)
    (out / theirs).write_text("theirs")
    before = _bytes(out)
    refused = pytest.raises(UserError, match=r"out: not empty: \S+ is not what this command writes")
    with refused, new_dir(out, "--out") as part:
        _fill(part)
    assert _bytes(out) == before and not (out / ".part").exists()


def test_an_unrelated_folder_is_refused_before_any_work(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(UserError, match="not empty"), new_dir(tmp_path, "--out"):
        raise AssertionError("the block must not run")
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]
