"""A real Ray cluster of two nodes on this machine, for tests."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from helpers.paths import TESTS

NEEDS_RAY = pytest.mark.skipif(
    find_spec("ray") is None, reason='needs Ray: pip install "x3spatial[ray]"'
)
"""Not importorskip: a file that is skipped as a whole is not collected."""
_STORE = 80 * 2**20
"""Bytes of a node's object store."""


@contextmanager
def _importing_helpers() -> Iterator[None]:
    """Nodes that are started here have workers that can import the helpers."""
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = str(TESTS)
    try:
        yield
    finally:
        if before is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = before


def add_second(cluster: Any) -> None:
    """Give the cluster a second node, ``cluster.second``; also after it was killed."""
    with _importing_helpers():
        cluster.second = cluster.add_node(num_cpus=1, object_store_memory=_STORE)


@contextmanager
def two_nodes() -> Iterator[Any]:
    """A head and a second node with one CPU each; ``second`` is the node that may be removed.

    Their workers can import the helpers, but not x3spatial: that is sent to them.
    """
    from ray.cluster_utils import Cluster

    with _importing_helpers():
        cluster = Cluster(
            initialize_head=True,
            head_node_args={
                "num_cpus": 1,
                "object_store_memory": _STORE,
                "include_dashboard": False,
            },
        )
    add_second(cluster)
    try:
        yield cluster
    finally:
        cluster.shutdown()


def descendants(pid: int, *, agents: bool = True) -> list[tuple[int, str]]:
    """The process ids and start times of all processes below one, perhaps without Ray's agents.

    They outlive a node that was killed by a minute, without any work of ours.
    """
    found = []
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (stat := _stat(int(entry.name))) is not None:
            children.setdefault(int(stat[1]), []).append(int(entry.name))
    waiting = [pid]
    while waiting:
        for child in children.get(waiting.pop(), []):
            stat = _stat(child)
            if stat is not None and (agents or not _is_agent(child)):
                found.append((child, stat[19]))
            waiting.append(child)
    return found


def alive(processes: list[tuple[int, str]]) -> list[int]:
    """Those of ``descendants`` that still run."""
    return [
        pid
        for pid, started in processes
        if (stat := _stat(pid)) is not None and stat[19] == started and stat[0] != "Z"
    ]


def _is_agent(pid: int) -> bool:
    try:
        return b"Agent" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def _stat(pid: int) -> list[str] | None:
    """The fields of /proc/PID/stat from the state on; None if there is no such process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
