"""x3 ask: what the page shows and what it must not have, which questions, and refused inputs."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import x3spatial as x3
from helpers.paths import FIXTURES
from helpers.roots import make_root, tree_bytes
from helpers.task_sets import make_set
from x3spatial.builder.options import BuildOptions
from x3spatial.builder.run import build_tasks
from x3spatial.cli import run as command
from x3spatial.errors import UserError
from x3spatial.formats.sample_tokens import SampleTokens
from x3spatial.formats.task_file import read_records
from x3spatial.tasks.spec import HARD

SETS = (
    "t1_val_multi", "t1_val_concat", "t2a_val_multi", "t2b_val_multi", "t1_val_counterfactual",
    "t1_val_negatives", "t2b_val_unchanged", "t2b_val_added",
)  # fmt: skip


@pytest.fixture(scope="module")
def tasks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("ask") / "tasks"
    options = BuildOptions(tasks=("t1", "t2a", "t2b", HARD), mode="allpairs")
    build_tasks(data_root=FIXTURES / "x3-small" / "root", out_dir=out, options=options)
    rooms = make_root(out.parent / "root", splits=("validation",), scenes=3)
    negatives = BuildOptions(tasks=("t1_multi", "t1_negatives"))
    build_tasks(data_root=rooms, out_dir=out.parent / "negatives", options=negatives)
    return out


def data_of(folder: Path) -> dict[str, Any]:
    text = (folder / "data/questions.js").read_text("utf-8")
    value: dict[str, Any] = json.loads(text.removeprefix("x3ask(").removesuffix(");\n"))
    return value


@pytest.mark.parametrize("name", SETS)
def test_the_page_has_nothing_that_tells_an_answer(tasks: Path, tmp_path: Path, name: str) -> None:
    folder = tasks.parent / "negatives" if "negatives" in name else tasks
    source = folder / f"{name}.json"
    records = read_records(source)
    assert records
    page = x3.ask(source, tmp_path / "page", workers=2)
    assert (page.questions, page.samples, page.problems) == (len(records), len(records), ())
    files = tree_bytes(tmp_path / "page", hidden=True)
    secrets = {str(tasks), tasks.name + "/", name, *re.findall(r"[a-z]\d[ab]?_\w+", name)}
    for record in records:
        secrets |= {record.id, record.scene or "", f"uid_{record.uid}", record.task}
        secrets |= {Path(path).name for path in record.images} | {record.label or ""}
        secrets |= {Path(record.query_mask or "").name, record.answer}
    secrets -= {"", "NOT_VISIBLE", "NO_CHANGE"}  # the words of every question that offers them
    for file, content in files.items():
        if file.startswith(("assets/",)):
            continue
        for secret in secrets:
            assert secret not in file, (file, secret)
            assert secret.encode() not in content, (file, secret)
    # The same fields for all questions, with the same values but for id, images and reference point.
    questions = data_of(tmp_path / "page")["questions"]
    assert {tuple(q) for q in questions} == {
        ("id", "text", "images", "absent", "half", "reference")
    }
    assert len({(q["absent"], q["half"], len(q["images"]), q["text"]) for q in questions}) == 1
    assert len({q["id"] for q in questions}) == len(records)


def test_images_have_the_pixels_and_nothing_else(tasks: Path, tmp_path: Path) -> None:
    source = tasks / "t2b_val_unchanged.json"
    records = read_records(source)
    x3.ask(source, tmp_path / "page", workers=1)
    tokens = SampleTokens(records)
    by_token = {tokens.of(record.id): record for record in records}
    kinds = set()
    for question in data_of(tmp_path / "page")["questions"]:
        record = by_token[question["id"]]
        for shown, path in zip(question["images"], record.images, strict=True):
            file = tmp_path / "page" / shown["src"]
            data = file.read_bytes()
            # One chunk of pixels: no EXIF, XMP, ICC profile.
            assert data[8:16] == b"WEBPVP8L" and b"EXIF" not in data and b"XMP" not in data
            kinds.add(data[8:16])
            with Image.open(file) as image, Image.open(path) as original:
                assert image.size == (shown["w"], shown["h"])
                assert np.array_equal(np.asarray(image), np.asarray(original.convert("RGB")))
    assert len(kinds) == 1
    # The order of files by name is not that of the task file.
    names = [q["images"][1]["src"] for q in data_of(tmp_path / "page")["questions"]]
    assert names != sorted(names)


def test_only_an_offered_absence_can_be_chosen(tasks: Path, tmp_path: Path) -> None:
    expected = {
        "t1_val_multi": ("NOT_VISIBLE", False), "t1_val_concat": ("NOT_VISIBLE", True),
        "t2b_val_multi": (None, False), "t2b_val_unchanged": ("NO_CHANGE", False),
    }  # fmt: skip
    for name, (absent, half) in expected.items():
        x3.ask(tasks / f"{name}.json", tmp_path / name, limit=1)
        (question,) = data_of(tmp_path / name)["questions"]
        assert (question["absent"], question["half"]) == (absent, half)
        assert (question["reference"] is not None) == half


def test_the_order_is_seeded_and_a_limit_is_a_part_of_it(tmp_path: Path) -> None:
    source = make_set(tmp_path / "tasks", count=24, scenes=12)

    def order(folder: str, **options: Any) -> list[str]:
        x3.ask(source, tmp_path / folder, **options)
        return [q["id"] for q in data_of(tmp_path / folder)["questions"]]

    full = order("a")
    tokens = SampleTokens(read_records(source))
    assert set(full) == {tokens.of(record.id) for record in read_records(source)}
    assert full != [tokens.of(record.id) for record in read_records(source)]
    assert order("b", workers=3) == full
    assert tree_bytes(tmp_path / "a") == tree_bytes(tmp_path / "b")
    assert order("c", seed=1) != full
    assert order("d", limit=5) == full[:5]
    # A smaller page in the same folder leaves nothing of the larger one.
    assert order("a", limit=5) == full[:5]
    assert tree_bytes(tmp_path / "a") == tree_bytes(tmp_path / "d")


def test_tokens_do_not_depend_on_where_the_data_is(tmp_path: Path) -> None:
    one, two = make_set(tmp_path / "a", count=8), make_set(tmp_path / "b", count=8)
    other = make_set(tmp_path / "c", count=12)
    ids = [record.id for record in read_records(one)]
    tokens = [[SampleTokens(read_records(p)).of(id) for id in ids] for p in (one, two, other)]
    assert tokens[0] == tokens[1]
    assert not set(tokens[0]) & set(tokens[2])  # another set of questions: answers are not mixed up


def test_missing_images_cost_their_questions(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = make_set(tmp_path / "tasks", count=12)
    lost = Path(read_records(source)[3].images[1])
    lost.unlink()
    damaged = Path(read_records(source)[4].images[1])
    damaged.write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    assert command(["ask", str(source), "-o", str(tmp_path / "page")]) == 1
    printed = capsys.readouterr()
    assert f"{lost}: file is missing" in printed.err and f"{damaged}: " in printed.err
    assert "2 questions left out" in printed.err and "10 questions of 12 samples" in printed.out
    assert len(data_of(tmp_path / "page")["questions"]) == 10
    # Enough others are there: a limit is still reached.
    page = x3.ask(source, tmp_path / "limited", limit=10)
    assert page.questions == 10


def test_refused(tasks: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "notes.txt").write_text("mine")
    source = tasks / "t1_val_multi.json"
    empty = tmp_path / "empty.json"
    empty.write_text("[]")
    for arguments, says in (
        ([str(source), "-o", str(mine)], "holds something else than a page of x3 ask"),
        ([str(source), "-o", str(source)], "is a file; name a folder"),
        ([str(empty), "-o", str(tmp_path / "p")], "has no samples"),
        ([str(source), "-o", str(tmp_path / "p"), "--limit", "0"], "--limit 0: must be at least 1"),
        ([str(source), "-o", str(tmp_path / "p"), "--quality", "101"], "--quality 101: must be"),
        ([str(source), "-o", str(tmp_path / "p"), "--title", " "], "--title: is empty"),
    ):
        assert command(["ask", *arguments]) == 2
        assert says in capsys.readouterr().err
    assert {path.name for path in mine.iterdir()} == {"notes.txt"}
    with pytest.raises(UserError, match="are missing"):
        moved = make_set(tmp_path / "gone", count=2)
        for record in read_records(moved):
            for path in record.images:
                Path(path).unlink()
        x3.ask(moved, tmp_path / "p")


def test_a_title_is_text(tmp_path: Path) -> None:
    source = make_set(tmp_path / "tasks", count=2)
    x3.ask(source, tmp_path / "p", title="<script>alert(1)</script>", limit=1)
    page = (tmp_path / "p/index.html").read_text()
    assert "<script>alert" not in page and "&lt;script&gt;" in page
    assert "default-src 'none'" in page and "http" not in page.replace("http-equiv", "")
