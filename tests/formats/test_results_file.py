"""The results file: what is written, what is read, and what is refused."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.golden_run import GOLDEN, make_golden_set, normalised, write_golden_run
from helpers.task_sets import Scripted, make_set
from x3spatial.errors import UserError
from x3spatial.evaluation.compare import compare
from x3spatial.evaluation.rescore import score as rescore
from x3spatial.evaluation.run import evaluate
from x3spatial.formats.results_entry import GroundTruth, ParsedAnswer, SampleResult
from x3spatial.formats.results_file import (
    ModelInfo,
    ScoringInfo,
    check_replaceable,
    read_results,
    run_identity,
    write_results,
)
from x3spatial.formats.typed_json import decode, encode
from x3spatial.models.base import Output
from x3spatial.reports.preview import preview


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """A results file of today."""
    return write_golden_run(tmp_path)


def as_format_1(path: Path) -> None:
    """Make a results file one of x3spatial 0.1: format 2 added a key and a count."""
    head, line, rest = path.read_text().partition('  "format": 2,\n')
    assert (head, bool(line)) == ("{\n", True)
    path.write_text(head + rest)


def test_only_additions_are_new(written: Path, tmp_path: Path) -> None:
    """Against format 1: further fields, and an interval that was a point is Wilson's."""
    text = normalised(written.read_text(), tmp_path)
    assert text.startswith('{\n  "format": 2,\n  "metrics": {\n')
    new, old = json.loads(text), json.loads(GOLDEN.read_text())
    assert new.pop("format") == 2 and new["metrics"].pop("cut_off") == 0
    assert sum(new.pop("unparsed_reasons").values()) == new["metrics"]["parse_failures"]
    assert sum(new["scoring"].pop("mask_kinds").values()) == new["metrics"]["total"]
    assert new["run"].pop("engine") == "local"
    assert set(new.pop("consistency")) == {"cycle", "object_all_right"}
    wilson = 0
    for part, before in zip([new, *new["by_mask_area"]], [old, *old["by_mask_area"]], strict=True):
        for name, method in part.pop("ci_method").items():
            if method == "wilson":
                wilson += 1
                low, high = part["ci95"][name]
                assert before["ci95"][name] in ([low, low], [high, high]) and low < high
                part["ci95"][name] = before["ci95"][name]
            else:
                assert (method == "bootstrap") is (part["ci95"][name] is not None)
    assert wilson
    assert json.dumps(new) == json.dumps(old)  # in the same order


def test_what_is_read_is_written_again(tmp_path: Path) -> None:
    results = read_results(str(GOLDEN))
    assert results.format == 1
    write_results(str(tmp_path / "again.json"), results)
    again = tmp_path / "again.json"
    text = again.read_text().replace('  "unparsed_reasons": {},\n', "", 1)
    assert text == GOLDEN.read_text().replace("{\n", '{\n  "format": 2,\n', 1)
    assert read_results(again) == replace(results, format=2)


def test_the_parts_are_typed() -> None:
    results = read_results(GOLDEN)
    assert results.scoring == ScoringInfo("x3", "auto")
    assert results.model == ModelInfo(name="pixels", convention="pixel", describe={"version": "1"})
    assert (results.metrics["total"], results.ci_unit, results.run.processes) == (22, "scene", 1)
    assert results.ci95["hit_at_mask"] == (0.05131578947368428, 0.46153846153846156)
    assert [problem.reason for problem in results.problems] == ["file is missing"]
    row = results.by_mask_area[-1]
    assert (row.least, row.most) == (0.04, None)
    first, _, failed = results.results[:3]
    assert first.pred_parsed.coord == (0.28125, 1 / 3)
    assert (first.pixel_sizes, first.details) == (((32, 24), (32, 24)), {"sent": [1, 2.5, None]})
    assert failed.error == "RuntimeError: out of memory" and failed.details == {}


