"""The gallery: filters against counts computed here, order, keys, links, zoom, and very long lists."""

from __future__ import annotations

import itertools
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import numpy as np
import pytest

from helpers.page_data import CODE, HOSTILE, OUTCOMES, put, write_page
from helpers.page_data import Page as Written
from helpers.pages import Opener, samples, shown

if TYPE_CHECKING:
    from playwright.sync_api import Page


pytestmark = pytest.mark.browser

GALLERY = "#/gallery"


def outcome_is(written: Written, names: list[str], runs: list[int]) -> Any:
    codes = [CODE[name] for name in names]
    found = [np.isin(written.sets[0]["answers"][run]["outcome"], codes) for run in runs]
    return np.any(found, axis=0)


def disagree(written: Written, runs: list[int]) -> Any:
    right = np.array([{True: 1, False: 0, None: 2}[r] for _, _, r in OUTCOMES] + [2] * 245)
    verdicts = np.stack([right[written.sets[0]["answers"][run]["outcome"]] for run in runs])
    return (verdicts == 1).any(0) & (verdicts == 0).any(0)


def texts(written: Written, name: str) -> Any:
    return np.array(written.sets[0][name])


def pick(page: Page, menu: str, box: str) -> None:
    page.get_by_role("button", name=re.compile(f"^{menu}")).click()
    page.locator(f'input[name="{box}"]').check()
    page.keyboard.press("Escape")


def test_filters_combine(written: Written, opened: Opener) -> None:
    page = opened(written.folder, GALLERY)
    n = len(written.sets[0]["ids"])
    assert shown(page) == n
    keep = np.ones(n, bool)

    pick(page, "Outcome", "miss")
    keep &= outcome_is(written, ["miss"], [0, 1, 2])
    assert shown(page) == keep.sum() > 0
    pick(page, "Outcome", "false-point")
    keep = outcome_is(written, ["miss", "false-point"], [0, 1, 2])
    assert shown(page) == keep.sum()

    page.get_by_role("checkbox", name="Runs disagree").check()
    keep &= disagree(written, [0, 1, 2])
    assert shown(page) == keep.sum() > 0

    page.locator("#filter-label").fill("chair")
    keep &= texts(written, "label") == "chair"
    assert shown(page) == keep.sum() > 0

    page.locator("#filter-scene").fill("scene000")
    keep &= np.char.startswith(texts(written, "scene"), "scene000")
    assert shown(page) == keep.sum() > 0

    page.get_by_role("button", name=re.compile("^Strata")).click()
    slider = page.get_by_role("slider", name="angle between the views: least")
    slider.focus()
    for _ in range(60):
        slider.press("ArrowRight")
    page.keyboard.press("Escape")
    shown(page)
    ranges = parse_qs(page.url.partition("?")[2])["range"]
    name, least, most = ranges[0].split(":")
    angle = written.sets[0]["strata"][name]
    assert 30 < float(least) < 40
    keep &= (angle >= float(least)) & (angle <= float(most) * 1.00001)
    assert shown(page) == keep.sum() > 0

    page.get_by_role("button", name=re.compile(r"^Clear all \(5\)")).click()
    assert shown(page) == n


@pytest.mark.parametrize("name", ["hit", "miss", "false-not-visible", "unparsed", "error"])
def test_outcomes_of_any_run_and_of_one(written: Written, opened: Opener, name: str) -> None:
    page = opened(written.folder, f"{GALLERY}?outcome={name}")
    assert shown(page) == outcome_is(written, [name], [0, 1, 2]).sum()
    page.get_by_role("button", name=re.compile("^Outcome")).click()
    page.locator("#of").select_option("1")
    assert shown(page) == outcome_is(written, [name], [1]).sum()
    box = page.locator(".outcome-menu label", has=page.locator(f'input[name="{name}"]'))
    assert box.locator(".end").inner_text() == str(outcome_is(written, [name], [1]).sum())


