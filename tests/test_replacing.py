"""Nothing that the project did not write is replaced, by any command."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

import x3spatial as x3
from helpers.roots import make_root
from x3spatial.evaluation.run import evaluate
from x3spatial.exporters.run import export
from x3spatial.pipeline import zeroshot
from x3spatial.reports.preview import preview


def state(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.startswith(".x3-lock")
    }


@pytest.fixture
def work(tmp_path: Path) -> Path:
    make_root(tmp_path / "root")
    x3.build_tasks(tmp_path / "root", tmp_path / "tasks")
    return tmp_path


def photo(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (20, 10), "red").save(path)
    return path


DATA = "tasks/t1_val_multi.json"
ATTEMPTS: dict[str, tuple[str, Callable[[Path], object]]] = {
    "preview onto a photograph": (
        "photo.png", lambda w: preview(w / DATA, w / "photo.png", limit=2)),
    "eval onto a photograph": (
        "photo.png", lambda w: evaluate(w / DATA, w / "photo.png", "centre", fresh=True)),
    "score onto notes": (
        "notes.json", lambda w: x3.score(w / "r.json", w / DATA, w / "notes.json")),
    "zeroshot over a summary": (
        "eval/summary.json", lambda w: zeroshot(w / "root", w / "eval", ["centre"],
                                                tasks_dir=w / "tasks")),
    "zeroshot over a link": (
        "eval/summary.json", lambda w: zeroshot(w / "root", w / "eval", ["centre"],
                                                tasks_dir=w / "tasks")),
    "build over task files": (
        "foreign/t1_val_multi.json", lambda w: x3.build_tasks(w / "root", w / "foreign")),
    "build over task files it would only remove": (
        "foreign/t0_train_marked.json", lambda w: x3.build_tasks(w / "root", w / "foreign")),
    "build over images": (
        "foreign/marked_abs/a.png", lambda w: x3.build_tasks(w / "root", w / "foreign")),
    "fresh build over task files": (
        "foreign/t2b_val_multi.json",
        lambda w: x3.build_tasks(w / "root", w / "foreign", fresh=True)),
    "export over a data set": (
        "foreign/t1_val_multi.json", lambda w: export(w / DATA, w / "foreign", to="llava")),
    "export over its manifest's name": (
        "foreign/export.json", lambda w: export(w / DATA, w / "foreign", to="llava")),
    "export over a list of data sets": (
        "foreign/dataset_info.json", lambda w: export(w / DATA, w / "foreign", to="sharegpt")),
}  # fmt: skip


@pytest.mark.parametrize("attempt", ATTEMPTS)
def test_a_users_file_stays(work: Path, attempt: str) -> None:
    name, act = ATTEMPTS[attempt]
    target = work / name
    target.parent.mkdir(parents=True, exist_ok=True)
    if attempt == "zeroshot over a link":
        target.symlink_to("nowhere")
    elif name.endswith(".png"):
        photo(target)
    else:
        target.write_text('{"mine": 1}')
    evaluate(work / DATA, work / "r.json", "centre")
    before = state(work)
    with pytest.raises(x3.UserError) as caught:
        act(work)
    assert name.split("/")[1 if "/" in name else 0] in str(caught.value)
    assert "\n" not in str(caught.value)
    assert state(work) == before


def test_what_we_wrote_is_replaced(work: Path) -> None:
    for _ in range(2):
        preview(work / DATA, work / "sheet.png", limit=2)
        zeroshot(work / "root", work / "eval", ["centre"], tasks_dir=work / "tasks")
        export(work / DATA, work / "e", to="sharegpt", fresh=True)
        x3.build_tasks(work / "root", work / "tasks", fresh=True)
    assert not (work / "e" / ".x3-export.json").exists()


def test_an_export_that_was_killed_goes_on(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from x3spatial.exporters import writing

    def killed(*args: object, **kwargs: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(writing, "written_facts", killed)  # its first file is written by then
        with pytest.raises(KeyboardInterrupt):
            export(work / DATA, work / "e", to="llava")
    assert (work / "e" / "t1_val_multi.json").exists()
    assert not (work / "e" / "export.json").exists()
    assert export(work / DATA, work / "e", to="llava").written


@pytest.mark.parametrize("name", ["out.html", "out.webp", "out"])
def test_a_preview_is_a_png_or_jpeg_by_name(work: Path, name: str) -> None:
    with pytest.raises(x3.UserError, match=r"ends in \.png"):
        preview(work / DATA, work / name)
    assert not (work / name).exists()


def test_no_image_of_a_task_file_is_replaced(work: Path) -> None:
    """F4: the answer to a question must not be drawn over the question."""
    before = state(work / "root")
    for record in x3.read_tasks(work / DATA):
        for path in (*record.images, record.query_mask, record.ref_original):
            with pytest.raises(x3.UserError, match=r"not written by x3 preview|also an input"):
                preview(work / DATA, str(path), limit=1)
    assert state(work / "root") == before
