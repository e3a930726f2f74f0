"""How many cores this process may use, and how they are shared out.

A container's CPU quota is invisible to ``os.cpu_count`` and to most libraries: on a host with 64 cores and a
quota of 2 they start 64 threads, which then wait for each other.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

CGROUP_MOUNT = Path("/sys/fs/cgroup")
CGROUP_MEMBERSHIP = Path("/proc/self/cgroup")


def usable_cores(*, mount: Path = CGROUP_MOUNT, membership: Path = CGROUP_MEMBERSHIP) -> int:
    """The cores that this process may keep busy: the CPU affinity, or the cgroup's quota if that is less.

    A quota of 2.5 cores counts as 2; the result is at least 1. Versions 1 and 2 of cgroups are read.

    Args:
        mount: where cgroups are mounted.
        membership: the file that names this process's cgroups, one ``ID:CONTROLLERS:PATH`` a line.
    """
    if sys.platform == "linux":
        cores = len(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count() or 1
    return max(1, int(min([cores, *_quotas(mount, membership)])))


def cores_per_process() -> int:
    """The usable cores of one process: under torchrun all divided by ``LOCAL_WORLD_SIZE``; at least 1."""
    processes = os.environ.get("LOCAL_WORLD_SIZE", "")
    return max(1, usable_cores() // max(1, int(processes) if processes.isdigit() else 1))


def _quotas(mount: Path, membership: Path) -> list[float]:
    """The quotas, in cores, of this process's cgroups and of those that contain them."""
    try:
        lines = membership.read_text().splitlines()
    except OSError:
        return []
    found: list[float] = []
    for line in lines:
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        names = controllers.split(",") if controllers else []
        if names and "cpu" not in names:
            continue
        # Version 2 has no controllers here; version 1 has a folder for them, or for each.
        bases = [mount / controllers, mount / "cpu"] if names else [mount, mount / "unified"]
        for base in dict.fromkeys(bases):
            # Inside a container the path may be the host's, and only the mount itself be there.
            folder = base / path.lstrip("/")
            for place in (folder, *folder.parents):
                quota = _quota(place)
                if quota is not None:
                    found.append(quota)
                if place == base:
                    break
    return found


def _quota(folder: Path) -> float | None:
    """The quota of one cgroup in cores; None where there is none."""
    try:
        if (folder / "cpu.max").is_file():
            quota, period = (folder / "cpu.max").read_text().split()
        else:
            quota = (folder / "cpu.cfs_quota_us").read_text().strip()
            period = (folder / "cpu.cfs_period_us").read_text().strip()
        cores = float(quota) / float(period)
    except (OSError, ValueError, ZeroDivisionError):  # no such file, or the word "max"
        return None
    return cores if cores > 0 else None  # version 1 writes -1 for no quota
