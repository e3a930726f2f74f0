"""Chromium for the tests of the pages: `make test-browser`.

Skipped, with the reason, where playwright or chromium is missing. Every page is watched: a console error, a
script that fails, a violation of the content security policy or a request that leaves the folder fails the test.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from helpers.page_data import Page as Written
from helpers.page_data import write_page

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip

_WATCH = """
window.violations = [];
document.addEventListener("securitypolicyviolation", (event) => window.violations.push(event.violatedDirective));
"""

Opener = Callable[..., "Page"]


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """A browser without a window."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    path = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        pytest.skip("chromium is not installed (set CHROMIUM to its path)")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def written(tmp_path_factory: pytest.TempPathFactory) -> Written:
    """A report of three runs on two sets, one of them unfinished; read only."""
    return write_page(tmp_path_factory.mktemp("page") / "report")


@pytest.fixture
def opened(chromium: Browser) -> Iterator[Opener]:
    """Opens ``index.html`` of a folder (or another address) at a hash, in a fresh profile."""
    with watched(chromium) as open_page:
        yield open_page


@contextmanager
def watched(chromium: Browser) -> Iterator[Opener]:
    """The opener, and the checks of all its pages at the end."""
    contexts: list[Any] = []
    faults: list[str] = []

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
            page.on(
                "console", lambda message: message.type == "error" and faults.append(message.text)
            )
        page.on(
            "request",
            lambda request: request.url.startswith(allowed) or faults.append(request.url),
        )
        contexts.append((context, page))
        page.goto(base + hash)
        page.locator("main, [role=alert]").first.wait_for()
        return page

    yield open_page
    for context, page in contexts:
        faults += page.evaluate("window.violations")
        context.close()
    assert faults == []
