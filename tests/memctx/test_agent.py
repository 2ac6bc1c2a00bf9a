"""`memctx agent install` and its like, on a machine whose supervisor is a crontab."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sync_agent.agent.folder import runs
from tests.support.hub import Hub
from tests.sync_agent.agent.machine import Machine, wait_for

CRONTAB = """#!/bin/sh
file="$HOME/crontab"
case "$1" in
  -l) [ -f "$file" ] && cat "$file" || exit 1 ;;
  -r) rm "$file" ;;
  -) cat > "$file" ;;
esac
"""


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    made = Machine(tmp_path / "machine")
    program = made.root / "bin" / "crontab"
    program.parent.mkdir()
    program.write_text(CRONTAB)
    program.chmod(0o755)
    yield made
    made.end()


def snapshot(*roots: Path) -> dict[str, bytes | None]:
    return {
        str(path): path.read_bytes() if path.is_file() else None
        for root in roots
        for path in root.rglob("*")
    }


def repository(root: Path, git: Path | None = None) -> Path:
    """Makes a git repository; with ``git`` its folder lies there, as a submodule's does."""
    root.mkdir(parents=True, exist_ok=True)
    folder = git or root / ".git"
    folder.mkdir(parents=True)
    (folder / "HEAD").write_text("ref: refs/heads/main\n")
    (folder / "config").write_text(
        f'[remote "origin"]\n\turl = https://github.com/acme/{root.name}.git\n'
    )
    if git is not None:
        (root / ".git").write_text(f"gitdir: {git}\n")
    return root


def master(root: Path, *names: str) -> Path:
    """Makes a master repository with submodules, one inside another included."""
    repository(root)
    lines = []
    for name in names:
        repository(root / name, root / ".git" / "modules" / name)
        lines.append(f'[submodule "{name}"]\n\tpath = {name}\n\turl = ../{name}.git\n')
    lines.append('[submodule "not-here"]\n\tpath = not-here\n\turl = ../x.git\n')
    lines.append('[submodule "outside"]\n\tpath = ../outside\n\turl = ../x.git\n')
    (root / ".gitmodules").write_text("".join(lines))
    return root


def test_an_installation_in_a_master_repository_gives_each_submodule_a_replica(
    machine: Machine,
) -> None:
    repository(machine.root / "outside")
    root = master(machine.root / "master", "api", "web")
    inner = repository(root / "api" / "lib", root / ".git" / "modules" / "lib")
    (root / "api" / ".gitmodules").write_text('[submodule "lib"]\n\tpath = lib\n')
    done = machine.json("agent", "install", "--all", cwd=root)
    assert done["with"] == "cron"
    folders = [root, root / "api", inner, root / "web"]
    assert {r["project"] for r in done["replicas"]} == {
        "acme/master", "acme/api", "acme/lib", "acme/web",
    }  # fmt: skip
    assert all((folder / ".memctx" / "replica.db").is_file() for folder in folders)
    assert all((folder / ".memctx" / ".gitignore").read_text() == "*\n" for folder in folders)
    assert not (machine.root / "outside" / ".memctx").exists()
    assert machine.ask(do="status")["pid"] == done["pid"]
    assert len(machine.ask(do="status")["replicas"]) == 4
    shown = machine.json("agent", "status")
    assert shown["installed"] == "cron"
    assert {each["state"] for each in shown["replicas"]} == {"local"}


def test_an_installation_that_is_repeated_changes_nothing(machine: Machine) -> None:
    root = repository(machine.root / "api")
    first = machine.json("agent", "install", cwd=root)
    crontab = (machine.home / "crontab").read_bytes()
    registry = machine.folder.registry.read_bytes()
    again = machine.json("agent", "install", cwd=root)
    assert again["pid"] == first["pid"]
    assert (again["changed"], [r["new"] for r in again["replicas"]]) == ([], [False])
    assert (machine.home / "crontab").read_bytes() == crontab
    assert machine.folder.registry.read_bytes() == registry


def test_a_dry_run_shows_everything_and_does_nothing(machine: Machine) -> None:
    root = master(machine.root / "master", "api")
    before = snapshot(machine.root)
    done = machine.memctx("agent", "install", "--all", "--dry-run", cwd=root)
    assert done.returncode == 0, done.stderr
    assert "agent start --unless-stopped" in done.stdout
    assert str(root / "api") in done.stdout
    systemd = machine.json("agent", "install", "--dry-run", "--with", "systemd", cwd=root)
    assert any("ExecStart=" in step.get("content", "") for step in systemd)
    assert snapshot(machine.root) == before
    assert not runs(machine.folder)


def test_uninstalling_leaves_the_home_as_it_was_and_the_memory_where_it_is(
    machine: Machine,
) -> None:
    root = repository(machine.root / "api")
    machine.folder.root.rmdir()
    machine.folder.root.parent.rmdir()
    (machine.home / "crontab").write_text("0 5 * * * backup\n")
    before = snapshot(machine.home)
    pid = machine.json("agent", "install", cwd=root)["pid"]
    memory = (root / ".memctx" / "replica.db").read_bytes()
    assert machine.json("agent", "uninstall")["pid"] == pid
    assert snapshot(machine.home) == before
    assert (root / ".memctx" / "replica.db").read_bytes() == memory
    assert not runs(machine.folder)


