"""The transport over HTTP: bodies compressed both ways, answers checked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from memory_core.errors import InvalidInput
from memory_core.records import Document
from memory_core.sync.events import Pulled
from memory_core.sync.protocol import PROTOCOL
from sync_agent.channel import API, MAX_ANSWER_BYTES, READ_SECONDS, Channel, segment
from sync_agent.compression import pack_into, unpacked_pieces
from sync_agent.errors import InvalidAnswer
from sync_agent.exchange import (
    Caller,
    PulledPage,
    PullRequest,
    PushAnswer,
    PushRequest,
    RangeDigests,
    SnapshotPage,
    SnapshotRequest,
    Standing,
)
from sync_agent.sync import answers
from sync_agent.sync.fields import Fields
from sync_agent.sync.transport import Wire
from sync_agent.wire import Query, encode

if TYPE_CHECKING:
    from pydantic import JsonValue

    from memory_core.sync.vectors import VectorBatch
    from sync_agent.channel import Answer

PUSH_SECONDS = 120.0
"""A full push is some hundred transactions of the hub: it may take longer than one request."""


class HttpTransport:
    """Speaks with a hub through a channel. Not for use by several threads at once."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._wire = Wire()

    @property
    def wire(self) -> Wire:
        """What was exchanged so far."""
        return self._wire

    def close(self) -> None:
        """Closes the connection."""
        self._channel.close()

    def pull(self, project_id: str, caller: Caller, request: PullRequest) -> PulledPage:
        """Returns the next part of a project's log."""
        query: dict[str, str | int | float | bool | Sequence[str] | None] = {
            "replica": caller.id,
            "name": caller.name,
            "agent": caller.agent,
            "protocol": PROTOCOL,
            "epoch": request.epoch,
            "after": request.after,
            "limit": request.limit,
            "wait": request.wait or None,
            "confirmed": request.confirmed,
            **_standing(request.standing),
        }
        answer = self._call(
            "GET", project_id, "pull", query=query, seconds=READ_SECONDS + request.wait
        )
        return answers.pulled_page(answer.body, request.after)

    def push(self, project_id: str, caller: Caller, request: PushRequest) -> PushAnswer:
        """Sends operations and returns what became of each."""
        body: Document = {
            "protocol": PROTOCOL,
            "replica": {"id": caller.id, "name": caller.name, "agent": caller.agent},
            "epoch": request.epoch,
            "confirmed": request.confirmed,
            "status": {**_standing(request.standing)},
            "operations": [*request.operations],
        }
        answer = self._call("POST", project_id, "push", body=body, seconds=PUSH_SECONDS)
        return answers.push_answer(answer.body)

    def snapshot(self, project_id: str, request: SnapshotRequest) -> SnapshotPage:
        """Returns a part of a project's records as they are."""
        query = {
            "cursor": request.cursor,
            "limit": request.limit,
            "max_sessions": request.max_sessions,
            "max_patterns": request.max_patterns,
            "since": request.since,
        }
        return answers.snapshot_page(self._call("GET", project_id, "snapshot", query=query).body)

    def vectors(self, project_id: str, hashes: Sequence[str]) -> VectorBatch | None:
        """Returns the vectors of texts by their hashes, None if the hub has no model."""
        head = {"Content-Type": "application/json", "Accept": "application/octet-stream"}
        body = pack_into(head, encode({"hashes": [*hashes]})) or b""
        with self._channel.stream(
            "POST", _path(project_id, "vectors"), body=body, headers=head, repeatable=True
        ) as reply:
            if reply.status == 204:
                data = b""
            else:
                pieces = unpacked_pieces(reply.pieces(), reply.headers, MAX_ANSWER_BYTES)
                data = b"".join(pieces)
            self._wire.add(len(body), reply.received)
        if not data:
            return None
        from memory_core.sync.vectors import unpack  # noqa: PLC0415 - numpy

        try:
            return unpack(data)
        except InvalidInput as error:
            raise InvalidAnswer(error.detail) from error

    def digests(self, project_id: str, ranges: Sequence[tuple[int, int]]) -> RangeDigests:
        """Returns a digest for each range of the log."""
        body: Document = {"ranges": [[low, high] for low, high in ranges]}
        answer = self._call("POST", project_id, "digests", body=body)
        return answers.range_digests(answer.body, len(ranges))

    def events(self, project_id: str, seqs: Sequence[int]) -> list[Pulled]:
        """Returns single events of the log."""
        answer = self._call("POST", project_id, "events", body={"seqs": [*seqs]})
        return answers.events(answer.body)

    def attach(self, project: Document) -> Document:
        """Makes a project at the hub, or finds it there; returns its document."""
        answer = self._channel.call("POST", f"{API}/projects", body=project, packed=True)
        self._wire.add(answer.sent, answer.received)
        found = Fields(answer.body, "the answer about a project")
        return found.whole()

    def _call(
        self,
        method: str,
        project_id: str,
        what: str,
        *,
        query: Query | None = None,
        body: JsonValue = None,
        seconds: float = READ_SECONDS,
    ) -> Answer:
        answer = self._channel.call(
            method, _path(project_id, what), query=query, body=body, seconds=seconds, packed=True
        )
        self._wire.add(answer.sent, answer.received)
        return answer


def _path(project_id: str, what: str) -> str:
    return f"{API}/projects/{segment(project_id)}/sync/{what}"


def _standing(standing: Standing) -> dict[str, int | bool]:
    return {
        "pending": standing.pending,
        "conflicts": standing.conflicts,
        "rejected": standing.rejected,
        "paused": standing.paused,
    }
