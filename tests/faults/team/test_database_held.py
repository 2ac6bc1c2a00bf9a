"""Others hold what requests need, or every connection is in use: refused in time, and apart."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import psycopg
import pytest

from tests.faults.asking import asking, made, until
from tests.faults.team.hubs import Hubs, hubs_on
from tests.support.hub import Hub
from tests.support.servers.postgres import PostgresServer

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

SLOW_REQUESTS = 200
PROMPT_S = 2.5
"""A request waits at most two seconds for somebody else's lock, or less for a connection."""

HEALTH_S = 2.5
WRITES = 40


@pytest.fixture(scope="module")
def hubs(postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hubs]:
    with hubs_on(tmp_path_factory.mktemp("held"), postgres) as found:
        found.start()
        found.start()
        yield found


@pytest.fixture
def hub(hubs: Hubs) -> Hub:
    return hubs.all[0]


@contextmanager
def transaction(hubs: Hubs, *statements: str) -> Iterator[psycopg.Connection]:
    """Yields a transaction of somebody else, which is undone at the end."""
    with psycopg.connect(hubs.server.address(hubs.database)) as connection:
        for statement in statements:
            connection.execute(statement.encode())
        yield connection
        connection.rollback()


async def timed(client: httpx.AsyncClient, path: str) -> tuple[float, int]:
    """Returns after how many seconds what status was answered."""
    started = time.monotonic()
    answer = await client.get(path)
    return time.monotonic() - started, answer.status_code


async def crowd(hub: Hub, path: str) -> tuple[list[tuple[float, int]], list[tuple[float, int]]]:
    """Asks for a path many times at once, and meanwhile for the hub's health."""
    limits = httpx.Limits(max_connections=None)
    headers = {"Authorization": f"Bearer {hub.key}"}
    async with (
        httpx.AsyncClient(
            base_url=hub.url, headers=headers, limits=limits, timeout=30, trust_env=False
        ) as client,
        asyncio.TaskGroup() as group,
    ):
        asked = [group.create_task(timed(client, path)) for _ in range(SLOW_REQUESTS)]
        health = []
        while not all(task.done() for task in asked):
            health.append(await timed(client, "/health/ready"))
        return [task.result() for task in asked], health


def test_more_slow_requests_than_connections(hubs: Hubs, hub: Hub) -> None:
    with asking(hub) as client:
        session = made(
            client, "/sessions", project=made(client, "/projects", slug="a/crowd")["id"], title="t"
        )
        path = f"/api/v1/sessions/{session['id']}"
        with transaction(hubs, "LOCK TABLE sessions IN ACCESS EXCLUSIVE MODE"):
            answers, health = asyncio.run(crowd(hub, path))
        freed = time.monotonic()
        until(lambda: client.get(f"/sessions/{session['id']}").status_code == 200, "it passes")
        again = time.monotonic() - freed
    print(
        f"first 503 after {min(answers)[0]:.2f} s, last {max(answers)[0]:.2f} s;"
        f" {len(health)} asked for health, slowest {max(health)[0]:.2f} s; well after {again:.2f} s"
    )
    assert {status for _, status in answers} == {503}
    assert min(answers)[0] < PROMPT_S
    # A busy hub is not one that must be taken out of service.
    assert {status for _, status in health} == {200}
    assert max(health)[0] < HEALTH_S
