"""The built site, once for all tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from helpers.site import build_site


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the built site; read only."""
    return build_site(tmp_path_factory.mktemp("site"))
