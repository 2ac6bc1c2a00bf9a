"""The same calls on a hub's client and on a replica give the same documents and errors."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from memory_core.errors import (
    ContextError,
    Deleted,
    InvalidInput,
    NotFound,
    ProjectNotFound,
)
from memory_core.ids import derive_id
from sync_agent.client import HubClient
from sync_agent.interface import MemoryClient
from sync_agent.local import LocalClient
from tests.sync_agent.local.conftest import SLUG

AT = "2026-11-01T12:00:00.000000Z"
# What only the order of the hub's log says, or its clock, or its keys.
UNLIKE = frozenset(
    {
        "seq", "created_seq", "last_op", "updated_at", "head", "indexed_seq", "took_ms", "epoch",
        "pending", "recall_id", "recall_kept", "base", "opened_by", "timings_ms",
    }
)  # fmt: skip


def made(name: str) -> str:
    return derive_id(AT, name)


def plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: plain(each) for key, each in value.items() if key not in UNLIKE}
    if isinstance(value, list | tuple | Iterator):
        return [plain(each) for each in value]
    return value


def answer(client: MemoryClient, call: Callable[[MemoryClient], Any]) -> Any:
    try:
        return plain(call(client))
    except ContextError as error:
        return type(error).__name__, error.code


@pytest.fixture
def both(at_hub: HubClient, here: LocalClient) -> Callable[..., Any]:
    def ask(call: Callable[[MemoryClient], Any]) -> Any:
        theirs, ours = answer(at_hub, call), answer(here, call)
        assert ours == theirs
        return ours

    return ask


def session(name: str, **fields: Any) -> dict[str, Any]:
    return {"project": SLUG, "id": made(name), "title": name, "started_at": AT, **fields}


def message(name: str, text: str, **fields: Any) -> dict[str, Any]:
    return {"id": made(name), "role": "user", "text": text, "created_at": AT, **fields}


def test_sessions_are_saved_listed_changed_and_deleted(both: Callable[..., Any]) -> None:
    body = session(
        "first", tags=["b", "a"], agent="claude-code", messages=[message("m1", "why is it slow?")]
    )
    saved, new = both(lambda c: c.sessions.store(body))
    assert new is True
    assert saved["added"] == 1
    assert both(lambda c: c.sessions.store(body))[1] is False
    both(lambda c: c.sessions.create(session("second", agent="codex", privacy_level="PRIVATE")))
    both(lambda c: c.sessions.create(session("second", title="another")))
    assert len(both(lambda c: list(c.sessions.list(project=SLUG)))) == 2
    for chosen in ({"tag": "a"}, {"agent": "codex"}, {"status": "archived"}, {"since": AT}):
        both(lambda c, chosen=chosen: list(c.sessions.list(**chosen)))
    both(lambda c: list(c.sessions.list(until=AT)))
    both(lambda c: list(c.sessions.list(limit=1)))
    both(lambda c: list(c.sessions.list(project="acme/other")))
    changed = {"title": "renamed", "tags_add": ["c"], "tags_remove": ["a"], "status": "archived"}
    assert both(lambda c: c.sessions.update(made("first"), changed))["tags"] == ["b", "c"]
    both(lambda c: c.sessions.get(made("first")))
    both(lambda c: c.sessions.update(made("first"), {"title": "x"}, if_match=made("no such")))
    both(lambda c: c.sessions.update(made("second"), {"privacy_level": "PUBLIC"}))
    both(lambda c: c.sessions.delete(made("second")))
    assert both(lambda c: c.sessions.get(made("second"))) == (Deleted.__name__, Deleted.code)
    both(lambda c: c.sessions.create(session("second")))
    both(lambda c: list(c.sessions.list()))


def test_messages_are_appended_once(both: Callable[..., Any]) -> None:
    both(lambda c: c.sessions.create(session("talk")))
    batch = [message(f"t{n}", f"turn {n}", author="ada") for n in range(5)]
    assert both(lambda c: c.sessions.append(made("talk"), batch[:3]))["added"] == 3
    done = both(lambda c: c.sessions.append(made("talk"), batch))
    assert (done["added"], done["duplicates"]) == (2, 3)
    assert both(lambda c: c.sessions.append(made("talk"), batch))["added"] == 0
    other = [message("t1", "another text")]
    assert both(lambda c: c.sessions.append(made("talk"), other))["differing"] == [made("t1")]
    texts = [m["text"] for m in both(lambda c: list(c.sessions.messages(made("talk"))))]
    assert texts == [f"turn {n}" for n in range(5)]
    both(lambda c: list(c.sessions.messages(made("talk"), after=1, limit=2)))
    both(lambda c: c.sessions.message(made("t2")))
    both(lambda c: c.sessions.delete_message(made("t2")))
    both(lambda c: c.sessions.message(made("t2")))
    both(lambda c: list(c.sessions.messages(made("talk"))))
    both(lambda c: c.sessions.delete_message(made("t3"), erase=True))
    both(lambda c: c.sessions.get(made("talk")))
    both(lambda c: c.sessions.append(made("none"), batch[:1]))


def test_secrets_are_taken_out_before_they_are_kept(both: Callable[..., Any]) -> None:
    key = "AKIA" + "IOSFODNN7EXAMPL2"
    text = f"the key is {key} and the mail ada@example.com"
    saved = both(lambda c: c.sessions.create(session("secret", messages=[message("k", text)])))
    assert sum(saved["redactions"].values()) > 0
    assert key not in str(both(lambda c: c.sessions.message(made("k"))))
    unstored = both(
        lambda c: c.sessions.create({"project": SLUG, "title": text, "privacy_level": "EPHEMERAL"})
    )
    assert unstored["stored"] is False


def test_checkpoints_are_saved_listed_and_deleted(both: Callable[..., Any]) -> None:
    both(lambda c: c.sessions.create(session("work", privacy_level="PRIVATE")))
    body = {
        "project": SLUG,
        "id": made("state"),
        "session_id": made("work"),
        "description": "the parser is split",
        "next_steps": "move the tests",
        "git_branch": "main",
        "created_at": AT,
    }
    assert both(lambda c: c.checkpoints.store(body))[1] is True
    assert both(lambda c: c.checkpoints.store(body))[1] is False
    assert both(lambda c: c.checkpoints.get(made("state")))["privacy_level"] == "PRIVATE"
    both(lambda c: c.checkpoints.create({**body, "description": "another"}))
    both(lambda c: list(c.checkpoints.list(project=SLUG, session_id=made("work"))))
    both(lambda c: c.checkpoints.delete(made("state"), erase=True))
    both(lambda c: c.checkpoints.get(made("state")))
    both(lambda c: c.checkpoints.create({**body, "id": made("s2"), "session_id": made("none")}))


def test_patterns_are_saved_listed_rated_and_changed(both: Callable[..., Any]) -> None:
    body = {
        "project": SLUG,
        "id": made("lesson"),
        "pattern_type": "error",
        "name": "Retry after a deadlock",
        "body": "Begin the transaction again.",
        "tags": ["sql"],
        "confidence": 0.75,
        "created_at": AT,
    }
    both(lambda c: c.patterns.create(body))
    both(lambda c: c.patterns.outcome(made("lesson"), success=True))
    assert both(lambda c: c.patterns.outcome(made("lesson"), success=False))["failures"] == 1
    both(lambda c: c.patterns.update(made("lesson"), {"deprecated": True, "category": "db"}))
    for chosen in ({"type": "error"}, {"q": "DEADlock"}, {"q": "none"}, {"deprecated": False},
                   {"category": "db"}, {"tag": "sql"}):  # fmt: skip
        both(lambda c, chosen=chosen: list(c.patterns.list(**chosen)))
    both(lambda c: c.patterns.update(made("lesson"), {"confidence": 7}))
    both(lambda c: c.patterns.get(made("lesson")))
    both(lambda c: c.tags(project=SLUG))
    both(lambda c: c.conflicts(project=SLUG))
    both(lambda c: c.patterns.delete(made("lesson")))
    both(lambda c: c.patterns.get(made("lesson")))


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda c: c.sessions.create({"project": SLUG, "title": ""}), InvalidInput),
        (lambda c: c.sessions.create({"project": SLUG, "title": "x", "no": 1}), InvalidInput),
        (lambda c: c.sessions.create({"project": "acme/none", "title": "x"}), ProjectNotFound),
        (lambda c: c.sessions.get(made("nowhere")), NotFound),
        (lambda c: c.sessions.get("no id"), InvalidInput),
        (lambda c: list(c.sessions.list(status="gone")), InvalidInput),
        (lambda c: c.search(""), InvalidInput),
        (lambda c: c.search("x", limit=1_000), InvalidInput),
        (lambda c: c.search("x", projects=["acme/none"]), ProjectNotFound),
        (lambda c: c.context("acme/none"), ProjectNotFound),
        (lambda c: c.patterns.create({"project": SLUG, "name": "n"}), InvalidInput),
        (lambda c: c.tags(project="acme/none"), ProjectNotFound),
    ],
)
def test_what_is_refused_is_refused_alike(
    both: Callable[..., Any], call: Callable[[MemoryClient], Any], error: type[ContextError]
) -> None:
    name, code = both(call)
    assert issubclass(_by_name(name), error), (name, code)


def _by_name(name: str) -> type[ContextError]:
    def below(kind: type[ContextError]) -> Iterator[type[ContextError]]:
        yield kind
        for child in kind.__subclasses__():
            yield from below(child)

    return next(kind for kind in below(ContextError) if kind.__name__ == name)


def test_projects_are_shown_alike(at_hub: HubClient, here: LocalClient) -> None:
    ours = here.projects.get(SLUG)
    theirs = at_hub.projects.get(ours["id"])
    for name in ("id", "slug", "remotes", "parent_id", "owner"):
        assert ours[name] == theirs[name]  # type: ignore[literal-required]
    assert [p["id"] for p in here.projects.list(slug=SLUG)] == [ours["id"]]
    assert list(here.projects.list(remote="example.com/none")) == []
    assert here.projects.ensure({"slug": SLUG})["id"] == ours["id"]
