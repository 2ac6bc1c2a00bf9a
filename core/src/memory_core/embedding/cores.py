"""How many processor cores this process may use."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path

_MEMBERSHIP = Path("/proc/self/cgroup")
_MOUNT = Path("/sys/fs/cgroup")


def available_cores(membership: Path = _MEMBERSHIP, mount: Path = _MOUNT) -> int:
    """Returns the cores that affinity and control groups leave to this process, at least 1.

    ``os.cpu_count`` counts the machine; inside a container or a systemd unit with a quota that
    would start threads which then wait for each other.

    Args:
        membership: the file that names the process's control groups.
        mount: where the control group file system is mounted.
    """
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count() or 1
    quotas = list(_quotas(membership, mount))
    return max(1, min([cores, *(math.ceil(quota) for quota in quotas)]))


def _quotas(membership: Path, mount: Path) -> Iterator[float]:
    """Yields the processor quotas, in cores, that apply (cgroup v2 and v1)."""
    for group in _groups(membership, mount):
        limit = _numbers(group / "cpu.max")
        if len(limit) == 2 and limit[1] > 0:
            yield limit[0] / limit[1]
    quota = _numbers(mount / "cpu" / "cpu.cfs_quota_us")
    period = _numbers(mount / "cpu" / "cpu.cfs_period_us")
    if quota and period and quota[0] > 0 and period[0] > 0:
        yield quota[0] / period[0]


def _groups(membership: Path, mount: Path) -> Iterator[Path]:
    """Yields the v2 group of this process and every group above it; a parent's limit binds too."""
    yield mount
    for line in _read(membership).splitlines():
        if line.startswith("0::/"):
            parts = [part for part in line[4:].split("/") if part not in ("", ".", "..")]
            for depth in range(1, len(parts) + 1):
                yield mount.joinpath(*parts[:depth])


def _numbers(path: Path) -> list[int]:
    """Returns the integers of a control file; none where it is absent or says ``max``."""
    try:
        return [int(word) for word in _read(path).split()]
    except ValueError:
        return []


def _read(path: Path) -> str:
    try:
        return path.read_text("ascii", "replace")
    except OSError:
        return ""
