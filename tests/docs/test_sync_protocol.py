"""The examples of the protocol are messages that both ends read."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from context_api.http import sync_dto, sync_reports
from context_api.http.routers.conflicts import Resolve
from memory_core.events import content_digest
from memory_core.sync.events import from_wire as event_of
from memory_core.sync.operations import from_wire, operation_hash
from memory_core.sync.protocol import PROTOCOL

PAGE = Path(__file__).parents[2] / "docs/sync-protocol.md"
EXAMPLE = re.compile(r"<!-- example: (\w+) -->\n```json\n(.*?)```", re.DOTALL)
FOUND: dict[str, Any] = {
    name: json.loads(text) for name, text in EXAMPLE.findall(PAGE.read_text(encoding="utf-8"))
}
MODELS: dict[str, type[BaseModel]] = {
    "pull": sync_reports.PulledPage,
    "push": sync_dto.PushBody,
    "pushed": sync_reports.Pushed,
    "snapshot": sync_reports.SnapshotPage,
    "vectors": sync_dto.VectorsBody,
    "model": sync_reports.Model,
    "digests": sync_dto.DigestsBody,
    "digested": sync_reports.RangeDigests,
    "events": sync_dto.EventsBody,
    "resolve": Resolve,
    "status": sync_reports.SyncStatus,
}


def test_every_message_has_an_example() -> None:
    assert set(FOUND) == set(MODELS)


@pytest.mark.parametrize("name", MODELS)
def test_an_example_is_the_message(name: str) -> None:
    MODELS[name].model_validate(FOUND[name])


def test_the_examples_belong_together() -> None:
    [wire] = FOUND["push"]["operations"]
    operation = from_wire(wire).operation
    assert FOUND["pushed"]["acked"]["hash"] == operation_hash(wire).hex()
    assert FOUND["pull"]["acked"] == FOUND["pushed"]["acked"]
    [pulled] = [event_of(item) for item in FOUND["pull"]["items"]]
    event = pulled.event
    assert (event.op_id, event.record_id) == (operation.op_id, operation.record_id)
    assert event.salt is not None
    assert event.content is not None
    assert content_digest(event.salt, event.content) == event.content_digest
    assert {FOUND[name]["protocol"] for name in ("pull", "push", "pushed")} == {PROTOCOL}


def test_the_page_names_every_type_of_operation() -> None:
    from memory_core.sync.operations import TYPES

    text = PAGE.read_text(encoding="utf-8")
    assert [name for name in TYPES if f"`{name}`" not in text] == []
