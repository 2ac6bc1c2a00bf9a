"""The agent as a process, replicas as files, the hub as a process."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from memory_core.errors import InvalidInput, NotFound
from memory_core.local_index import LocalIndex
from sync_agent.agent.folder import holder, runs
from sync_agent.channel import API, Channel
from sync_agent.places import index_of
from sync_agent.url import parse_url
from tests.support.hub import Hub, running_hub
from tests.support.patience import BUSY_S
from tests.sync_agent.agent.machine import Machine, Repository, running_agent, wait_for


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    made = Machine(tmp_path / "machine")
    yield made
    made.end()


def on_hub(hub: Hub, repository: Repository) -> set[str]:
    """Returns the titles of the sessions that the hub has of a repository's project."""
    with hub.client() as client:
        row = repository.project()
        if row.hub is None:
            return set()
        return {session["title"] for session in client.sessions.list(project=row.id)}


def synced(machine: Machine, repository: Repository) -> bool:
    """Says whether a first sync has ended well."""
    return repository.project().epoch is not None and not machine.state(repository)["failures"]


def test_a_local_write_reaches_the_hub_without_waiting(machine: Machine, hub: Hub) -> None:
    repository = machine.repository("writes", hub)
    with running_agent(machine):
        wait_for(lambda: synced(machine, repository), "the first sync")
        repository.write("from here", machine.folder)
        wait_for(lambda: "from here" in on_hub(hub, repository), "the session at the hub")
        wait_for(lambda: repository.pending() == 0, "its settling")


def test_the_index_gets_the_vectors_that_the_hub_has_made(machine: Machine, hub: Hub) -> None:
    repository = machine.repository("vectors", hub)
    with running_agent(machine):
        wait_for(lambda: synced(machine, repository), "the first sync")
        repository.write("the token expired at night", machine.folder)

        def embedded() -> bool:
            machine.ask(do="sync", replica=str(repository.replica))
            with closing(LocalIndex.open(index_of(repository.replica))) as index:
                progress = index.progress(repository.project().id)
                return progress.lexical_seq > 0 and not progress.pending and bool(index.model())

        wait_for(embedded, "the vectors", seconds=60.0)


def test_what_others_wrote_comes_without_asking(machine: Machine, hub: Hub) -> None:
    repository = machine.repository("news", hub)
    with running_agent(machine):
        wait_for(lambda: synced(machine, repository), "the first sync")
        with hub.client() as client:
            client.sessions.create({"project": repository.project().id, "title": "from there"})
        wait_for(lambda: "from there" in repository.titles(), "the session in the replica")


def test_work_waits_while_the_hub_is_gone_and_goes_when_it_is_back(
    machine: Machine, tmp_path: Path
) -> None:
    with running_hub(tmp_path / "own") as hub:
        repository = machine.repository("gone", hub)
        with running_agent(machine):
            wait_for(lambda: synced(machine, repository), "the first sync")
            hub.kill()
            repository.write("while it was gone", machine.folder)
            wait_for(lambda: machine.state(repository)["failures"] >= 1, "a failed sync")
            assert machine.state(repository)["error"]["code"] == "hub_unreachable"
            assert repository.pending() == 1
            hub.start()
            wait_for(
                lambda: "while it was gone" in on_hub(hub, repository),
                "the session at the hub",
                seconds=120,
            )
            wait_for(lambda: not machine.state(repository)["failures"], "a sync that went well")


def test_only_one_agent_runs(machine: Machine) -> None:
    with running_agent(machine) as pid:
        assert machine.json("agent", "start")["pid"] == pid
        second = machine.memctx("agent", "run")
        assert second.returncode == 1
        assert f"process {pid}" in second.stderr
        assert machine.ask(do="status")["pid"] == pid


def test_after_a_kill_the_next_agent_goes_on(machine: Machine, hub: Hub) -> None:
    repository = machine.repository("killed", hub)
    with running_agent(machine) as pid:
        wait_for(lambda: synced(machine, repository), "the first sync")
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: not runs(machine.folder), "the end of the agent")
        repository.write("nobody was there", machine.folder)
        assert repository.pending() == 1
        assert machine.json("agent", "start")["pid"] != pid
        wait_for(lambda: "nobody was there" in on_hub(hub, repository), "the session at the hub")


@pytest.mark.parametrize("how", ["command", "signal"])
def test_a_stop_is_quick_and_leaves_nothing(machine: Machine, hub: Hub, how: str) -> None:
    """Also while a request waits at the hub for news."""
    repository = machine.repository(f"stops-{how}", hub)
    with running_agent(machine) as pid:
        wait_for(lambda: synced(machine, repository), "the first sync")
        if how == "command":
            assert machine.json("agent", "stop") == {"pid": pid, "stopped": True}
        else:
            began = time.monotonic()
            os.kill(pid, signal.SIGTERM)
            wait_for(lambda: not runs(machine.folder), "the end of the agent")
            assert time.monotonic() - began < 2.0 + BUSY_S
        wait_for(lambda: not Path(f"/proc/{pid}").exists() or is_zombie(pid), "the process's end")
        left = {path.name for path in machine.folder.root.iterdir()}
        assert left == {"registry.json", "agent.log"}
        assert not machine.folder.socket.exists()
        assert machine.json("agent", "stop") == {"pid": None, "stopped": False}


