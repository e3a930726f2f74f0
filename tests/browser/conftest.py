"""Chromium for the tests of the pages: `make test-browser`.

Skipped, with the reason, where playwright or chromium is missing. Every page is watched: a console error,
a script that fails, a violation of the content security policy or a request that leaves the folder fails the
test.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from helpers.page_data import Page as Written
from helpers.page_data import write_page
from helpers.pages import ARGUMENTS, Opener, watched

if TYPE_CHECKING:
    from playwright.sync_api import Browser


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """A browser without a window."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    path = (
        os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    )
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
