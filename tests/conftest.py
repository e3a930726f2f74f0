"""Shared fixtures."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from helpers.paths import FIXTURES


def pytest_configure(config: pytest.Config) -> None:
    """Hide GPUs, except for `pytest -m gpu`: the figures that tests compare with are those of a CPU."""
    if config.option.markexpr != "gpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = ""


@pytest.fixture
def small_root() -> Path:
    """A clean data root; read only."""
    return FIXTURES / "x3-small" / "root"