def test_unknown_values_are_in_no_range(written: Written, opened: Opener) -> None:
    page = opened(written.folder, f"{GALLERY}?range=overlap:0:1")
    assert shown(page) == (~np.isnan(written.sets[0]["strata"]["overlap"])).sum()


def test_reasons_of_absence(written: Written, opened: Opener) -> None:
    page = opened(written.folder, GALLERY)
    pick(page, "Strata", "absence:occlusion")
    assert shown(page) == (written.sets[0]["absence"] == 1).sum()


@pytest.mark.parametrize(
    "text", ["b00012", "desk", "scene0003", "onerror", "杯子", "nothing at all"]
)
def test_text_search(written: Written, opened: Opener, text: str) -> None:
    page = opened(written.folder, GALLERY)
    page.keyboard.press("/")
    page.keyboard.insert_text(text)
    facts = written.sets[0]
    found = [
        any(text.lower() in part.lower() for part in parts)
        for parts in zip(facts["ids"], facts["label"], facts["scene"], strict=True)
    ]
    assert shown(page) == sum(found)
    if not any(found):
        assert "No sample matches" in page.locator(".cards").inner_text()


def test_search_in_answers(written: Written, opened: Opener) -> None:
    page = opened(written.folder, f"{GALLERY}?text=cannot+tell")
    assert shown(page) == 0
    page.locator("#deep").check()
    assert shown(page) == outcome_is(written, ["unparsed"], [0, 1, 2]).sum() > 0
    again = opened(written.folder, page.url[page.url.index("#") :])
    again.wait_for_timeout(500)
    assert shown(again) == shown(page)
    page.locator("#search").fill("not_visible")
    said = ["not-visible", "false-not-visible"]
    assert shown(page) == outcome_is(written, said, [0, 1, 2]).sum()


def errors_of(written: Written) -> Any:
    columns = np.stack([answer["error"] for answer in written.sets[0]["answers"]])
    return np.where(np.isnan(columns), -1, columns).max(0)


def test_a_run_that_was_not_asked_this_set_has_not_failed_to_answer(
    opened: Opener, tmp_path: Path
) -> None:
    # As pixel-diff, which answers Task2B alone.
    made = write_page(tmp_path / "report", samples=12)
    file = made.folder / "data" / "set-0.js"
    index = json.loads(
        file.read_text(encoding="utf-8").removeprefix('x3data("set-0",').removesuffix(")\n")
    )
    del index["runs"]["2"]
    put(made.folder, "set-0", index)
    page = opened(made.folder, GALLERY)
    shown(page)
    verdicts = page.locator(".card").first.locator(".verdicts li").all_inner_texts()
    assert len(verdicts) == 3 and verdicts[2].endswith("not asked")
    page.locator(".card-open").first.click()
    row = page.locator("dialog table.answers tbody tr").nth(2).locator("td").first
    assert row.inner_text().endswith("not asked")


def test_order_by_error(written: Written, opened: Opener) -> None:
    page = opened(written.folder, GALLERY)
    largest = errors_of(written)
    page.locator("#order").select_option("worst")
    shown(page)
    expected = sorted(range(len(largest)), key=lambda i: (largest[i] < 0, -largest[i], i))
    assert samples(page) == expected[: len(samples(page))]
    page.locator("#order").select_option("best")
    shown(page)
    expected = sorted(range(len(largest)), key=lambda i: (largest[i] < 0, largest[i], i))
    assert samples(page) == expected[: len(samples(page))]


