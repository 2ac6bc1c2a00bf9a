"""A snapshot and the events after it are the whole log; digests find where two ends differ."""

from __future__ import annotations

from typing import Any

import pytest

from memory_core.events import Event
from memory_core.ids import uuid7
from memory_core.operations import (
    AppendMessages,
    CreateCheckpoint,
    CreatePattern,
    CreateSession,
    Delete,
    Erase,
    NewMessage,
    RecordOutcome,
    UpdateSession,
)
from memory_core.projection import apply
from memory_core.records import Document, Kind, PatternType, Privacy, Ref, Role
from memory_core.sync.events import from_wire
from memory_core.sync.ranges import range_digest, split
from tests.context_api.http.schema import checked
from tests.context_api.http.serving import Hub
from tests.support.syncing import FakeReplica, operation, wires

SECRET = "quokkawombat"


@pytest.fixture
def replica(hub: Hub) -> FakeReplica:
    return FakeReplica(hub.client, hub.make_project(f"snapshot/{uuid7()}"))


def turns(count: int) -> list[NewMessage]:
    return [NewMessage(id=uuid7(), role=Role.USER, text=f"turn {n}") for n in range(count)]


def filled(replica: FakeReplica) -> list[str]:
    """Gives a project records of every kind; returns the ids of its sessions, oldest first."""
    made = [
        operation(Kind.SESSION, CreateSession(id=uuid7(), title=f"s{n}", messages=turns(3)))
        for n in range(5)
    ]
    ids = [one.record_id for one in made]
    made += [
        operation(Kind.SESSION, UpdateSession(title="changed", tags_add=["t"]), ids[1]),
        operation(Kind.CHECKPOINT, CreateCheckpoint(description="c", session_id=ids[0])),
        operation(Kind.CHECKPOINT, CreateCheckpoint(description="alone")),
        operation(Kind.PATTERN, CreatePattern(name="p", pattern_type=PatternType.ERROR)),
        operation(Kind.PATTERN, CreatePattern(name="q", pattern_type=PatternType.CODE)),
    ]
    made += [
        operation(Kind.PATTERN, RecordOutcome(success=True), made[-1].record_id),
        operation(Kind.SESSION, Delete(), ids[2]),
        operation(Kind.SESSION, Erase(), ids[3]),
    ]
    results = replica.results(wires(made))
    assert {one["outcome"] for one in results} == {"accepted"}
    return ids


def pages(replica: FakeReplica, between: Any = None, **query: Any) -> list[dict[str, Any]]:
    """Returns every page of a snapshot; ``between`` is called after each of them."""
    path, found = f"/api/v1/projects/{replica.project}/sync/snapshot", []
    cursor = None
    while True:
        given = {**query, **({"cursor": cursor} if cursor else {})}
        page = checked(replica.client.get(path, params=given), 200)
        found.append(page)
        cursor = page["next_cursor"]
        if cursor is None:
            return found
        if between is not None:
            between()


def items(found: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(item["kind"], item["document"]["id"]) for page in found for item in page["items"]]


def begun(found: list[dict[str, Any]]) -> dict[Ref, Document]:
    return {
        Ref(Kind(item["kind"]), item["document"]["id"]): item["document"]
        for page in found
        for item in page["items"]
    }


def events_of(replica: FakeReplica) -> list[Event]:
    return [from_wire(item).event for item in replica.log()]


def follow(state: dict[Ref, Document], events: list[Event]) -> dict[Ref, Document]:
    """Applies events as a replica does: only to records that stand before them."""
    for event in events:
        for ref, document in apply(event, state.get).documents.items():
            held = state.get(ref)
            if held is None or int(str(held["seq"])) < event.seq:
                state[ref] = document
    return live(state)


def live(state: dict[Ref, Document]) -> dict[Ref, Document]:
    """Returns what is not deleted, empty fields left out as rows do not know missing ones."""
    return {
        ref: {name: value for name, value in document.items() if value}
        for ref, document in state.items()
        if not document.get("deleted")
        and not (session := state.get(Ref(Kind.SESSION, str(document.get("session_id"))), {})).get(
            "deleted"
        )
        and (document.get("session_id") is None or session)
    }


