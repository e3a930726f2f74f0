"""A pack is read wherever a task file is, with equal results."""

from __future__ import annotations

import json
import multiprocessing
import os
import pickle
import shutil
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import x3spatial as x3
from packing.conftest import SETS, Packed
from x3spatial.evaluation.options import EvalOptions
from x3spatial.exporters.run import export
from x3spatial.formats.image_paths import ImagePaths
from x3spatial.formats.task_file import TaskRecord, read_records
from x3spatial.io.images import read_bytes
from x3spatial.io.members import MemberPath, file_at
from x3spatial.models.base import Model

FIELDS = ("query_original", "ref_original", "ref_mask", "query_mask")


def located(path: Path) -> list[TaskRecord]:
    return ImagePaths(path).records(read_records(path))


@pytest.mark.parametrize("name", SETS)
def test_the_records_are_those_of_the_task_file_and_their_files_have_its_bytes(
    packed: Packed, name: str
) -> None:
    ours, theirs = located(packed.json(name)), located(packed.set(name))
    assert [record.id for record in ours] == [record.id for record in theirs]
    for one, other in zip(ours, theirs, strict=True):
        changed = {"image": one.image, **{field: getattr(one, field) for field in FIELDS}}
        assert {**other.to_json(), **changed} == json.loads(json.dumps(one.to_json())) | changed
        for field in FIELDS:
            mine, its = getattr(one, field), getattr(other, field)
            assert (mine is None) == (its is None)
            if mine is not None:
                assert read_bytes(Path(mine)) == read_bytes(Path(its)), field
        for mine, its in zip(one.images, other.images, strict=True):
            assert read_bytes(Path(mine)) == file_at(its).read_bytes()


def without_paths(file: Path) -> dict[str, Any]:
    """A results file without what says where the data lay, and when and how fast it was asked."""
    value: dict[str, Any] = json.loads(file.read_text())
    del value["run"], value["data"]["path"]
    for entry in value["results"]:
        del entry["images_seen"]
    return value


@pytest.mark.parametrize(
    ("name", "model"),
    [("t1_val_multi", "sift"), ("t1_val_multi", "oracle"), ("t2b_val_multi", "pixel-diff")],
)
@pytest.mark.parametrize("mask", ["auto", "tight"])
def test_an_evaluation_of_the_pack_is_that_of_the_task_file(
    packed: Packed, tmp_path: Path, name: str, model: str, mask: str
) -> None:
    x3.evaluate(packed.json(name), tmp_path / "a.json", model, mask=mask, workers=2)
    x3.evaluate(packed.set(name), tmp_path / "b.json", model, mask=mask, workers=2)
    assert without_paths(tmp_path / "a.json") == without_paths(tmp_path / "b.json")


def test_results_on_the_one_are_scored_against_the_other(packed: Packed, tmp_path: Path) -> None:
    a, b = tmp_path / "a.json", tmp_path / "b.json"
    x3.evaluate(packed.json(), a, "copy-reference")
    x3.evaluate(packed.set(), b, "copy-reference")
    for results, data in ((a, packed.set()), (b, packed.json())):
        again = x3.score(results, data, tmp_path / "again.json")
        assert again.metrics == x3.read_results(results).metrics
    found = x3.compare(a, b, data_json=packed.set(), by=["size"])
    assert all(row.difference == 0 for row in found.differences if row.difference is not None)


def test_a_model_of_others_gets_paths_that_it_can_open(packed: Packed, tmp_path: Path) -> None:
    class Opens(Model):
        name = "opens"
        convention = "fraction"

        def answer(self, questions: Any, prepared: Any) -> list[str]:
            for question in questions:
                for path in question.images:
                    with Image.open(path) as one, open(path, "rb") as two:
                        assert (one.size, two.read()) == (
                            Image.open(two).size, path.read_bytes(),
                        )  # fmt: skip
            return ["[(0.5, 0.5)]" for _ in questions]

    result = x3.evaluate(packed.set(), tmp_path / "r.json", Opens(), limit=3)
    assert result.metrics["errors"] == 0


@pytest.mark.parametrize("kind", ["llava", "trl", "hf-datasets", "lmms-eval", "refspatial-bench"])
def test_an_export_of_the_pack_is_that_of_the_task_file(
    packed: Packed, tmp_path: Path, kind: str
) -> None:
    paths = {"trl": "embed", "hf-datasets": "embed", "refspatial-bench": None}.get(kind, "copy")
    for out, source in (("a", packed.json()), ("b", packed.set())):
        export(source, tmp_path / out, kind, paths=paths, limit=6)
    files = {
        path.relative_to(tmp_path / "a")
        for path in (tmp_path / "a").rglob("*")
        if path.is_file() and path.name not in ("export.json", ".x3-lock")
    }
    assert files
    for name in files:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes(), name


