"""The line between a replica and its hub, which loses, repeats and reorders what is sent."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeVar

from memory_core.errors import ContextError
from memory_core.records import Document
from memory_core.sync.events import Pulled
from memory_core.sync.vectors import VectorBatch
from sync_agent.channel import Channel, Retry
from sync_agent.errors import HubUnreachable
from sync_agent.exchange import (
    Caller,
    PulledPage,
    PullRequest,
    PushAnswer,
    PushRequest,
    RangeDigests,
    SnapshotPage,
    SnapshotRequest,
)
from sync_agent.sync.http import HttpTransport
from sync_agent.sync.transport import Transport, Wire
from sync_agent.url import parse_url

T = TypeVar("T")
KEPT = 12


class Loss(StrEnum):
    """What happens to a request; after it the line is down until the cycle has ended."""

    REQUEST = "request lost"
    ANSWER = "answer lost after the commit"


@dataclass
class Sent:
    """A push as it was sent, to be delivered again."""

    caller: Caller
    request: PushRequest


@dataclass
class Plan:
    """What happens on the line: the ``at``-th request (from 1) meets ``loss``."""

    at: int = 0
    loss: Loss = Loss.REQUEST
    limit: int | None = None
    """Events of a page at most, so that a short log has several pages."""


@dataclass
class Line:
    """A transport of one cycle under a plan. ``stored`` gets every push that is sent."""

    inner: Transport
    plan: Plan
    stored: list[Sent]
    faults: Counter[str] = field(default_factory=Counter)
    count: int = 0
    is_down: bool = False

    @property
    def wire(self) -> Wire:
        """What was exchanged so far."""
        return self.inner.wire

    def pull(self, project_id: str, caller: Caller, request: PullRequest) -> PulledPage:
        """Passes on a pull, of small pages if the plan says so."""
        if self.plan.limit is not None:
            request = PullRequest(
                epoch=request.epoch,
                after=request.after,
                confirmed=request.confirmed,
                limit=self.plan.limit,
                wait=request.wait,
                standing=request.standing,
            )
        return self._carried(lambda: self.inner.pull(project_id, caller, request))

    def push(self, project_id: str, caller: Caller, request: PushRequest) -> PushAnswer:
        """Passes on a push and remembers it."""
        self.stored.append(Sent(caller, request))
        del self.stored[:-KEPT]
        return self._carried(lambda: self.inner.push(project_id, caller, request))

    def snapshot(self, project_id: str, request: SnapshotRequest) -> SnapshotPage:
        """Passes on."""
        return self._carried(lambda: self.inner.snapshot(project_id, request))

    def vectors(self, project_id: str, hashes: Sequence[str]) -> VectorBatch | None:
        """Passes on."""
        return self._carried(lambda: self.inner.vectors(project_id, hashes))

    def digests(self, project_id: str, ranges: Sequence[tuple[int, int]]) -> RangeDigests:
        """Passes on."""
        return self._carried(lambda: self.inner.digests(project_id, ranges))

    def events(self, project_id: str, seqs: Sequence[int]) -> list[Pulled]:
        """Passes on."""
        return self._carried(lambda: self.inner.events(project_id, seqs))

    def attach(self, project: Document) -> Document:
        """Passes on."""
        return self._carried(lambda: self.inner.attach(project))

    def _carried(self, request: Callable[[], T]) -> T:
        self.count += 1
        if self.is_down:
            raise HubUnreachable("the line is down")
        if self.count != self.plan.at:
            return request()
        self.is_down = True
        self.faults[self.plan.loss.value] += 1
        if self.plan.loss is Loss.ANSWER:
            try:
                request()
            except ContextError:
                self.faults["refusal lost"] += 1
        raise HubUnreachable("the line broke")


def transport_to(url: str, key: str) -> HttpTransport:
    """Returns a transport that tries everything once."""
    return HttpTransport(Channel(parse_url(url), key, retry=Retry(budget=0.0)))


def deliver_again(sent: Sequence[Sent], project_id: str, transport: Transport, seed: int) -> int:
    """Sends stored pushes again, out of order; what the hub answers reaches nobody."""
    again = [*sent]
    random.Random(seed).shuffle(again)
    for one in again:
        try:
            transport.push(project_id, one.caller, one.request)
        except ContextError:
            continue
    return len(again)