def test_order_by_disagreement(written: Written, opened: Opener) -> None:
    page = opened(written.folder, f"{GALLERY}?order=disagree")
    shown(page)
    first = samples(page)
    split = disagree(written, [0, 1, 2])
    assert all(split[sample] for sample in first)
    right = [r for _, _, r in OUTCOMES]

    def key(sample: int) -> tuple[float, float]:
        answers = written.sets[0]["answers"]
        codes = [int(answer["outcome"][sample]) for answer in answers]
        verdicts = [right[code] for code in codes if code != 255]
        share = min(verdicts.count(True), verdicts.count(False)) / max(
            1, verdicts.count(True) + verdicts.count(False)
        )
        points = [(a["x"][sample], a["y"][sample]) for a in answers if not np.isnan(a["x"][sample])]
        xs, ys = [p[0] for p in points], [p[1] for p in points]
        spread = np.hypot(max(xs) - min(xs), max(ys) - min(ys)) if points else 0
        return round(share, 3), float(spread)

    keys = [key(sample) for sample in first]
    for (a, spread_a), (b, spread_b) in itertools.pairwise(keys):
        assert a > b or (a == b and spread_a >= spread_b - 1e-6)
    outside = [key(s) for s in range(len(split)) if s not in first]
    assert max(outside) <= min(keys)


def test_the_overlay_shows_outline_truth_and_all_answers(written: Written, opened: Opener) -> None:
    page = opened(written.folder, GALLERY)
    facts = written.sets[0]
    sample = next(
        i for i in range(12)
        if facts["truth"][i] == 0 and all(not np.isnan(a["x"][i]) for a in facts["answers"])
    )  # fmt: skip
    card = page.locator(".card", has=page.locator(f'[data-sample="{sample}"]'))
    card.locator(".overlay path").nth(1).wait_for(state="attached")
    overlay = card.locator(".overlay")
    assert overlay.get_attribute("viewBox") == "0 0 320 240"
    for run, answer in enumerate(facts["answers"]):
        mark = overlay.locator(f'.answer[data-run="{run}"] circle')
        expected = [min(max(float(answer[axis][sample]), 0), 1) for axis in "xy"]
        found = [
            float(mark.get_attribute("cx") or 0) / 320,
            float(mark.get_attribute("cy") or 0) / 240,
        ]
        assert found == pytest.approx(expected, abs=1e-4)
    assert overlay.locator(".truth").count() == 1
    page.get_by_role("checkbox", name="Overlay").uncheck()
    assert card.locator(".overlay").count() == 0 and "overlay=0" in page.url
    page.keyboard.press("Escape")
    page.locator(".rows").focus()
    page.keyboard.press("o")
    assert card.locator(".overlay").count() == 1


def test_missing_images_are_said(written: Written, opened: Opener) -> None:
    page = opened(written.folder, GALLERY)
    assert page.locator(".no-image").first.inner_text() == "Image is missing\nimage is missing"


def opened_sample(page: Page) -> str:
    return page.locator("dialog .facts div", has_text="id").last.locator("dd").inner_text()


def test_detail_view(written: Written, opened: Opener) -> None:
    page = opened(written.folder, f"{GALLERY}?outcome=unparsed")
    facts = written.sets[0]
    sample = int(np.flatnonzero(outcome_is(written, ["unparsed"], [0, 1, 2]))[0])
    page.locator(".card-open").first.click()
    dialog = page.locator("dialog")
    assert opened_sample(page) == facts["ids"][sample]
    dialog.locator(".prompt pre").wait_for()
    assert "is marked in red" in dialog.locator(".prompt pre").inner_text()
    rows = dialog.locator("table.answers tbody tr")
    assert rows.count() == 3
    for run, answer in enumerate(facts["answers"]):
        code = int(answer["outcome"][sample])
        entries = rows.nth(run).locator("td").all_inner_texts()
        assert entries[0].endswith("no answer" if code == 255 else OUTCOMES[code][1])
        if code == CODE["unparsed"]:
            assert "I cannot tell." in entries[1]
            assert "Reason: no point and no NOT_VISIBLE in the text" in entries[1]
        if np.isnan(answer["x"][sample]):
            assert entries[2] == "–"
        else:
            point = (
                f"{round(float(answer['x'][sample]), 3)}, {round(float(answer['y'][sample]), 3)}"
            )
            assert entries[2] == point
        if not np.isnan(answer["error"][sample]):
            assert float(entries[3]) == pytest.approx(float(answer["error"][sample]), abs=6e-5)
    dialog.locator(".record summary").click()
    assert f'"id": "{facts["ids"][sample]}"' in dialog.locator(".record pre").inner_text()
    page.get_by_role("button", name="Close").click()
    assert dialog.count() == 0 and "sample=" not in page.url


