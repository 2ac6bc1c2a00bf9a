"""A pull is a part of the log whose chain holds, with nothing of somebody else's in it."""

from __future__ import annotations

import gzip
import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from memory_core.events import EventType, genesis, verify_event
from memory_core.ids import uuid7
from memory_core.operations import (
    CreateCheckpoint,
    CreatePattern,
    CreateSession,
    Erase,
    NewMessage,
    UpdateSession,
)
from memory_core.records import Kind, PatternType, Privacy, Role
from memory_core.sync.events import Pulled, from_wire
from tests.context_api.http.schema import checked
from tests.context_api.http.serving import Hub
from tests.support.syncing import FakeReplica, operation, wires

SECRET = "quokkawombat"


@pytest.fixture
def project(hub: Hub) -> str:
    return hub.make_project(f"pull/{uuid7()}")


@pytest.fixture
def replica(hub: Hub, project: str) -> FakeReplica:
    return FakeReplica(hub.client, project)


@pytest.fixture
def theirs(hub: Hub, project: str) -> Iterator[FakeReplica]:
    """The replica of somebody else."""
    with hub.as_(hub.make_key("read", "write", owner="grace")["key"]) as client:
        yield FakeReplica(client, project)


def verified(project: str, items: list[dict[str, Any]]) -> list[Pulled]:
    """Returns the events of a whole log, whose chain must hold."""
    found = [from_wire(item) for item in items]
    previous = genesis(project)
    for number, pulled in enumerate(found, 1):
        assert pulled.event.seq == number
        verify_event(previous, pulled.event)
        previous = pulled.event.digest
    return found


def said(text: str) -> list[NewMessage]:
    return [NewMessage(id=uuid7(), role=Role.USER, text=text)]


def a_session(replica: FakeReplica, first: int = 1, **more: Any) -> str:
    made = operation(Kind.SESSION, CreateSession(id=uuid7(), title=SECRET, **more))
    assert replica.results(wires([made], first))[0]["outcome"] == "accepted"
    return made.record_id


def test_pages_are_the_log(replica: FakeReplica) -> None:
    a_session(replica, messages=said("one") + said("two"))
    page = checked(replica.pull(after=0, limit=2), 200)
    assert [item["seq"] for item in page["items"]] == [1, 2]
    assert (page["head"], page["next_after"], page["up_to_date"]) == (4, 2, False)
    assert page["digest"] == page["items"][-1]["digest"]
    rest = checked(replica.pull(after=2), 200)
    assert (rest["next_after"], rest["up_to_date"]) == (4, True)
    verified(replica.project, page["items"] + rest["items"])
    nothing = checked(replica.pull(after=4), 200)
    assert (nothing["items"], nothing["next_after"]) == ([], 4)
    assert nothing["digest"] == rest["digest"]


def test_a_page_says_what_a_replica_needs(hub: Hub, replica: FakeReplica) -> None:
    team = hub.make_project("_team")
    a_session(replica)
    page = checked(replica.pull(), 200)
    assert page["project"]["id"] == replica.project
    assert page["actor"] == "admin"
    assert page["shared"] == {"id": team, "slug": "_team"}
    assert page["acked"]["number"] == 1
    assert page["model"]["dimension"] > 0
    assert (page["protocol"], page["floor"]) == (1, 0)


def test_a_position_or_epoch_that_never_was_is_gone(replica: FakeReplica) -> None:
    assert checked(replica.pull(after=9), 410)["code"] == "cursor_expired"
    assert checked(replica.pull(epoch=uuid7()), 410)["code"] == "epoch_changed"


def test_what_is_private_to_another_is_withheld(replica: FakeReplica, theirs: FakeReplica) -> None:
    private = {"privacy_level": Privacy.PRIVATE}
    session = a_session(replica, messages=said(SECRET), **private)
    checkpoint = CreateCheckpoint(description=SECRET, session_id=session)
    pattern = CreatePattern(name=SECRET, pattern_type=PatternType.CODE, **private)
    replica.results(
        wires([operation(Kind.CHECKPOINT, checkpoint), operation(Kind.PATTERN, pattern)], 2)
    )
    mine = verified(replica.project, replica.log())
    assert [pulled.withheld for pulled in mine] == [False] * 5
    log = theirs.log()
    assert SECRET not in str(log)
    found = verified(replica.project, log)
    assert [pulled.withheld for pulled in found] == [False, True, True, True, True]
    assert all(pulled.event.content is None for pulled in found if pulled.withheld)


def test_narrowing_a_session_withholds_it_from_others(
    replica: FakeReplica, theirs: FakeReplica
) -> None:
    session = a_session(replica, messages=said(SECRET))
    assert SECRET in str(theirs.log())
    narrow = UpdateSession(privacy_level=Privacy.PRIVATE)
    replica.results(wires([operation(Kind.SESSION, narrow, session)], 2))
    page = theirs.pull(after=3).json()
    assert [item["withheld"] for item in page["items"]] == [True]
    assert page["items"][0]["record_id"] == session
    assert SECRET not in str(theirs.log())
    verified(replica.project, theirs.log())


