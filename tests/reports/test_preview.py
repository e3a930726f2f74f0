"""Contents of contact sheets, and refused inputs and outputs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

from helpers.painted_rooms import painted_root
from helpers.roots import make_root
from helpers.task_sets import Scripted, make_set
from x3spatial.builder.options import BuildOptions
from x3spatial.builder.run import build_tasks
from x3spatial.errors import UserError
from x3spatial.evaluation.rescore import score as rescore
from x3spatial.evaluation.run import evaluate
from x3spatial.formats.results_file import read_results
from x3spatial.formats.task_file import TaskRecord, read_records
from x3spatial.reports import preview as preview_module
from x3spatial.reports.lettering import INK, MUTED, TRUTH_INK, font, wrap
from x3spatial.reports.marks import ANSWER, ANSWERS, OUTLINE, REFERENCE, TRUTH
from x3spatial.reports.outcomes import FILTERS, NEITHER, OUTCOMES, RIGHT, WRONG, outcome_of
from x3spatial.reports.panel import panel
from x3spatial.reports.preview import preview


@pytest.fixture(scope="module")
def tasks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("preview")
    root = make_root(folder / "root", splits=("validation",))
    build_tasks(data_root=root, out_dir=folder / "tasks", workers=1)
    return folder / "tasks"


def colours(path: Path) -> set[tuple[int, ...]]:
    with Image.open(path) as image:
        return set(map(tuple, np.unique(np.asarray(image).reshape(-1, 3), axis=0).tolist()))


@pytest.mark.parametrize(
    "name", ["t1_val_multi", "t1_val_concat", "t2a_val_multi", "t2b_val_multi"]
)
def test_each_task_shows_its_marks(name: str, tasks: Path, tmp_path: Path) -> None:
    data = tasks / f"{name}.json"
    results = tmp_path / "r.json"
    evaluate(data_json=data, output_json=results, model="uniform", workers=1)
    path = preview(data_json=data, output=tmp_path / "p.png", results=results).path
    seen = colours(path)
    assert ANSWER in seen
    assert (TRUTH in seen) == (OUTLINE in seen) == (name != "t2a_val_multi")
    assert (REFERENCE in seen) == (name == "t1_val_concat")


def test_samples_can_be_chosen_by_id(tasks: Path, tmp_path: Path) -> None:
    data = tasks / "t1_val_multi.json"
    record = json.loads(data.read_text())[0]
    one = preview(data_json=data, output=tmp_path / "one.png", ids=[record["id"]])
    all_of_them = preview(data_json=data, output=tmp_path / "all.png")
    with Image.open(one) as a, Image.open(all_of_them) as b:
        assert a.height < b.height
    with pytest.raises(UserError, match="no such sample"):
        preview(data_json=data, output=tmp_path / "x.png", ids=["nope"])


def test_damaged_results_or_those_of_other_samples_are_refused(tasks: Path, tmp_path: Path) -> None:
    data, results = tasks / "t1_val_multi.json", tmp_path / "r.json"
    evaluate(data_json=data, output_json=results, model="uniform", workers=1)
    with pytest.raises(UserError, match=r"has no answer to a sample of .*t2b_val_multi.json"):
        preview(data_json=tasks / "t2b_val_multi.json", output=tmp_path / "p.png", results=results)
    value = json.loads(results.read_text())
    for change in ({"pred_parsed": None}, {"pred_parsed": {"coord": ["a", "b"]}}, {"id": None}):
        entry = {**value["results"][1], **change}
        if entry["id"] is None:
            del entry["id"]
        results.write_text(json.dumps({**value, "results": [value["results"][0], entry]}))
        with pytest.raises(UserError, match=r"r.json: damaged results file: result 2: "):
            preview(data_json=data, output=tmp_path / "p.png", results=results)
    assert not (tmp_path / "p.png").exists()


def test_only_a_png_is_overwritten(tasks: Path, tmp_path: Path) -> None:
    data = tasks / "t1_val_multi.json"
    (tmp_path / "folder").mkdir()
    (tmp_path / "notes.txt").write_text("mine")
    before = set(tmp_path.iterdir())
    for output, reason in (
        (tmp_path / "folder", "is a folder"),
        (tmp_path / "notes.txt", "is a PNG or JPEG; name a file"),
        (tmp_path / ("x" * 405), "name too long"),
        (data, "also an input file"),
    ):
        with pytest.raises(UserError, match=f"--out .*(?i:{reason})"):
            preview(data_json=data, output=output)
    assert set(tmp_path.iterdir()) == before
    assert (tmp_path / "notes.txt").read_text() == "mine"
    for _ in range(2):
        preview(data_json=data, output=tmp_path / "p.png", limit=1)


@pytest.mark.parametrize("suffix", [".jpg", ".JPEG"])
def test_a_jpeg_is_a_jpeg_and_is_known_again(suffix: str, tasks: Path, tmp_path: Path) -> None:
    out = tmp_path / f"p{suffix}"
    for limit in (1, 2):
        preview(tasks / "t1_val_multi.json", out, limit=limit)
        with Image.open(out) as image:
            assert image.format == "JPEG"
    Image.new("RGB", (8, 8)).save(out)
    before = out.read_bytes()
    with pytest.raises(UserError, match="was not written by x3 preview"):
        preview(tasks / "t1_val_multi.json", out)
    assert out.read_bytes() == before


@pytest.mark.parametrize("name", ["out.html", "out.gif", "out", "out.png.txt"])
def test_other_formats_are_refused(name: str, tasks: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"name a file that ends in .png, .jpg, .jpeg"):
        preview(tasks / "t1_val_multi.json", tmp_path / name)
    assert list(tmp_path.iterdir()) == []


TEXTS = ["[(9, 9)]", "NOT_VISIBLE", "I do not know."]


@pytest.fixture(scope="module")
def answered(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A set in which the fourth of four samples is not visible, and results with every kind of answer."""
    folder = tmp_path_factory.mktemp("answered")
    data = make_set(folder, count=12)
    texts = {r.id: TEXTS[i % 3] for i, r in enumerate(read_records(data))}
    ids = list(texts)
    texts[ids[3]], texts[ids[7]] = "NOT_VISIBLE", "[(0.5, 0.5)]"  # of those that are not visible
    texts[ids[4]] = read_records(data)[4].answer
    results = folder / "scripted.json"
    script: dict[str, str | Exception] = {**texts, ids[11]: ValueError("broken")}
    evaluate(data, results, Scripted(script), workers=1)
    return data, results


