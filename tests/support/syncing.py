"""A replica as the hub sees it: operations under numbers, pushes and pulls over HTTP."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx

from memory_core.clock import now
from memory_core.ids import uuid7
from memory_core.operations import Body, Operation
from memory_core.records import Kind
from memory_core.sync.operations import Entry, to_wire


def operation(
    kind: Kind, body: Body, record_id: str | None = None, *, base: str | None = None
) -> Operation:
    """Returns an operation under a new id."""
    named = record_id or getattr(body, "id", None) or uuid7()
    return Operation(op_id=uuid7(), kind=kind, record_id=named, body=body, base=base)


def wires(operations: Sequence[Operation], first: int = 1) -> list[dict[str, Any]]:
    """Returns operations as they travel, numbered from ``first``."""
    return [
        to_wire(Entry(number=number, operation=one, at=now()))
        for number, one in enumerate(operations, first)
    ]


@dataclass
class FakeReplica:
    """Sends what a replica sends; it keeps nothing."""

    client: httpx.Client
    project: str
    id: str = field(default_factory=uuid7)

    def push(self, operations: Sequence[dict[str, Any]], **more: Any) -> httpx.Response:
        """Pushes operations as they travel."""
        body = {
            "protocol": 1,
            "replica": {"id": self.id, "name": "laptop", "agent": "tests"},
            "operations": [*operations],
            **more,
        }
        return self.client.post(f"/api/v1/projects/{self.project}/sync/push", json=body)

    def results(self, operations: Sequence[dict[str, Any]], **more: Any) -> list[dict[str, Any]]:
        """Pushes operations and returns what each came to."""
        answer = self.push(operations, **more)
        assert answer.status_code == 200, answer.text
        found: list[dict[str, Any]] = answer.json()["results"]
        return found

    def pull(self, **query: Any) -> httpx.Response:
        """Pulls from a position."""
        asked = {"replica": self.id, "name": "laptop", "agent": "tests", **query}
        return self.client.get(f"/api/v1/projects/{self.project}/sync/pull", params=asked)

    def log(self) -> list[dict[str, Any]]:
        """Returns every event, page by page."""
        found: list[dict[str, Any]] = []
        after = 0
        while True:
            page = self.pull(after=after, limit=100).json()
            found += page["items"]
            after = page["next_after"]
            if page["up_to_date"]:
                return found