def test_an_older_format_is_logged(caplog: pytest.LogCaptureFixture, written: Path) -> None:
    read_results(written)
    assert caplog.messages == []
    read_results(GOLDEN)
    assert caplog.messages == [
        f"{GOLDEN}: format 1 (written by x3spatial 0.1.0); it is read as such"
    ]
    assert caplog.records[0].name == "x3spatial" and caplog.records[0].levelno == logging.WARNING


USES: dict[str, Callable[[Path, Path], object]] = {
    "compare": lambda results, _: compare(results, results),
    "score": lambda results, data: rescore(results=results, data_json=data),
    "score onto it": lambda results, data: rescore(
        results=results.with_name("other.json"), data_json=data, output_json=results
    ),
    "eval": lambda results, data: evaluate(
        data_json=data, output_json=results, model=Scripted(), workers=1
    ),
    "eval --fresh": lambda results, data: evaluate(
        data_json=data, output_json=results, model=Scripted(), workers=1, fresh=True
    ),
    "preview": lambda results, data: preview(
        data_json=data, output=results.with_suffix(".png"), results=results
    ),
}


@pytest.mark.parametrize("use", USES)
def test_a_later_format_is_refused(use: str, tmp_path: Path) -> None:
    data, results = make_set(tmp_path), tmp_path / "results.json"
    evaluate(data_json=data, output_json=results, model=Scripted(), workers=1)
    (tmp_path / "other.json").write_bytes(results.read_bytes())
    value = json.loads(results.read_text())
    del value["settings"]  # what a later format has beyond its number is not known
    results.write_text(json.dumps({**value, "format": 3}))
    before = results.read_bytes()
    with pytest.raises(UserError, match=r"results\.json: results of format 3; .* newer x3spatial"):
        USES[use](results, data)
    assert results.read_bytes() == before


@pytest.mark.parametrize("use", [use for use in USES if use != "score onto it"])
def test_format_1_is_used_like_format_2(use: str, tmp_path: Path) -> None:
    data, results = make_set(tmp_path), tmp_path / "results.json"
    evaluate(data_json=data, output_json=results, model=Scripted(), workers=1)
    as_format_1(results)
    USES[use](results, data)
    assert read_results(results).format == (1 if use in ("compare", "preview") else 2)


def test_a_run_of_format_1_is_continued_as_format_2(tmp_path: Path) -> None:
    data, model = make_golden_set(tmp_path)
    failing = next(id for id, text in model.answers.items() if isinstance(text, Exception))
    write_golden_run(tmp_path)
    output = tmp_path / "results.json"
    as_format_1(output)
    model.answers[failing] = "NOT_VISIBLE"
    result = evaluate(data_json=data, output_json=output, model=model, workers=1)
    assert (result.asked, model.asked, result.errors) == (1, [failing], 0)
    assert output.read_text().startswith('{\n  "format": 2,\n')


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_what_is_no_number_is_not_written(number: float, tmp_path: Path, written: Path) -> None:
    results = read_results(written)
    before = written.read_bytes()
    entry = replace(results.results[0], l2_error=number)
    for bad in (
        replace(results, metrics={**results.metrics, "hit_at_mask": number}),
        replace(results, results=(entry, *results.results[1:])),
    ):
        with pytest.raises(ValueError, match="JSON"):
            write_results(written, bad)
    assert written.read_bytes() == before
    text = written.read_text().replace('"l2_error": null', '"l2_error": NaN', 1)
    written.write_text(text)
    with pytest.raises(UserError, match="'l2_error' is not a finite number"):
        read_results(written)


class Unbounded(Scripted):
    """Reports numbers that JSON does not have."""

    def answer(self, questions: Any, prepared: Any) -> Any:
        return [
            Output(text, details={"logprob": float("-inf"), "more": [float("nan"), 1.5]})
            for text in super().answer(questions, prepared)
        ]

    def describe(self) -> dict[str, Any]:
        return {"temperature": float("nan")}


