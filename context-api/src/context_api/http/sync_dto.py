"""Requests of replicas as HTTP carries them."""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict, Field, JsonValue, StringConstraints

from context_api.application.sync.ports import Greeting
from context_api.application.sync.pull import PullRequest
from context_api.application.sync.pushed import PushRequest, pushed
from context_api.application.sync.snapshot import SnapshotRequest
from memory_core.fields import Id, Input, Line, Time
from memory_core.requests import Position
from memory_core.sync.protocol import (
    MAX_HASHES,
    MAX_OPERATIONS,
    MAX_PULL,
    MAX_RANGES,
    MAX_SEQS,
    MAX_WAIT_S,
    PROTOCOL,
    check_protocol,
)

Count = Annotated[int, Field(ge=0, lt=2**31)]
Version = Annotated[int, Field(ge=0, lt=2**31, description="The protocol that the client speaks.")]
Confirmed = Annotated[
    Position, Field(description="The last operation whose result the replica has stored.")
]


class Said(Input):
    """What a replica says to the hub first: it may be newer, and then say more."""

    # Which protocol it speaks must be answered before what it says in words of a newer one.
    model_config = ConfigDict(extra="ignore")


class ReplicaStatus(Said):
    """How a replica is, for those who look after them."""

    pending: Count = 0
    conflicts: Count = 0
    rejected: Count = 0
    paused: bool = False


class PullQuery(ReplicaStatus):
    """Which part of a log a replica asks for, and what it says about itself."""

    replica: Id
    name: Line = ""
    agent: Line = ""
    protocol: Version = PROTOCOL
    epoch: Annotated[Id | None, Field(description="Of the log that the replica last read.")] = None
    after: Position = 0
    limit: Annotated[int, Field(ge=1, le=MAX_PULL)] = MAX_PULL
    wait: Annotated[
        float, Field(ge=0, le=MAX_WAIT_S, description="Seconds to wait where nothing is new.")
    ] = 0.0
    confirmed: Confirmed = 0

    @property
    def request(self) -> PullRequest:
        """What is asked for."""
        greeting = Greeting(
            id=self.replica,
            name=self.name,
            agent=self.agent,
            protocol=self.protocol,
            confirmed=self.confirmed,
            **self.model_dump(include=set(ReplicaStatus.model_fields)),
        )
        return PullRequest(
            greeting=greeting,
            epoch=self.epoch,
            after=self.after,
            limit=self.limit,
            wait_s=self.wait,
        )


class PushingReplica(Said):
    """Which replica pushes."""

    id: Id
    name: Line = ""
    agent: Line = ""


class PushBody(Said):
    """Operations of a replica, in the order of their numbers."""

    protocol: Version
    replica: PushingReplica
    epoch: Id | None = None
    confirmed: Confirmed = 0
    status: ReplicaStatus = Field(default_factory=ReplicaStatus)
    operations: Annotated[
        list[dict[str, JsonValue]],
        Field(
            max_length=MAX_OPERATIONS,
            description="Each is checked by itself: one that is not acceptable is rejected in"
            " its result, and the others go on.",
        ),
    ]

    @property
    def request(self) -> PushRequest:
        """What is asked for.

        Raises:
            UpgradeRequired: hub and replica speak different versions of the protocol.
            InvalidInput: an operation has no number or id, or they are out of order.
        """
        check_protocol(self.protocol, side="replica")
        greeting = Greeting(
            **self.replica.model_dump(),
            protocol=self.protocol,
            confirmed=self.confirmed,
            **self.status.model_dump(),
        )
        return PushRequest(greeting=greeting, epoch=self.epoch, operations=pushed(self.operations))


class SnapshotQuery(Input):
    """Which records a replica that begins wants; without numbers, all of them."""

    cursor: Annotated[
        Annotated[str, StringConstraints(max_length=2_000)] | None,
        Field(description="The `next_cursor` of the page before; it also carries what follows."),
    ] = None
    limit: Annotated[int, Field(ge=1, le=MAX_PULL)] = MAX_PULL
    max_sessions: Annotated[
        Count | None, Field(description="The newest so many, with their messages.")
    ] = None
    max_patterns: Annotated[Count | None, Field(description="The newest so many.")] = None
    since: Annotated[
        Time | None, Field(description="Only sessions and checkpoints made at or after this time.")
    ] = None

    @property
    def request(self) -> SnapshotRequest:
        """What is asked for."""
        return SnapshotRequest(**self.model_dump())


Seq = Annotated[int, Field(ge=1, le=2**62)]


class DigestsBody(Input):
    """Ranges of a log, each with its first and last seq; they do not overlap."""

    ranges: Annotated[list[tuple[Seq, Seq]], Field(max_length=MAX_RANGES)]


class EventsBody(Input):
    """Positions in a log."""

    seqs: Annotated[list[Seq], Field(max_length=MAX_SEQS)]


Hash = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]


class VectorsBody(Input):
    """Hashes of the texts whose vectors are wanted."""

    hashes: Annotated[list[Hash], Field(max_length=MAX_HASHES)]