def test_a_conflict_of_a_private_session_is_withheld(
    hub: Hub, replica: FakeReplica, theirs: FakeReplica
) -> None:
    session = a_session(replica, privacy_level=Privacy.PRIVATE)
    base = hub.client.get(f"/api/v1/sessions/{session}").json()["last_op"]
    hub.client.patch(f"/api/v1/sessions/{session}", json={"title": f"{SECRET} one"})
    late = operation(Kind.SESSION, UpdateSession(title=f"{SECRET} two"), session, base=base)
    assert replica.results(wires([late], 2))[0]["outcome"] == "conflict"
    assert EventType.CONFLICT_OPENED in [item["type"] for item in theirs.log()]
    assert SECRET not in str(theirs.log())


def test_what_was_erased_is_gone_and_not_withheld(
    replica: FakeReplica, theirs: FakeReplica
) -> None:
    session = a_session(replica, messages=said(SECRET), privacy_level=Privacy.PRIVATE)
    replica.results(wires([operation(Kind.SESSION, Erase(), session)], 2))
    for one in (replica, theirs):
        found = verified(replica.project, one.log())
        assert SECRET not in str(one.log())
        assert [(pulled.withheld, pulled.event.content) for pulled in found[1:3]] == [
            (False, None)
        ] * 2


def test_a_key_for_other_projects_pulls_nothing(hub: Hub, replica: FakeReplica) -> None:
    a_session(replica)
    hub.make_project("pull/granted")
    with hub.as_(hub.make_key("read", projects=["pull/granted"])["key"]) as client:
        refused = FakeReplica(client, replica.project).pull()
        assert checked(refused, 404)["code"] == "project_not_found"


def test_a_reader_pulls_and_does_not_push(hub: Hub, project: str) -> None:
    with hub.as_(hub.make_key("read")["key"]) as client:
        reader = FakeReplica(client, project)
        assert reader.pull().status_code == 200
        assert reader.push([]).status_code == 403


def test_large_pages_are_packed(hub: Hub, replica: FakeReplica) -> None:
    a_session(replica, messages=said("word " * 2_000))
    path = f"/api/v1/projects/{replica.project}/sync/pull"
    sizes = {}
    for encoding in ("gzip", "identity", "gzip;q=0"):
        request = hub.client.build_request(
            "GET", path, params={"replica": replica.id}, headers={"Accept-Encoding": encoding}
        )
        answer = hub.client.send(request, stream=True)
        raw = b"".join(answer.iter_raw())
        assert (answer.headers.get("content-encoding") == "gzip") == (encoding == "gzip")
        assert answer.headers["vary"] == "Accept-Encoding"
        sizes[encoding] = len(raw)
        body = gzip.decompress(raw) if encoding == "gzip" else raw
        assert b"word word" in body
    assert sizes["gzip"] * 10 < sizes["identity"] == sizes["gzip;q=0"]


def waiting(replica: FakeReplica, after: int, found: list[httpx.Response]) -> threading.Thread:
    """Pulls with a wait in another thread."""
    thread = threading.Thread(
        target=lambda: found.append(replica.pull(after=after, wait=25, limit=100))
    )
    thread.start()
    return thread


def test_who_waits_hears_of_news(hub: Hub, replica: FakeReplica, theirs: FakeReplica) -> None:
    found: list[httpx.Response] = []
    thread = waiting(theirs, 1, found)
    end = time.monotonic() + 30
    while not is_waited_for(hub, theirs) and time.monotonic() < end:
        time.sleep(0.05)
    began = time.monotonic()
    a_session(replica, messages=said("news"))
    thread.join(30)
    assert time.monotonic() - began < 15
    page = checked(found[0], 200)
    assert [item["seq"] for item in page["items"]] == [2, 3]


def is_waited_for(hub: Hub, replica: FakeReplica) -> bool:
    """Says whether somebody waits for the replica's project."""
    return bool(hub.app.state.services.news.waits_for(replica.project))


def test_waiting_ends_without_news(replica: FakeReplica) -> None:
    began = time.monotonic()
    page = checked(replica.pull(after=1, wait=1), 200)
    assert page["items"] == []
    assert time.monotonic() - began >= 0.9


def test_a_key_that_is_revoked_while_it_waits_gets_nothing(
    hub: Hub, project: str, replica: FakeReplica
) -> None:
    key = hub.make_key("read", owner="mallory")
    found: list[httpx.Response] = []
    with hub.as_(key["key"]) as client:
        reader = FakeReplica(client, project)
        thread = waiting(reader, 1, found)
        end = time.monotonic() + 30
        while not is_waited_for(hub, reader) and time.monotonic() < end:
            time.sleep(0.05)
        hub.client.delete(f"/api/v1/keys/{key['id']}")
        a_session(replica)
        thread.join(30)
    assert checked(found[0], 401)["code"] == "unauthorized"
