"""Scoring again, and comparing two runs."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from helpers.task_sets import Scripted, make_set
from x3spatial.errors import UserError
from x3spatial.evaluation.compare import compare
from x3spatial.evaluation.rescore import score as rescore
from x3spatial.evaluation.run import evaluate


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    data = make_set(tmp_path, count=60, scenes=11)
    for model in ("oracle", "centre"):
        evaluate(data_json=data, output_json=tmp_path / f"{model}.json", model=model, workers=1)
    return tmp_path


def test_rescoring_gives_the_same(folder: Path) -> None:
    data, results = folder / "t1_val_multi.json", folder / "centre.json"
    before = results.read_text()
    outcome = rescore(results=results, data_json=data, output_json=folder / "again.json")
    assert (folder / "again.json").read_text() == before
    assert (outcome.kept, outcome.model) == (60, "centre")
    outcome = rescore(results=results, data_json=data, scoring="roborefer", mask="tight")
    scoring = json.loads(results.read_text())["scoring"]
    assert scoring == {"rule": "roborefer", "mask": "tight", "mask_kinds": {"tight": 60}}
    assert outcome.output_json == results


def test_rescoring_with_a_moved_root(
    folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    moved = tmp_path_factory.mktemp("moved") / "root"
    shutil.copytree(folder, moved)
    data = moved / "t1_val_multi.json"
    data.write_text(data.read_text().replace(str(folder), str(moved)))
    shutil.rmtree(folder / "train")
    outcome = rescore(results=moved / "oracle.json", data_json=data)
    assert outcome.metrics["hit_at_mask"] == 1.0
    assert outcome.problems == ()


def test_answers_in_pixels_need_the_sizes_they_were_given_in(folder: Path) -> None:
    """A point in pixels means nothing without them: said, not guessed from the records."""
    data, results = folder / "t1_val_multi.json", folder / "centre.json"
    output = json.loads(results.read_text())
    output["model"]["convention"] = "pixel"
    for entry in output["results"]:
        entry |= {"pred_text": "[(32, 24)]", "pixel_sizes": [[64, 48], [64, 48]]}
    results.write_text(json.dumps(output))
    assert rescore(results=results, data_json=data).metrics["parse_failures"] == 0
    again = json.loads(results.read_text())["results"]
    assert again[0]["pred_parsed"]["coord"] == [0.5, 0.5]
    assert again[0]["pixel_sizes"] == [[64, 48], [64, 48]]
    del output["results"][3]["pixel_sizes"]
    results.write_text(json.dumps(output))
    with pytest.raises(UserError, match=f"answer to {again[3]['id']} cannot be read: .*sizes"):
        rescore(results=results, data_json=data)


def test_rescoring_refuses_other_data(folder: Path) -> None:
    data, results = folder / "t1_val_multi.json", folder / "oracle.json"
    records = json.loads(data.read_text())
    data.write_text(json.dumps(records[1:]))
    with pytest.raises(UserError, match="has no sample"):
        rescore(results=results, data_json=data)
    records[0]["conversations"][1]["value"] = "[(0.999, 0.999)]"
    data.write_text(json.dumps(records))
    with pytest.raises(UserError, match="right answer of"):
        rescore(results=results, data_json=data)
    with pytest.raises(UserError, match="not a results file"):
        rescore(results=data, data_json=data)


def test_comparison_is_paired(folder: Path) -> None:
    found = compare(folder / "centre.json", folder / "oracle.json")
    rows = {row.metric: row for row in found.differences}
    assert (found.samples, found.left_out, found.ci_unit) == (60, 0, "scene")
    hit = rows["hit_at_mask"]
    assert hit.b == 1.0
    assert hit.a is not None and hit.difference == pytest.approx(1.0 - hit.a)
    assert hit.ci95 is not None and hit.ci95[0] <= 1.0 - hit.a <= hit.ci95[1]
    assert hit.is_clear
    assert rows["mean_l2_error_full"].difference is None
    text = found.render()
    assert "hit_at_mask " in text and "60 samples in both" in text
    json.dumps(found.to_json(), allow_nan=False)


def test_a_run_compared_with_itself_differs_nowhere(folder: Path) -> None:
    for row in compare(folder / "centre.json", folder / "centre.json").differences:
        assert row.difference in (None, 0.0)
        assert row.ci95 in (None, (0.0, 0.0))
        assert not row.is_clear


def test_only_samples_that_both_answered_count(folder: Path) -> None:
    data = folder / "t1_val_multi.json"
    bad = json.loads(data.read_text())[0]["id"]
    evaluate(
        data_json=data,
        output_json=folder / "scripted.json",
        model=Scripted({bad: RuntimeError("x")}),
        limit=50,
    )
    found = compare(folder / "oracle.json", folder / "scripted.json")
    assert (found.samples, found.left_out) == (49, 11)


def test_comparing_refuses_what_does_not_compare(folder: Path) -> None:
    data = folder / "t1_val_multi.json"
    rescore(results=folder / "oracle.json", data_json=data, mask="tight")
    with pytest.raises(UserError, match="scored differently"):
        compare(folder / "oracle.json", folder / "centre.json")
    other = make_set(folder / "other", count=8)
    evaluate(data_json=other, output_json=folder / "other.json", model="centre")
    with pytest.raises(UserError, match="different data"):
        compare(folder / "centre.json", folder / "other.json")


def test_builds_of_formats_1_and_2_have_the_same_images(folder: Path) -> None:
    data = folder / "t1_val_multi.json"
    manifest = {"format": 1, "parameters": {"alpha": 0.45, "seed": 42}, "prompts": {}}
    for number, model in ((1, "centre"), (2, "oracle"), (3, "uniform")):
        (folder / "build.json").write_text(json.dumps({**manifest, "format": number}))
        evaluate(data, folder / f"{model}.json", model=model, workers=1, fresh=True)
    assert compare(folder / "centre.json", folder / "oracle.json").samples == 60
    with pytest.raises(UserError, match="built with other parameters"):
        compare(folder / "centre.json", folder / "uniform.json")


def test_rescoring_replaces_nothing_but_results(folder: Path) -> None:
    data, results = folder / "t1_val_multi.json", folder / "centre.json"
    (folder / "notes.json").write_text('{"mine": 1}')
    (folder / "folder").mkdir()
    before = {path: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    for name, reason in (
        ("t1_val_multi.json", "also an input file"),
        ("notes.json", "not a results file of x3 eval; remove it"),
        ("folder", "is a folder"),
        ("x" * 405, "name too long"),
    ):
        with pytest.raises(UserError, match=f"--out .*(?i:{reason})") as error:
            rescore(results=results, data_json=data, output_json=folder / name)
        assert "\n" not in str(error.value)
    assert before == {path: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    rescore(results=results, data_json=data, output_json=folder / "oracle.json")
    assert json.loads((folder / "oracle.json").read_text())["model"]["name"] == "centre"


GT = {"text": "a", "is_not_visible": False}
SETTINGS = {
    "model": "centre",
    "describe": {},
    "convention": "unit",
    "data_sha256": "",
    "max_new_tokens": 64,
    "seed": 0,
}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"data": {}}, "'data.path' is missing"),
        ({"settings": []}, "'settings' is not an object"),
        ({"settings": SETTINGS | {"image_folder": 3}}, "'settings.image_folder' is not a text"),
        ({"model": {"name": "x", "convention": ["unit"]}}, "'model.convention' is not a text"),
        ({"scoring": None}, "'scoring' is not an object"),
        ({"results": {}}, "'results' is not a list"),
        ({"results": [{}]}, "result 1: 'id' is missing"),
        ({"results": [3]}, "result 1 is not an object"),
        ({"id": 3}, "result 1: 'id' is not a text"),
        ({"gt": "NOT_VISIBLE"}, "result 1: 'gt' is not an object"),
        ({"gt": GT | {"coord": []}}, "result 1: 'gt.coord' is not a list of 2 values"),
        ({"gt": GT | {"coord": [0, None]}}, "result 1: 'gt.coord' is not a number"),
        ({"l2_error": 1e999}, "result 1: 'l2_error' is not a finite number"),
        ({"hit_mask": "yes"}, "result 1: 'hit_mask' is not of type bool or float"),
        ({"scoring": {"rule": "x4", "mask": "auto"}}, "'scoring.rule' is 'x4', not one of"),
        ({"metrics": {"total": True}}, "'metrics.total' is not of type float or int"),
        ({"format": "2"}, "'format' is not a version number"),
        ({"pred_text": 5}, "result 1: 'pred_text' is not a text"),
        ({"scene": []}, "result 1: 'scene' is not a text"),
        ({"status": []}, r"result 1: 'status' is \[\], not one of"),
    ],
)
def test_damaged_results_are_named(folder: Path, change: dict[str, Any], reason: str) -> None:
    data, bad = folder / "t1_val_multi.json", folder / "bad.json"
    value = json.loads((folder / "centre.json").read_text())
    if change.keys() <= value.keys():
        value |= change
    else:
        value["results"][0] |= change
    bad.write_text(json.dumps(value))
    for use in (
        lambda: rescore(results=bad, data_json=data),
        lambda: compare(bad, folder / "oracle.json"),
        lambda: compare(folder / "oracle.json", bad),
    ):
        with pytest.raises(UserError, match=f"bad.json: damaged results file: .*{reason}") as error:
            use()
        assert "\n" not in str(error.value)
