"""What mkdocs.yml does not repeat: the address of the repository and the description, from pyproject.toml."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any
from urllib.parse import quote

from mkdocs.config.defaults import MkDocsConfig

REPOSITORY = Path(__file__).resolve().parents[2]
PROJECT: dict[str, Any] = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))[
    "project"
]
SOURCE = PROJECT["urls"]["Source"]


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Fill in the project, and leave out the pages that only a server can show."""
    config.site_description = PROJECT["description"]
    config.repo_url = SOURCE
    config.repo_name = SOURCE.partition("//")[2].partition("/")[2]
    config.nav = _outside_links(config.nav)
    # Both hold absolute addresses of a server.
    config.theme.static_templates -= {"404.html", "sitemap.xml"}
    return config


def repository_url(path: Path) -> str:
    """The address of a file or folder of the repository, which may lie outside of docs."""
    kind = "tree" if path.is_dir() else "blob"
    return f"{SOURCE}/{kind}/main/{quote(path.relative_to(REPOSITORY).as_posix())}"


def _outside_links(entry: Any) -> Any:
    """Entries of the navigation such as ``../CHANGELOG.md`` become addresses."""
    if isinstance(entry, list):
        return [_outside_links(one) for one in entry]
    if isinstance(entry, dict):
        return {title: _outside_links(one) for title, one in entry.items()}
    if entry.startswith("../"):
        return repository_url(REPOSITORY / entry.removeprefix("../"))
    return entry
