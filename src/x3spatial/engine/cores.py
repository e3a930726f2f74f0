"""The number of CPU cores that this process may use.

``os.cpu_count`` and most libraries ignore the CPU quota of a container: on a host with 64 cores and a quota
of 2 they start 64 threads, which then compete for two cores.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

CGROUP_MOUNT = Path("/sys/fs/cgroup")
CGROUP_MEMBERSHIP = Path("/proc/self/cgroup")


def usable_cores(*, mount: Path = CGROUP_MOUNT, membership: Path = CGROUP_MEMBERSHIP) -> int:
    """The number of usable cores: the CPU affinity, or the quota of the cgroup if that is lower.

    A quota of 2.5 cores counts as 2; the result is at least 1. Versions 1 and 2 of cgroups are supported.

    Args:
        mount: mount point of the cgroup file system.
        membership: the file that lists this process's cgroups, one ``ID:CONTROLLERS:PATH`` per line.
    """
    if sys.platform == "linux":
        cores = len(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count() or 1
    return max(1, int(min([cores, *_quotas(mount, membership)])))


def cores_per_process() -> int:
    """The usable cores per process: divided by torchrun's ``LOCAL_WORLD_SIZE``, but at least 1."""
    processes = os.environ.get("LOCAL_WORLD_SIZE", "")
    return max(1, usable_cores() // max(1, int(processes) if processes.isdigit() else 1))


def _quotas(mount: Path, membership: Path) -> list[float]:
    """The quotas, in cores, of this process's cgroups and of their ancestors."""
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
        # Version 2 lists no controllers here; version 1 has a folder per controller or group of controllers.
        bases = [mount / controllers, mount / "cpu"] if names else [mount, mount / "unified"]
        for base in dict.fromkeys(bases):
            # Inside a container the path may be that of the host, so only the mount point exists.
            folder = base / path.lstrip("/")
            for place in (folder, *folder.parents):
                quota = _quota(place)
                if quota is not None:
                    found.append(quota)
                if place == base:
                    break
    return found


def _quota(folder: Path) -> float | None:
    """The quota of one cgroup in cores; None without one."""
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
