"""docs/metrics.md against the code that computes the metrics."""

from __future__ import annotations

import csv
from fractions import Fraction
from typing import Any

import pytest

from docs.markdown import blocks, prose
from x3spatial.evaluation.scoring.scores import SUCCESS_RADII, Score
from x3spatial.evaluation.statistics.metrics import COUNTS, ESTIMATED, compute, table_of
from x3spatial.tasks.geometry import Point

PAGE = "docs/metrics.md"


def rows(begin: str, end: str = "") -> list[list[str]]:
    """The cells of the tables between two headings (to the end without a second one)."""
    lines = [line for _, line in prose(PAGE)]
    start = lines.index(begin)
    stop = lines.index(end) if end else len(lines)
    found = [line for line in lines[start:stop] if line.startswith("| `")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in found]


def test_the_page_lists_every_metric_once() -> None:
    """A new metric needs its formula and its denominator there."""
    named = [row[0].strip("` ") for row in rows("## Presence", "## A worked example")]
    assert sorted(named) == sorted({*ESTIMATED, *COUNTS})


def score(row: dict[str, str]) -> Score:
    """The score of a line of the worked example."""
    absent = row["object"] == "absent"
    answer = row["answer"]
    statuses: dict[str, Any] = {"unparsed": "unparsed", "error": "error"}
    point = Point(1.5, 0.5) if answer == "point outside" else Point(0.5, 0.5)
    hit = None if absent or answer == "error" else float(row["on_mask"] == "yes")
    return Score(
        id=row["sample"],
        scene="room",
        uid="1",
        status=statuses.get(answer, "answered"),
        gt_text="",
        gt_point=None if absent else Point(0.5, 0.5),
        gt_absent=absent,
        pred_text=None if answer == "error" else answer,
        pred_point=point if answer.startswith("point") else None,
        said_not_visible=answer == "NOT_VISIBLE",
        out_of_range=answer == "point outside",
        l2=float(row["l2"]) if row["l2"] else None,
        hit=hit,
        hit_tight=hit,
    )


def test_the_worked_example_is_what_the_code_computes() -> None:
    [example] = [block for block in blocks(PAGE) if block.language == "csv"]
    metrics = compute(table_of([score(row) for row in csv.DictReader(example.text.splitlines())]))
    table = rows("## A worked example", "## Beside the metrics")
    printed = {row[0].strip("`"): row[1].strip("` ") for row in table}
    assert len(printed) > 15
    for name, text in printed.items():
        part, _, whole = text.partition("/")
        expected = Fraction(part.strip()) / Fraction(whole.strip() or 1)
        assert metrics[name] == pytest.approx(float(expected), abs=1e-12), name


def test_the_radii_are_those_of_the_code() -> None:
    text = {row[0].strip("`"): row[1] for row in rows("## Distances", "## Boxes")}
    for name, radius in SUCCESS_RADII.items():
        assert f"{radius:.2f}" in text[name]
