"""Replicas used by real processes, a hub on PostgreSQL, and the comparison of both with the log."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from memory_core.records import Document, Kind, Ref
from sync_agent.sync import Report, State, sync_project
from tests.faults.asking import asking, made
from tests.faults.team.hubs import Hubs
from tests.support.hub import Hub
from tests.support.servers.children import start_child
from tests.sync import oracle
from tests.sync.devices import Device
from tests.sync.hosting import read_log
from tests.sync.lines import transport_to
from tests.sync.oracle import Acknowledged, Log, Verdict
from tests.sync.world import options

ROOT = Path(__file__).resolve().parents[3]
ROUNDS = 20


@dataclass
class Team:
    """A hub, one project, and the replicas that processes work on."""

    hub: Hub
    project: Document
    folder: Path
    devices: list[Device] = field(default_factory=list)
    acknowledged: list[Acknowledged] = field(default_factory=list)

    @property
    def project_id(self) -> str:
        """The id of the project."""
        return str(self.project["id"])

    def device(self, name: str, folder: Path | None = None) -> Device:
        """Makes a replica."""
        where = folder or self.folder / name / ".memctx"
        made = Device(name, "admin", where, self.project_id)
        made.make(str(self.project["slug"]), self.hub.url)
        made.close()
        self.devices.append(made)
        return made

    def start(self, *arguments: object) -> subprocess.Popen[str]:
        """Starts one of the programs."""
        return start_program(*arguments)

    def take(self, device: Device, lines: str) -> list[dict[str, Any]]:
        """Notes what a program that writes has acknowledged, and returns all it said."""
        told = [json.loads(line) for line in lines.splitlines() if line.endswith("}")]
        for one in told:
            if "stored" in one:
                ref = Ref(Kind.PATTERN, one["record"])
                kept = Acknowledged(one["stored"], device.name, "create_pattern", ref)
                self.acknowledged.append(kept)
        return told

    def sync(self, device: Device) -> Report:
        """Runs one cycle here, straight to the hub."""
        transport = transport_to(self.hub.url, self.hub.key)
        try:
            return sync_project(device.replica, self.project_id, transport, options(device))
        finally:
            transport.close()

    def log(self) -> Log:
        """Returns the log as the hub exports it."""
        with asking(self.hub) as client:
            return read_log(client.get("/export").content, self.project_id)

    def settle(self) -> Verdict:
        """Lets all replicas come to rest and compares them with the log."""
        for _ in range(ROUNDS):
            reports = [self.sync(device) for device in self.devices]
            if all(one.state is State.SYNCED and not one.progressed for one in reports):
                break
        else:
            return Verdict(diverged=[str([one.document() for one in reports])])
        log, held = self.log(), [device.held() for device in self.devices]
        verdict = oracle.log_is_sound(log)
        verdict.add(oracle.everything_is_accounted_for(log, self.acknowledged, held))
        verdict.add(oracle.nothing_comes_back(log, held))
        verdict.add(oracle.replicas_equal(log, held))
        return verdict


def start_program(*arguments: object) -> subprocess.Popen[str]:
    """Starts one of `tests.faults.sync.programs`."""
    return start_child(
        [sys.executable, "-m", "tests.faults.sync.programs", *map(str, arguments)],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    )


@contextmanager
def team_on(hubs: Hubs, folder: Path, name: str) -> Iterator[Team]:
    """Yields a project of its own on a hub that runs."""
    hub = hubs.all[0]
    with asking(hub) as client:
        project = made(client, "/projects", slug=f"acme/{name}", identity="marker")
    team = Team(hub, project, folder)
    try:
        yield team
    finally:
        for device in team.devices:
            device.close()
