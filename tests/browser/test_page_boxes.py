"""Answers that are boxes: drawn in the frame of the answers, scaled with the image, and said in numbers."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from helpers.pages import Opener
from helpers.task_sets import box_mask, make_record, write_set
from x3spatial.evaluation.answers import score_answers
from x3spatial.evaluation.run import evaluate
from x3spatial.formats.task_file import read_records
from x3spatial.reports.web.report import report

pytestmark = pytest.mark.browser

FAMILY = "qwen3-box-1000"
CORNERS = {"t1_multi": (200, 250, 600, 650), "t1_concat": (600, 250, 800, 650)}
"""Of the first answer, in thousandths of the frame: wider than the object by a half."""


@pytest.fixture(scope="module", params=["t1_multi", "t1_concat"])
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report of a run that says boxes, one of them beyond the image, and of one that says points."""
    task: str = request.param
    folder = tmp_path_factory.mktemp(task)
    size = (80 if task == "t1_concat" else 40, 24)
    records = []
    for number in range(2):
        mask = box_mask(40, 24, 8, 6, 15, 15)  # 0.2 to 0.4 and 0.25 to 0.667 of the query image
        record = make_record(folder / "data", f"{number:02d}", mask, scene=f"s{number}", task=task)
        records.append(replace(record, image_sizes=(size,) * len(record.images)))
    for name in ("tasks", "results/boxes", "results/points"):
        (folder / name).mkdir(parents=True)
    tasks = write_set(folder / f"tasks/{task}.json", records)
    first, second = (record.id for record in read_records(tasks))
    beyond = (1200, -100, 700, 500)  # corners swapped
    texts = {
        first: json.dumps([{"bbox_2d": CORNERS[task]}]),
        second: json.dumps([{"bbox_2d": beyond}]),
    }
    score_answers(tasks, texts, folder / "results/boxes/tasks.json", convention=FAMILY)
    evaluate(tasks, folder / "results/points/tasks.json", model="centre", workers=1)
    report(folder / "results", folder / task, workers=1)
    return folder / task


def test_boxes_lie_where_they_were_said_at_any_scale(made: Path, opened: Opener) -> None:
    page = opened(made, "#/gallery")
    page.locator(".card-open").first.click()
    image = page.locator(".detail-images .zoom").last
    said = [value / 1000 for value in CORNERS[made.name]]
    shift = (0.5, 0.5) if made.name == "t1_concat" else (0.0, 1.0)
    true = [shift[0] + shift[1] * 0.2, 0.25, shift[0] + shift[1] * 0.4, 16 / 24]
    for _ in range(2):
        overlay = image.locator("svg.overlay")
        scene = overlay.locator("xpath=..").locator("img")
        # Some of the frame round the image is empty: what is drawn is compared with what the image covers.
        shown = scene.evaluate(
            "e => { const b = e.getBoundingClientRect(), s = Math.min(b.width / e.naturalWidth, b.height /"
            " e.naturalHeight); return [b.x + (b.width - s * e.naturalWidth) / 2, b.y + (b.height - s *"
            " e.naturalHeight) / 2, s * e.naturalWidth, s * e.naturalHeight] }"
        )
        for rect, wanted in ((".answer-box rect", said), (".truth-box", true)):
            box = overlay.locator(rect).first.evaluate(
                "e => { const p = e.ownerSVGElement, m = p.getScreenCTM(), b = e.getBBox();"
                " return [m.a * b.x + m.e, m.d * b.y + m.f, m.a * (b.x + b.width) + m.e,"
                " m.d * (b.y + b.height) + m.f] }"
            )
            shares = [(box[i] - shown[i % 2]) / shown[2 + i % 2] for i in range(4)]
            assert shares == pytest.approx(wanted, abs=0.01), rect
        page.keyboard.press("+")
        page.keyboard.press("+")


def test_numbers_say_what_is_drawn(made: Path, opened: Opener) -> None:
    page = opened(made, "#/gallery")
    assert page.locator(".legend", has_text="true box").is_visible()
    cards = page.locator(".card")
    cards.first.locator(".answer-box").wait_for()
    iou = (0.2 * 0.4) / (0.4 * 0.4 + 0.2 * 10 / 24 - 0.2 * 0.4)
    verdict = cards.first.locator(".verdicts li").first
    assert "IoU" in verdict.inner_text() and "answers: box, IoU below 0.5, IoU 0." in (
        verdict.get_attribute("title") or ""
    )
    cards.first.locator(".card-open").click()
    row = page.locator("table.answers tbody tr").first
    numbers = ", ".join(f"{value / 1000:.3f}" for value in CORNERS[made.name])
    assert f"box: {numbers}" in row.inner_text()
    assert "centre in the mask" in row.inner_text() or "centre beside the mask" in row.inner_text()
    assert f"IoU {iou:.4f}"[:8] in row.inner_text()
    points = page.locator("table.answers tbody tr").nth(1)
    assert "IoU" not in points.inner_text() and "box:" not in points.inner_text()
    # Both runs have a mark with their number; only the first has a box.
    assert page.locator(".detail-images g.answer").count() == 2
    assert page.locator(".detail-images g.answer-box").count() == 1
    page.locator("label", has_text="Overlay").locator("input:visible").last.uncheck()
    assert page.locator(".detail-images g.answer-box").count() == 0


def test_a_box_beyond_the_image_is_cut_off_at_its_edge(made: Path, opened: Opener) -> None:
    page = opened(made, "#/gallery")
    page.locator(".card-open").nth(1).click()
    rect = page.locator(".detail-images g.answer-box rect").last
    width = 80 if made.name == "t1_concat" else 40
    found = [float(rect.get_attribute(name) or "nan") for name in ("x", "y", "width", "height")]
    assert found == pytest.approx([0.7 * width, 0, 0.3 * width, 12])
    assert "1.200, -0.100, 0.700, 0.500" in page.locator("table.answers").inner_text()
