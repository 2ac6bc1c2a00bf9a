"""Health of an API whose indexing is done by other processes, or by none."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.context_api.http.schema import checked
from tests.context_api.http.serving import Hub, serving
from tests.support.databases import OnServer
from tests.support.servers.postgres import PostgresServer


@pytest.fixture
def databases(postgres_server: PostgresServer) -> Iterator[OnServer]:
    made = OnServer(postgres_server)
    yield made
    made.drop()


def ready(hub: Hub) -> dict[str, Any]:
    """Returns what health says now; it is asked anew, not what it said seconds ago."""
    hub.app.state.services.measures.reading = None
    found: dict[str, Any] = checked(httpx.get(f"{hub.url}/health/ready"), 200)
    return found


def until(hub: Hub, condition: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    end = time.monotonic() + 30
    while not condition(found := ready(hub)):
        assert time.monotonic() < end, found
    return found


def test_without_a_worker_nothing_is_processed_and_health_says_so(
    databases: OnServer, tmp_path: Path
) -> None:
    folder = tmp_path / "hub"
    folder.mkdir()
    url = databases.url(folder)
    with serving(folder, database_url=url, role="api") as hub:
        hub.app.state.services.measures.stall_s = 0.5
        assert ready(hub)["status"] == "ok"
        project = hub.make_project("progress/one")
        body = {"project": project, "description": "a state"}
        assert hub.client.post("/api/v1/checkpoints", json=body).status_code == 201
        found = until(hub, lambda found: found["status"] == "degraded")
        progress = found["checks"]["progress"]
        assert progress["ok"] is False
        assert progress["lag_events"] == 2
        assert progress["oldest_unprocessed_s"] >= 0.4
        # Nothing is wrong with this process itself.
        assert found["checks"]["indexer"]["ok"] is True
        figures = hub.client.get("/metrics").text
        assert 'memctx_index_stalled{index="lexical"} 1.0' in figures
        worker = tmp_path / "worker"
        with serving(worker, database_url=url, role="worker"):
            found = until(hub, lambda found: found["checks"]["progress"]["lag_events"] == 0)
        assert found["status"] == "ok"
