"""A hub and a replica that hold the same, asked side by side."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from memory_core.embedding.hashing import HashingEmbedder
from sync_agent.client import HubClient
from sync_agent.local import LocalClient
from sync_agent.replica import NewProject, Replica
from tests.support.hub import Hub, hub

__all__ = ["hub"]

SLUG = "acme/api"
REMOTE = "example.com/acme/api"


def local_client(path: Path, project: NewProject) -> LocalClient:
    return LocalClient(Replica.create(path, project), embedder=HashingEmbedder)


@pytest.fixture(scope="module")
def at_hub(hub: Hub) -> Iterator[HubClient]:
    with hub.client() as client:
        yield client


@pytest.fixture(scope="module")
def here(at_hub: HubClient, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalClient]:
    project = at_hub.projects.ensure({"slug": SLUG, "remotes": [REMOTE]})
    path = tmp_path_factory.mktemp("replica") / "replica.db"
    held = NewProject(
        id=project["id"], slug=SLUG, remotes=[REMOTE], actor=project["owner"], hub=str(at_hub.url)
    )
    with local_client(path, held) as client:
        yield client
