"""The list of replicas that the agent takes care of."""

from __future__ import annotations

import json
import multiprocessing
import stat
from pathlib import Path

import pytest

from sync_agent.agent.registry import Registry
from sync_agent.errors import InvalidConfig


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(tmp_path / "state" / "registry.json")


def replica(folder: Path, name: str) -> Path:
    path = folder / name / ".memctx" / "replica.db"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"x")
    return path


def test_without_a_file_there_is_nothing(registry: Registry) -> None:
    assert registry.entries() == []
    assert registry.changed_at() is None


def test_a_replica_is_taken_in_once(registry: Registry, tmp_path: Path) -> None:
    path = replica(tmp_path, "api")
    assert registry.add(path, "acme/api") is True
    state = registry.changed_at()
    assert registry.add(path, "acme/api") is False
    assert registry.changed_at() == state
    assert [(e.path, e.root, e.project, e.paused) for e in registry.entries()] == [
        (path, tmp_path / "api", "acme/api", False)
    ]


def test_a_new_slug_is_kept_and_the_pause_stays(registry: Registry, tmp_path: Path) -> None:
    path = replica(tmp_path, "api")
    registry.add(path, "acme/api")
    assert registry.pause(path, paused=True)
    assert registry.add(path, "acme/renamed") is False
    [entry] = registry.entries()
    assert (entry.project, entry.paused) == ("acme/renamed", True)


def test_a_replica_may_lie_elsewhere_than_its_project(registry: Registry, tmp_path: Path) -> None:
    path = replica(tmp_path, "data")
    registry.add(path, "acme/api", root=tmp_path / "api")
    assert registry.entries()[0].root == tmp_path / "api"


def test_a_replica_that_is_not_registered_cannot_be_paused(
    registry: Registry, tmp_path: Path
) -> None:
    assert registry.pause(tmp_path / "x", paused=True) is False


def test_what_is_gone_is_shown_as_missing_until_it_is_pruned(
    registry: Registry, tmp_path: Path
) -> None:
    stays, goes = replica(tmp_path, "stays"), replica(tmp_path, "goes")
    for path in (stays, goes):
        registry.add(path, path.parent.parent.name)
    goes.unlink()
    assert {e.project: e.missing for e in registry.entries()} == {"stays": False, "goes": True}
    assert [entry.path for entry in registry.prune()] == [goes]
    assert [entry.path for entry in registry.entries()] == [stays]
    assert registry.prune() == []


def test_a_replica_is_forgotten_and_its_file_stays(registry: Registry, tmp_path: Path) -> None:
    path = replica(tmp_path, "api")
    registry.add(path, "acme/api")
    assert registry.remove(path) is True
    assert registry.remove(path) is False
    assert path.is_file()


def test_only_the_owner_may_read_it_and_nothing_else_lies_beside_it(
    registry: Registry, tmp_path: Path
) -> None:
    registry.add(replica(tmp_path, "api"), "acme/api")
    [file] = (tmp_path / "state").iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


def test_a_path_that_is_not_utf8_comes_back(registry: Registry, tmp_path: Path) -> None:
    path = replica(tmp_path, "caf\udce9")
    registry.add(path, "acme/cafe")
    assert registry.entries()[0].path == path
    assert not registry.entries()[0].missing


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", "{}", '{"version": 1}', '{"version": 1, "replicas": [{"path": "relative"}]}',
     '{"version": 1, "replicas": [{"path": "relative", "project": "x", "paused": false}]}',
     '{"version": 1, "replicas": [1]}', '{"version": 2, "replicas": []}'],
)  # fmt: skip
def test_a_file_that_is_no_registry_is_refused_and_left_alone(
    registry: Registry, tmp_path: Path, content: str
) -> None:
    file = tmp_path / "state" / "registry.json"
    file.parent.mkdir(mode=0o700)
    file.write_text(content)
    with pytest.raises(InvalidConfig):
        registry.entries()
    with pytest.raises(InvalidConfig):
        registry.add(replica(tmp_path, "api"), "acme/api")
    assert file.read_text() == content


def add_many(file: Path, folder: Path, who: int) -> None:
    registry = Registry(file)
    for number in range(20):
        registry.add(folder / f"{who}-{number}" / "replica.db", f"acme/{who}-{number}")


def test_processes_that_write_at_once_lose_nothing(tmp_path: Path) -> None:
    file = tmp_path / "state" / "registry.json"
    context = multiprocessing.get_context("spawn")
    workers = [
        context.Process(target=add_many, args=(file, tmp_path, who), daemon=True)
        for who in range(3)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
        assert worker.exitcode == 0
    assert len(Registry(file).entries()) == 60
    assert json.loads(file.read_text())["version"] == 1
