"""Shared recordings; read only."""

from __future__ import annotations

from pathlib import Path

import pytest

from helpers.scans import write_all
from helpers.spheres import write_spheres


@pytest.fixture(scope="session")
def spheres(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A source with one posed scene with depth."""
    source = tmp_path_factory.mktemp("spheres")
    write_spheres(source / "room")
    return source


@pytest.fixture(scope="session")
def scans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One room as a data root (``root``) and as scans in every layout (by its name)."""
    return write_all(tmp_path_factory.mktemp("scans"))
