"""A replica that has pulled a real hub's log gives the same items in the same order."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from memory_core.clock import from_datetime, to_datetime
from memory_core.ids import derive_id
from memory_core.records import Document
from sync_agent.channel import Channel, Retry
from sync_agent.client import HubClient
from sync_agent.exchange import Caller, PullRequest
from sync_agent.replica import NewProject, Replica
from sync_agent.replica.model import Listing
from sync_agent.sync import HttpTransport
from sync_agent.url import parse_url
from tests.support.hub import Hub

START = "2026-11-01T00:00:00.000000Z"
TAGS = ("auth", "build", "Bäume")
NAMES = ("Use a lock", "use an INDEX", "Über alles", "Überall 100%_", "plain")


def at(hours: int) -> str:
    moment = to_datetime(START).timestamp() + 3_600 * hours
    return from_datetime(to_datetime(START).fromtimestamp(moment, to_datetime(START).tzinfo))


def fill(client: HubClient, project: str) -> list[str]:
    """Stores sessions, checkpoints and patterns with some of everything; returns the sessions."""
    dice = random.Random(7)
    ids = []
    for number in range(14):
        # Several share a time, so that the order falls to their ids.
        when = at(number // 3)
        ids.append(derive_id(when, "session", str(number)))
        body: dict[str, Any] = {
            "id": ids[-1], "project": project, "title": f"session {number}", "started_at": when,
            "agent": dice.choice(["codex", "claude-code"]), "tags": dice.sample(TAGS, number % 3),
            "privacy_level": dice.choice(["TEAM", "PUBLIC", "PRIVATE"]),
            "messages": [
                {"id": derive_id(when, "m", str(number), str(n)), "role": "user", "text": f"t{n}"}
                for n in range(number % 4)
            ],
        }  # fmt: skip
        client.sessions.create(body)
        client.checkpoints.create(
            {"project": project, "description": f"c{number}", "created_at": when}
            | ({"session_id": ids[-1]} if number % 2 else {})
        )
        client.patterns.create(
            {"project": project, "name": NAMES[number % 5], "created_at": when,
             "pattern_type": dice.choice(["code", "error"]), "category": dice.choice(["", "db"]),
             "tags": dice.sample(TAGS, number % 2)}
        )  # fmt: skip
    client.sessions.update(ids[1], {"status": "archived"})
    client.sessions.update(ids[2], {"title": "renamed", "tags_add": ["build"]})
    client.sessions.delete(ids[3])
    client.sessions.delete(ids[5], erase=True)
    patterns = list(client.patterns.list(project=project))
    client.patterns.update(patterns[0]["id"], {"deprecated": True})
    client.patterns.outcome(patterns[1]["id"], success=True)
    client.patterns.delete(patterns[2]["id"])
    base = patterns[3]["last_op"]
    client.patterns.update(patterns[3]["id"], {"category": "mine"})
    client.patterns.update(patterns[3]["id"], {"category": "theirs"}, base=base)
    return ids


@pytest.fixture(scope="module")
def sides(hub: Hub, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Any, ...]]:
    with hub.client() as client:
        project = client.projects.ensure({"slug": "acme/api"})
        ids = fill(client, project["id"])
        path: Path = tmp_path_factory.mktemp("replica") / "replica.db"
        new = NewProject(id=project["id"], slug="acme/api")
        with Replica.create(path, new) as replica:
            line = HttpTransport(Channel(parse_url(hub.url), hub.key, retry=Retry(budget=2.0)))
            caller = Caller(id=replica.replica_id, name="test", agent="test")
            up_to_date = False
            while not up_to_date:
                row = replica.project(new.id)
                asked = PullRequest(epoch=row.epoch, after=row.cursor, limit=9)
                page = line.pull(new.id, caller, asked)
                replica.apply_page(new.id, page)
                up_to_date = page.up_to_date
            line.close()
            yield client, replica, ids


def everything(page: Callable[[str | None], Listing]) -> list[Document]:
    found: list[Document] = []
    cursor: str | None = None
    while True:
        listing = page(cursor)
        found += listing.items
        cursor = listing.next_cursor
        if cursor is None:
            return found


def held(document: Any) -> Document:
    """Returns what a document says; a tombstone's row has empty columns for what it lacks."""
    return {name: value for name, value in document.items() if value or not document.get("erased")}


def same(ours: list[Document], theirs: Iterator[Any]) -> None:
    assert [held(one) for one in ours] == [held(one) for one in theirs]


def test_sessions(sides: tuple[Any, ...]) -> None:
    client, replica, _ = sides
    count = 0
    for status, tag, agent, since, until in product(
        (None, "active", "archived", "deleted"), (None, *TAGS), (None, "codex"),
        (None, at(1)), (None, at(3)),
    ):  # fmt: skip
        chosen = {"status": status, "tag": tag, "agent": agent, "since": since, "until": until}
        ours = everything(lambda cursor: replica.sessions(limit=3, cursor=cursor, **chosen))  # noqa: B023
        same(ours, client.sessions.list(**chosen))
        count += bool(ours)
    assert count > 20


def test_checkpoints(sides: tuple[Any, ...]) -> None:
    client, replica, ids = sides
    for session, since, until in product((None, *ids), (None, at(1)), (None, at(3))):
        chosen = {"session_id": session, "since": since, "until": until}
        ours = everything(lambda cursor: replica.checkpoints(limit=3, cursor=cursor, **chosen))  # noqa: B023
        same(ours, client.checkpoints.list(**chosen))


def test_patterns(sides: tuple[Any, ...]) -> None:
    client, replica, _ = sides
    for type_, tag, category, deprecated, q in product(
        (None, "code"), (None, *TAGS), (None, "db", "mine"), (None, True, False),
        (None, "USE", "über", "%", "_"),
    ):  # fmt: skip
        chosen = {"type": type_, "tag": tag, "category": category, "q": q}
        ours = everything(
            lambda cursor: replica.patterns(limit=3, cursor=cursor, deprecated=deprecated, **chosen)  # noqa: B023
        )
        asked = None if deprecated is None else str(deprecated).lower()
        same(ours, client.patterns.list(deprecated=asked, **chosen))


def test_messages_tags_and_conflicts(sides: tuple[Any, ...]) -> None:
    client, replica, ids = sides
    for session in ids:
        if session in (ids[3], ids[5]):
            continue
        same(replica.messages(session, limit=1_000), client.sessions.messages(session))
    assert replica.tags() == client.tags()
    theirs = client.conflicts()
    ours = replica.conflicts()
    assert len(ours) == 1
    assert [_said(one) for one in ours] == [_said(one) for one in theirs]


def _said(conflict: Any) -> Document:
    return {name: value for name, value in conflict.items() if value and name != "project"}
