"""Replicas as an export holds them."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

from context_api.application.sync.ports import Replica
from memory_core.canonical import check_text
from memory_core.clock import parse_time
from memory_core.errors import InvalidInput
from memory_core.ids import parse_uuid
from memory_core.records import Document

_COUNTS = (
    "protocol", "last_number", "confirmed", "cursor_seq", "pending", "conflicts", "rejected",
)  # fmt: skip


def replica_document(replica: Replica) -> Document:
    """Returns a replica with everything the hub knows of it, its hash in hex."""
    hashed = replica.last_hash
    return {**asdict(replica), "last_hash": None if hashed is None else hashed.hex()}


def from_replica_document(document: dict[str, Any]) -> Replica:
    """Returns the replica of an exported document.

    Raises:
        InvalidInput: a value is not in its form.
    """
    replica = Replica(**document)
    for text in (replica.actor, replica.name, replica.agent):
        check_text(text)
    for name in _COUNTS:
        count = document[name]
        if type(count) is not int or not 0 <= count < 2**62:
            raise InvalidInput(f"a replica's {name} is no count")
    hashed, epoch = document["last_hash"], replica.cursor_epoch
    return replace(
        replica,
        project_id=parse_uuid(replica.project_id),
        id=parse_uuid(replica.id),
        last_hash=None if hashed is None else bytes.fromhex(hashed),
        cursor_epoch=None if epoch is None else parse_uuid(epoch),
        paused=replica.paused is True,
        first_seen=parse_time(replica.first_seen),
        last_seen=parse_time(replica.last_seen),
    )
