"""The usable cores: affinity and the quotas of cgroups, and their shares under torchrun."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from x3spatial.engine import cores
from x3spatial.engine.cores import cores_per_process, usable_cores
from x3spatial.engine.local import default_workers


@pytest.fixture
def eight(monkeypatch: pytest.MonkeyPatch) -> None:
    if sys.platform == "linux":
        monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)))
    monkeypatch.setattr(os, "cpu_count", lambda: 8)


def write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def usable(tmp_path: Path, membership: str) -> int:
    write(tmp_path / "membership", membership)
    return usable_cores(mount=tmp_path / "mount", membership=tmp_path / "membership")


@pytest.mark.parametrize(
    ("quota", "cores"),
    [
        ("200000 100000", 2),
        ("250000 100000", 2),
        ("50000 100000", 1),
        ("max 100000", 8),
        ("1600000 100000", 8),
        ("rubbish", 8),
        ("100000 0", 8),
    ],
)
@pytest.mark.usefixtures("eight")
def test_version_2(tmp_path: Path, quota: str, cores: int) -> None:
    write(tmp_path / "mount" / "user" / "me" / "cpu.max", f"{quota}\n")
    assert usable(tmp_path, "0::/user/me\n") == cores


@pytest.mark.usefixtures("eight")
def test_the_quota_of_an_ancestor_counts(tmp_path: Path) -> None:
    write(tmp_path / "mount" / "user" / "me" / "cpu.max", "500000 100000\n")
    write(tmp_path / "mount" / "user" / "cpu.max", "300000 100000\n")
    assert usable(tmp_path, "0::/user/me\n") == 3


@pytest.mark.usefixtures("eight")
def test_inside_a_container_only_the_mount_is_there(tmp_path: Path) -> None:
    write(tmp_path / "mount" / "cpu.max", "400000 100000\n")
    assert usable(tmp_path, "0::/docker/4f3a\n") == 4


@pytest.mark.parametrize("controllers", ["cpu,cpuacct", "cpu"])
@pytest.mark.parametrize(("quota", "cores"), [("150000", 3), ("-1", 8)])
@pytest.mark.usefixtures("eight")
def test_version_1(tmp_path: Path, controllers: str, quota: str, cores: int) -> None:
    folder = tmp_path / "mount" / controllers / "job"
    write(folder / "cpu.cfs_quota_us", f"{quota}\n")
    write(folder / "cpu.cfs_period_us", "50000\n")
    write(tmp_path / "mount" / "memory" / "job" / "cpu.max", "100000 100000")
    assert usable(tmp_path, f"4:memory:/job\n3:{controllers}:/job\n") == cores


@pytest.mark.usefixtures("eight")
def test_without_cgroups(tmp_path: Path) -> None:
    assert usable_cores(mount=tmp_path, membership=tmp_path / "none") == 8


@pytest.mark.parametrize(
    ("local", "share"), [(None, 6), ("1", 6), ("4", 1), ("2", 3), ("9", 1), ("x", 6), ("0", 6)]
)
def test_shares_of_processes(
    monkeypatch: pytest.MonkeyPatch, local: str | None, share: int
) -> None:
    monkeypatch.setattr(cores, "usable_cores", lambda: 6)
    monkeypatch.delenv("LOCAL_WORLD_SIZE", raising=False)
    if local is not None:
        monkeypatch.setenv("LOCAL_WORLD_SIZE", local)
    assert cores_per_process() == default_workers() == share
