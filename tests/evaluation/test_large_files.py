"""What a task file of hundreds of thousands of samples costs: files are opened once, and little is kept."""

from __future__ import annotations

import gc
import json
import re
import tracemalloc
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import x3spatial.evaluation.scoring.masks as masks_module
import x3spatial.tasks.parsing as parsing
from helpers.task_sets import Scripted, box_mask, make_record, write_set
from x3spatial.errors import UserError
from x3spatial.evaluation.run import evaluate
from x3spatial.evaluation.statistics.chance import _in_parts, disc_area
from x3spatial.evaluation.statistics.intervals import Groups
from x3spatial.formats.results_file import open_results, read_results, write_results
from x3spatial.formats.task_file import TaskRecord, read_records
from x3spatial.io.images import read_mask
from x3spatial.tasks.question import Question
from x3spatial.tasks.strata import STRATA

VIEWS = [box_mask(24, 24, n, n, n + 8, n + 6) for n in range(4)]


def pairs(folder: Path) -> list[TaskRecord]:
    """All pairs of four views of one object, in both directions."""
    views = [make_record(folder, f"{n:02}", mask) for n, mask in enumerate(VIEWS)]
    return [
        replace(query, id=f"{a}-{b}", ref_mask=reference.query_mask)
        for a, reference in enumerate(views)
        for b, query in enumerate(views)
        if a != b
    ]


def many(folder: Path, count: int) -> Path:
    """A task file of one pair under many ids."""
    (record, *_) = pairs(folder)
    write_set(folder / "t.json", [replace(record, id=f"sample {n:06}") for n in range(count)])
    return folder / "t.json"


def test_each_mask_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: Counter[str] = Counter()

    def counted(path: Path) -> Any:
        read[Path(path).name] += 1
        return read_mask(path)

    monkeypatch.setattr(masks_module, "read_mask", counted)
    monkeypatch.setattr("x3spatial.models.baselines.common.read_mask", counted)
    write_set(tmp_path / "t.json", pairs(tmp_path))
    result = evaluate(tmp_path / "t.json", tmp_path / "r.json", "centre", workers=1)
    assert result.metrics["hit_at_mask_total"] == 12
    assert result.chance["copy-reference"]
    assert len(read) == 4 and set(read.values()) == {1}


def test_records_share_what_they_have_in_common(tmp_path: Path) -> None:
    task_file = many(tmp_path, 2000)
    tracemalloc.start()
    records = read_records(task_file)
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    first, *_, last = records
    assert first.prompt is last.prompt and first.image[0] is last.image[0]
    assert first.image_sizes is last.image_sizes
    assert kept / len(records) < 900  # 2,600 with a text for every field


def test_questions_are_made_when_they_are_asked(tmp_path: Path) -> None:
    alive: list[int] = []

    class Counts(Scripted):
        def answer(self, questions: Any, prepared: Any) -> list[str]:
            alive.append(sum(type(one) is Question for one in gc.get_objects()))
            return ["NOT_VISIBLE" for _ in questions]

    evaluate(many(tmp_path, 300), tmp_path / "r.json", Counts(), workers=1, batch_size=50)
    assert len(alive) == 6
    assert max(alive) <= 4 * 50  # a batch, and two that are prepared


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """A results file with twelve samples."""
    write_set(tmp_path / "t.json", pairs(tmp_path))
    evaluate(tmp_path / "t.json", tmp_path / "r.json", "uniform", workers=1)
    return tmp_path / "r.json"


def test_results_are_read_one_sample_at_a_time(results: Path) -> None:
    head, entries = open_results(results)
    first = next(entries)
    made = (replace(first, id=f"sample {n:06}") for n in range(4000))
    write_results(results, head, made)
    assert results.stat().st_size > 2_000_000
    tracemalloc.start()
    _, entries = open_results(results)
    count = sum(1 for _ in entries)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count == 4000
    assert peak < 1_500_000  # the ids, and a buffer