def test_a_stop_holds_against_the_crontab_until_a_start(machine: Machine) -> None:
    root = repository(machine.root / "api")
    machine.json("agent", "install", cwd=root)
    machine.json("agent", "stop")
    assert machine.json("agent", "start", "--unless-stopped") == {"pid": None}
    assert not runs(machine.folder)
    pid = machine.json("agent", "start")["pid"]
    machine.json("agent", "start", "--unless-stopped")
    assert machine.ask(do="status")["pid"] == pid


def test_a_machine_without_a_supervisor_says_what_to_do(machine: Machine) -> None:
    (machine.root / "bin" / "crontab").unlink()
    done = machine.memctx("agent", "install", cwd=repository(machine.root / "api"))
    assert done.returncode == 1
    assert "memctx agent run" in done.stderr


def test_a_status_without_anything_is_empty(machine: Machine) -> None:
    found = machine.json("agent", "status")
    assert found == {"agent": None, "installed": None, "replicas": []}


def test_an_agent_that_cannot_start_says_why(machine: Machine) -> None:
    machine.folder.registry.mkdir()
    machine.folder.lock.mkdir()
    done = machine.memctx("agent", "start")
    assert done.returncode == 1
    assert "its log ends with" in done.stderr


def test_a_replica_that_is_not_registered_cannot_be_paused(machine: Machine) -> None:
    done = machine.memctx("agent", "pause", cwd=repository(machine.root / "api"))
    assert done.returncode == 1
    assert "no replica" in done.stderr


def test_a_start_by_hand_ends_by_a_stop(machine: Machine) -> None:
    machine.json("agent", "start")
    machine.json("agent", "stop")
    wait_for(lambda: not runs(machine.folder), "the end of the agent")
    assert {path.name for path in machine.folder.root.iterdir()} == {"agent.log"}


def test_submodules_and_their_master_agree_with_the_hub(machine: Machine, hub: Hub) -> None:
    """One agent for all, the hub named by the user; a submodule comes before its master too."""
    config = machine.home / ".config" / "memory-context" / "config.toml"
    config.parent.mkdir(parents=True)
    config.write_text(f'[client]\nurl = "{hub.url}"\napi_key = "{hub.key}"\n')
    config.chmod(0o600)
    root = master(machine.root / "fleet", "fleet-api", "fleet-web")
    folders = [root / "fleet-api", root / "fleet-web", root]
    done = machine.json("agent", "install", "--all", cwd=root)
    for folder in folders:
        machine.json("sessions", "add", "--title", f"in {folder.name}", cwd=folder)

    def agree() -> bool:
        with hub.client() as client:
            at_hub = {session["title"] for session in client.sessions.list()}
        return {f"in {folder.name}" for folder in folders} <= at_hub

    wait_for(agree, "all sessions at the hub", seconds=60)
    assert len(done["replicas"]) == 3
    wait_for(
        lambda: all(
            each["state"] == "active" and each["projects"][0]["pending"] == 0
            for each in machine.json("agent", "status")["replicas"]
        ),
        "agreement",
        seconds=60,
    )
    with hub.client() as client:
        slugs = {p["slug"]: p for p in client.projects.list()}
        parent = slugs["acme/fleet"]["id"]
        assert slugs["acme/fleet-api"]["parent_id"] == parent
        assert slugs["acme/fleet-web"]["parent_id"] == parent


def test_a_submodule_alone_reaches_the_hub(machine: Machine, hub: Hub) -> None:
    """Its master has no replica, and the hub has never heard of it."""
    root = master(machine.root / "lonely", "lonely-api")
    machine.name_hub(root / "lonely-api", hub)
    machine.json("init", cwd=root / "lonely-api")
    machine.json("sessions", "add", "--title", "alone", cwd=root / "lonely-api")
    machine.json("sync", cwd=root / "lonely-api")
    with hub.client() as client:
        found = next(client.projects.list(slug="acme/lonely-api"))
        assert found["parent_id"] == next(client.projects.list(slug="acme/lonely"))["id"]


def test_a_master_that_is_denied_is_not_named_to_the_hub(machine: Machine, hub: Hub) -> None:
    root = master(machine.root / "hidden", "shown")
    machine.name_hub(root / "shown", hub)
    config = machine.home / ".config" / "memory-context" / "config.toml"
    rule = '[[deny]]\nprojects = ["acme/hidden"]\nhubs = ["127.0.0.1"]\n'
    config.write_text(f"{config.read_text()}\n{rule}")
    machine.json("init", cwd=root / "shown")
    machine.json("sync", cwd=root / "shown")
    with hub.client() as client:
        found = next(client.projects.list(slug="acme/shown"))
        assert found["parent_id"] is None
        assert not list(client.projects.list(slug="acme/hidden"))
