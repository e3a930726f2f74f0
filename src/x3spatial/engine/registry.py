"""The engines by name; help and checks of ``--engine`` follow from the table."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from x3spatial.engine.base import Engine
from x3spatial.errors import UserError

Opener = Callable[[str | None], AbstractContextManager[Engine]]
"""Opens an engine at an address (None: its default), and closes what it opened."""

ENGINES: dict[str, str] = {
    "local": "x3spatial.engine.registry:_open_local",
    "ray": "x3spatial.engine.ray:open_ray",
}
"""Name → ``MODULE:FUNCTION`` of its ``Opener``, imported when it is used."""


@contextmanager
def _open_local(address: str | None) -> Iterator[Engine]:
    from x3spatial.engine.local import LocalEngine

    if address is not None:
        raise UserError(f"--ray-address {address}: only with --engine ray")
    yield LocalEngine()


@contextmanager
def open_engine(engine: str | Engine = "local", address: str | None = None) -> Iterator[Engine]:
    """Open an engine for the block.

    Args:
        engine: a name in ``ENGINES``, or an engine that the caller opened; that one stays open.
        address: what the engine joins, as ``auto`` or ``HOST:PORT`` for ``ray``; None for its default.

    Raises:
        UserError: there is no such engine, or it cannot be opened.
    """
    if isinstance(engine, Engine):
        if address is not None:
            raise UserError(f"ray_address {address}: the engine is open already")
        yield engine
        return
    if engine not in ENGINES:
        raise UserError(f"--engine {engine}: expected {' or '.join(ENGINES)}")
    module, _, function = ENGINES[engine].partition(":")
    opener: Opener = getattr(importlib.import_module(module), function)
    with opener(address) as opened:
        yield opened