@pytest.mark.parametrize("limit", [1, 4, 1000])
def test_a_snapshot_is_what_the_log_makes(replica: FakeReplica, limit: int) -> None:
    filled(replica)
    found = pages(replica, limit=limit)
    assert len(items(found)) == len(set(items(found)))
    log = events_of(replica)
    assert live(begun(found)) == follow({}, log)
    assert {(page["seq"], page["digest"]) for page in found} == {
        (log[-1].seq, log[-1].digest.hex())
    }


def test_with_the_events_after_it_a_snapshot_is_the_whole(replica: FakeReplica) -> None:
    """Also where records are made, changed and deleted while it is read."""
    ids = filled(replica)
    number = iter(range(14, 100))

    def change() -> None:
        n = next(number)
        made = [
            operation(Kind.SESSION, CreateSession(id=uuid7(), title=f"late {n}")),
            operation(Kind.SESSION, AppendMessages(messages=turns(1)), ids[n % 2]),
            operation(Kind.SESSION, UpdateSession(title=f"now {n}"), ids[4]),
            operation(Kind.SESSION, Delete(), ids[0]),
        ][n % 4]
        replica.results(wires([made], n))

    found = pages(replica, change, limit=3)
    log = events_of(replica)
    state = begun(found)
    after = [event for event in log if event.seq > found[0]["seq"]]
    assert len(after) > 3
    assert follow(state, after) == follow({}, log)


def test_limits_keep_the_newest(replica: FakeReplica) -> None:
    ids = filled(replica)
    found = begun(pages(replica, max_sessions=1, max_patterns=1, limit=2))
    sessions = [ref.id for ref in found if ref.kind is Kind.SESSION]
    assert sessions == [ids[4]]
    assert {
        document["session_id"] for ref, document in found.items() if ref.kind is Kind.MESSAGE
    } == {ids[4]}
    patterns = [document["name"] for ref, document in found.items() if ref.kind is Kind.PATTERN]
    assert patterns == ["q"]
    checkpoints = [d["description"] for ref, d in found.items() if ref.kind is Kind.CHECKPOINT]
    assert checkpoints == ["alone"]
    nothing = begun(pages(replica, max_sessions=0, max_patterns=0))
    assert {ref.kind for ref in nothing} == {Kind.PROJECT, Kind.CHECKPOINT}
    assert {ref.kind for ref in begun(pages(replica, since="2999-01-01T00:00:00Z"))} == {
        Kind.PROJECT, Kind.PATTERN,
    }  # fmt: skip


def test_nothing_private_of_others_is_in_it(hub: Hub, replica: FakeReplica) -> None:
    private: dict[str, Any] = {"title": SECRET, "privacy_level": Privacy.PRIVATE}
    made = operation(Kind.SESSION, CreateSession(id=uuid7(), messages=turns(1), **private))
    noted = CreateCheckpoint(description=SECRET, session_id=made.record_id)
    replica.results(wires([made, operation(Kind.CHECKPOINT, noted)]))
    assert SECRET in str(pages(replica))
    with hub.as_(hub.make_key("read", owner="grace")["key"]) as client:
        theirs = pages(FakeReplica(client, replica.project))
        assert [kind for kind, _ in items(theirs)] == ["project"]
        assert theirs[0]["digest"] == pages(replica)[0]["digest"]


def test_a_cursor_is_of_one_project_and_whole(hub: Hub, replica: FakeReplica) -> None:
    filled(replica)
    path = f"/api/v1/projects/{replica.project}/sync/snapshot"
    cursor = replica.client.get(path, params={"limit": 2}).json()["next_cursor"]
    other = hub.make_project(f"snapshot/{uuid7()}")
    elsewhere = hub.client.get(f"/api/v1/projects/{other}/sync/snapshot", params={"cursor": cursor})
    assert checked(elsewhere, 400)["code"] == "invalid_cursor"
    for broken in (cursor[:-8], cursor[::-1], "e30=", "x", "W1tb" * 500):
        answer = hub.client.get(path, params={"cursor": broken})
        assert checked(answer, 400)["code"] == "invalid_cursor"


