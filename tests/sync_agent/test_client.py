"""The typed client against a real hub."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from memory_core.errors import (
    Deleted,
    Forbidden,
    InvalidInput,
    NotFound,
    PreconditionFailed,
    SlugTaken,
    Unauthorized,
)
from memory_core.ids import uuid7
from sync_agent.client import HubClient
from tests.support.hub import Hub


def project(client: HubClient) -> str:
    slug = f"acme/{uuid7()[-12:]}"
    return client.projects.ensure({"slug": slug})["id"]


def test_lists_are_walked_to_their_end(fresh_hub: Hub) -> None:
    with fresh_hub.client() as client:
        owner = project(client)
        made = [
            client.patterns.create({"project": owner, "pattern_type": "code", "name": f"p{n}"})[
                "id"
            ]
            for n in range(230)
        ]
        found = [pattern["id"] for pattern in client.patterns.list()]
        assert len(found) == 230
        assert set(found) == set(made)
        assert [pattern["id"] for pattern in client.patterns.list(limit=205)] == found[:205]
        assert list(client.patterns.list(limit=0)) == []
        assert len(list(client.events(owner, page=100))) == 231


def test_messages_are_walked_to_their_end(hub: Hub) -> None:
    with hub.client() as client:
        session = client.sessions.create({"project": project(client), "title": "t"})["id"]
        for start in range(0, 2_100, 700):
            client.sessions.append(
                session, [{"role": "user", "text": str(n)} for n in range(start, start + 700)]
            )
        said = [message["text"] for message in client.sessions.messages(session)]
        assert said == [str(n) for n in range(2_100)]
        assert len(list(client.sessions.messages(session, after=1_999))) == 100
        assert len(list(client.sessions.messages(session, limit=1_500))) == 1_500


def test_errors_come_back_as_what_they_are(hub: Hub) -> None:
    nothing = uuid7()
    with hub.client() as client:
        owner = project(client)
        with pytest.raises(NotFound):
            client.sessions.get(nothing)
        with pytest.raises(InvalidInput) as caught:
            client.sessions.create({"project": owner, "title": ""})
        assert isinstance(caught.value.extra["errors"], list)
        taken = client.projects.ensure({"slug": "acme/taken", "remotes": ["github.com/a/b"]})
        with pytest.raises(SlugTaken) as clash:
            client.projects.ensure({"slug": "acme/taken", "remotes": ["github.com/c/d"]})
        assert clash.value.extra["project_id"] == taken["id"]
        session = client.sessions.create({"project": owner, "title": "t"})
        with pytest.raises(PreconditionFailed):
            client.sessions.update(session["id"], {"title": "u"}, if_match=nothing)
        changed = client.sessions.update(session["id"], {"title": "u"}, if_match=session["last_op"])
        assert changed["title"] == "u"
        client.sessions.delete(session["id"])
        with pytest.raises((Deleted, NotFound)):
            client.sessions.get(session["id"])
    with hub.client(key="mctx_aaaaaaaaaaaa_" + "x" * 43) as stranger, pytest.raises(Unauthorized):
        stranger.search("x")


def test_conflicting_edits_are_kept_beside(hub: Hub) -> None:
    with hub.client() as client:
        owner = project(client)
        base = client.patterns.create({"project": owner, "pattern_type": "code", "name": "a"})
        client.patterns.update(base["id"], {"name": "b"})
        late = client.patterns.update(
            base["id"], {"name": "c", "category": "x"}, base=base["last_op"]
        )
        assert (late["name"], late["category"], late["conflicts"]) == ("b", "x", ["name"])
        assert [kept["pushed"] for kept in client.conflicts(project=owner)] == ["c"]


def test_a_write_is_asked_for_again_when_the_hub_restarts(fresh_hub: Hub) -> None:
    """The connection breaks between two requests and while the hub is away."""
    with fresh_hub.client(budget=20.0) as client:
        owner = project(client)
        fresh_hub.kill()
        restart = threading.Timer(0.5, fresh_hub.start)
        restart.start()
        try:
            made = client.patterns.create({"project": owner, "pattern_type": "code", "name": "x"})
        finally:
            restart.join()
        assert [pattern["id"] for pattern in client.patterns.list()] == [made["id"]]


def test_events_are_followed_across_a_restart(fresh_hub: Hub) -> None:
    with fresh_hub.client() as writer:
        owner = project(writer)
        writer.patterns.create({"project": owner, "pattern_type": "code", "name": "0"})
    seen: list[int] = []
    enough = threading.Event()

    def follow() -> None:
        with fresh_hub.client(budget=20.0) as reader:
            for event in reader.follow(owner):
                seen.append(event["seq"])
                if len(seen) == 4:
                    enough.set()
                    return

    thread = threading.Thread(target=follow)
    thread.start()
    end = time.monotonic() + 20
    while len(seen) < 2 and time.monotonic() < end:
        time.sleep(0.02)
    fresh_hub.stop()
    fresh_hub.start()
    with fresh_hub.client() as writer:
        for name in ("1", "2"):
            writer.patterns.create({"project": owner, "pattern_type": "code", "name": name})
    assert enough.wait(30)
    thread.join()
    assert seen == [1, 2, 3, 4]


def test_keys_are_made_listed_and_revoked(hub: Hub) -> None:
    with hub.client() as client:
        owner = project(client)
        made = client.keys.create({"name": "ci", "scopes": ["read"], "projects": [owner]})
        assert made["key"].startswith(f"mctx_{made['id']}_")
        assert "key" not in {k["id"]: k for k in client.keys.list()}[made["id"]]
        with hub.client(key=made["key"]) as reader:
            assert [p["id"] for p in reader.projects.list()] == [owner]
            with pytest.raises(Forbidden):
                reader.patterns.create({"project": owner, "pattern_type": "code", "name": "x"})
            client.keys.revoke(made["id"])
            with pytest.raises(Unauthorized):
                list(reader.projects.list())


def test_an_export_streams_and_comes_back(hub: Hub, tmp_path: Path) -> None:
    with hub.client() as client:
        project(client)
        with client.export() as pieces:
            whole = b"".join(pieces)
        assert whole.count(b"\n") > 3
        assert client.restore(iter([whole[:10], whole[10:]]))["events"] == 0
        with pytest.raises(InvalidInput):
            client.restore(iter([b"not an export\n"]))


def test_the_hub_tells_the_time_and_its_state(hub: Hub) -> None:
    with hub.client() as client:
        told = client.clock()
        assert told is not None
        assert abs(told - time.time()) < 5
        assert client.ready()["status"] in {"ok", "degraded"}
        assert client.status()["mode"] == "embedded"
        assert client.verify()["ok"] is True
        assert client.rebuild()["equal"] is True
