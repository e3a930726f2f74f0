"""Shared fixtures."""

from __future__ import annotations

import importlib.util
import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from helpers.paths import FIXTURES
from x3spatial.progress import show_bars


def pytest_configure(config: pytest.Config) -> None:
    """Hide GPUs, except for `pytest -m gpu`: the figures that tests compare with are those of a CPU.

    Properties are not judged by time: how long one example takes says more about the machine's other work.
    """
    if config.option.markexpr != "gpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
    if "PYTEST_XDIST_WORKER" in os.environ:  # torch threads times workers must not exceed the cores
        os.environ.setdefault("OMP_NUM_THREADS", "1")
    # `make test-scans` and `make test-gpu` run in environments that may not have it.
    if importlib.util.find_spec("hypothesis") and not config.getoption("--hypothesis-profile"):
        from hypothesis import HealthCheck, settings

        slow = (HealthCheck.too_slow,)
        settings.register_profile("x3", settings(), deadline=None, suppress_health_check=slow)
        settings.load_profile("x3")


@pytest.fixture(autouse=True)
def loud() -> Iterator[None]:
    """The training commands set up logging for their process, which here runs other tests too."""
    logger = logging.getLogger("x3spatial")
    handlers = logger.handlers[:]
    yield
    show_bars(True)
    logger.handlers[:] = handlers
    logger.propagate = True
    logger.setLevel(logging.NOTSET)


@pytest.fixture
def small_root() -> Path:
    """A clean data root; read only."""
    return FIXTURES / "x3-small" / "root"
