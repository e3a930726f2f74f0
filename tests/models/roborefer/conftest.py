"""Loaded once for all tests; nothing heavy is imported before a test asks for it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from helpers.paths import FIXTURES

CHECKPOINT = FIXTURES / "roborefer-tiny" / "checkpoint"


@pytest.fixture(scope="session")
def model() -> Any:
    from x3spatial.models.roborefer import load_model

    return load_model(CHECKPOINT, attention="eager")


@pytest.fixture(scope="session")
def processor() -> Any:
    from x3spatial.models.roborefer import load_processor

    return load_processor(CHECKPOINT)


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """A copy of the checkpoint to damage."""
    return Path(shutil.copytree(CHECKPOINT, tmp_path / "checkpoint"))
