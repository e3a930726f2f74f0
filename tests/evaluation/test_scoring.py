"""Every rule of scoring, with expectations worked out by hand."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.task_sets import box_mask, make_record
from x3spatial.errors import UserError
from x3spatial.evaluation.scoring.masks import NO_MASKS, Masks
from x3spatial.evaluation.scoring.scores import (
    Score,
    cluster_of,
    failed,
    score_answer,
    truth_of,
)
from x3spatial.evaluation.stored import entry_of, score_of
from x3spatial.formats.results_entry import SampleResult
from x3spatial.formats.task_file import TaskRecord
from x3spatial.formats.typed_json import decode, encode
from x3spatial.tasks.answers import parse_unit

# 10 x 10, the object in columns and rows 4..6: the right answer is (0.55, 0.55).
MASK = box_mask(10, 10, 4, 4, 6, 6)


def record(answer: str, task: str = "t1_multi") -> TaskRecord:
    image: tuple[str, ...] | str = "ab.jpg" if task == "t1_concat" else ("a.png", "b.png")
    return TaskRecord(
        id="id", task=task, image=image, prompt="?", answer=answer, scene="s", uid="u"
    )


def scored(text: str, *, answer: str = "[(0.550, 0.550)]", task: str = "t1_multi") -> Score:
    item = record(answer, task)
    visible = answer != "NOT_VISIBLE"
    masks = Masks(MASK, MASK) if visible else NO_MASKS
    return score_answer(item, truth_of(item), text, parse_unit(text), masks)


@pytest.mark.parametrize(
    ("text", "hit", "l2", "out_of_range"),
    [
        ("[(0.550, 0.550)]", 1.0, 0.0, False),
        ("[(0.400, 0.550)]", 1.0, 0.15, False),  # the mask's first column begins at 0.4
        ("[(0.399, 0.550)]", 0.0, 0.151, False),
        ("[(0.699, 0.550)]", 1.0, 0.149, False),
        ("[(0.700, 0.550)]", 0.0, 0.15, False),  # and its last ends before 0.7
        ("[(1.550, 0.550)]", 0.0, 1.0, True),  # never clamped, but measured
        ("[(-0.001, 0.550)]", 0.0, 0.551, True),
        ("[(0.55, 0.55), (0.1, 0.1)]", 1.0, 0.0, False),  # the first of several
        ("(0.1, 0.1) moved to [(0.55, 0.55)]", 1.0, 0.0, False),
    ],
)
def test_points(text: str, hit: float, l2: float, out_of_range: bool) -> None:
    score = scored(text)
    assert (score.status, score.hit, score.hit_tight) == ("answered", hit, hit)
    assert score.l2 == pytest.approx(l2)
    assert score.out_of_range is out_of_range
    assert not score.said_not_visible


@pytest.mark.parametrize("text", ["NOT_VISIBLE", "not_visible.", "[(0.55, 0.55)] NOT_VISIBLE"])
def test_not_visible_on_a_visible_object_is_a_miss(text: str) -> None:
    score = scored(text)
    assert (score.status, score.hit, score.l2) == ("answered", 0.0, None)
    assert score.said_not_visible
    assert score.pred_point is None
    assert score.contradictory is ("(" in text)


@pytest.mark.parametrize(
    "text", ["", "it is not visible", "XNOT_VISIBLE", "0.55, 0.55", "(nan, 1)"]
)
def test_unparsed_answers_are_misses(text: str) -> None:
    score = scored(text)
    assert (score.status, score.hit, score.l2) == ("unparsed", 0.0, None)
    assert not score.said_not_visible


def test_hidden_object_has_neither_distance_nor_hit() -> None:
    for text in ("NOT_VISIBLE", "[(0.5, 0.5)]", "?"):
        score = scored(text, answer="NOT_VISIBLE")
        assert score.hit is None
        assert score.l2 is None
        assert not score.missing_mask
    assert scored("[(1.5, 0.5)]", answer="NOT_VISIBLE").out_of_range


def test_huge_numbers_stay_finite() -> None:
    score = scored("[(1e308, -1e308)]", task="t1_concat", answer="[(0.775, 0.550)]")
    assert score.l2 is not None and math.isfinite(score.l2**2)
    assert score.out_of_range
    assert score.hit == 0.0


@pytest.mark.parametrize(
    ("text", "hit", "l2", "l2_full", "out_of_range"),
    [
        ("[(0.775, 0.550)]", 1.0, 0.0, 0.0, False),  # 0.5 + 0.55 / 2
        ("[(0.875, 0.550)]", 0.0, 0.2, 0.1, False),  # x counts double in the query image
        ("[(0.275, 0.550)]", 0.0, 1.0, 0.5, False),  # left half: a miss, though inside the image
        ("[(1.000, 0.550)]", 0.0, 0.45, 0.225, False),  # the edge is in the image
        ("[(1.275, 0.550)]", 0.0, 1.0, 0.5, True),  # beyond it
        ("[(0.775, 1.550)]", 0.0, 1.0, 1.0, True),
    ],
)
def test_concat(text: str, hit: float, l2: float, l2_full: float, out_of_range: bool) -> None:
    score = scored(text, task="t1_concat", answer="[(0.775, 0.550)]")
    assert score.hit == hit
    assert score.l2 == pytest.approx(l2)
    assert score.l2_full == pytest.approx(l2_full)
    assert score.out_of_range is out_of_range


def test_concat_left_half_misses_even_where_the_mask_starts_at_the_seam() -> None:
    item = record("[(0.525, 0.5)]", "t1_concat")
    full = np.ones((4, 4), dtype=bool)
    masks = Masks(full, full)
    hits = [
        score_answer(item, truth_of(item), text, parse_unit(text), masks).hit
        for text in ("[(0.4999999, 0.5)]", "[(0.5, 0.5)]", "[(1.0, 1.0)]")
    ]
    assert hits == [0.0, 1.0, 1.0]


def test_a_missing_mask_leaves_the_hit_open() -> None:
    item = record("[(0.550, 0.550)]")
    text = "[(0.55, 0.55)]"
    score = score_answer(item, truth_of(item), text, parse_unit(text), Masks(None, MASK))
    assert (score.hit, score.hit_tight, score.missing_mask) == (None, 1.0, True)


def test_the_right_answer_may_have_many_decimals() -> None:
    assert truth_of(record("[(0.12345678, 0.5)]")).point == (0.12345678, 0.5)


@pytest.mark.parametrize("answer", ["somewhere", "[(0.5, 0.5)] NOT_VISIBLE"])
def test_a_record_without_a_right_answer_is_refused(answer: str) -> None:
    with pytest.raises(UserError, match="neither"):
        truth_of(record(answer))


def test_results_entry_has_the_documented_keys() -> None:
    entry = encode(entry_of(scored("[(0.4, 0.55)]"), "x3"))
    assert entry["pred_parsed"] == {"is_not_visible": False, "coord": [0.4, 0.55]}
    assert entry["gt"] == {
        "text": "[(0.550, 0.550)]",
        "is_not_visible": False,
        "coord": [0.55, 0.55],
    }
    assert entry["hit_mask"] is True
    assert entry["success_l2_010"] is False
    assert entry["status"] == "answered"
    assert list(entry)[:7] == [
        "id", "pred_text", "pred_parsed", "gt", "l2_error", "success_l2_010", "hit_mask",
    ]  # fmt: skip


def test_a_failed_sample_has_no_score() -> None:
    item = record("[(0.550, 0.550)]")
    entry = encode(entry_of(failed(item, truth_of(item), "out of memory"), "x3"))
    assert entry["status"] == "error"
    assert entry["error"] == "out of memory"
    assert entry["pred_text"] is None
    assert entry["pred_parsed"] == {"is_not_visible": None, "coord": None}
    assert (entry["hit_mask"], entry["l2_error"], entry["success_l2_010"]) == (None, None, None)


@pytest.mark.parametrize("text", ["[(0.4, 0.55)]", "NOT_VISIBLE (0, 0)", "?", "[(1.5, 0.2)]"])
def test_scores_survive_the_file(text: str) -> None:
    for answer in ("[(0.550, 0.550)]", "NOT_VISIBLE"):
        score = scored(text, answer=answer)
        stored = json.loads(json.dumps(encode(entry_of(score, "x3"))))
        assert score_of(decode(SampleResult, stored)) == score


def test_clusters_come_from_fields_else_from_folders() -> None:
    assert cluster_of(record("NOT_VISIBLE")) == ("s", "u")
    other = TaskRecord(
        id="i", task="t1_multi", image=("a", "/d/val/scene9/uid_4/02_b_original.png"),
        prompt="?", answer="NOT_VISIBLE",
    )  # fmt: skip
    assert cluster_of(other) == ("scene9", "4")
    bare = TaskRecord(id="i", task="t1_multi", image=("a", "b"), prompt="?", answer="NOT_VISIBLE")
    assert cluster_of(bare) == (None, None)


@st.composite
def awkward_masks(draw: st.DrawFn) -> np.ndarray:
    """Thin, ring-shaped, one-pixel, border and random masks."""
    width, height = draw(st.integers(1, 70)), draw(st.integers(1, 70))
    if draw(st.booleans()):
        width = draw(st.integers(900, 2100))
    mask = np.zeros((height, width), dtype=bool)
    x0, y0 = draw(st.integers(0, width - 1)), draw(st.integers(0, height - 1))
    x1, y1 = draw(st.integers(x0, width - 1)), draw(st.integers(y0, height - 1))
    mask[y0 : y1 + 1, x0 : x1 + 1] = True
    shape = draw(st.sampled_from(["full", "ring", "pixel", "line", "border"]))
    if shape == "ring":
        mask[y0 + 1 : y1, x0 + 1 : x1] = False
    elif shape == "pixel":
        mask[:] = False
        mask[y0, x0] = True
    elif shape == "line":
        mask[y0 + 1 :] = False
    elif shape == "border":
        mask[:] = False
        mask[:, -1] = True
    return mask


@settings(max_examples=150, deadline=None)
@given(mask=awkward_masks(), task=st.sampled_from(["t1_multi", "t1_concat", "t2b_multi"]))
def test_the_right_answer_scores_perfectly(
    mask: np.ndarray, task: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("oracle")
    item = make_record(folder, "01", mask, task=task)
    score = score_answer(
        item, truth_of(item), item.answer, parse_unit(item.answer), Masks(mask, mask)
    )
    assert score.hit == 1.0
    assert score.l2 == 0.0
    assert not score.out_of_range


@pytest.mark.parametrize(
    ("task", "text", "where"),
    [
        ("t1_multi", "[(330, 120)]", "the image"),
        ("t1_multi", "[(0.5, 1.001)]", "the image"),
        ("t2b_multi", "[(-0.001, 0.5)]", "the image"),
        ("t1_concat", "[(0.499, 0.5)]", "the right half"),
        ("t1_concat", "[(51.5, 20.0)]", "the right half"),
    ],
)
def test_a_right_answer_off_its_frame_is_refused(
    tmp_path: Path, task: str, text: str, where: str
) -> None:
    """Pixels, percent and thousandths: scored, the oracle would reach 0.000 with an L2 of 0.000."""
    record = replace(
        make_record(tmp_path, "01", box_mask(32, 24, 2, 2, 9, 9), task=task), answer=text
    )
    with pytest.raises(UserError, match=rf"{record.id}.*outside of {where}.*0 to 1"):
        truth_of(record)