def test_what_a_model_reports_becomes_null_where_it_is_no_number(tmp_path: Path) -> None:
    data, output = make_set(tmp_path), tmp_path / "results.json"
    evaluate(data_json=data, output_json=output, model=Unbounded(), workers=1)
    results = read_results(output)
    assert results.results[0].details == {"logprob": None, "more": [None, 1.5]}
    assert results.model.describe == {"temperature": None}
    assert "NaN" not in output.read_text() and "Infinity" not in output.read_text()
    assert evaluate(data_json=data, output_json=output, model=Unbounded(), workers=1).asked == 0


def test_scoring_again_keeps_who_wrote_it_and_what_was_asked(tmp_path: Path) -> None:
    data, output = make_set(tmp_path), tmp_path / "results.json"
    (tmp_path / "build.json").write_text('{"format": 1, "parameters": {}}')
    evaluate(data_json=data, output_json=output, model=Scripted(), workers=1)
    before, identity = read_results(output), run_identity(output)
    (tmp_path / "build.json").unlink()
    rescore(results=output, data_json=data, scoring="roborefer", mask="tight")
    after = read_results(output)
    assert after != before and run_identity(output) == identity
    assert after.data == before.data and after.data.build is not None
    assert {type(entry.hit_mask) for entry in before.results} == {bool, type(None)}
    assert {type(entry.hit_mask) for entry in after.results} == {float, type(None)}


def test_the_preview_shows_hits_and_misses(tmp_path: Path) -> None:
    data, output = make_set(tmp_path), tmp_path / "results.json"
    evaluate(data_json=data, output_json=output, model="oracle", workers=1)
    results = read_results(output)
    chosen = next(entry for entry in results.results if entry.hit_mask)
    drawn = []
    for hit in (True, False):
        write_results(output, replace(results, results=(replace(chosen, hit_mask=hit),)))
        png = tmp_path / f"{hit}.png"
        preview(data_json=data, output=png, results=output, ids=[chosen.id])
        drawn.append(png.read_bytes())
    assert drawn[0] != drawn[1]


def test_only_results_are_replaceable(tmp_path: Path) -> None:
    check_replaceable(tmp_path / "not there.json")
    check_replaceable(GOLDEN)
    for text in ("{", "[]", '{"results": []}', '{"format": 2, "parameters": {}}'):
        (tmp_path / "x.json").write_text(text)
        with pytest.raises(UserError, match=r"^--out .*x\.json: .*remove it"):
            check_replaceable(tmp_path / "x.json", "--out")


FINITE = st.floats(allow_nan=False, allow_infinity=False)
POINTS = st.none() | st.tuples(FINITE, FINITE)
HITS = st.none() | st.booleans() | FINITE
TEXTS = st.none() | st.text()
ENTRIES = st.builds(
    SampleResult,
    id=st.text(),
    pred_text=TEXTS,
    pred_parsed=st.builds(ParsedAnswer, st.none() | st.booleans(), POINTS),
    gt=st.builds(GroundTruth, st.text(), st.booleans(), POINTS),
    l2_error=st.none() | FINITE,
    success_l2_010=st.none() | st.booleans(),
    hit_mask=HITS,
    status=st.sampled_from(["answered", "unparsed", "error"]),
    scene=TEXTS,
    uid=TEXTS,
    hit_mask_tight=HITS,
    l2_error_full=st.none() | FINITE,
    contradictory=st.booleans(),
    out_of_range=st.booleans(),
    missing_mask=st.booleans(),
    images_seen=TEXTS,
    pixel_sizes=st.lists(st.tuples(st.integers(1), st.integers(1))).map(tuple),
    details=st.dictionaries(st.text(), st.none() | FINITE | st.lists(st.text())),
    error=TEXTS,
)


@given(ENTRIES)
def test_an_entry_survives_the_file(entry: SampleResult) -> None:
    text = json.dumps(encode(entry), allow_nan=False)
    read = decode(SampleResult, json.loads(text))
    assert read == entry
    assert type(read.hit_mask) is type(entry.hit_mask)
    assert json.dumps(encode(read), allow_nan=False) == text
