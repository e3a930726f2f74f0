"""Damaged folders are said, never a blank page; runs that go on are followed."""

from __future__ import annotations

import functools
import http.server
import json
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest

from helpers.page_data import Page as Written
from helpers.page_data import put, write_page
from helpers.pages import Opener, shown

pytestmark = pytest.mark.browser


@pytest.fixture
def copy(written: Written, tmp_path: Path) -> Path:
    folder = tmp_path / "report"
    shutil.copytree(written.folder, folder)
    return folder


@pytest.mark.parametrize("damage", ["missing", "cut", "empty"])
def test_a_damaged_report(copy: Path, opened: Opener, damage: str) -> None:
    path = copy / "data" / "report.js"
    text = path.read_text()
    path.unlink() if damage == "missing" else path.write_text(text[:500] if damage == "cut" else "")
    page = opened(copy, faults_expected=True)
    assert "Cannot read data/report.js" in page.locator("[role=alert]").inner_text()


@pytest.mark.parametrize("file", ["set-0", "ids-0"])
def test_a_missing_set(copy: Path, opened: Opener, file: str) -> None:
    (copy / "data" / f"{file}.js").unlink()
    page = opened(copy, "#/gallery?text=a", faults_expected=True)
    page.locator("[role=alert]").wait_for()
    assert f"Cannot read data/{file}.js" in page.locator("[role=alert]").inner_text()
    page.get_by_role("button", name="Overview").click()
    assert page.locator(".results").is_visible()


def test_missing_details_and_images(copy: Path, opened: Opener) -> None:
    shutil.rmtree(copy / "data" / "set-0")
    shutil.rmtree(copy / "images")
    page = opened(copy, "#/gallery", faults_expected=True)
    page.wait_for_timeout(500)
    assert page.locator(".no-image").count() == 2 * page.locator(".card").count()
    page.locator(".card-open").first.click()
    page.locator("dialog table.answers tbody tr").nth(2).wait_for()
    assert page.locator("dialog table.answers tbody tr").count() == 3


def test_a_report_without_sets(copy: Path, written: Written, opened: Opener) -> None:
    put(copy, "report", {**written.report, "sets": [], "cells": [], "comparisons": []})
    for hash in ("", "#/plots", "#/gallery"):
        page = opened(copy, hash)
        assert "There are no results to show." in page.locator("main").inner_text()
        assert page.locator(".problems").is_visible()


def test_cells_without_figures(copy: Path, written: Written, opened: Opener) -> None:
    # Files of an earlier version, with nothing but metrics.
    bare = [
        {**cell, "ci95": {}, "chance": {}, "by_stratum": {}, "curve": None, "errors_hist": None, "map": None}
        for cell in written.report["cells"]
    ]  # fmt: skip
    put(copy, "report", {**written.report, "cells": bare, "comparisons": []})
    page = opened(copy)
    assert page.locator("tr.run").count() == 6 and page.locator(".interval").count() == 0
    page.get_by_role("button", name="Plots").first.click()
    assert page.locator("figure.chart").count() == 1


class Quiet(http.server.SimpleHTTPRequestHandler):
    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.asked.append(self.path)
        super().do_GET()

    def log_message(self, format: str, *arguments: Any) -> None:
        pass


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder and its address on this machine."""
    Quiet.asked = []
    folder = tmp_path / "served"
    folder.mkdir()
    handler = functools.partial(Quiet, directory=str(folder))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield folder, f"http://127.0.0.1:{server.server_port}/index.html"
    server.shutdown()
    server.server_close()
    thread.join()


def test_running_evaluations_are_followed(
    served: tuple[Path, str], opened: Opener, tmp_path: Path
) -> None:
    folder, address = served

    def grow(samples: int, version: int, **changes: Any) -> None:
        made = write_page(tmp_path / "next", samples=samples, runs=2, sets=1, seed=1)
        put(made.folder, "report", {**made.report, "live": True, **changes})
        shutil.copytree(made.folder, folder, dirs_exist_ok=True)
        (folder / "live.json").write_text(json.dumps({"version": version}))

    grow(60, 0, sets=[], cells=[], comparisons=[], runs=[])
    page = opened(address)
    assert "No answer yet" in page.locator("main").inner_text()
    grow(60, 1)
    page.locator("tr.run").first.wait_for()
    page.keyboard.press("3")
    assert shown(page) == 60
    grow(90, 2)
    page.get_by_text("90 of 90 samples").wait_for()
    page.locator(".overlay path").first.wait_for(state="attached")
    page.keyboard.press("Enter")
    page.locator("dialog .prompt").wait_for()
    grow(120, 3)
    page.locator("dialog", has_text="1 / 120").wait_for()
    page.locator("dialog .prompt").wait_for()


def test_a_page_that_is_not_live_asks_nobody(served: tuple[Path, str], opened: Opener) -> None:
    folder, address = served
    write_page(folder, samples=40, runs=1, sets=1)
    page = opened(address)
    page.wait_for_timeout(2500)
    assert not [path for path in Quiet.asked if "live" in path]
