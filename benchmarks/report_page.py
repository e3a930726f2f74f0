"""The page of a large report in Chromium: 100,000 samples of 400 images, answered by four runs.

``python benchmarks/report_page.py`` makes the report of ``benchmarks/report.py``, opens it from disk and
prints one JSON line: the time to the overview's table and to the first picture of the gallery; the longest
task of the page's main thread while it opens, is scrolled, jumps, sorts, filters and searches, as [time that
passed, processor time] in milliseconds (they differ on a busy machine); and the memory of the tab. Needs
chromium and ``pip install 'x3spatial[browser]'``. A task longer than 50 ms can be felt as a stall.
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
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from report import make_inputs

if TYPE_CHECKING:
    from playwright.sync_api import Page

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--enable-precise-memory-info",
    "--js-flags=--expose-gc",
]
_PICTURE = """
[...document.querySelectorAll(".card img")].some((image) => image.complete && image.naturalWidth)
"""


@contextmanager
def traced(page: Page, figures: dict[str, Any], name: str) -> Iterator[None]:
    """Note the longest task of the main thread during the block and the second after it."""
    browser = page.context.browser
    assert browser is not None
    browser.start_tracing(page=page, categories=["toplevel", "devtools.timeline"])
    yield
    page.wait_for_timeout(1000)
    events = json.loads(browser.stop_tracing())["traceEvents"]
    threads = {
        (event["pid"], event["tid"])
        for event in events
        if event["name"] == "thread_name" and event["args"]["name"] == "CrRendererMain"
    }
    tasks = [
        event
        for event in events
        if event["name"].endswith("RunTask") and (event["pid"], event["tid"]) in threads
    ]
    longest = [
        round(max((task.get(key, 0) for task in tasks), default=0) / 1000)
        for key in ("dur", "tdur")
    ]
    figures[f"longest_task_{name}_ms"] = longest


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
        page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
        page.goto(index, wait_until="commit")
        figures["first_table_ms"] = wait(page, "document.querySelector('tr.run') !== null")
        page.goto("about:blank")
        page.goto(f"{index}#/gallery", wait_until="commit")
        figures["first_picture_ms"] = wait(page, _PICTURE)
        page.goto("about:blank")
        with traced(page, figures, "opening"):
            page.goto(f"{index}#/gallery", wait_until="commit")
            wait(page, _PICTURE)
        page.mouse.move(700, 600)
        with traced(page, figures, "scrolling"):
            for _ in range(100):
                page.mouse.wheel(0, 300)
                page.wait_for_timeout(16)
        with traced(page, figures, "jumping"):
            for part in (0.25, 0.5, 0.75, 1.0, 0.1):
                page.locator(".rows").evaluate(
                    "(e, part) => { e.scrollTop = part * e.scrollHeight }", part
                )
                page.wait_for_timeout(250)
        with traced(page, figures, "sorting"):
            page.locator("#order").select_option("worst")
        with traced(page, figures, "filtering"):
            page.locator("#filter-label").fill("1")
        with traced(page, figures, "searching"):
            page.locator("#search").fill("00999")
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
