from __future__ import annotations

import os
from pathlib import Path

import pytest

from memory_core.embedding.cores import available_cores


@pytest.fixture
def affinity() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def groups(root: Path, membership: str, **limits: str) -> tuple[Path, Path]:
    """Writes a control group tree; ``__`` in a keyword stands for ``/``."""
    mount = root / "cgroup"
    for name, text in limits.items():
        file = mount / name.replace("__", "/").replace("DOT", ".")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    (root / "self").write_text(membership)
    return root / "self", mount


def test_without_control_groups_affinity_decides(tmp_path: Path, affinity: int) -> None:
    assert available_cores(tmp_path / "none", tmp_path / "none") == affinity


def test_this_machine_has_at_least_one_core(affinity: int) -> None:
    assert 1 <= available_cores() <= affinity


@pytest.mark.parametrize("limit", ["100000 100000", "50000 100000", "1000 100000"])
def test_a_quota_of_one_core_or_less_gives_one(tmp_path: Path, limit: str) -> None:
    assert available_cores(*groups(tmp_path, "0::/\n", cpuDOTmax=limit)) == 1


@pytest.mark.parametrize("limit", ["max 100000", "", "nonsense", "-1 100000 3", "5 0"])
def test_no_quota_or_an_unreadable_one_limits_nothing(
    tmp_path: Path, limit: str, affinity: int
) -> None:
    assert available_cores(*groups(tmp_path, "0::/\n", cpuDOTmax=limit)) == affinity


def test_a_quota_above_the_machine_gives_the_machine(tmp_path: Path, affinity: int) -> None:
    assert available_cores(*groups(tmp_path, "0::/\n", cpuDOTmax="99900000 100000")) == affinity


def test_the_quota_of_a_parent_group_binds(tmp_path: Path) -> None:
    membership, mount = groups(
        tmp_path,
        "0::/system.slice/hub.service\n",
        system__placeholder="",
        **{"system.slice__cpuDOTmax": "100000 100000"},
        **{"system.slice__hub.service__cpuDOTmax": "max 100000"},
    )
    assert available_cores(membership, mount) == 1


def test_a_membership_cannot_lead_out_of_the_mount(tmp_path: Path, affinity: int) -> None:
    membership, mount = groups(tmp_path, "0::/../outside\n", cpuDOTmax="max 100000")
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "cpu.max").write_text("100000 100000")
    assert available_cores(membership, mount) == affinity


def test_the_older_control_groups_count_too(tmp_path: Path) -> None:
    membership, mount = groups(
        tmp_path,
        "4:cpu:/\n",
        cpu__cpuDOTcfs_quota_us="100000",
        cpu__cpuDOTcfs_period_us="100000",
    )
    assert available_cores(membership, mount) == 1
