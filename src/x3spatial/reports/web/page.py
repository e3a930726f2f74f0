"""``index.html`` and the files beside it, which are part of the package."""

from __future__ import annotations

import html
from importlib import resources

ASSETS = "assets"
POLICY = (
    "default-src 'none'; script-src 'self' file:; style-src 'self' file:; img-src 'self' file: data: blob:;"
    " connect-src 'self'; base-uri 'none'; form-action 'none'"
)
"""Nothing is loaded but the page's own files, and no script in a text is ever run. ``file:`` because a page
that was opened from disk is not ``'self'`` to every browser."""
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<title>{title}</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="assets/report.css">
</head>
<body>
<div id="app"></div>
<noscript>This report needs JavaScript; it loads nothing but its own files.</noscript>
<script src="assets/report.js" defer></script>
</body>
</html>
"""


def index_html(title: str) -> bytes:
    """The page; it loads ``assets/report.js``, which loads ``data/report.js``."""
    policy = html.escape(POLICY, quote=True).replace("&#x27;", "'")
    return _PAGE.format(policy=policy, title=html.escape(title)).encode()


def assets() -> dict[str, bytes]:
    """Name below the page → bytes of every built script and style, and their licences."""
    folder = resources.files("x3spatial.reports.web") / ASSETS
    return {
        f"{ASSETS}/{file.name}": file.read_bytes()
        for file in sorted(folder.iterdir(), key=lambda file: file.name)
        if file.is_file() and not file.name.startswith((".", "ask."))
    }
