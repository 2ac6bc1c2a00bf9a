"""What a key may not see does not show: not by any route, not in any body, not to guessing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from memory_core.ids import uuid7
from memory_core.operations import (
    AppendMessages,
    Body,
    CreateCheckpoint,
    Delete,
    Erase,
    NewMessage,
    RecordOutcome,
    UpdatePattern,
    UpdateSession,
)
from memory_core.records import Kind, Role
from tests.faults.asking import API, asking, log_of, made
from tests.support.hub import Hub
from tests.support.syncing import operation, wires

CANARY = "kanarienvogel"
SLUG = f"{CANARY}/hidden"
METHODS = ("get", "post", "patch", "delete")


@dataclass
class World:
    """A project that nobody else was granted, and one that was."""

    hub: Hub
    admin: httpx.Client
    hidden: dict[str, str] = field(default_factory=dict)
    granted: str = ""
    keys: dict[str, str] = field(default_factory=dict)

    def as_(self, name: str) -> httpx.Client:
        return asking(self.hub, self.keys[name])


def records(client: httpx.Client, project: str, word: str, level: str) -> dict[str, str]:
    """Stores one record of each kind that says ``word``, and returns their ids."""
    shared = {"project": project, "privacy_level": level}
    message = {"id": uuid7(), "role": "user", "text": f"text {word}", "author": word}
    session = made(client, "/sessions", title=f"title {word}", summary=word, tags=[word],
                   metadata={"note": word}, messages=[message], **shared)  # fmt: skip
    checkpoint = made(client, "/checkpoints", description=f"state {word}",
                      session_id=session["id"], **shared)  # fmt: skip
    pattern = made(client, "/patterns", pattern_type="code", name=f"name {word}", body=word,
                   tags=[word], **shared)  # fmt: skip
    for path in (f"/sessions/{session['id']}", f"/patterns/{pattern['id']}"):
        name = "title" if "sessions" in path else "name"
        base = {"base": uuid7()}
        answer = client.patch(path, json={name: f"pushed {word}"}, params=base)
        assert answer.json()["conflicts"] == [name], answer.text
    conflict = client.get("/conflicts", params={"project": project}).json()["items"][0]
    return {
        "session_id": session["id"],
        "message_id": message["id"],
        "checkpoint_id": checkpoint["id"],
        "pattern_id": pattern["id"],
        "conflict_id": conflict["id"],
    }


@pytest.fixture(scope="module")
def world(hub: Hub) -> Iterator[World]:
    with asking(hub) as admin:
        made_ = World(hub, admin)
        project = made(admin, "/projects", slug=SLUG, remotes=[f"https://git.test/{SLUG}"])["id"]
        made_.hidden = {"project_id": project, **records(admin, SLUG, CANARY, "TEAM")}
        made_.granted = made(admin, "/projects", slug="acme/granted")["id"]
        for name, scopes, projects in [
            ("granted", ["write"], ["acme/granted"]),
            ("reader", ["read"], None),
            ("ada", ["write"], None),
            ("bob", ["write"], None),
        ]:
            body: dict[str, Any] = {"name": name, "owner": name, "scopes": scopes}
            if projects:
                body["projects"] = projects
            made_.keys[name] = made(admin, "/keys", **body)["key"]
        yield made_


def operations(hub: Hub) -> list[tuple[str, str, dict[str, Any]]]:
    with httpx.Client(trust_env=False) as client:
        described = client.get(f"{hub.url}/openapi.json").json()
    return [
        (method, path, about)
        for path, methods in described["paths"].items()
        for method, about in methods.items()
        if method in METHODS
    ]


BODIES: dict[str, Any] = {
    "post /projects": {"slug": SLUG},
    "patch /projects/{project_id}": {"slug": "acme/taken-over"},
    "post /sessions": {"project": SLUG, "title": "intruder"},
    "patch /sessions/{session_id}": {"title": "intruder"},
    "post /sessions/{session_id}/messages": {"messages": [{"role": "user", "text": "intruder"}]},
    "post /checkpoints": {"project": SLUG, "description": "intruder"},
    "post /patterns": {"project": SLUG, "pattern_type": "code", "name": "intruder"},
    "patch /patterns/{pattern_id}": {"name": "intruder"},
    "post /patterns/{pattern_id}/outcomes": {"success": True},
    "post /search": {"query": CANARY, "projects": [SLUG], "min_score": 0},
    "post /context": {"project": SLUG, "query": CANARY},
    "post /keys": {"name": "intruder", "scopes": ["admin"]},
    "post /conflicts/{conflict_id}/resolve": {"resolution": "kept"},
    "post /projects/{project_id}/sync/push": {
        "protocol": 1,
        "replica": {"id": uuid7(), "name": "intruder", "agent": "test"},
        "epoch": uuid7(),
        "confirmed": 0,
        "operations": [],
    },
    "post /projects/{project_id}/sync/vectors": {"hashes": ["00" * 16]},
    "post /projects/{project_id}/sync/digests": {"ranges": [[1, 1]]},
    "post /projects/{project_id}/sync/events": {"seqs": [1]},
}
PARAMETERS = {
    "get /search": {"q": CANARY, "project": SLUG},
    "get /projects/{project_id}/sync/pull": {"replica": uuid7(), "protocol": 1},
}
# Lists that may be asked without naming a project: they answer, and hold nothing.
OPEN_LISTS = {"get /projects", "get /sessions", "get /checkpoints", "get /patterns", "get /tags",
              "get /conflicts", "get /sync/status"}  # fmt: skip
ENDLESS = "get /projects/{project_id}/events/stream"


def ask(
    client: httpx.Client, method: str, path: str, ids: dict[str, str], **more: Any
) -> httpx.Response:
    name = f"{method} {path.removeprefix(API)}"
    below = path.removeprefix(API).format(key_id="0123456789ab", name="tokenizer.json", **ids)
    headers = {"If-Match": '"x"'} if method in {"patch", "delete"} and more.pop("tag", 0) else {}
    return client.request(
        method, below, json=BODIES.get(name), params=PARAMETERS.get(name), headers=headers
    )


def check_reveals_nothing(answer: httpx.Response, *asked: str) -> None:
    text = answer.text
    for word in asked:
        text = text.replace(word, "")
    assert CANARY not in text, f"{answer.request.method} {answer.request.url}: {answer.text}"


@pytest.mark.slow
@pytest.mark.parametrize("tag", [False, True])
def test_every_route_of_a_project_without_a_grant(world: World, tag: bool) -> None:
    before = log_of(world.admin, world.hidden["project_id"])
    with world.as_("granted") as client:
        for method, path, _ in operations(world.hub):
            if not path.startswith(API):
                continue
            name = f"{method} {path.removeprefix(API)}"
            answer = ask(client, method, path, world.hidden, tag=tag)
            # A sentence may name what the caller named; more must not come.
            check_reveals_nothing(answer, repr(SLUG))
            if name in OPEN_LISTS:
                assert answer.status_code == 200, f"{name}: {answer.text}"
            elif path.endswith("/import"):
                assert answer.status_code == 403, f"{name}: {answer.text}"
            else:
                assert answer.status_code in {403, 404}, f"{name}: {answer.text}"
            if "{project_id}" not in path:
                assert world.hidden["project_id"] not in answer.text, f"{name}: {answer.text}"
        for listing in ("/sessions", "/checkpoints", "/patterns", "/tags", "/conflicts"):
            answer = client.get(listing, params={"project": SLUG})
            assert answer.status_code == 404
        answer = client.get("/projects", params={"slug": SLUG})
        assert answer.json()["items"] == []
        answer = client.post("/search", json={"query": CANARY, "min_score": 0})
        check_reveals_nothing(answer)
    assert log_of(world.admin, world.hidden["project_id"]) == before


def test_projects_without_a_grant_cannot_be_probed_by_remote_or_slug(world: World) -> None:
    remote = f"https://git.test/{SLUG}"
    second = made(world.admin, "/projects", slug="acme/second", remotes=["https://git.test/a/2"])
    probes: list[dict[str, Any]] = [
        {"slug": "acme/new", "remotes": [remote]},
        {"slug": SLUG, "remotes": ["https://git.test/other/one"]},
        {"slug": "acme/new", "remotes": [remote, "https://git.test/a/2"]},
        {"slug": "acme/never-heard-of"},
    ]
    with world.as_("granted") as client:
        for probe in probes:
            answer = client.post("/projects", json=probe)
            assert answer.status_code == 403, answer.text
            assert world.hidden["project_id"] not in answer.text
            assert second["id"] not in answer.text


@pytest.mark.slow
def test_read_only_key_changes_nothing(world: World) -> None:
    before = log_of(world.admin, world.hidden["project_id"])
    with world.as_("reader") as client:
        for method, path, _ in operations(world.hub):
            if path.startswith(API) and method != "get" and not path.endswith(
                ("/search", "/context", "/sync/vectors", "/sync/digests", "/sync/events")
            ):  # fmt: skip
                answer = ask(client, method, path, world.hidden)
                assert answer.status_code == 403, f"{method} {path}: {answer.text}"
    assert log_of(world.admin, world.hidden["project_id"]) == before


@pytest.mark.slow
@pytest.mark.parametrize("spy", ["bob", "reader"])
def test_private_records_of_another_owner(world: World, spy: str) -> None:
    word = f"{CANARY}{spy}"
    slug = f"acme/private-{spy}"
    project = made(world.admin, "/projects", slug=slug)["id"]
    with world.as_("ada") as ada:
        ids = {"project_id": project, **records(ada, slug, word, "PRIVATE")}
        child = made(ada, "/sessions", project=slug, title=word, privacy_level="PRIVATE",
                     parent_session_id=ids["session_id"])  # fmt: skip
        gone = records(ada, slug, word, "PRIVATE")
        for kind in ("message", "checkpoint", "pattern", "session"):
            deleted = ada.delete(f"/{kind}s/{gone[f'{kind}_id']}")
            assert deleted.status_code == 204, deleted.text
        assert ada.post("/search", json={"query": word, "min_score": 0}).json()["hits"]
    with world.as_(spy) as client:
        for known in (ids, gone, {**ids, "session_id": child["id"]}):
            for kind in ("session", "message", "checkpoint", "pattern"):
                path = f"/{kind}s/{known[f'{kind}_id']}"
                answer = client.get(path)
                assert answer.status_code == 404, answer.text
                for method in ("patch", "delete"):
                    if spy == "reader" or (method == "patch" and kind in {"message", "checkpoint"}):
                        continue
                    for tag in ({}, {"If-Match": '"x"'}):
                        body: dict[str, Any] = {"json": {}} if method == "patch" else {}
                        answer = client.request(method, path, headers=tag, **body)
                        assert answer.status_code == 404, f"{method} {path} {tag}: {answer.text}"
            for path in (f"/sessions/{known['session_id']}/messages",
                         f"/sessions/{known['session_id']}?as_of=5"):  # fmt: skip
                assert client.get(path).status_code == 404
        for path in ("sessions", "checkpoints", "patterns", "tags", "conflicts",
                     "sessions?status=deleted", f"sessions?tag={word}", f"patterns?q={word}",
                     f"projects/{project}/events?limit=1000"):  # fmt: skip
            check_reveals_nothing_of(client.get(f"/{path}"), word)
        for query in (word, f"title {word}"):
            answer = client.post("/search", json={"query": query, "min_score": 0, "limit": 100})
            check_reveals_nothing_of(answer, word)
            answer = client.post("/context", json={"project": slug, "query": query})
            check_reveals_nothing_of(answer, word)


def check_reveals_nothing_of(answer: httpx.Response, word: str) -> None:
    assert answer.status_code == 200, answer.text
    assert word not in answer.text, f"{answer.request.url}: {answer.text}"


def push(client: httpx.Client, project: str, asked: list[tuple[Kind, Body, str]]) -> list[Any]:
    """Pushes operations as a new replica and returns what each came to, with its problem."""
    operations = wires([operation(kind, body, record) for kind, body, record in asked])
    body = {"protocol": 1, "replica": {"id": uuid7()}, "operations": operations}
    answer = client.post(f"/projects/{project}/sync/push", json=body)
    assert answer.status_code == 200, answer.text
    return [
        (one["outcome"], one.get("problem", {}).get("code")) for one in answer.json()["results"]
    ]


def test_private_records_of_another_owner_by_push(world: World) -> None:
    slug, word = "acme/private-push", "secret"
    project = made(world.admin, "/projects", slug=slug)["id"]
    with world.as_("ada") as ada:
        ids = records(ada, slug, word, "TEAM")
        ids |= {"pattern_id": records(ada, slug, word, "PRIVATE")["pattern_id"]}
        narrowed = ada.patch(f"/sessions/{ids['session_id']}", json={"privacy_level": "PRIVATE"})
        assert narrowed.status_code == 200, narrowed.text
        before = log_of(ada, project)
    kinds = [Kind.MESSAGE, Kind.CHECKPOINT, Kind.PATTERN, Kind.SESSION]
    session, pattern = ids["session_id"], ids["pattern_id"]
    message = NewMessage(id=uuid7(), role=Role.USER, text="intruder")
    asked: list[tuple[Kind, Body, str]] = [
        *((kind, body, ids[f"{kind.value}_id"]) for kind in kinds for body in (Delete(), Erase())),
        (Kind.SESSION, AppendMessages(messages=[message]), session),
        (Kind.SESSION, UpdateSession(title="intruder"), session),
        (Kind.CHECKPOINT, CreateCheckpoint(description="x", session_id=session), uuid7()),
        (Kind.PATTERN, UpdatePattern(name="intruder"), pattern),
        (Kind.PATTERN, RecordOutcome(success=True), pattern),
    ]
    refused = ("rejected", "not_found")
    with world.as_("bob") as bob:
        assert push(bob, project, asked) == [refused] * len(asked)
        for kind in kinds:
            answer = bob.delete(f"/{kind.value}s/{ids[f'{kind.value}_id']}")
            assert answer.status_code == 404, f"{kind}: {answer.text}"
    with world.as_("ada") as ada:
        assert log_of(ada, project) == before
        removals: list[tuple[Kind, Body, str]] = [
            (kind, Delete(), ids[f"{kind.value}_id"]) for kind in kinds
        ]
        assert push(ada, project, removals) == [("accepted", None)] * len(kinds)
    with world.as_("bob") as bob:
        assert push(bob, project, removals) == [refused] * len(kinds)
    with world.as_("ada") as ada:
        assert push(ada, project, removals) == [("duplicate", None)] * len(kinds)
