"""The charts: each has the figures of the files, as a picture, a table and a file."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import pytest

from helpers.page_data import HOSTILE
from helpers.page_data import Page as Written
from helpers.pages import Opener

if TYPE_CHECKING:
    from playwright.sync_api import Page


pytestmark = pytest.mark.browser

PLOTS = "#/plots"
SVG = "{http://www.w3.org/2000/svg}"


def table(page: Page, title: str) -> list[list[str]]:
    """The rows of a chart's table."""
    chart = page.locator("figure.chart", has=page.get_by_role("heading", name=title))
    if not chart.locator("details").evaluate("e => e.open"):
        chart.locator("summary").click()
    rows = chart.locator("details tr").all()
    return [row.locator("th, td").all_inner_texts() for row in rows]


def percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f} %"


def test_every_chart_has_a_name_and_a_table(written: Written, opened: Opener) -> None:
    page = opened(written.folder, PLOTS)
    charts = page.locator("figure.chart")
    titles = charts.locator("h2").all_inner_texts()
    assert titles[:4] == [
        "Success against threshold", "Error distribution", "Hit@Mask: share of the image",
        "Precision and recall of the absent token (NOT_VISIBLE)",
    ]  # fmt: skip
    assert titles[4:] == [
        f"Where the answers fall: {run['name']}" for run in written.report["runs"]
    ]
    for chart in charts.all():
        assert (chart.locator("svg").get_attribute("aria-label") or "").strip()
        assert chart.locator("details table").count() == 1


def test_success_and_errors(written: Written, opened: Opener) -> None:
    page = opened(written.folder, PLOTS)
    cells = [cell for cell in written.report["cells"] if cell["set"] == 0]
    rows = table(page, "Success against threshold")
    assert rows[0][1:] == [run["name"] for run in written.report["runs"]]
    for at, row in enumerate(rows[1:]):
        assert row[1:] == [percent(cell["curve"]["success"][at]) for cell in cells]
    rows = table(page, "Error distribution")
    for at, row in enumerate(rows[1:]):
        for text, cell in zip(row[1:], cells, strict=True):
            counts = cell["errors_hist"]["counts"]
            assert text == f"{counts[at]} ({percent(counts[at] / sum(counts))})"


def test_strata_with_intervals(written: Written, opened: Opener) -> None:
    page = opened(written.folder, PLOTS)
    cells = [cell for cell in written.report["cells"] if cell["set"] == 0]
    titles = {
        "angle_deg": "angle between the views",
        "overlap": "share of A's surface in B's frame",
    }
    for stratum, title in titles.items():
        page.get_by_label("Stratum").select_option(stratum)
        rows = table(page, f"Hit@Mask: {title}")
        for at, row in enumerate(rows[1:]):
            for run, cell in enumerate(cells):
                found = cell["by_stratum"][stratum][at]
                assert row[2 + 2 * run] == percent(found["metrics"]["hit_at_mask"])
                low, high = found["ci95"]["hit_at_mask"]
                assert row[3 + 2 * run] == f"[{percent(low)}, {percent(high)}]"
    page.get_by_label("Stratum").select_option("absence")
    page.get_by_label("Metric").select_option("not_visible_accuracy")
    rows = table(page, "NOT_VISIBLE accuracy: cause of absence")
    assert [row[0] for row in rows[1:]] == ["framing", "occlusion", "other_scene"]
    assert "stratum=absence" in page.url and "metric=not_visible_accuracy" in page.url
    again = opened(written.folder, page.url[page.url.index("#") :])
    assert table(again, "NOT_VISIBLE accuracy: cause of absence") == rows


def test_precision_and_recall(written: Written, opened: Opener) -> None:
    page = opened(written.folder, PLOTS)
    rows = table(page, "Precision and recall of the absent token")
    cells = [cell for cell in written.report["cells"] if cell["set"] == 0]
    for row, cell in zip(rows[1:], cells, strict=True):
        assert row[1] == percent(cell["metrics"]["not_visible_recall"])
        assert row[3] == percent(cell["metrics"]["not_visible_precision"])


def test_the_map_shows_a_collapse(written: Written, opened: Opener) -> None:
    page = opened(written.folder, PLOTS)
    for cell in (cell for cell in written.report["cells"] if cell["set"] == 0):
        name = written.report["runs"][cell["run"]]["name"]
        counts = cell["map"]["counts"]
        rows = table(page, f"Where the answers fall: {name}")
        at = counts.index(max(counts))
        assert rows[1] == [
            f"{(at % 32 + 0.5) / 32:.3f}, {(at // 32 + 0.5) / 32:.3f}",
            str(max(counts)), percent(max(counts) / sum(counts)),
        ]  # fmt: skip


@pytest.mark.parametrize("dark", [False, True])
def test_charts_are_saved(written: Written, opened: Opener, tmp_path: Path, dark: bool) -> None:
    page = opened(written.folder, PLOTS, dark=dark)
    names = [run["name"] for run in written.report["runs"]]
    assert HOSTILE in names
    for button in page.get_by_role("button", name="Download SVG").all():
        with page.expect_download() as download:
            button.click()
        assert download.value.suggested_filename.endswith(".svg")
        root = ElementTree.parse(download.value.path()).getroot()
        assert root.tag == f"{SVG}svg" and root.find(f"{SVG}rect").get("fill") == "#ffffff"  # type: ignore[union-attr]
        texts = " ".join(text.text or "" for text in root.iter(f"{SVG}text"))
        assert any(name[:28] in texts for name in names)
    with page.expect_download() as download:
        page.get_by_role("button", name="Download PNG: Success").click()
    path = tmp_path / download.value.suggested_filename
    download.value.save_as(path)
    assert path.name == "t1_multi_val_success.png"
    picture = cv2.imread(str(path))
    assert picture is not None and picture.shape[1] == 1680
    assert picture[5, 5].tolist() == [255, 255, 255] and picture.std() > 5
