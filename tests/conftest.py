"""Shared fixtures."""

from __future__ import annotations

from pathlib import Path

import pytest

DATA = Path(__file__).parent / "data"


@pytest.fixture
def small_root() -> Path:
    """A clean data root; read only."""
    return DATA / "x3-small" / "root"