def is_zombie(pid: int) -> bool:
    """Says whether a process is over and only not waited for: nobody does that in a container."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def test_a_paused_replica_is_let_be(machine: Machine, hub: Hub) -> None:
    repository = machine.repository("paused", hub)
    with running_agent(machine):
        wait_for(lambda: synced(machine, repository), "the first sync")
        machine.json("agent", "pause", cwd=repository.root)
        wait_for(lambda: machine.state(repository)["next_in_s"] is None, "the pause")
        repository.write("not yet", machine.folder)
        [shown] = machine.json("agent", "status")["replicas"]
        assert shown["state"] == "paused"
        wait_for(lambda: state_at(hub, repository) == "paused", "the hub to know")
        assert "not yet" not in on_hub(hub, repository)
        machine.json("agent", "resume", cwd=repository.root)
        wait_for(lambda: "not yet" in on_hub(hub, repository), "the session at the hub")


def state_at(hub: Hub, repository: Repository) -> str:
    """Returns how the hub says that a replica is."""
    channel = Channel(parse_url(hub.url), hub.key)
    project = repository.project().id
    body = channel.call("GET", f"{API}/sync/status").body
    channel.close()
    assert isinstance(body, dict)
    [found] = [r["state"] for r in body["replicas"] if r["project_id"] == project]
    return str(found)


def test_a_denied_hub_hears_nothing(machine: Machine) -> None:
    """Counts the connections to where the hub would be."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        listening.settimeout(0.1)
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        repository = machine.repository("denied", url)
        marker = repository.root / ".memctx.toml"
        marker.write_text(marker.read_text().replace("[client]\n", f'[client]\ndeny = ["{url}"]\n'))
        repository.write("for nobody else")
        with running_agent(machine):
            wait_for(lambda: machine.state(repository)["error"], "the refusal")
            assert machine.state(repository)["error"]["code"] == "hub_denied"
            assert machine.state(repository)["waits_for_user"]
            done = machine.memctx("sync", cwd=repository.root)
            assert "denies the hub" in done.stderr
        with pytest.raises(TimeoutError):
            listening.accept()
        assert repository.pending() == 1


def test_a_replica_without_a_hub_stays_at_home(machine: Machine) -> None:
    repository = machine.repository("alone")
    repository.write("mine")
    with running_agent(machine):
        wait_for(lambda: (machine.state(repository)["next_in_s"] or 0) > 60, "a round")
        [shown] = machine.json("agent", "status")["replicas"]
        assert (shown["state"], shown["error"]) == ("local", None)
        assert shown["projects"][0]["pending"] == 1


def test_a_hub_that_a_command_was_given_is_not_that_of_all_replicas(
    tmp_path: Path, hub: Hub
) -> None:
    extra = {"MEMCTX_URL": hub.url, "MEMCTX_API_KEY": hub.key}
    machine = Machine(tmp_path / "machine", extra)
    repository = machine.repository("mine")
    with running_agent(machine):
        wait_for(lambda: (machine.state(repository)["next_in_s"] or 0) > 60, "a round")
        assert repository.project().hub is None


def test_a_replica_that_is_registered_while_the_agent_runs_is_synced(
    machine: Machine, hub: Hub
) -> None:
    with running_agent(machine):
        repository = machine.repository("later", hub)
        repository.write("new")
        machine.ask(do="look")
        wait_for(lambda: "new" in on_hub(hub, repository), "the session at the hub")


def test_a_replica_whose_file_is_gone_is_shown_and_pruned(machine: Machine) -> None:
    repository = machine.repository("lost")
    with running_agent(machine):
        repository.replica.unlink()
        [shown] = machine.json("agent", "status")["replicas"]
        assert shown["state"] == "missing"
        assert machine.json("agent", "status", "--prune")["replicas"] == []


def test_an_agent_with_four_replicas_is_small(machine: Machine, hub: Hub) -> None:
    repositories = [machine.repository(f"small-{n}", hub) for n in range(4)]
    with running_agent(machine):
        for repository in repositories:
            wait_for(lambda r=repository: synced(machine, r), "the first sync")
        assert machine.ask(do="status")["rss_bytes"] <= 60_000_000


def test_a_question_is_answered_also_after_the_file_was_replaced(
    machine: Machine, hub: Hub
) -> None:
    repository = machine.repository("asked", hub)
    repository.write("the parser drops a newline")
    request = {"do": "search", "replica": str(repository.replica), "query": "parser newline"}
    with running_agent(machine):
        for _ in range(2):
            found = machine.ask(**request)["answer"]["hits"]
            assert [hit["title"] for hit in found] == ["the parser drops a newline"]
        machine.json("sync", "--full", cwd=repository.root)
        found = machine.ask(**request)["answer"]["hits"]
        assert [hit["title"] for hit in found] == ["the parser drops a newline"]
        with pytest.raises(InvalidInput):
            machine.ask(do="search", replica=str(repository.replica))
        with pytest.raises(NotFound):
            machine.ask(**request | {"replica": "/not/known"})


def test_asking_at_once_from_many_sides_is_answered(machine: Machine) -> None:
    with running_agent(machine) as pid:
        found: list[int] = []
        threads = [
            threading.Thread(target=lambda: found.append(machine.ask(do="status")["pid"]))
            for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert found == [pid] * 8
    assert holder(machine.folder) is None


def test_what_the_team_shares_comes_along(machine: Machine, tmp_path: Path) -> None:
    with running_hub(tmp_path / "team") as hub:
        with hub.client() as client:
            shared = client.projects.ensure({"slug": "_team"})["id"]
            lesson = {"project": shared, "pattern_type": "workflow", "name": "Deploy on Tuesdays"}
            client.patterns.create(lesson)
        repository = machine.repository("shares", hub)
        machine.json("sync", cwd=repository.root)
        hub.kill()
        found = machine.json("context", "when do we deploy?", cwd=repository.root)
        assert "Deploy on Tuesdays" in found["text"]
        assert repository.project().slug == "acme/shares"
