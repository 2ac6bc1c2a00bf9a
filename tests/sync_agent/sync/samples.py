"""Answers of a hub as they travel, for tests that speak HTTP to a server of their own."""

from __future__ import annotations

from typing import Any

from memory_core.clock import now
from memory_core.events import EventDraft, EventType, genesis, seal, unsealed
from memory_core.ids import uuid7
from memory_core.records import Kind
from memory_core.sync.events import to_wire
from sync_agent.exchange import Caller

EPOCH = uuid7()
PROJECT = uuid7()
REPLICA = uuid7()
CALLER = Caller(REPLICA, "laptop:api", "tests")
ZERO = bytes(32).hex()


def wire_events(count: int = 2) -> list[dict[str, Any]]:
    drafts = [
        EventDraft(
            type=EventType.CHECKPOINT_CREATED,
            kind=Kind.CHECKPOINT,
            record_id=uuid7(),
            occurred_at=now(),
            content={"description": f"number {number}"},
        )
        for number in range(count)
    ]
    events = unsealed(
        drafts, project_id=PROJECT, after_seq=0, op_id=uuid7(), actor="ann", recorded_at=now()
    )
    return [to_wire(event) for event in seal(events, genesis(PROJECT))]


def pull_body(**changes: Any) -> dict[str, Any]:
    items = wire_events()
    return {
        "protocol": 1,
        "epoch": EPOCH,
        "head": 2,
        "floor": 0,
        "project": {"id": PROJECT, "slug": "acme/api"},
        "actor": "ann",
        "items": items,
        "next_after": 2,
        "up_to_date": True,
        "acked": {"number": 0, "hash": None},
        "digest": items[-1]["digest"],
        "model": {"name": "minilm", "dimension": 384},
        "shared": {"id": uuid7(), "slug": "_team"},
    } | changes


def push_body(**changes: Any) -> dict[str, Any]:
    result = {"number": 1, "op_id": uuid7(), "outcome": "accepted", "seq": 3, "head": 3}
    return {
        "protocol": 1,
        "epoch": EPOCH,
        "head": 3,
        "acked": {"number": 1, "hash": ZERO},
        "expected": 2,
        "results": [result | {"conflicts": []}],
    } | changes


def snapshot_body(**changes: Any) -> dict[str, Any]:
    return {
        "epoch": EPOCH,
        "seq": 7,
        "digest": ZERO,
        "items": [{"kind": "session", "document": {"id": uuid7()}}],
        "next_cursor": None,
    } | changes