def drawn(
    monkeypatch: pytest.MonkeyPatch, *given: Any, **options: Any
) -> tuple[list[str], list[str]]:
    """Ids of the samples on a sheet in order, and everything that is written on it."""
    ids: list[str] = []
    written: list[str] = []
    plain_panel, text = panel, ImageDraw.ImageDraw.text

    def noted(record: TaskRecord, *args: Any, **kwargs: Any) -> Image.Image:
        ids.append(record.id)
        return plain_panel(record, *args, **kwargs)

    def note(self: Any, xy: Any, words: str, *args: Any, **kwargs: Any) -> None:
        written.append(words)
        text(self, xy, words, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(preview_module, "panel", noted)
        patch.setattr(ImageDraw.ImageDraw, "text", note)
        preview(*given, **options)
    return ids, written


def test_right_and_wrong_are_words_and_colours(
    answered: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, results = answered
    _, written = drawn(monkeypatch, data, tmp_path / "p.png", results=results)
    boxes = {text.split(",")[0] for text in written if text.startswith(("RIGHT", "WRONG", "no "))}
    assert boxes == {
        "RIGHT: hit", "WRONG: miss", "WRONG: false NOT_VISIBLE", "RIGHT: not visible", "WRONG: unparsed",
        "WRONG: false point", "no answer",
    }  # fmt: skip
    assert {RIGHT, WRONG, NEITHER} <= colours(tmp_path / "p.png")
    assert "t1_val_multi.json: scripted" in written
    assert "Tight masks. 12 of 12 samples." in written
    assert {"A: marked", "B: query", "right point", "outline of the mask", "answer"} <= set(written)
    assert any(text.startswith("error: ValueError: broken") for text in written)
    assert not any("[answered]" in text for text in written)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"task": "t1_negatives", "query_mask": None, "query_mask_kind": None, "verified": "geometry",
          "absence": "occlusion", "query_original": None}, "No masks. 12 of 12 samples."),
        ({"query_mask": None, "query_mask_kind": None}, "Masks of unknown kind. 12 of 12 samples."),
        ({"query_mask_kind": "dilated"}, "Dilated masks. 12 of 12 samples."),
    ],
)  # fmt: skip
def test_the_kind_of_mask_is_named(
    changes: dict[str, Any], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = make_set(tmp_path)
    records = [{**record, **changes} for record in json.loads(data.read_text())]
    for record in records[:6] if "absence" in changes else ():
        record["conversations"][1]["value"] = "NOT_VISIBLE"
    data.write_text(json.dumps(records))
    _, written = drawn(monkeypatch, data, tmp_path / "p.png")
    assert told in written
    assert ("truth: NOT_VISIBLE (occlusion)" in written) == ("absence" in changes)


def test_sheets_of_the_hard_sets_say_what_is_absent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "t"
    root = painted_root(tmp_path / "root", 2)
    build_tasks(root, out, BuildOptions(tasks=("hard",), mode="allpairs"))
    taken_out = "outline of the object that was taken out"
    _, written = drawn(monkeypatch, out / "t1_val_counterfactual.json", tmp_path / "c.png")
    assert taken_out in written and "outline of the mask" not in written
    _, written = drawn(monkeypatch, out / "t1_val_negatives.json", tmp_path / "n.png")
    assert any(text.startswith("No masks.") for text in written)
    assert any(text.startswith("truth: NOT_VISIBLE (") for text in written)
    same = [r.id for r in read_records(out / "t2b_val_unchanged.json") if r.id.endswith("_SAME")]
    data = out / "t2b_val_unchanged.json"
    _, written = drawn(monkeypatch, data, tmp_path / "u.png", ids=same[:2])
    assert not {"right point", "outline of the mask", taken_out} & set(written)
    _, written = drawn(monkeypatch, data, tmp_path / "v.png")
    assert {"right point", "outline of the mask"} <= set(written)


@pytest.mark.parametrize("name", FILTERS)
def test_only_draws_what_has_the_outcome(
    name: str, answered: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, results = answered
    entries = read_results(results).results
    expected = {
        "hit": lambda e: e.hit_mask is True,
        "miss": lambda e: e.hit_mask is False and e.pred_parsed.coord is not None,
        "false-not-visible": lambda e: not e.gt.is_not_visible and e.pred_text == "NOT_VISIBLE",
        "not-visible": lambda e: e.gt.is_not_visible and e.pred_text == "NOT_VISIBLE",
        "false-point": lambda e: e.gt.is_not_visible and e.pred_parsed.coord is not None,
        "unparsed": lambda e: e.pred_text == "I do not know.",
        "error": lambda e: e.pred_text is None,
        "out-of-range": lambda e: e.pred_text == "[(9, 9)]",
        "right": lambda e: (
            e.hit_mask is True or (e.gt.is_not_visible and e.pred_text == "NOT_VISIBLE")
        ),
        "wrong": lambda e: (
            e.pred_text is not None
            and e.hit_mask is not True
            and not (e.gt.is_not_visible and e.pred_text == "NOT_VISIBLE")
        ),
    }.get(name, lambda e: False)
    ids = [entry.id for entry in entries if expected(entry)]
    out = tmp_path / "p.png"
    if ids:
        assert drawn(monkeypatch, data, out, results=results, only=[name], limit=99)[0] == ids
        return
    with pytest.raises(UserError, match=rf"--only {name}: no sample is one; the results have \d"):
        preview(data, out, results=results, only=[name])
    assert not out.exists()


def test_the_worst_come_first(
    answered: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, results = answered
    everything = {"results": results, "limit": 99}
    ids, _ = drawn(monkeypatch, data, tmp_path / "p.png", sort="worst", **everything)
    by_id = {entry.id: entry for entry in read_results(results).results}
    distances = [by_id[id].l2_error for id in ids]
    known = [distance for distance in distances if distance is not None]
    wrong = known[:-1]  # the one hit has a distance too
    assert distances[: len(wrong)] == sorted(wrong, reverse=True)
    assert known[-1] == min(known)
    right = [outcome_of(by_id[id]).right for id in ids]
    assert right == sorted(right, key=[False, None, True].index)
    reverse, _ = drawn(monkeypatch, data, tmp_path / "p.png", sort="best", **everything)
    assert [outcome_of(by_id[id]).right for id in reverse] == right[::-1]
    first, _ = drawn(monkeypatch, data, tmp_path / "p.png", sort="worst", results=results, limit=2)
    assert first == ids[:2]


def test_outcomes_are_shown_in_proportion(
    answered: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, results = answered
    by_id = {entry.id: entry for entry in read_results(results).results}
    names = [outcome_of(by_id[id]).name for id in by_id]
    assert (names.count("miss"), names.count("hit")) == (3, 1)
    ids, _ = drawn(monkeypatch, data, tmp_path / "p.png", results=results, sort="outcome", limit=6)
    shown = [outcome_of(by_id[id]).name for id in ids]
    assert len(shown) == 6
    for name in OUTCOMES:
        assert abs(shown.count(name) - names.count(name) / 2) <= 1
    assert (
        ids
        == drawn(monkeypatch, data, tmp_path / "p.png", results=results, sort="outcome", limit=6)[0]
    )


def test_several_models_share_a_picture(
    answered: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, results = answered
    other = tmp_path / "centre.json"
    evaluate(data, other, "centre", workers=1)
    out = tmp_path / "p.png"
    _, written = drawn(monkeypatch, data, out, results=[results, other])
    assert {"1: answer of scripted", "2: answer of centre"} <= set(written)
    assert set(ANSWERS[:2]) <= colours(out)
    assert sum(text.startswith("2 centre: ") for text in written) == 12
    _, written = drawn(monkeypatch, data, out, results=[other, other])
    assert f"1: answer of centre ({tmp_path.name}/centre.json)" in written
    rescore(other, data, tmp_path / "tight.json", mask="tight")
    with pytest.raises(UserError, match=r"tight.json: scored differently than .*centre.json"):
        preview(data, out, results=[other, tmp_path / "tight.json"])
    with pytest.raises(UserError, match="7 files; a picture shows at most 6"):
        preview(data, out, results=[other] * 7)


def test_options_without_answers_and_unknown_names_are_refused(
    answered: tuple[Path, Path], tmp_path: Path
) -> None:
    data, results = answered
    for options, reason in (
        (
            {"only": ["missed"], "results": results},
            "--only missed: must be one of right, wrong, .*miss",
        ),
        ({"sort": "l2", "results": results}, "--sort l2: must be one of file, worst, best"),
        ({"only": ["miss"]}, "--only: needs answers"),
        ({"sort": "worst"}, "--sort: needs answers"),
    ):
        with pytest.raises(UserError, match=reason):
            preview(data, tmp_path / "p.png", **options)


def test_a_long_text_is_wrapped_and_ends_with_an_ellipsis() -> None:
    text = "one two three four five six seven eight nine ten " * 9
    lines = wrap(text.strip(), 120, 14, 99)
    assert " ".join(lines) == text.strip()
    assert max(font(14).getlength(line) for line in lines) <= 120
    short = wrap(text.strip(), 120, 14, 3)
    assert short[:2] == lines[:2]
    assert short[2].endswith("\u2026")
    assert font(14).getlength(short[2]) <= 120
    assert all(font(14).getlength(line) <= 60 for line in wrap("w" * 200, 60, 14, 99))


@pytest.mark.parametrize("colour", [INK, MUTED, TRUTH_INK, RIGHT, WRONG, NEITHER])
def test_text_has_contrast_with_white(colour: tuple[int, int, int]) -> None:
    """WCAG 2.1, level AA: at least 4.5 to 1."""
    parts = [c / 255 / 12.92 if c <= 10 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in colour]
    luminance = 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]
    assert 1.05 / (luminance + 0.05) >= 4.5


def test_a_missing_file_is_named(answered: tuple[Path, Path], tmp_path: Path) -> None:
    data, _ = answered
    records = json.loads(data.read_text())
    records[0]["image"][1] = str(tmp_path / "gone.png")
    (tmp_path / "t.json").write_text(json.dumps(records))
    with pytest.raises(UserError, match=r"sample \S+: .*gone.png: "):
        preview(tmp_path / "t.json", tmp_path / "p.png")