LONG = 900_000
"""Characters of a text; nine of them are as much as one answer may hold."""


@pytest.fixture(scope="module")
def long_texts(hub: Hub) -> FakeReplica:
    """A project of ten long messages."""
    replica = FakeReplica(hub.client, hub.make_project(f"long/{uuid7()}"))
    made = operation(Kind.SESSION, CreateSession(id=uuid7(), title="long"))
    replica.results(wires([made]))
    for number in range(2, 12):
        said = [NewMessage(id=uuid7(), role=Role.USER, text=str(number).zfill(10) * (LONG // 10))]
        turn = operation(Kind.SESSION, AppendMessages(messages=said), made.record_id)
        assert replica.results(wires([turn], number))[0]["outcome"] == "accepted"
    return replica


def test_a_page_of_the_log_ends_where_its_content_grows_long(long_texts: FakeReplica) -> None:
    page = checked(long_texts.pull(), 200)
    assert [item["seq"] for item in page["items"]] == [*range(1, 12)]
    assert (page["next_after"], page["up_to_date"]) == (11, False)
    assert page["digest"] == page["items"][-1]["digest"]
    rest = checked(long_texts.pull(after=11), 200)
    assert [item["seq"] for item in rest["items"]] == [12]
    assert rest["up_to_date"]


def test_single_events_end_where_their_content_grows_long(long_texts: FakeReplica) -> None:
    path, found = f"/api/v1/projects/{long_texts.project}/sync/events", []
    for seqs in ([*range(1, 13)], [12]):
        answer = checked(long_texts.client.post(path, json={"seqs": seqs}), 200)
        found.append([item["seq"] for item in answer["items"]])
    assert found == [[*range(1, 12)], [12]]


@pytest.mark.parametrize("limit", [1, 1000])
def test_a_page_of_a_snapshot_ends_where_its_content_grows_long(
    long_texts: FakeReplica, limit: int
) -> None:
    found = pages(long_texts, limit=limit)
    assert len(found) == 2 or limit == 1
    assert live(begun(found)) == follow({}, events_of(long_texts))
    assert len(items(found)) == 12


def test_digests_are_those_of_the_log(replica: FakeReplica) -> None:
    filled(replica)
    log = events_of(replica)
    ranges = split(1, len(log))
    path = f"/api/v1/projects/{replica.project}/sync/digests"
    found = checked(replica.client.post(path, json={"ranges": ranges}), 200)
    assert found["head"] == len(log)
    assert found["digests"] == [
        range_digest(event.digest for event in log[low - 1 : high]).hex() for low, high in ranges
    ]
    for wrong, code in (
        ([[1, len(log) + 1]], (410, "cursor_expired")),
        ([[1, 5], [5, 6]], (422, "invalid_input")),
        ([[3, 2]], (422, "invalid_input")),
        ([[0, 2]], (422, "invalid_input")),
    ):
        answer = replica.client.post(path, json={"ranges": wrong})
        assert (answer.status_code, answer.json()["code"]) == code


def test_single_events_are_those_of_the_log(hub: Hub, replica: FakeReplica) -> None:
    private: dict[str, Any] = {"title": SECRET, "privacy_level": Privacy.PRIVATE}
    replica.results(wires([operation(Kind.SESSION, CreateSession(id=uuid7(), **private))]))
    path = f"/api/v1/projects/{replica.project}/sync/events"
    found = checked(replica.client.post(path, json={"seqs": [2, 1, 2, 99]}), 200)
    assert found["items"] == replica.log()
    with hub.as_(hub.make_key("read", owner="grace")["key"]) as client:
        theirs = checked(client.post(path, json={"seqs": [2]}), 200)["items"]
        assert [(item["withheld"], item["content"]) for item in theirs] == [(True, None)]
