"""Others hold what requests need, or every connection is in use: refused in time, and apart."""

from __future__ import annotations

import asyncio
import itertools
import re
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import httpx
import psycopg
import pytest

from memory_core.ids import uuid7
from tests.faults.asking import asking, log_of, made, until, verified
from tests.faults.team.hubs import OK, Hubs, Persistent, post, together
from tests.support.hub import Hub

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

SLOW_REQUESTS = 200
PROMPT_S = 10.0
"""A request waits two seconds at most, longer where a machine has other things to do."""

WRITES = 20
WAITERS = 8
"""One less than a process has connections to write."""


@pytest.fixture
def hub(hubs: Hubs) -> Hub:
    return hubs.all[0]


def metrics_of(hub: Hub) -> httpx.Client:
    """Returns a client of a hub's figures, which lie beside its API."""
    headers = {"Authorization": f"Bearer {hub.key}"}
    return httpx.Client(base_url=hub.url, headers=headers, timeout=20, trust_env=False)


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
    assert max(health)[0] < PROMPT_S


def events_after(client: httpx.Client, project: str, head: int) -> list[object]:
    """Returns what came after a position of the log."""
    found: list[object] = client.get(f"/projects/{project}/events?after={head}").json()["items"]
    return found


def lags(writer: httpx.Client, reader: httpx.Client, project: str) -> list[float]:
    """Writes and waits until another process shows it; returns the seconds of each."""
    found = []
    for _ in range(WRITES):
        head = writer.get(f"/projects/{project}").json()["head"]
        started = time.monotonic()
        made(writer, "/checkpoints", project=project, description="d")
        shown = partial(events_after, reader, project, head)
        until(shown, "the other process shows it", 60)
        found.append(time.monotonic() - started)
    return found


def told(seconds: list[float]) -> str:
    """Returns median and the time that 95 of 100 stay below, in ms."""
    p95 = statistics.quantiles(seconds, n=20)[-1]
    return f"p50 {statistics.median(seconds) * 1000:.0f} ms, p95 {p95 * 1000:.0f} ms"


def test_a_long_transaction_elsewhere_delays_nobody(hubs: Hubs, hub: Hub) -> None:
    """A log that waits for the oldest transaction to end would show nothing meanwhile."""
    with asking(hub) as writer, asking(hubs.all[1]) as reader:
        project = made(writer, "/projects", slug="acme/long")["id"]
        elsewhere = made(writer, "/projects", slug="acme/elsewhere")["id"]
        quiet = lags(writer, reader, project)
        rename = f"UPDATE projects SET slug = 'acme/renamed' WHERE id = '{elsewhere}'"
        with transaction(hubs, "SELECT pg_current_xact_id()", rename):
            during = lags(writer, reader, project)
        print(f"shown elsewhere: {told(quiet)}; beside a long transaction {told(during)}")


def write_until(hub: Hub, project: str, over: threading.Event, refused: list[float]) -> None:
    """Writes to a project again and again; notes how long each refusal took."""
    with asking(hub) as client:
        while not over.is_set():
            started = time.monotonic()
            body = {"project": project, "description": "d"}
            answer = client.post("/checkpoints", json=body)
            if answer.status_code not in OK:
                assert (answer.status_code, answer.json()["code"]) == (503, "busy"), answer.text
                assert answer.headers["Retry-After"] == "1"
                refused.append(time.monotonic() - started)


def times(client: httpx.Client, project: str) -> list[float]:
    """Writes and reads, and returns the seconds of each pair."""
    found = []
    for _ in range(WRITES):
        started = time.monotonic()
        one = made(client, "/checkpoints", project=project, description="d")
        assert client.get(f"/checkpoints/{one['id']}").status_code == 200
        found.append(time.monotonic() - started)
    return found


def test_writers_of_a_locked_project_hold_up_no_other(hubs: Hubs, hub: Hub) -> None:
    with asking(hub) as client:
        locked, free = (
            made(client, "/projects", slug=slug)["id"] for slug in ("acme/locked", "acme/free")
        )
        alone = times(client, free)
        over, refused = threading.Event(), list[float]()
        during: list[float] = []

        lock = f"SELECT 1 FROM projects WHERE id = '{locked}' FOR UPDATE"
        waiting = [partial(write_until, hub, locked, over, refused)] * WAITERS
        with transaction(hubs, lock) as holder:

            def others() -> None:
                try:
                    while not refused:
                        during.extend(times(client, free))
                finally:
                    over.set()
                    holder.rollback()

            together([*waiting, others])
        print(
            f"other project: {told(alone)}; beside the lock {told(during)};"
            f" refused after {min(refused):.2f} to {max(refused):.2f} s"
        )
        assert max(refused) < PROMPT_S
        made(client, "/checkpoints", project=locked, description="d")


WAITING = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"