def test_keys(written: Written, opened: Opener) -> None:
    page = opened(written.folder, f"{GALLERY}?outcome=miss")
    ids = [
        written.sets[0]["ids"][i] for i in np.flatnonzero(outcome_is(written, ["miss"], [0, 1, 2]))
    ]
    page.keyboard.press("Enter")
    page.locator("dialog .prompt").wait_for()
    assert opened_sample(page) == ids[0]
    for key, place in (("ArrowRight", 1), ("j", 2), ("ArrowLeft", 1), ("k", 0), ("k", 0)):
        page.keyboard.press(key)
        assert opened_sample(page) == ids[place]
    page.get_by_role("button", name=re.compile("Next")).click()
    assert opened_sample(page) == ids[1]
    page.get_by_role("button", name=re.compile("Previous")).click()
    assert opened_sample(page) == ids[0]
    assert page.get_by_role("button", name=re.compile("Previous")).is_disabled()
    page.keyboard.press("o")
    assert page.locator("dialog .overlay").count() == 0
    page.keyboard.press("o")
    query = page.locator(".zoom").last
    page.keyboard.press("+")
    page.keyboard.press("+")
    assert query.get_attribute("data-scale") == "1.96"
    page.keyboard.press("-")
    assert query.get_attribute("data-scale") == "1.40"
    page.keyboard.press("Shift+ArrowRight")
    page.wait_for_timeout(300)
    scale, x, _ = map(float, parse_qs(page.url.partition("?")[2])["zoom"][0].split(","))
    assert scale == pytest.approx(1.4) and x > 0.55
    page.keyboard.press("0")
    assert query.get_attribute("data-scale") == "1.00"
    page.keyboard.press("?")
    page.get_by_role("heading", name="Keyboard").wait_for()
    page.keyboard.press("Escape")
    assert page.locator("dialog").count() == 1
    page.keyboard.press("Escape")
    assert page.locator("dialog").count() == 0


def test_mouse_zooms_and_moves(written: Written, opened: Opener) -> None:
    page = opened(written.folder, GALLERY)
    page.locator(".card-open").nth(2).click()
    query = page.locator(".zoom").last
    box = query.bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] * 0.5, box["y"] + box["height"] * 0.5
    page.mouse.move(x, y)
    for _ in range(6):
        page.mouse.wheel(0, -400)
    assert float(query.get_attribute("data-scale") or 0) > 5
    layer = query.locator(".zoom-layer")
    before = layer.bounding_box()
    page.mouse.down()
    page.mouse.move(x + 60, y + 35, steps=4)
    page.mouse.up()
    after = layer.bounding_box()
    assert before is not None and after is not None
    assert after["x"] - before["x"] == pytest.approx(60, abs=1.5)
    assert after["y"] - before["y"] == pytest.approx(35, abs=1.5)
    marks = query.locator(".answer circle")
    if marks.count():  # marks keep their size on the screen
        mark = marks.first.bounding_box()
        assert mark is not None and 15 < mark["width"] < 30
    page.mouse.dblclick(x, y)
    assert query.get_attribute("data-scale") == "1.00"
    for name, scale in (("Zoom in", "1.40"), ("Zoom out", "1.00")):
        page.get_by_role("button", name=name).click()
        assert query.get_attribute("data-scale") == scale
    page.get_by_role("button", name="Zoom in").click()
    page.get_by_role("button", name="Whole image").click()
    assert query.get_attribute("data-scale") == "1.00"


