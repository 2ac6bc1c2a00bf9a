"""The line to PostgreSQL is slow, or breaks between a COMMIT and its answer."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterator
from functools import partial
from typing import Any

import httpx
import pytest

from memory_core.ids import uuid7
from tests.faults.asking import asking, log_of, made, verified
from tests.faults.team.hubs import Hubs, Persistent, seeded, together
from tests.support.hub import Hub
from tests.support.proxy import Line, line_to
from tests.support.servers.postgres import PostgresServer

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

WRITERS = 4
ROUNDS = int(os.environ.get("MEMCTX_TEST_ROUNDS", "12"))
SHARE = 0.25
TAILED_WRITERS = 16
TAILED_ROUNDS = 8
PROJECTS = 4
DELAY_S = 0.02


@pytest.fixture(scope="module")
def line(postgres: PostgresServer) -> Iterator[Line]:
    with line_to(int(postgres.url.rpartition(":")[2].split("/")[0]), seeded()) as found:
        yield found


@pytest.fixture(scope="module")
def behind(hubs: Hubs, line: Line) -> Iterator[Hub]:
    """A hub whose every way to the server is that line."""
    hub = hubs.start(port=line.port)
    yield hub
    hub.stop()


@pytest.fixture(scope="module")
def beside(hubs: Hubs) -> Hub:
    """A hub on the same database with a line of its own."""
    return hubs.all[0]


def write(hub: Hub, line: Line, session: str, pattern: str, done: list[Persistent]) -> None:
    with asking(hub) as client:
        writer = Persistent(client)
        for _ in range(ROUNDS):
            message = {"id": uuid7(), "role": "user", "text": uuid7()}
            writer.post(f"/sessions/{session}/messages", {"messages": [message]})
            writer.post(f"/patterns/{pattern}/outcomes", {"success": True})
        done.append(writer)


def test_a_line_that_breaks_between_commit_and_answer(behind: Hub, beside: Hub, line: Line) -> None:
    with asking(behind) as client, asking(beside) as other:
        project = made(client, "/projects", slug="acme/cut")["id"]
        session = made(client, "/sessions", project=project, title="t")["id"]
        body = {"project": project, "name": "p", "pattern_type": "code"}
        pattern = made(client, "/patterns", **body)["id"]
        writers: list[Persistent] = []
        line.share = SHARE
        together([partial(write, behind, line, session, pattern, writers)] * WRITERS)
        line.share = 0.0
        log = log_of(other, project)
        sent = 2 * WRITERS * ROUNDS
        tries = sum(writer.tries for writer in writers)
        replayed = sum(writer.replayed for writer in writers)
        print(f"{sent} operations in {tries} tries, {replayed} recognised, {dict(line.broken)}")
        assert len({event["op_id"] for event in log}) == len(log) == sent + 3
        assert other.get(f"/patterns/{pattern}").json()["successes"] == sent // 2
        assert other.get(f"/sessions/{session}").json()["message_count"] == sent // 2
        assert replayed > 0
        assert line.broken.total() > 0
        assert verified(other)["ok"]


def tail(client: httpx.Client, project: str, until_seq: int, seen: list[int]) -> None:
    end = time.monotonic() + 90
    while not seen or seen[-1] < until_seq:
        assert time.monotonic() < end
        after = seen[-1] if seen else 0
        page = client.get(f"/projects/{project}/events?limit=1000&after={after}").json()
        seen += [event["seq"] for event in page["items"]]


def append(hub: Hub, projects: list[str], number: int) -> None:
    with asking(hub) as client:
        for turn in range(TAILED_ROUNDS):
            project = projects[(number + turn) % PROJECTS]
            Persistent(client).post("/checkpoints", {"project": project, "description": "d"})


def test_commits_that_overtake_each_other(behind: Hub, beside: Hub, line: Line) -> None:
    """Sixteen writers on four projects; each COMMIT takes its time, and a reader follows."""
    with asking(beside) as other:
        projects = [made(other, "/projects", slug=f"acme/{n}")["id"] for n in range(PROJECTS)]
        expected = 1 + TAILED_WRITERS * TAILED_ROUNDS // PROJECTS
        seen: dict[str, list[int]] = {project: [] for project in projects}
        line.delay_s = DELAY_S
        with httpx.Client(
            base_url=other.base_url, headers=other.headers, trust_env=False
        ) as reader:
            work: list[Any] = [
                partial(append, (behind, beside)[number % 2], projects, number)
                for number in range(TAILED_WRITERS)
            ]
            work += [
                partial(tail, reader, project, expected, seen[project]) for project in projects
            ]
            together(work)
        line.delay_s = 0.0
        missed = Counter({p: expected - len(numbers) for p, numbers in seen.items()})
        print(f"{PROJECTS * expected} events followed, {missed.total()} missed")
        for numbers in seen.values():
            assert numbers == list(range(1, expected + 1))