def crossed(hubs: Hubs, project: str, ask: Callable[[], httpx.Response]) -> httpx.Response:
    """Returns the answer to a request that takes the names, then the project.

    Somebody has the project, then wants the names, gets them and goes.
    """
    answers: list[httpx.Response] = []
    asked = threading.Thread(target=lambda: answers.append(ask()))
    of_project = f"FROM projects WHERE id = '{project}'"
    names = f"SELECT pg_advisory_xact_lock(hashtextextended(tenant_id::text, 1)) {of_project}"
    # So that the server ends the hub's transaction, not this one.
    patient = "SET deadlock_timeout = '60s'"
    with transaction(hubs, patient, f"SELECT 1 {of_project} FOR UPDATE") as other:
        asked.start()
        until(lambda: hubs.asked(WAITING), "the hub waits for the project")
        other.execute(names.encode())
    asked.join(60)
    return answers[0]


def begun_again(client: httpx.Client) -> float:
    """Returns how often a hub has begun a write again."""
    figures = client.get("/metrics").text
    found = re.search(r"^memctx_writes_begun_again_total (\S+)$", figures, re.MULTILINE)
    assert found is not None, figures
    return float(found[1])


def test_a_deadlock_is_begun_again_and_done_once(hubs: Hubs, hub: Hub) -> None:
    with asking(hub) as client, metrics_of(hub) as figures:
        project = made(client, "/projects", slug="acme/crossed")["id"]
        before = begun_again(figures)
        count = itertools.count()

        def deadlocked() -> bool:
            """The other reason to begin again is that the lock was waited for too long."""
            remote = f"example.com/acme/crossed-{next(count)}"
            body = {"slug": "acme/crossed", "remotes": [remote]}
            answer = crossed(hubs, project, partial(post, client, "/projects", uuid7(), body))
            assert (answer.status_code, answer.json()["remotes"][-1]) == (200, remote)
            return begun_again(figures) > before

        until(deadlocked, "the server finds a deadlock", 60)
        assert len(log_of(client, project)) == 1 + next(count)


def test_a_lock_is_waited_for_while_logs_grow(hubs: Hubs, hub: Hub) -> None:
    """A write whose lock comes too late is tried again while others write, and done once."""
    with asking(hub) as client, metrics_of(hub) as figures:
        late, other = (
            made(client, "/projects", slug=slug)["id"] for slug in ("acme/late", "acme/other")
        )
        before = begun_again(figures)
        answers: list[httpx.Response] = []
        body = {"project": late, "description": "d"}
        write = partial(post, client, "/checkpoints", uuid7(), body)
        asked = threading.Thread(target=lambda: answers.append(write()))

        def grows() -> bool:
            with asking(hubs.all[1]) as writer:
                made(writer, "/checkpoints", project=other, description="d")
            return begun_again(figures) > before

        with transaction(hubs, f"SELECT 1 FROM projects WHERE id = '{late}' FOR UPDATE"):
            asked.start()
            until(lambda: hubs.asked(WAITING), "the hub waits for the project")
            until(grows, "the write is begun again", 60)
        asked.join(60)
        assert answers[0].status_code == 201, answers[0].text
        assert len(log_of(client, late)) == 2


def test_who_asks_for_a_project_does_not_wait_for_its_writers(hubs: Hubs, hub: Hub) -> None:
    remotes = ["example.com/acme/asked"]
    with asking(hub) as client:
        project = made(client, "/projects", slug="acme/asked", remotes=remotes)["id"]
        with transaction(hubs, f"SELECT 1 FROM projects WHERE id = '{project}' FOR UPDATE"):
            for body in ({}, {"remotes": remotes}):
                answer = client.post("/projects", json={"slug": "acme/asked", **body})
                assert (answer.status_code, answer.json()["id"]) == (200, project)
            more = {"slug": "acme/asked", "remotes": [*remotes, "example.com/acme/more"]}
            assert client.post("/projects", json=more).status_code == 503
        assert len(log_of(client, project)) == 1


def cross(hub: Hub, projects: list[str], done: list[int]) -> None:
    """Writes to projects in turn, and asks for a context of all their sessions."""
    with asking(hub) as client:
        writer = Persistent(client)
        for project in projects * 8:
            session = {"project": project, "title": "crossed", "messages": []}
            writer.post("/sessions", session)
            writer.post("/context", {"project": project, "query": "crossed"})
        done.append(writer.tries)


def test_crossed_writers_do_not_meet(hubs: Hubs) -> None:
    deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
    before = hubs.asked(deadlocks)
    with asking(hubs.all[0]) as client:
        there = [made(client, "/projects", slug=f"acme/cross-{n}")["id"] for n in range(2)]
        tries: list[int] = []
        ways = [(hub, order) for hub in hubs.all for order in (there, there[::-1])]
        together([partial(cross, hub, order, tries) for hub, order in ways])
        assert tries == [32] * len(ways), "none was refused"
        assert verified(client)["ok"]
    assert hubs.asked(deadlocks) == before