def test_a_link_shows_exactly_this_view(written: Written, opened: Opener) -> None:
    page = opened(written.folder, "#/gallery?outcome=hit&order=worst&run=tiny-8B&text=scene")
    count = shown(page)
    page.locator(".card-open").nth(1).click()
    page.keyboard.press("+")
    page.keyboard.press("+")
    page.wait_for_timeout(400)
    sample, scale = opened_sample(page), page.locator(".zoom").last.get_attribute("data-scale")
    page.get_by_role("button", name="Copy link").click()
    page.get_by_text("Copied").wait_for()
    link = page.url
    again = opened(written.folder, link[link.index("#") :])
    again.locator("dialog .prompt").wait_for()
    assert opened_sample(again) == sample
    assert again.locator(".zoom").last.get_attribute("data-scale") == scale == "1.96"
    again.keyboard.press("Escape")
    assert shown(again) == count
    assert again.locator("#order").input_value() == "worst"
    assert again.locator("#search").input_value() == "scene"


def test_links_to_what_is_not_here_show_what_is(written: Written, opened: Opener) -> None:
    page = opened(
        written.folder, "#/gallery?run=gone&set=gone.val&sample=gone&zoom=a,b&at=-4&range=x"
    )
    assert shown(page) == 240 and page.locator("dialog").count() == 0
    other = opened(written.folder, "#/nothing")
    assert other.locator("main.view-overview").is_visible()


def test_sets_are_chosen(written: Written, opened: Opener) -> None:
    page = opened(written.folder, f"{GALLERY}?range=overlap:0.2:0.9")
    page.locator("#set").select_option("1")
    assert shown(page) == 240 and "set=t1_negatives.val" in page.url
    assert page.locator(".card .label").first.inner_text() == written.sets[1]["label"][0]


def test_long_lists(opened: Opener, tmp_path: Path) -> None:
    # At this width the list is higher than browsers allow an element to be.
    long = write_page(
        tmp_path / "long", samples=100_000, runs=2, sets=1, images=2, size=(64, 48), details=False
    )
    page = opened(long.folder, GALLERY, size=(340, 700), faults_expected=True)
    assert page.locator(".rows-inner").evaluate("e => e.offsetHeight") == 8_000_000
    assert page.locator(".card").count() < 20 and samples(page)[0] == 0
    box = page.locator(".rows").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 50, box["y"] + 100)
    start = page.locator(".card").nth(1).bounding_box()
    page.mouse.wheel(0, 100)
    page.wait_for_timeout(500)
    moved = page.locator(".card", has=page.locator('[data-sample="1"]')).bounding_box()
    assert (
        start is not None
        and moved is not None
        and start["y"] - moved["y"] == pytest.approx(100, abs=2)
    )
    page.locator(".rows").evaluate("e => { e.scrollTop = e.scrollHeight; }")
    page.wait_for_timeout(600)
    assert samples(page)[-1] == 99_999
    last = page.locator(".card").last.bounding_box()
    assert last is not None and last["y"] + last["height"] <= box["y"] + box["height"] + 1
    page.locator(".rows").evaluate("e => { e.scrollTop = e.scrollHeight / 2; }")
    page.wait_for_timeout(600)
    assert abs(samples(page)[3] - 50_000) < 300
    at = int(parse_qs(page.url.partition("?")[2])["at"][0])
    again = opened(
        long.folder, page.url[page.url.index("#") :], size=(340, 700), faults_expected=True
    )
    again.wait_for_timeout(300)
    assert at in samples(again)[:5]


def test_hostile_texts_are_texts(written: Written, opened: Opener) -> None:
    page = opened(written.folder, f"{GALLERY}?text=onerror")
    assert shown(page) > 0
    assert page.locator(".card .label").first.inner_text() == HOSTILE
    page.locator(".card-open").first.click()
    page.locator("dialog .prompt").wait_for()
    assert HOSTILE in page.locator("dialog .prompt pre").inner_text()
    assert page.locator("dialog h2").inner_text() == HOSTILE
    page.wait_for_timeout(200)
    assert page.evaluate("window.hacked") is None
    assert page.locator("img[src='x']").count() == 0