def test_any_layout_of_results_is_read(results: Path) -> None:
    known = read_results(results)
    assert len(known.results) == 12
    for layout in ({"indent": None}, {"indent": 4}, {"sort_keys": True}):
        other = results.with_name("other.json")
        other.write_text(json.dumps(json.loads(results.read_text()), **layout))
        assert read_results(other) == known


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (
            lambda text: text.replace('"status": "answered", ', "", 1),
            "result 1: 'status' is missing",
        ),
        (lambda text: text.replace('"0-2"', '"0-1"'), "result 2: 'id' occurs twice"),
        (lambda text: text.replace('{"id": "0-3"', '{"id" "0-3"'), "cannot read this results file"),
        (
            lambda text: text.replace('"uid": "1"', '"uid": "1", "uid": "1"', 1),
            "'uid' occurs twice",
        ),
        (lambda text: text[: len(text) // 2], "cannot read this results file"),
        (lambda text: text.rstrip() + "]}", "cannot read this results file"),
    ],
)
def test_damage_is_named(results: Path, damage: Any, said: str) -> None:
    text = results.read_text()
    assert damage(text) != text
    results.write_text(damage(text))
    with pytest.raises(UserError, match=said):
        read_results(results)


def test_nothing_is_written_with_a_number_that_is_none(results: Path) -> None:
    before = results.read_bytes()
    head, entries = open_results(results)
    (first, *rest) = entries
    with pytest.raises(ValueError, match="JSON compliant"):
        write_results(results, head, [*rest, replace(first, l2_error=float("nan"))])
    assert results.read_bytes() == before
    assert not list(results.parent.glob(".*.part"))


MARKS = (
    "<think>",
    "</THINK>",
    "[THINK]",
    "[/think]",
    "\u25c1think\u25b7",
    "analysis",
    "assistantfinal",
)


@given(
    st.lists(st.sampled_from([*MARKS, "[(0.1, 0.2)]", "so", " ", "<", "["]), max_size=6).map(
        "".join
    )
)
def test_short_texts_are_stripped_as_all_are(text: str) -> None:
    found = parsing.strip_thinking(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parsing, "_MAY_THINK", re.compile(""))
        assert parsing.strip_thinking(text) == found


NUMBERS = st.none() | st.floats(-1, 200) | st.sampled_from([0.0, 0.25, 1.0, 20.0, 60.0, 180.0])


@given(st.sampled_from([s for s in STRATA.values() if s.bounds]), st.lists(NUMBERS, max_size=20))
def test_bins_of_columns_are_those_of_values(stratum: Any, values: list[float | None]) -> None:
    for part in stratum.bins(values):
        assert part.contains(np.array(values, np.float64)).tolist() == [v in part for v in values]


SAMPLES = st.tuples(
    st.none() | st.sampled_from("abcdefghijklmnop"), st.sampled_from("12"), st.none()
)


@given(st.lists(st.tuples(SAMPLES, st.booleans(), st.booleans()), max_size=60))
def test_clusters_of_a_part_are_those_of_it_alone(cases: list[tuple[Any, bool, bool]]) -> None:
    rows = np.array([n for n, (_, _, chosen) in enumerate(cases) if chosen], np.intp)
    everything = Groups.of([sample for sample, _, _ in cases], [known for _, known, _ in cases])
    alone = Groups.of([cases[n][0] for n in rows], [cases[n][1] for n in rows])
    part, own = everything.clusters(rows), alone.clusters()
    assert (part.unit, part.count) == (own.unit, own.count)
    assert part.index.tolist() == own.index.tolist()
    assert part.objects.tolist() == own.objects.tolist()


def test_repeated_targets_have_their_own_values() -> None:
    targets = np.random.default_rng(0).random((5000, 2)).round(2)
    values = _in_parts(lambda some: disc_area(some, 0.1), targets)
    assert values.tolist() == disc_area(targets, 0.1).tolist()
