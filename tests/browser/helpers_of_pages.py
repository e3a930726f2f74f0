"""Steps that several tests of the pages take."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Page


def shown(page: Page) -> int:
    """The number of samples that the filters leave, when the page has settled."""
    page.wait_for_timeout(350)
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
