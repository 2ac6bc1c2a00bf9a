"""Erasing what nobody else has: the journal of a project that was never synchronised.

The operations stay, so that their numbers do, and a hub that comes later makes the record and
erases it. What they say is taken out of them at once.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from pydantic import JsonValue

from memory_core.records import Document, Kind, Ref
from sync_agent.replica.erasing import rewrite
from sync_agent.replica.records import Records
from sync_agent.replica.showing import refresh

ERASED = "[erased]"
"""Stands where a text must not be empty."""

_KEPT: Mapping[str, frozenset[str]] = {
    "create_session": frozenset(
        {"id", "privacy_level", "parent_session_id", "started_at", "ended_at", "messages"}
    ),
    "append_messages": frozenset({"messages"}),
    "update_session": frozenset({"privacy_level", "status"}),
    "create_checkpoint": frozenset({"id", "privacy_level", "session_id", "created_at"}),
    "create_pattern": frozenset(
        {"id", "privacy_level", "pattern_type", "source_session_id", "parent_pattern_id",
         "created_at"}
    ),
    "update_pattern": frozenset({"privacy_level", "deprecated"}),
    "record_outcome": frozenset({"success"}),
    "resolve_conflict": frozenset({"record_kind", "record_id"}),
}  # fmt: skip
_STAND_INS: Mapping[str, Document] = {
    "create_session": {"title": ERASED},
    "create_checkpoint": {"description": ERASED},
    "create_pattern": {"name": ERASED},
    "resolve_conflict": {"resolution": "kept"},
}
_OF_MESSAGE = ("id", "role", "created_at", "token_count")


def scrub(records: Records, actor: str, erased: Iterable[Ref]) -> None:
    """Takes what the journal says about erased records out of it, and shows them anew."""
    roots: set[str] = set()
    for ref in erased:
        held = records.held(ref)
        root = held.root if held is not None and held.root else ref.id
        roots.add(root)
        rows = records.connection.execute(
            "SELECT place, record_id, type, body FROM journal WHERE root = ?", (root,)
        ).fetchall()
        for place, record_id, type_, body in rows:
            before = json.loads(body)
            after = before
            if ref.id in (root, record_id):
                after = _scrubbed(type_, before)
            elif ref.kind is Kind.MESSAGE and "messages" in before:
                after = {**before, "messages": _scrubbed_messages(before["messages"], ref.id)}
            if after != before:
                rewrite(records.connection, place, type_, after)
    refresh(records, actor, roots)


def _scrubbed(type_: str, body: Document) -> Document:
    kept = {name: body[name] for name in body if name in _KEPT.get(type_, ())}
    if "messages" in kept:
        kept["messages"] = _scrubbed_messages(kept["messages"], None)
    return {**kept, **_STAND_INS.get(type_, {})}


def _scrubbed_messages(messages: JsonValue, only: str | None) -> JsonValue:
    """Returns messages, the one named or all of them without what they say."""
    found: list[JsonValue] = []
    for message in messages if isinstance(messages, list) else []:
        if isinstance(message, dict) and only in (None, message.get("id")):
            kept = {name: message[name] for name in _OF_MESSAGE if name in message}
            found.append({**kept, "text": ERASED})
        else:
            found.append(message)
    return found
