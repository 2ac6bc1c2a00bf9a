"""Hub and replica one version of the protocol apart, in both directions, and a newer file."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sync_agent.sync import State
from tests.faults.asking import asking, made
from tests.faults.sync.devices import ROOT, Team
from tests.faults.sync.test_processes import ended
from tests.support.hub import Hub, running_hub
from tests.support.servers.children import start_child
from tests.support.servers.finding import free_port

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

OLD, NEW = (0, 0), (2, 2)
"""(oldest, newest) of a program before and after this one, which speaks 1 alone."""


def speaking(spoken: tuple[int, int], module: str) -> list[str]:
    """Returns the command of a program that speaks other versions."""
    oldest, newest = map(str, spoken)
    return [sys.executable, "-m", "tests.support.speaking", oldest, newest, module]


def synced(team: Team, path: Path, spoken: tuple[int, int]) -> dict[str, Any]:
    """Returns what a program says that syncs once and speaks other versions."""
    command = [*speaking(spoken, "tests.faults.sync.programs"), "sync", str(path)]
    process = start_child(
        [*command, team.hub.url, team.hub.key, "0"],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    )
    [told] = team.take(team.devices[0], ended(process))
    return told


@pytest.mark.parametrize(("spoken", "older"), [(OLD, "the replica"), (NEW, "this side")])
def test_a_replica_of_another_version_keeps_its_work(
    tmp_path: Path, spoken: tuple[int, int], older: str
) -> None:
    with running_hub(tmp_path / "hub") as hub:
        team = team_of(hub, tmp_path)
        device = team.device("laptop")
        team.take(device, ended(team.start("write", device.path, 3)))
        told = synced(team, device.path, spoken)
        assert (told["state"], told["problem"]) == (State.STOPPED, "upgrade_required")
        assert f"upgrade {older}" in told["detail"]
        assert told["pending"] == 3
        assert team.settle().all == []
        device.close()


@pytest.mark.parametrize("spoken", [OLD, NEW])
def test_a_hub_of_another_version_takes_nothing(tmp_path: Path, spoken: tuple[int, int]) -> None:
    folder = tmp_path / "hub"
    folder.mkdir()
    hub = Hub(folder, free_port(), program=speaking(spoken, "memctx"))
    try:
        hub.start()
        team = team_of(hub, tmp_path)
        device = team.device("laptop")
        team.take(device, ended(team.start("write", device.path, 3)))
        report = team.sync(device)
        assert report.problem is not None
        assert (report.state, report.problem.code) == (State.STOPPED, "upgrade_required")
        assert report.pending == 3
        assert [event.type.value for event in team.log().events] == ["project.created"]
        hub.stop()
        team.hub = replace(hub, program=None)
        team.hub.start()
        assert team.settle().all == []
        device.close()
    finally:
        hub.end()
        team.hub.end()


def test_a_file_of_a_newer_version_is_left_as_it_is(tmp_path: Path) -> None:
    with running_hub(tmp_path / "hub") as hub:
        team = team_of(hub, tmp_path)
        device = team.device("laptop")
        team.take(device, ended(team.start("write", device.path, 3)))
        with closing(sqlite3.connect(device.path)) as file:
            (known,) = file.execute("PRAGMA user_version").fetchone()
            file.execute(f"PRAGMA user_version = {known + 1}")
        before = device.path.read_bytes()
        for what in (("write", device.path, 1), ("sync", device.path, hub.url, hub.key, 0)):
            [told] = team.take(device, ended(team.start(*what)))
            assert told["refused"] == "replica_too_new"
            assert "upgrade memory-context" in told["detail"]
        assert device.path.read_bytes() == before
        with closing(sqlite3.connect(device.path)) as file:
            file.execute(f"PRAGMA user_version = {known}")
        assert team.settle().all == []
        device.close()


def team_of(hub: Hub, folder: Path) -> Team:
    """Returns a project of its own on a hub."""
    with asking(hub) as client:
        project = made(client, "/projects", slug="acme/api", identity="marker")
    return Team(hub, project, folder)
