"""PostgreSQL or the hub is killed, told to end or stopped, while others write."""

from __future__ import annotations

import asyncio
import os
import signal
import statistics
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial

import httpx
import psutil
import pytest

from tests.faults.asking import asking, log_of, until, verified
from tests.faults.team.hubs import Hubs, Persistent, processes, standing, together
from tests.support.hub import Hub
from tests.support.servers.postgres import PostgresServer

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

ROUNDS = int(os.environ.get("MEMCTX_TEST_KILLS", "1"))
"""How often each is killed: a run that takes its time asks for more."""

WRITERS = 4
BETWEEN = 15
"""Writes that are answered before the next kill."""

STOP_S = 10.0
REQUESTS = 100
PROMPT_S = 6.0
"""It takes two seconds, and longer where a machine has other things to do."""

CONNECTIONS = 24
REFUSALS = {"busy", "unavailable"}


@pytest.fixture
def hub(hubs: Hubs) -> Hub:
    return hubs.all[0]


class Writing:
    """Writers that send each request until it is answered, and those ids that were."""

    def __init__(self, hub: Hub, project: str) -> None:
        self.answered: list[str] = []
        self.writers: list[Persistent] = []
        self.over = threading.Event()
        self._hub, self._project = hub, project

    def write(self) -> None:
        """Writes until it is over."""
        body = {"project": self._project, "description": "d"}
        with asking(self._hub) as client:
            writer = Persistent(client)
            self.writers.append(writer)
            while not self.over.is_set():
                self.answered.append(writer.post("/checkpoints", body)["id"])

    def break_often(self, fault: Callable[[], None], gaps: list[float]) -> None:
        """Injects a fault again and again; notes the seconds until all goes on."""
        try:
            for _ in range(ROUNDS):
                self._more(BETWEEN)
                started = time.monotonic()
                fault()
                self._more(1)
                gaps.append(time.monotonic() - started)
            self._more(1)
        finally:
            self.over.set()

    def _more(self, count: int) -> None:
        before = len(self.answered)
        until(lambda: len(self.answered) >= before + count, "writes are answered", 90)


def kill_server(server: PostgresServer) -> None:
    """Kills every process of the server, as a power cut would but for the disk."""
    for process in processes(server):
        with suppress(psutil.NoSuchProcess):
            process.kill()
    assert server.process is not None
    server.process.wait(30)
    server.start()


def kill_hub(hub: Hub) -> None:
    hub.kill()
    hub.start()


def end_hub(hub: Hub, took: list[float]) -> None:
    """Ends the process as an operator would."""
    assert hub.process is not None
    started = time.monotonic()
    hub.process.send_signal(signal.SIGTERM)
    assert hub.process.wait(60) == 0
    took.append(time.monotonic() - started)
    hub.start()


def broken_under_writers(hub: Hub, slug: str, fault: Callable[[], None]) -> None:
    """Nothing that was answered is lost, and nothing that was sent again happened twice."""
    with asking(hub) as client:
        # What was kept of connections to a server that is gone may cost a request each.
        project = Persistent(client).post("/projects", {"slug": slug})["id"]
        writing, gaps = Writing(hub, project), list[float]()
        together([*[writing.write] * WRITERS, partial(writing.break_often, fault, gaps)])
        log = log_of(client, project)
        tries = sum(writer.tries for writer in writing.writers)
        print(
            f"{ROUNDS} times: {len(writing.answered)} answered writes of {tries} tries,"
            f" going on after {min(gaps):.1f} to {max(gaps):.1f} s"
        )
        # Every request was answered in the end, so the log holds each once and nothing else.
        assert sorted(event["record_id"] for event in log[1:]) == sorted(writing.answered)
        assert len({event["op_id"] for event in log}) == len(log)
        assert verified(client)["ok"]


def test_the_server_is_killed(hubs: Hubs, hub: Hub) -> None:
    broken_under_writers(hub, "acme/server", partial(kill_server, hubs.server))


def test_the_hub_is_killed(hub: Hub) -> None:
    broken_under_writers(hub, "acme/hub", partial(kill_hub, hub))


def test_the_hub_is_told_to_end(hub: Hub) -> None:
    took: list[float] = []
    broken_under_writers(hub, "acme/term", partial(end_hub, hub, took))
    print(f"ended after {max(took):.1f} s")
    assert max(took) < STOP_S


async def crowd(hub: Hub, project: str) -> list[float]:
    """Reads and writes at once; all are refused alike. Returns after how many seconds each."""
    body = {"project": project, "description": "d"}
    headers = {"Authorization": f"Bearer {hub.key}"}
    url, limits = f"{hub.url}/api/v1", httpx.Limits(max_connections=None)

    async def refused(client: httpx.AsyncClient, number: int) -> float:
        started = time.monotonic()
        if number % 2:
            answer = await client.post("/checkpoints", json=body)
        else:
            answer = await client.get(f"/projects/{project}")
        # Those who waited for a connection are told that there was none.
        assert (answer.status_code, answer.json()["code"] in REFUSALS) == (503, True)
        assert int(answer.headers["Retry-After"]) > 0
        return time.monotonic() - started

    async with httpx.AsyncClient(
        base_url=url, headers=headers, limits=limits, timeout=60, trust_env=False
    ) as client:
        return await asyncio.gather(*(refused(client, number) for number in range(REQUESTS)))


def connections(hub: Hub, server: PostgresServer) -> int:
    """Returns how many connections to the server a hub has."""
    assert hub.process is not None
    port = int(server.url.rpartition(":")[2].split("/")[0])
    found = psutil.Process(hub.process.pid).net_connections("tcp")
    return [getattr(one.raddr, "port", None) for one in found].count(port)


def test_the_server_stands_still(hubs: Hubs, hub: Hub) -> None:
    with asking(hub) as client:
        project = Persistent(client).post("/projects", {"slug": "acme/still"})["id"]
        with standing(hubs.server):
            first = asyncio.run(crowd(hub, project))
            second = asyncio.run(crowd(hub, project))
            held = connections(hub, hubs.server)
            assert httpx.get(f"{hub.url}/health/ready", timeout=30).status_code == 503
        resumed = time.monotonic()
        Persistent(client).post("/checkpoints", {"project": project, "description": "d"})
        again = time.monotonic() - resumed
        log = log_of(client, project)
    print(
        f"{REQUESTS} refused in {max(first):.2f} s, the next {REQUESTS} within"
        f" {statistics.median(second):.2f} s each; {held} connections; well after {again:.2f} s"
    )
    assert max(first) < PROMPT_S
    assert statistics.median(second) < PROMPT_S
    assert held <= CONNECTIONS
    assert len(log) == 2, "what was refused was not done"
