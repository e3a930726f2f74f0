"""``index.html`` and the files beside it, which are part of the package."""

from __future__ import annotations

import html
from importlib import resources

ASSETS = "assets"
_TEMPLATE = "index.html"


def index_html(title: str) -> bytes:
    """The page; it loads ``assets/report.js``, which loads ``data/report.js``.

    Its content security policy allows nothing but the page's own files, and no script in a text.
    """
    template = (resources.files("x3spatial.reports.web") / _TEMPLATE).read_text("utf-8")
    return template.replace("{title}", html.escape(title)).encode()


def assets() -> dict[str, bytes]:
    """Name below the page → bytes of every built script and style, and their licences."""
    folder = resources.files("x3spatial.reports.web") / ASSETS
    return {
        f"{ASSETS}/{file.name}": file.read_bytes()
        for file in sorted(folder.iterdir(), key=lambda file: file.name)
        if file.is_file() and not file.name.startswith((".", "ask."))
    }
