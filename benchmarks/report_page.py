"""The page of a large report in Chromium: 100,000 samples of 400 images, answered by four runs.

``python benchmarks/report_page.py`` makes the report of ``benchmarks/report.py``, opens it from disk and
prints one JSON line: the time to the first picture of the gallery and to the overview's table, the longest
tasks of the page while it is scrolled, filtered and sorted, and the memory of the tab. Needs chromium and
``pip install 'x3spatial[browser]'``. A task longer than 50 ms can be felt as a stall.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from report import make_inputs

if TYPE_CHECKING:
    from playwright.sync_api import Page

_WATCH = """
window.tasks = [];
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) window.tasks.push(entry.duration);
}).observe({ type: "longtask", buffered: true });
"""
_PICTURE = """
[...document.querySelectorAll(".card img")].some((image) => image.complete && image.naturalWidth)
"""
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--enable-precise-memory-info",
    "--js-flags=--expose-gc",
]


def longest(page: Page) -> float:
    """The longest task since the last call, in milliseconds; 0 if none took 50."""
    page.wait_for_timeout(700)
    found: list[float] = page.evaluate("window.tasks.splice(0)")
    return round(max(found, default=0.0))


def wait(page: Page, condition: str) -> float:
    """Milliseconds since the navigation began when ``condition`` holds."""
    until = time.monotonic() + 60
    while not page.evaluate(condition):
        if time.monotonic() > until:
            raise SystemExit(f"the page did not come to: {condition}")
        time.sleep(0.01)
    found: float = page.evaluate("performance.now()")
    return round(found)


def measure(index: str) -> dict[str, Any]:
    """Open the page and use it."""
    from playwright.sync_api import sync_playwright

    path = os.environ.get("CHROMIUM") or shutil.which("chromium")
    figures: dict[str, Any] = {}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        context = browser.new_context(viewport={"width": 1440, "height": 900})
        page = context.new_page()
        page.add_init_script(_WATCH)
        page.goto(index, wait_until="commit")
        figures["first_table_ms"] = wait(page, "document.querySelector('tr.run') !== null")
        page.goto("about:blank")
        page.goto(f"{index}#/gallery", wait_until="commit")
        figures["first_picture_ms"] = wait(page, _PICTURE)
        figures["longest_task_opening_ms"] = longest(page)
        page.mouse.move(700, 600)
        for _ in range(100):
            page.mouse.wheel(0, 300)
            page.wait_for_timeout(16)
        figures["longest_task_scrolling_ms"] = longest(page)
        for part in (0.25, 0.5, 0.75, 1.0, 0.1):
            page.locator(".rows").evaluate(
                "(e, part) => { e.scrollTop = part * e.scrollHeight }", part
            )
            page.wait_for_timeout(250)
        figures["longest_task_jumping_ms"] = longest(page)
        page.locator("#order").select_option("worst")
        figures["longest_task_sorting_ms"] = longest(page)
        page.locator("#filter-label").fill("object 1")
        figures["longest_task_filtering_ms"] = longest(page)
        page.locator("#search").fill("00999")
        figures["longest_task_searching_ms"] = longest(page)
        page.evaluate("gc()")
        memory = page.evaluate("performance.memory.usedJSHeapSize")
        figures["tab_heap_mb"] = round(memory / 1e6, 1)
        figures["chromium"] = browser.version
        browser.close()
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=100_000)
    parser.add_argument("--runs", type=int, default=4)
    parser.add_argument("--report", type=Path, help="measure this report instead of making one")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.report
        if folder is None:
            results = make_inputs(Path(temporary), arguments.samples, arguments.runs)
            folder = Path(temporary) / "report"
            subprocess.run(
                [
                    sys.executable,
                    "-m",
                    "x3spatial",
                    "report",
                    str(results),
                    "-o",
                    str(folder),
                    "-q",
                ],
                check=True,
            )
        figures = measure((folder.resolve() / "index.html").as_uri())
    print(json.dumps({"benchmark": "report_page", **figures}))


if __name__ == "__main__":
    main()
