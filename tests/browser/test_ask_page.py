"""The page of x3 ask in Chromium, from the first click to x3 score."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import x3spatial as x3
from browser.test_page_access import violations
from helpers.paths import FIXTURES
from helpers.task_sets import make_set
from x3spatial.builder.options import BuildOptions
from x3spatial.builder.run import build_tasks
from x3spatial.formats.results_file import read_results
from x3spatial.formats.sample_tokens import SampleTokens
from x3spatial.formats.task_file import TaskRecord, read_records
from x3spatial.tasks.answers import says_token
from x3spatial.tasks.spec import HARD

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

    from helpers.pages import Opener

pytestmark = pytest.mark.browser

NARROW = (320, 640)


@pytest.fixture(scope="module")
def tasks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("asked") / "tasks"
    options = BuildOptions(tasks=("t1", "t2a", "t2b", HARD), mode="allpairs")
    build_tasks(data_root=FIXTURES / "x3-small" / "root", out_dir=out, options=options)
    return out


@pytest.fixture
def small(tmp_path: Path) -> tuple[Path, Path]:
    """A task file of six samples, and its page."""
    source = make_set(tmp_path / "tasks", count=6)
    x3.ask(source, tmp_path / "page")
    return source, tmp_path / "page"


def begin(page: Page, name: str = "Ann") -> None:
    page.get_by_label(re.compile("name|姓名")).fill(name)
    page.locator("#start").click()
    page.locator(".question").wait_for()
    settle(page)


def settle(page: Page) -> None:
    """Wait for the images of a question."""
    page.wait_for_function(
        "[...document.querySelectorAll('.stage img')].every(e => e.complete && e.naturalWidth > 0)"
    )
    page.wait_for_timeout(40)


def questions(folder: Path) -> list[dict[str, Any]]:
    text = (folder / "data/questions.js").read_text("utf-8")
    found: list[dict[str, Any]] = json.loads(text[len("x3ask(") : -len(");\n")])["questions"]
    return found


def truths(source: Path) -> dict[str, TaskRecord]:
    records = read_records(source)
    tokens = SampleTokens(records)
    return {tokens.of(record.id): record for record in records}


def place_of(page: Page, x: float, y: float) -> tuple[float, float]:
    """Where a point of the asked image is on the screen."""
    box = page.locator(".view.asks img").bounding_box()
    assert box is not None
    return box["x"] + x * box["width"], box["y"] + y * box["height"]


def said(page: Page) -> str:
    return page.locator("#state").get_attribute("data-answer") or ""


def save(page: Page, path: Path, button: str = "#download") -> list[dict[str, Any]]:
    with page.expect_download() as waiting:
        page.locator(button).click()
    waiting.value.save_as(path)
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


@pytest.mark.parametrize(
    "name",
    [
        "t1_val_multi",
        "t1_val_concat",
        "t1_val_counterfactual",
        "t2b_val_multi",
        "t2b_val_unchanged",
    ],
)
def test_whoever_clicks_the_truth_is_always_right(
    tasks: Path, tmp_path: Path, opened: Opener, name: str
) -> None:
    source = tasks / f"{name}.json"
    x3.ask(source, tmp_path / "page")
    page = opened(tmp_path / "page")
    begin(page)
    by_token = truths(source)
    asked = questions(tmp_path / "page")
    for number, question in enumerate(asked, start=1):
        assert page.locator("h1").inner_text() == f"Question {number} of {len(asked)}"
        assert page.locator("#asked").inner_text() in (
            by_token[question["id"]].question,
            f"{by_token[question['id']].question} The circle marks the reference point.",
        )
        record = by_token[question["id"]]
        if says_token(record.answer, record.spec.absent_token):
            page.locator("#absent").click()
        else:
            x, y = map(float, re.findall(r"[\d.]+", record.answer))
            page.mouse.click(*place_of(page, x, y))
        page.locator("#next").click()
        if number < len(asked):
            settle(page)
    assert page.locator("#summary").inner_text() == f"All {len(asked)} questions are answered."
    lines = save(page, tmp_path / "answers-Ann.jsonl")
    assert [set(line) for line in lines] == [{"id", "text", "seconds", "participant"}] * len(asked)
    assert all(line["participant"] == "Ann" and 0 < line["seconds"] < 60 for line in lines)
    result = x3.score_answers(source, tmp_path / "answers-Ann.jsonl", tmp_path / "r.json")
    metrics = result.metrics
    assert metrics["total"] == len(asked) and metrics["errors"] == metrics["parse_failures"] == 0
    for key in ("hit_at_mask", "not_visible_accuracy", "balanced_accuracy"):
        assert metrics[key] in (1.0, None), key
    assert metrics["mean_l2_error"] is None or metrics["mean_l2_error"] < 0.01
    assert read_results(tmp_path / "r.json").model.kind == "people"


def test_a_click_is_exact_at_any_size_and_zoom(small: tuple[Path, Path], opened: Opener) -> None:
    _, folder = small
    for size in ((1280, 900), (1999, 777), NARROW):
        page = opened(folder, size=size)
        begin(page)
        image = questions(folder)[0]["images"][1]
        view = page.locator(".view.asks")
        for zoomed in range(5):
            view.scroll_into_view_if_needed()
            box = view.bounding_box()
            assert box is not None
            # The middle of the view, which is on the image at any zoom, but not in the middle of a pixel.
            x, y = box["x"] + box["width"] / 2 + 3, box["y"] + box["height"] / 2 - 4
            page.mouse.click(x, y)
            found = re.findall(r"[\d.]+", said(page))
            back = place_of(page, float(found[0]), float(found[1]))
            scale = place_of(page, 1, 0)[0] - place_of(page, 0, 0)[0]
            # A hundredth of a pixel of the image, as it is shown.
            assert abs(back[0] - x) <= 0.02 * scale / image["w"] + 0.01, (size, zoomed)
            assert abs(back[1] - y) <= 0.02 * scale / image["w"] + 0.01
            page.get_by_label("Zoom in").last.click()
        page.get_by_label("Whole image").last.click()
        assert page.locator(".view.enlarged").count() == 0


def test_keys_alone_are_enough(small: tuple[Path, Path], opened: Opener, tmp_path: Path) -> None:
    source, folder = small
    page = opened(folder)
    page.keyboard.press("Tab")
    page.get_by_label("name").focus()
    page.keyboard.type("Ben")
    page.keyboard.press("Enter")
    page.locator(".question").wait_for()
    settle(page)
    page.keyboard.press("Enter")  # without an answer there is no next question
    assert page.locator("h1").inner_text() == "Question 1 of 6"
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    page.keyboard.press("Shift+ArrowUp")  # twenty pixels, but the image ends
    # 32 × 24 pixels: column 16 first, then two to the right; row 12, then the first.
    assert said(page) == f"[({18.5 / 32:.4f}, {0.5 / 24:.4f})]"
    page.keyboard.press("Enter")
    assert page.locator("h1").inner_text() == "Question 2 of 6"
    page.keyboard.press("n")
    assert said(page) == "NOT_VISIBLE"
    assert page.locator("#absent").get_attribute("aria-pressed") == "true"
    page.keyboard.press("u")
    assert said(page) == "" and page.locator("#absent").get_attribute("aria-pressed") == "false"
    page.keyboard.press("Backspace")
    assert said(page) != "" and page.locator("h1").inner_text() == "Question 1 of 6"
    for _ in range(6):
        page.keyboard.press("s")
    assert page.locator("#summary").inner_text() == "5 questions are without an answer."
    page.locator("#open").click()
    assert page.locator("h1").inner_text() == "Question 2 of 6"
    lines = save(page, tmp_path / "a.jsonl", "#download-now")
    assert [line["text"] is None for line in lines] == [False, *[True] * 5]
    result = x3.score_answers(source, tmp_path / "a.jsonl", tmp_path / "r.json")
    assert (result.metrics["total"], result.errors) == (6, 5)


def test_progress_is_kept_for_each_person(small: tuple[Path, Path], opened: Opener) -> None:
    _, folder = small
    page = opened(folder)
    begin(page, "Ann")
    page.mouse.click(*place_of(page, 0.25, 0.5))
    first = said(page)
    page.locator("#next").click()
    page.locator("#absent").click()
    page.reload()
    assert page.get_by_label("name").input_value() == "Ann"
    assert page.locator("#start").inner_text() == "Continue (2 of 6 answered)"
    page.locator("#start").click()
    assert page.locator("h1").inner_text() == "Question 2 of 6" and said(page) == "NOT_VISIBLE"
    page.locator("#back").click()
    assert said(page) == first
    page.reload()
    begin(page, "Ben")
    assert said(page) == "" and page.locator("h1").inner_text() == "Question 1 of 6"
    page.reload()
    page.get_by_label("name").fill("Ann")
    assert page.locator("#start").inner_text() == "Continue (2 of 6 answered)"
    begin(page, "Ann")
    for _ in range(6):
        page.keyboard.press("s")
    page.locator("#again").click()
    page.locator("#sure-no").click()
    assert page.locator("#sure").is_hidden()
    page.locator("#again").click()
    page.locator("#sure-yes").click()
    assert page.locator("#start").inner_text() == "Start"


def test_time_counts_until_the_answer_over_all_visits(
    small: tuple[Path, Path], opened: Opener, tmp_path: Path
) -> None:
    page = opened(small[1])
    begin(page)
    page.wait_for_timeout(500)
    page.locator("#absent").click()
    page.wait_for_timeout(900)  # looking on does not count
    lines = save(page, tmp_path / "a.jsonl", "#download-now")
    assert 0.45 <= lines[0]["seconds"] < 0.9
    page.keyboard.press("Enter")
    page.keyboard.press("Backspace")
    settle(page)
    page.mouse.click(*place_of(page, 0.5, 0.5))  # a changed answer does
    lines = save(page, tmp_path / "b.jsonl", "#download-now")
    assert lines[0]["seconds"] >= 1.35


def test_side_by_side_images_take_points_in_the_right_half(
    tasks: Path, tmp_path: Path, opened: Opener
) -> None:
    x3.ask(tasks / "t1_val_concat.json", tmp_path / "page", limit=1)
    page = opened(tmp_path / "page")
    begin(page)
    page.mouse.click(*place_of(page, 0.25, 0.5))
    assert said(page) == "" and page.locator("#state").inner_text() == (
        "Point in the right half of the image."
    )
    page.mouse.click(*place_of(page, 0.75, 0.5))
    assert said(page).startswith("[(0.75")
    for _ in range(30):
        page.keyboard.press("Shift+ArrowLeft")
    assert float(re.findall(r"[\d.]+", said(page))[0]) >= 0.5
    (question,) = questions(tmp_path / "page")
    box = page.locator(".mark.reference").bounding_box()
    assert box is not None
    x, y = place_of(page, *question["reference"])
    assert abs(box["x"] - x) < 1 and abs(box["y"] - y) < 1


@pytest.fixture
def telephone(chromium: Browser) -> Iterator[Any]:
    context = chromium.new_context(
        viewport={"width": 320, "height": 640}, has_touch=True, is_mobile=True
    )
    yield context.new_page()
    context.close()


def test_it_works_by_touch_at_320_pixels(small: tuple[Path, Path], telephone: Page) -> None:
    page = telephone
    page.goto((small[1] / "index.html").as_uri())
    page.get_by_label("name").fill("Ann")
    page.locator("#start").tap()
    settle(page)
    page.locator(".view.asks").evaluate("view => view.scrollIntoView({block: 'center'})")
    page.touchscreen.tap(*place_of(page, 0.5, 0.75))
    found = [float(n) for n in re.findall(r"[\d.]+", said(page))]
    assert found == pytest.approx([0.5, 0.75], abs=0.005)
    page.locator("#next").tap()
    page.locator("#absent").tap()
    assert said(page) == "NOT_VISIBLE"
    assert page.evaluate("document.documentElement.scrollWidth") == 320
    for target in ("#next", "#absent", "#back"):
        box = page.locator(target).bounding_box()
        assert box is not None and box["height"] >= 44


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("locale", ["en-GB", "zh-CN"])
@pytest.mark.parametrize("size", [(1280, 900), NARROW], ids=["wide", "narrow"])
def test_axe(
    small: tuple[Path, Path], opened: Opener, size: tuple[int, int], locale: str, dark: bool
) -> None:
    page = opened(small[1], size=size, locale=locale, dark=dark)
    page.locator("summary").first.click()
    assert violations(page) == []
    begin(page)
    assert violations(page) == []
    page.locator("#absent").click()
    assert violations(page) == []
    for _ in range(6):
        page.locator("#skip").click()
    page.locator("#again").click()
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= size[0]


def test_language_and_theme_are_kept(small: tuple[Path, Path], opened: Opener) -> None:
    page = opened(small[1])
    page.locator("#language").click()
    assert page.locator("#start").inner_text() == "开始"
    before = page.evaluate("getComputedStyle(document.body.parentElement).backgroundColor")
    page.locator("#theme").click()
    after = page.evaluate("getComputedStyle(document.body.parentElement).backgroundColor")
    assert before != after
    page.reload()
    begin(page)
    assert page.locator("html").get_attribute("lang") == "zh-Hans"
    assert page.locator("#absent").inner_text() == "看不到"
    assert page.evaluate("getComputedStyle(document.body.parentElement).backgroundColor") == after


def test_a_question_is_text(tmp_path: Path, opened: Opener) -> None:
    source = make_set(tmp_path / "tasks", count=1)
    records = json.loads(source.read_text())
    records[0]["question"] = "Where is <img src=x onerror=alert(1)> the </script> chair?"
    source.write_text(json.dumps(records))
    x3.ask(source, tmp_path / "page", title="<b>Study</b>")
    page = opened(tmp_path / "page")
    assert page.locator("h1").inner_text() == "<b>Study</b>"
    begin(page, "<i>Ann</i>")
    assert page.locator("#asked").inner_text() == records[0]["question"]


def test_what_is_missing_is_said(small: tuple[Path, Path], opened: Opener) -> None:
    _, folder = small
    (folder / questions(folder)[0]["images"][1]["src"]).unlink()
    page = opened(folder, faults_expected=True)
    page.get_by_label("name").fill("Ann")
    page.locator("#start").click()
    assert page.get_by_role("alert").first.inner_text() == "This image could not be loaded."
    (folder / "data/questions.js").unlink()
    page = opened(folder, faults_expected=True)
    assert "could not be loaded" in page.get_by_role("alert").inner_text()