def test_pages_sheets_and_reports_show_its_images(packed: Packed, tmp_path: Path) -> None:
    for out, source in (("a", packed.json()), ("b", packed.set())):
        x3.ask(source, tmp_path / f"ask-{out}", limit=4)
        x3.evaluate(source, tmp_path / f"{out}.json", "centre", limit=6)
    one, other = ({p.name for p in (tmp_path / f"ask-{out}" / "images").iterdir()} for out in "ab")
    assert one == other != set()
    from x3spatial.reports.preview import preview

    named_alike = shutil.copy(packed.json(), tmp_path / packed.set().name)  # sheets show the name
    sheets = [
        preview(source, tmp_path / f"{n}.png", limit=3).path.read_bytes()
        for n, source in enumerate((Path(named_alike), packed.set()))
    ]
    assert sheets[0] == sheets[1]
    x3.report([tmp_path / "b.json"], tmp_path / "report")
    assert any((tmp_path / "report" / "images").rglob("*.webp"))
    with pytest.raises(x3.UserError, match="lie inside of a pack"):
        x3.report([tmp_path / "b.json"], tmp_path / "links", images="link")


def test_a_report_finds_the_pack_in_place_of_the_task_file(packed: Packed, tmp_path: Path) -> None:
    tasks = shutil.copytree(packed.tasks, tmp_path / "tasks")
    x3.evaluate(tasks / "t1_val_multi.json", tmp_path / "r.json", "centre", limit=6)
    shutil.rmtree(tasks)
    x3.report([tmp_path / "r.json"], tmp_path / "report", tasks=[packed.pack])
    assert any((tmp_path / "report" / "images").rglob("*.webp"))


def test_a_pack_that_was_moved_and_is_read_only(packed: Packed, tmp_path: Path) -> None:
    moved = shutil.copytree(packed.pack, tmp_path / "mounted")
    for path in (*moved.rglob("*"), moved):
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        x3.evaluate(moved / "t2b_val_multi", tmp_path / "r.json", "pixel-diff")
    finally:
        for path in (moved, *(p for p in moved.rglob("*") if p.is_dir())):
            path.chmod(0o755)
    assert x3.read_results(tmp_path / "r.json").metrics["hit_at_mask"] == 1.0


def _crc(path: str) -> int:
    import zlib

    return zlib.crc32(file_at(path).read_bytes())


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_other_processes_read_the_same_bytes(packed: Packed, method: str) -> None:
    paths = [path for record in located(packed.set())[:6] for path in record.images]
    expected = [_crc(path) for path in paths]  # and its files are open when a fork begins
    with multiprocessing.get_context(method).Pool(2) as pool:
        assert pool.map(_crc, paths) == expected


def test_what_finds_its_files_can_be_sent_to_another_process(packed: Packed) -> None:
    paths = ImagePaths(packed.set())
    path = located(packed.set())[0].images[0]
    name = path.partition("!/")[2]
    assert pickle.loads(pickle.dumps(paths)).find(name) == path


def test_a_member_is_a_path(packed: Packed) -> None:
    path = file_at(located(packed.set())[0].images[1])
    assert isinstance(path, MemberPath)
    assert path.exists() and path.is_file() and not path.is_dir()
    assert path.name.endswith("_original.png") and path.stat().st_size == len(path.read_bytes())
    assert pickle.loads(pickle.dumps(path)) == path
    assert Path(os.fspath(path)).read_bytes() == path.read_bytes()
    beside = path.with_name("99_none.png")
    assert not beside.exists()
    with pytest.raises(FileNotFoundError, match="no such image in the pack"):
        beside.read_bytes()


def test_a_folder_that_only_looks_like_a_pack_is_a_folder(tmp_path: Path) -> None:
    folder = tmp_path / "scene!"
    folder.mkdir()
    (folder / "a.png").write_bytes(b"x")
    assert not isinstance(file_at(folder / "a.png"), MemberPath)
    assert read_bytes(folder / "a.png") == b"x"


def test_options_that_say_where_images_lie_are_refused(packed: Packed, tmp_path: Path) -> None:
    for name in ("image_root", "image_folder"):
        options: dict[str, Any] = {name: tmp_path}
        with pytest.raises(
            x3.UserError, match=f"--{name.replace('_', '-')} .*whose images are inside"
        ):
            x3.evaluate(packed.set(), tmp_path / "r.json", "centre", EvalOptions(**options))


def test_a_pack_of_several_sets_has_to_be_asked_by_set(packed: Packed, tmp_path: Path) -> None:
    with pytest.raises(x3.UserError, match=r"holds 4 sets; name one of them: .*/t1_val_multi, "):
        x3.read_tasks(packed.pack)
    x3.pack(packed.json(), tmp_path / "one")
    assert x3.read_tasks(tmp_path / "one") == x3.read_tasks(tmp_path / "one" / "t1_val_multi")
