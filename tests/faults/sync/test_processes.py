"""Real processes on real replicas, a real hub on PostgreSQL, and a line that is cut between."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sync_agent.replica import Replica
from sync_agent.sync import State, SyncBusy, sync_lock
from tests.faults.sync.devices import Team, start_program
from tests.faults.team.hubs import seeded
from tests.faults.test_full_disk import fill, small_disk
from tests.support.cutting import Cutter, Mode, cutting

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

KILLS = int(os.environ.get("MEMCTX_TEST_HISTORIES", "0")) or 8


def ended(process: subprocess.Popen[str], patience_s: float = 60.0) -> str:
    """Returns what a program said, once it has ended."""
    said, _ = process.communicate(timeout=patience_s)
    return said


def killed(process: subprocess.Popen[str]) -> str:
    """Kills a program and returns what it had said."""
    process.send_signal(signal.SIGKILL)
    return ended(process)


def test_programs_killed_at_any_moment_on_lines_cut_at_any_moment(team: Team) -> None:
    """What was acknowledged is at the hub once and in both replicas, whatever died meanwhile."""
    chance = random.Random(seeded())
    devices = [team.device("laptop"), team.device("desk")]
    with cutting(team.hub.port, chance.randrange(2**32)) as line:
        for _ in range(KILLS):
            line.mode = chance.choice([Mode.OPEN, Mode.OPEN, Mode.UNANSWERED, Mode.FLAKY, Mode.CUT])
            writers = {
                device.name: team.start("write", device.path, chance.randrange(1, 40))
                for device in devices
            }
            syncers = [team.start("sync", one.path, url(line), team.hub.key, 30) for one in devices]
            time.sleep(chance.uniform(0.3, 2.5))
            line.mode = chance.choice([*Mode])
            time.sleep(chance.uniform(0.0, 0.5))
            for syncer in syncers:
                killed(syncer)
            for device in devices:
                team.take(device, killed(writers[device.name]))
        lost = line.lost.total()
    verdict = team.settle()
    print(f"{len(team.acknowledged)} acknowledged, {lost} pieces lost on the line")
    assert verdict.all == []
    assert team.acknowledged


def url(line: Cutter) -> str:
    """Returns the hub's address through the line."""
    return f"http://127.0.0.1:{line.port}"


def test_silence_holds_up_neither_writing_nor_the_lock_for_ever(team: Team) -> None:
    """A line on which nothing is heard: local work goes on, and the next cycle is well."""
    device = team.device("train")
    with cutting(team.hub.port, 1) as line:
        line.mode = Mode.SILENT
        syncer = team.start("sync", device.path, url(line), team.hub.key, 1)
        told = team.take(device, ended(team.start("write", device.path, 5)))
        assert [*told[0]] == ["stored", "record"]
        assert syncer.poll() is None
        line.mode = Mode.CUT
        states = [one["state"] for one in team.take(device, ended(syncer))]
    assert states[0] == State.STOPPED
    assert team.settle().all == []


def test_eight_syncs_at_once_are_one(team: Team) -> None:
    """One holds the lock, the others say that they are busy; who is killed leaves it free."""
    device = team.device("laptop")
    team.take(device, ended(team.start("write", device.path, 50)))
    with cutting(team.hub.port, 1) as line:
        line.mode = Mode.SILENT
        holder = team.start("sync", device.path, url(line), team.hub.key, 60)
        wait_until_locked(device.path)
        others = [
            start_program("sync", device.path, team.hub.url, team.hub.key, 0) for _ in range(8)
        ]
        said = [line for other in others for line in team.take(device, ended(other))]
        assert [one["state"] for one in said] == [State.BUSY] * 8
        killed(holder)
    after = team.take(
        device, ended(start_program("sync", device.path, team.hub.url, team.hub.key, 0))
    )
    assert [one["state"] for one in after] == [State.SYNCED]
    assert team.settle().all == []


def wait_until_locked(path: Path, patience_s: float = 30.0) -> None:
    """Waits until somebody else syncs a replica."""
    end = time.monotonic() + patience_s
    while time.monotonic() < end:
        try:
            with sync_lock(path):
                pass
        except SyncBusy:
            return
        time.sleep(0.02)
    raise AssertionError("nobody has come to sync")


def test_a_full_disk_refuses_what_it_cannot_keep(team: Team, tmp_path: Path) -> None:
    """Nothing acknowledged is lost, the file stays whole, and it goes on once there is room."""
    disk = tmp_path / "disk"
    with small_disk(disk, "6m"):
        device = team.device("laptop", disk / ".memctx")
        team.take(device, ended(team.start("write", device.path, 20)))
        ballast = disk / "ballast"
        fill(ballast)
        told = team.take(device, ended(team.start("write", device.path, 500, 500)))
        assert told[-1]["refused"] == "storage_full", told[-1]
        syncing = team.take(
            device, ended(team.start("sync", device.path, team.hub.url, team.hub.key, 0))
        )
        assert "storage_full" in {syncing[-1].get("problem"), syncing[-1].get("refused")}
        ballast.unlink()
        with Replica.open(device.path) as replica:
            assert replica.check() == []
        told = team.take(device, ended(team.start("write", device.path, 5)))
        assert "stored" in told[-1]
        team.device("desk")
        assert team.settle().all == []
        device.close()


def test_a_folder_that_cannot_be_written_is_named(team: Team, tmp_path: Path) -> None:
    """Mounted read-only, since root may write where permissions forbid it."""
    device = team.device("laptop")
    team.take(device, ended(team.start("write", device.path, 3)))
    with read_only(device.folder):
        told = [
            *team.take(device, ended(team.start("write", device.path, 1))),
            *team.take(device, ended(team.start("sync", device.path, team.hub.url, "k", 0))),
        ]
    assert [one["refused"] for one in told] == ["replica_read_only"] * 2, told
    assert all(str(device.folder) in one["detail"] for one in told), told
    assert team.settle().all == []


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Mounts a folder over itself so that nobody can write into it."""
    run = subprocess.run
    bound = run(["mount", "--bind", folder, folder], capture_output=True, text=True, check=False)
    if bound.returncode != 0:
        if os.environ.get("REQUIRE_SERVICES") == "1":
            pytest.fail(f"nothing can be mounted here: {bound.stderr}")
        pytest.skip(f"nothing can be mounted here: {bound.stderr.strip()}")
    try:
        run(["mount", "-o", "remount,bind,ro", folder], check=True)
        yield
    finally:
        run(["umount", folder], check=True)
