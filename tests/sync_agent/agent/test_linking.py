"""Which hub a replica may reach, and which folder it is registered with."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from sync_agent.agent.enrolling import enrol
from sync_agent.agent.linking import FolderGone, hub_for
from sync_agent.agent.registry import Registry
from sync_agent.agent.rounds import sync_replica
from sync_agent.hubs import HubDenied
from sync_agent.replica import Replica
from tests.sync_agent.agent.machine import Machine

HUB = "https://hub.corp"
KEY = "mctx_0123456789ab_" + "k" * 43


def git(folder: Path, *arguments: str) -> None:
    subprocess.run(
        ["git", "-c", "user.name=t", "-c", "user.email=t@example.com", *arguments],
        cwd=folder, check=True, capture_output=True, timeout=60,
    )  # fmt: skip


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """A user whose own file names a hub for everything."""
    made = Machine(tmp_path / "machine")
    for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "MEMCTX_URL", "MEMCTX_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(made.home))
    file = made.home / ".config" / "memory-context" / "config.toml"
    file.parent.mkdir(parents=True)
    file.write_text(f'[client]\nurl = "{HUB}"\n\n[keys]\n"{HUB}" = "{KEY}"\n')
    file.chmod(0o600)
    return made


def with_worktree(machine: Machine) -> tuple[Path, Path]:
    root, tree = machine.root / "api", machine.root / "feature"
    root.mkdir()
    git(root, "init", "-q", "-b", "main")
    git(root, "commit", "-q", "--allow-empty", "-m", "begin")
    git(root, "worktree", "add", "-q", str(tree))
    return root, tree


def test_a_replica_whose_folder_is_gone_sends_nothing(machine: Machine) -> None:
    root, tree = with_worktree(machine)
    path = enrol(machine.folder, tree).path
    with Replica.open(path) as replica:
        assert hub_for(replica, tree) is not None
        git(root, "worktree", "remove", "--force", str(tree))
        with pytest.raises(FolderGone):
            hub_for(replica, tree)
    [entry] = Registry(machine.folder.registry).entries()
    outcome = sync_replica(entry)
    assert outcome.refused
    assert outcome.problem is not None
    assert outcome.problem.code == "folder_gone"
    assert enrol(machine.folder, root).root == root
    [entry] = Registry(machine.folder.registry).entries()
    assert entry.root == root


def test_the_rules_of_the_replicas_own_folder_hold_in_a_worktree(machine: Machine) -> None:
    root, tree = with_worktree(machine)
    path = enrol(machine.folder, tree).path
    (root / ".memctx.toml").write_text('[client]\ndeny = ["hub.corp"]\n')
    with Replica.open(path) as replica, pytest.raises(HubDenied):
        hub_for(replica, tree)


def test_the_name_that_the_replicas_own_folder_has_counts_in_a_worktree(machine: Machine) -> None:
    root, tree = with_worktree(machine)
    path = enrol(machine.folder, tree).path
    file = machine.home / ".config" / "memory-context" / "config.toml"
    file.write_text(file.read_text() + '\n[[deny]]\nprojects = ["secret/*"]\nhubs = ["*"]\n')
    with Replica.open(path) as replica:
        assert hub_for(replica, tree) is not None
        (root / ".memctx.toml").write_text('[project]\nslug = "secret/x"\n')
        with pytest.raises(HubDenied):
            hub_for(replica, tree)


def test_a_marked_folder_gets_its_own_replica_and_leaves_the_outer_ones_alone(
    machine: Machine,
) -> None:
    outer = machine.repository("mono")
    inner = outer.root / "packages" / "secret"
    inner.mkdir(parents=True)
    (inner / ".memctx.toml").write_text('[project]\nslug = "secret"\n')
    made = enrol(machine.folder, inner)
    assert made.path != outer.replica
    assert (made.project, made.root) == ("secret", inner)
    roots = {e.path: e.root for e in Registry(machine.folder.registry).entries()}
    assert roots == {outer.replica: outer.root, made.path: inner}


def test_a_worktree_of_another_project_does_not_take_a_replica_over(machine: Machine) -> None:
    root, tree = with_worktree(machine)
    path = enrol(machine.folder, root).path
    (tree / ".memctx.toml").write_text('[project]\nslug = "other/name"\n')
    assert enrol(machine.folder, tree).path == path
    assert [e.root for e in Registry(machine.folder.registry).entries()] == [root]
