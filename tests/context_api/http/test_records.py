"""Records over HTTP: stored, read, listed, changed, deleted; each answer as described."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from tests.context_api.http.schema import checked
from tests.context_api.http.serving import Hub

UNKNOWN = "01900000-0000-7000-8000-000000000000"


@pytest.fixture
def project(hub: Hub) -> str:
    return hub.make_project(f"acme/{uuid.uuid4().hex[:8]}")


def make_session(hub: Hub, project: str, **given: Any) -> dict[str, Any]:
    body = {"project": project, "title": "Change the parser", **given}
    return checked(hub.client.post("/api/v1/sessions", json=body), 201)


def make_pattern(hub: Hub, project: str, **given: Any) -> dict[str, Any]:
    body = {"project": project, "pattern_type": "decision", "name": "Use a real parser", **given}
    return checked(hub.client.post("/api/v1/patterns", json=body), 201)


def test_projects(hub: Hub) -> None:
    slug = f"acme/{uuid.uuid4().hex[:8]}"
    body = {"slug": slug, "remotes": [f"github.com/{slug}"]}
    made = checked(hub.client.post("/api/v1/projects", json=body), 201)
    assert (made["slug"], made["remotes"]) == (slug, [f"github.com/{slug}"])
    again = checked(hub.client.post("/api/v1/projects", json=body), 200)
    assert again["id"] == made["id"]
    read = hub.client.get(f"/api/v1/projects/{made['id']}")
    assert checked(read, 200)["id"] == made["id"]
    assert read.headers["etag"] == f'"{made["last_op"]}"'
    listed = checked(hub.client.get("/api/v1/projects", params={"slug": slug}), 200)
    assert [item["id"] for item in listed["items"]] == [made["id"]]
    found = hub.client.get("/api/v1/projects", params={"remote": f"git@github.com:{slug}.git"})
    assert [item["id"] for item in checked(found, 200)["items"]] == [made["id"]]
    renamed = hub.client.patch(f"/api/v1/projects/{made['id']}", json={"slug": f"{slug}-2"})
    assert checked(renamed, 200)["slug"] == f"{slug}-2"
    taken = hub.client.post(
        "/api/v1/projects", json={"slug": f"{slug}-2", "remotes": ["example.org/other/x"]}
    )
    assert checked(taken, 409)["project_id"] == made["id"]


def test_a_session_with_messages(hub: Hub, project: str) -> None:
    messages = [
        {"role": "user", "text": "why did we change the parser"},
        {"role": "tool", "text": "exit 1", "tool_name": "bash", "source_id": "call-1"},
    ]
    made = make_session(hub, project, messages=messages, tags=["b", "a", "b"])
    assert (made["added"], made["duplicates"], made["differing"]) == (2, 0, [])
    assert (made["message_count"], made["tags"], made["status"]) == (2, ["a", "b"], "active")
    path = f"/api/v1/sessions/{made['id']}"
    page = checked(hub.client.get(f"{path}/messages", params={"limit": 1}), 200)
    assert [item["position"] for item in page["items"]] == [0]
    rest = hub.client.get(f"{path}/messages", params={"after": page["next_after"]})
    assert [item["tool_name"] for item in checked(rest, 200)["items"]] == ["bash"]
    assert rest.json()["next_after"] is None
    message = checked(hub.client.get(f"/api/v1/messages/{page['items'][0]['id']}"), 200)
    assert message["text"] == messages[0]["text"]


def test_messages_are_appended_once(hub: Hub, project: str) -> None:
    path = f"/api/v1/sessions/{make_session(hub, project)['id']}/messages"
    first = {"id": str(uuid.uuid4()), "role": "user", "text": "one"}
    second = {"id": str(uuid.uuid4()), "role": "assistant", "text": "two"}
    added = checked(hub.client.post(path, json={"messages": [first]}), 201)
    assert (added["added"], added["duplicates"]) == (1, 0)
    grown = checked(hub.client.post(path, json={"messages": [first, second]}), 201)
    assert (grown["added"], grown["duplicates"]) == (1, 1)
    changed = {**second, "text": "other"}
    same = checked(hub.client.post(path, json={"messages": [first, changed]}), 200)
    assert (same["added"], same["duplicates"], same["differing"]) == (0, 2, [second["id"]])


def test_the_same_session_again_adds_what_is_new(hub: Hub, project: str) -> None:
    identity = str(uuid.uuid4())
    message = {"id": str(uuid.uuid4()), "role": "user", "text": "one"}
    make_session(hub, project, id=identity, source_id="s-1", messages=[message])
    new = {"id": str(uuid.uuid4()), "role": "user", "text": "two"}
    body = {
        "project": project,
        "title": "Change the parser",
        "id": identity,
        "source_id": "s-1",
        "messages": [message, new],
    }
    again = checked(hub.client.post("/api/v1/sessions", json=body), 200)
    assert (again["added"], again["duplicates"], again["message_count"]) == (1, 1, 2)
    other = {"project": project, "title": "Another one", "id": identity, "source_id": "s-2"}
    refused = hub.client.post("/api/v1/sessions", json=other)
    assert checked(refused, 409)["code"] == "already_exists"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("sessions", {"title": "t", "messages": [{"role": "user", "text": "secret"}]}),
        ("checkpoints", {"description": "secret"}),
        ("patterns", {"pattern_type": "code", "name": "secret"}),
    ],
)
def test_ephemeral_records_are_not_stored(
    hub: Hub, project: str, path: str, body: dict[str, Any]
) -> None:
    sent = {"project": project, "privacy_level": "EPHEMERAL", **body}
    answer = checked(hub.client.post(f"/api/v1/{path}", json=sent), 200)
    assert answer["stored"] is False
    listed = hub.client.get(f"/api/v1/{path}", params={"project": project})
    assert checked(listed, 200)["items"] == []


def test_secrets_are_redacted_and_counted(hub: Hub, project: str) -> None:
    text = "export AWS_ACCESS_KEY_ID=AKIAQYLPMN5HHHFPZAM2"
    made = make_session(hub, project, messages=[{"role": "user", "text": text}])
    assert sum(made["redactions"].values()) == 1
    page = hub.client.get(f"/api/v1/sessions/{made['id']}/messages").json()
    assert "AKIAQYLPMN5HHHFPZAM2" not in page["items"][0]["text"]


def test_if_match_and_base(hub: Hub, project: str) -> None:
    made = make_session(hub, project)
    path = f"/api/v1/sessions/{made['id']}"
    seen = hub.client.get(path).headers["etag"]
    first = hub.client.patch(path, json={"title": "mine"}, headers={"If-Match": seen})
    assert checked(first, 200)["conflicts"] == []
    assert first.headers["etag"] not in {seen, ""}
    late = hub.client.patch(path, json={"title": "yours"}, headers={"If-Match": seen})
    assert checked(late, 412)["code"] == "precondition_failed"
    gone = hub.client.delete(path, headers={"If-Match": seen})
    assert checked(gone, 412)["code"] == "precondition_failed"
    merged = hub.client.patch(
        path, json={"title": "theirs", "summary": "new", "base": seen.strip('"')}
    )
    assert checked(merged, 200)["conflicts"] == ["title"]
    assert (merged.json()["title"], merged.json()["summary"]) == ("mine", "new")
    conflicts = checked(hub.client.get("/api/v1/conflicts", params={"project": project}), 200)
    assert [(one["field"], one["pushed"]) for one in conflicts["items"]] == [("title", "theirs")]
    anything = hub.client.patch(path, json={"title": "any"}, headers={"If-Match": "*"})
    assert checked(anything, 200)["title"] == "any"


def test_a_session_as_it_was(hub: Hub, project: str) -> None:
    made = make_session(hub, project, title="before")
    path = f"/api/v1/sessions/{made['id']}"
    checked(hub.client.patch(path, json={"title": "after"}), 200)
    then = checked(hub.client.get(path, params={"as_of": made["seq"]}), 200)
    assert then["title"] == "before"
    too_early = hub.client.get(path, params={"as_of": made["created_seq"] - 1})
    assert checked(too_early, 404)["code"] == "not_found"


@pytest.mark.parametrize("erase", [False, True])
def test_deletion_is_final(hub: Hub, project: str, erase: bool) -> None:
    made = make_session(hub, project, messages=[{"role": "user", "text": "hello"}])
    path = f"/api/v1/sessions/{made['id']}"
    gone = hub.client.delete(path, params={"erase": erase})
    assert (gone.status_code, gone.content) == (204, b"")
    for answer in (
        hub.client.get(path),
        hub.client.patch(path, json={"title": "t"}),
        hub.client.post(f"{path}/messages", json={"messages": [{"role": "user", "text": "t"}]}),
    ):
        assert checked(answer, 410)["code"] == "deleted"


def test_checkpoints_never_change(hub: Hub, project: str) -> None:
    body = {
        "project": project,
        "description": "Half of the parser",
        "git_branch": "parser",
        "tasks_completed": ["grammar"],
    }
    made = checked(hub.client.post("/api/v1/checkpoints", json=body), 201)
    path = f"/api/v1/checkpoints/{made['id']}"
    assert checked(hub.client.get(path), 200) == made
    refused = hub.client.patch(path, json={"description": "other"})
    assert checked(refused, 405, described=False)["code"] == "method_not_allowed"
    assert refused.headers["allow"] == "DELETE, GET"
    assert hub.client.delete(path).status_code == 204


def test_patterns_and_their_outcomes(hub: Hub, project: str) -> None:
    citation = {"path": "src/parser.py", "symbol": "parse"}
    made = make_pattern(hub, project, citations=[citation], tags=["parser"])
    path = f"/api/v1/patterns/{made['id']}"
    worked = checked(hub.client.post(f"{path}/outcomes", json={"success": True}), 200)
    assert (worked["successes"], worked["reuse_count"]) == (1, 1)
    assert worked["quality_score"] == pytest.approx(0.40 + 0.30 * 1 / 20 + 0.30 * 1 / 10)
    changed = hub.client.patch(path, json={"deprecated": True, "tags_add": ["old"]})
    assert checked(changed, 200)["tags"] == ["old", "parser"]
    tags = checked(hub.client.get("/api/v1/tags", params={"project": project}), 200)
    assert {tag["tag"] for tag in tags["items"]} == {"old", "parser"}
    for given in ({"deprecated": True}, {"type": "decision"}, {"tag": "old"}, {"q": "REAL"}):
        listed = hub.client.get("/api/v1/patterns", params={"project": project, **given})
        assert [item["id"] for item in checked(listed, 200)["items"]] == [made["id"]], given
    for given in ({"deprecated": False}, {"type": "error"}, {"tag": "new"}, {"q": "%"}):
        listed = hub.client.get("/api/v1/patterns", params={"project": project, **given})
        assert checked(listed, 200)["items"] == [], given
    assert hub.client.delete(path).status_code == 204


@pytest.mark.parametrize("kind", ["sessions", "checkpoints", "patterns"])
def test_lists_page_newest_first(hub: Hub, project: str, kind: str) -> None:
    bodies = {
        "sessions": {"title": "t"},
        "checkpoints": {"description": "d"},
        "patterns": {"pattern_type": "code", "name": "n"},
    }
    made = [
        hub.client.post(f"/api/v1/{kind}", json={"project": project, **bodies[kind]}).json()["id"]
        for _ in range(5)
    ]
    seen: list[str] = []
    cursor: str | None = None
    for _ in range(10):
        given = {"project": project, "limit": 2, **({"cursor": cursor} if cursor else {})}
        page = checked(hub.client.get(f"/api/v1/{kind}", params=given), 200)
        seen += [item["id"] for item in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == made[::-1]


@pytest.mark.parametrize("cursor", ["x", "e30=", "é", "%00", "A" * 1_000])
def test_a_cursor_of_another_make_is_refused(hub: Hub, cursor: str) -> None:
    refused = hub.client.get("/api/v1/sessions", params={"cursor": cursor})
    assert checked(refused, 400)["code"] == "invalid_cursor"


def test_idempotency(hub: Hub, project: str) -> None:
    headers = {"Idempotency-Key": uuid.uuid4().hex}
    body = {"project": project, "title": "once"}
    first = hub.client.post("/api/v1/sessions", json=body, headers=headers)
    again = hub.client.post("/api/v1/sessions", json=body, headers=headers)
    assert checked(first, 201)["id"] == checked(again, 201)["id"]
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    other = hub.client.post("/api/v1/sessions", json={**body, "title": "x"}, headers=headers)
    assert checked(other, 422)["code"] == "idempotency_mismatch"
    with hub.as_(hub.make_key("write", owner="someone else")["key"]) as someone:
        theirs = someone.post("/api/v1/sessions", json=body, headers=headers)
    assert checked(theirs, 201)["id"] != first.json()["id"]
    path = f"/api/v1/sessions/{first.json()['id']}/messages"
    headers = {"Idempotency-Key": uuid.uuid4().hex}
    turns = {"messages": [{"role": "user", "text": "hello"}]}
    assert checked(hub.client.post(path, json=turns, headers=headers), 201)["added"] == 1
    repeated = hub.client.post(path, json=turns, headers=headers)
    assert checked(repeated, 201)["added"] == 0
    assert repeated.headers["idempotency-replayed"] == "true"


@pytest.mark.parametrize("key", ["", "x" * 201, "é"])
def test_a_strange_idempotency_key_is_refused(hub: Hub, project: str, key: str) -> None:
    body = {"project": project, "title": "once"}
    headers = {"Idempotency-Key": key.encode()}
    refused = hub.client.post("/api/v1/sessions", json=body, headers=headers)
    assert checked(refused, 422)["code"] == "invalid_input"


@pytest.mark.parametrize("kind", ["sessions", "messages", "checkpoints", "patterns"])
def test_what_is_not_there_is_not_found(hub: Hub, kind: str) -> None:
    for method in ("GET", "DELETE"):
        refused = hub.client.request(method, f"/api/v1/{kind}/{UNKNOWN}")
        assert checked(refused, 404)["code"] == "not_found"
