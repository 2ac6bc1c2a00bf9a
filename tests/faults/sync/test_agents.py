"""Real agents of real users: two on one replica, one killed, a network that goes and returns."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from sync_agent.agent.asking import poke
from sync_agent.agent.enrolling import enrol
from sync_agent.replica import Replica
from tests.faults.asking import asking
from tests.faults.team.hubs import Hubs
from tests.support.cutting import Mode, cutting
from tests.support.hub import Hub
from tests.sync import oracle
from tests.sync.devices import Device
from tests.sync.hosting import read_log
from tests.sync_agent.agent.machine import Machine, Repository, running_agent, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

PATIENCE_S = 90.0
"""An agent that met a silent network waits before it tries again."""


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    made = Machine(tmp_path / "one")
    yield made
    made.end()


def is_level(repository: Repository) -> bool:
    """Says whether the hub has everything that was written in a replica."""
    with Replica.open(repository.replica) as replica:
        project = replica.projects()[0]
        waiting = replica.counts(project.id)
        return project.epoch is not None and not waiting.pending and not waiting.pushed


def wait_until_level(machine: Machine, repository: Repository) -> None:
    """Waits until the hub has everything; what the agent says of it is told where it does not."""
    try:
        wait_for(lambda: is_level(repository), "all at the hub", PATIENCE_S)
    except AssertionError as error:
        error.add_note(f"{machine.state(repository)}\n{machine.log}")
        raise


def titles_at(hub: Hub, project: str) -> list[str]:
    """Returns the titles of a project's sessions as the hub lists them."""
    with asking(hub) as client:
        items: list[dict[str, Any]] = client.get(
            "/sessions", params={"project": project, "limit": 100}
        ).json()["items"]
    return sorted(item["title"] for item in items)


def is_equal(hub: Hub, repository: Repository) -> list[str]:
    """Returns what differs between a replica and the hub's log, replayed."""
    project = repository.project().id
    with asking(hub) as client:
        log = read_log(client.get("/export").content, project)
    held = Device("it", "admin", repository.replica.parent, project).held()
    return [
        *oracle.log_is_sound(log).all,
        *oracle.replicas_equal(log, [held]).all,
    ]


def test_two_agents_on_one_replica_do_each_thing_once(
    machine: Machine, hubs: Hubs, tmp_path: Path
) -> None:
    """Two users' agents take turns; who is killed leaves the other to go on."""
    hub = hubs.all[0]
    repository = machine.repository("both", hub)
    other = Machine(tmp_path / "two")
    other.name_hub(repository.root, hub)
    enrol(other.folder, repository.root)
    wanted = [f"session {number:02}" for number in range(30)]
    with running_agent(machine) as killed, running_agent(other) as alive:
        for title in wanted[:20]:
            repository.write(title, machine.folder)
            poke(other.folder, repository.replica)
        os.kill(killed, signal.SIGKILL)
        for title in wanted[20:]:
            repository.write(title, other.folder)
        wait_until_level(other, repository)
        assert other.ask(do="status")["pid"] == alive
    assert titles_at(hub, repository.project().id) == wanted
    assert is_equal(hub, repository) == []


@contextmanager
def cut_by_proxy(hub: Hub) -> Iterator[tuple[str, Callable[[bool], None]]]:
    """Yields an address of the hub, and what cuts it off."""
    with cutting(hub.port, 1) as line:

        def cut(is_cut: bool) -> None:
            line.mode = Mode.CUT if is_cut else Mode.OPEN

        yield f"http://127.0.0.1:{line.port}", cut


@contextmanager
def dropped_by_kernel(hub: Hub) -> Iterator[tuple[str, Callable[[bool], None]]]:
    """Yields an address of the hub, and what lets its packets vanish, also those under way."""
    if shutil.which("iptables") is None or os.geteuid() != 0:
        pytest.skip("packets are dropped by iptables, as root")
    # One more port for the same hub, so that nobody else meets the rule.
    with cutting(hub.port, 1) as line:
        rule = ["OUTPUT", "-o", "lo", "-p", "tcp", "--dport", str(line.port), "-j", "DROP"]
        probed = subprocess.run(
            ["iptables", "-C", *rule], capture_output=True, text=True, check=False
        )
        if "Permission denied" in probed.stderr or "not permitted" in probed.stderr:
            pytest.skip(f"iptables may not be used here: {probed.stderr.strip()}")
        is_there = False

        def cut(is_cut: bool) -> None:
            nonlocal is_there
            if is_cut != is_there:
                way = "-I" if is_cut else "-D"
                subprocess.run(["iptables", way, *rule], check=True, capture_output=True)
                is_there = is_cut

        try:
            yield f"http://127.0.0.1:{line.port}", cut
        finally:
            cut(False)


@pytest.mark.parametrize("network", [cut_by_proxy, dropped_by_kernel])
def test_work_while_the_network_is_away_arrives_when_it_returns(
    machine: Machine, hubs: Hubs, network: Any
) -> None:
    hub = hubs.all[0]
    name = f"away-{network.__name__}".replace("_", "-")
    with network(hub) as (url, cut):
        repository = machine.repository(name)
        machine.name_hub(repository.root, url)
        keys = machine.home / ".config" / "memory-context" / "config.toml"
        keys.parent.mkdir(parents=True, exist_ok=True)
        keys.write_text(f'[keys]\n"{url}" = "{hub.key}"\n')
        keys.chmod(0o600)
        with running_agent(machine):
            repository.write("before", machine.folder)
            wait_until_level(machine, repository)
            cut(True)
            for number in range(10):
                repository.write(f"while away {number}", machine.folder)
            state = wait_for(lambda: machine.state(repository)["error"], "an error")
            assert state
            assert repository.pending() == 10
            assert len(repository.titles()) == 11
            cut(False)
            repository.write("after", machine.folder)
            wait_until_level(machine, repository)
        project = repository.project().id
    away = [f"while away {number}" for number in range(10)]
    assert titles_at(hub, project) == sorted(["before", "after", *away])
    assert is_equal(hub, repository) == []
