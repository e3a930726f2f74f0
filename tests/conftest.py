"""Shared fixtures."""

from __future__ import annotations

from pathlib import Path

import pytest

from helpers.paths import FIXTURES


@pytest.fixture
def small_root() -> Path:
    """A clean data root; read only."""
    return FIXTURES / "x3-small" / "root"
