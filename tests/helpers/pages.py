"""Chromium, pages that are watched, and steps that several tests of the pages take."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from helpers.paths import REPOSITORY

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage, Page

ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip

_WATCH = """
window.violations = [];
document.addEventListener("securitypolicyviolation", (event) => {
  window.violations.push(event.violatedDirective);
});
"""

AXE = REPOSITORY / "web" / "node_modules" / "axe-core" / "axe.min.js"

Opener = Callable[..., "Page"]


@contextmanager
def watched(chromium: Browser) -> Iterator[Opener]:
    """The opener, and the checks of all its pages at the end."""
    contexts: list[Any] = []
    faults: list[str] = []

    def note(message: ConsoleMessage) -> None:
        if message.type == "error":
            faults.append(message.text)

    def leave(url: str, allowed: tuple[str, ...]) -> None:
        if not url.startswith(allowed):
            faults.append(url)

    def open_page(
        where: Path | str,
        hash: str = "",
        *,
        size: tuple[int, int] = (1280, 900),
        dark: bool = False,
        locale: str = "en-GB",
        faults_expected: bool = False,
    ) -> Page:
        context = chromium.new_context(
            viewport={"width": size[0], "height": size[1]},
            color_scheme="dark" if dark else "light",
            locale=locale,
            accept_downloads=True,
        )
        page = context.new_page()
        page.add_init_script(_WATCH)
        base = (where / "index.html").as_uri() if isinstance(where, Path) else where
        allowed = (base.rsplit("/", 1)[0] + "/", "data:", "blob:")
        if not faults_expected:
            page.on("pageerror", lambda error: faults.append(str(error)))
            page.on("console", note)
        page.on("request", lambda request: leave(request.url, allowed))
        contexts.append((context, page))
        page.goto(base + hash)
        page.locator("main, [role=alert]").first.wait_for()
        return page

    yield open_page
    for context, page in contexts:
        faults += page.evaluate("window.violations")
        context.close()
    assert faults == []


def shown(page: Page) -> int:
    """The number of samples that the filters leave, when the page has settled."""
    page.wait_for_timeout(350)
    page.locator(".count", has_not_text=re.compile("Loading|reading")).wait_for()
    text = page.locator(".count").inner_text()
    found = re.match(r"([\d,]+) of", text)
    assert found is not None, text
    return int(found[1].replace(",", ""))


def samples(page: Page) -> list[int]:
    """The numbers of the samples whose cards exist, in the order of the page."""
    values = page.locator(".card-open").evaluate_all("all => all.map(e => e.dataset.sample)")
    return [int(value) for value in values]


def column(page: Page, row: str, at: int) -> str:
    """The figure of a row in the first set's table."""
    cell = page.locator(".results tbody").first.locator("tr", has_text=row).locator("td").nth(at)
    return cell.locator(".figure").inner_text()


def violations(page: Page) -> list[str]:
    """What axe finds in the page as it is now."""
    if not AXE.is_file():
        pytest.skip("axe-core is not installed (npm ci in web/)")
    page.evaluate(AXE.read_text("utf-8"))
    found = page.evaluate(
        # Without preload: axe would ask for the style sheets again, which file:// forbids.
        "rules => axe.run(document, {preload: false, runOnly: rules})",
        ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    )
    return [
        f"{v['id']}: {[node['html'][:120] for node in v['nodes'][:3]]}" for v in found["violations"]
    ]
