"""A line to a hub that loses, repeats, delays and reorders, around the real transport."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeVar

from memory_core.errors import ContextError
from memory_core.records import Document
from memory_core.sync.events import Pulled
from memory_core.sync.vectors import VectorBatch
from sync_agent.errors import HubTimeout, HubUnreachable
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
from sync_agent.sync.transport import Transport, Wire

T = TypeVar("T")


class Fault(StrEnum):
    REQUEST_LOST = "the request is lost"
    ANSWER_LOST = "the hub does it and its answer is lost"
    TWICE = "the request arrives twice"
    LATE = "the request arrives after later ones, and nobody waits for its answer"


@dataclass
class LossyTransport:
    """Draws for each request what happens to it: ``share`` of them do not simply pass.

    ``plan`` says it for the next requests instead, None for one that passes.
    """

    inner: Transport
    chance: random.Random
    share: float = 0.0
    plan: list[Fault | None] = field(default_factory=list)
    seen: Counter[Fault] = field(default_factory=Counter)
    _late: list[Callable[[], object]] = field(default_factory=list)

    @property
    def wire(self) -> Wire:
        return self.inner.wire

    def heal(self) -> None:
        """From now on all passes; what was under way still arrives."""
        self.share = 0.0
        self.arrive()

    def arrive(self) -> None:
        """Lets late requests arrive, in any order."""
        waiting, self._late = self._late, []
        self.chance.shuffle(waiting)
        for request in waiting:
            with suppress(ContextError):
                request()

    def pull(self, project_id: str, caller: Caller, request: PullRequest) -> PulledPage:
        return self._pass(lambda: self.inner.pull(project_id, caller, request))

    def push(self, project_id: str, caller: Caller, request: PushRequest) -> PushAnswer:
        return self._pass(lambda: self.inner.push(project_id, caller, request))

    def snapshot(self, project_id: str, request: SnapshotRequest) -> SnapshotPage:
        return self._pass(lambda: self.inner.snapshot(project_id, request))

    def vectors(self, project_id: str, hashes: Sequence[str]) -> VectorBatch | None:
        return self._pass(lambda: self.inner.vectors(project_id, hashes))

    def digests(self, project_id: str, ranges: Sequence[tuple[int, int]]) -> RangeDigests:
        return self._pass(lambda: self.inner.digests(project_id, ranges))

    def events(self, project_id: str, seqs: Sequence[int]) -> list[Pulled]:
        return self._pass(lambda: self.inner.events(project_id, seqs))

    def attach(self, project: Document) -> Document:
        return self._pass(lambda: self.inner.attach(project))

    def _next(self) -> Fault | None:
        if self.plan:
            return self.plan.pop(0)
        return self.chance.choice(list(Fault)) if self.chance.random() < self.share else None

    def _pass(self, request: Callable[[], T]) -> T:
        if self._late and self.chance.random() < 0.5:
            self.arrive()
        fault = self._next()
        if fault is None:
            return request()
        self.seen[fault] += 1
        match fault:
            case Fault.REQUEST_LOST:
                raise HubUnreachable("the request was lost on the way")
            case Fault.ANSWER_LOST:
                request()
                raise HubTimeout("the answer was lost on the way")
            case Fault.TWICE:
                with suppress(ContextError):
                    request()
                return request()
            case Fault.LATE:
                self._late.append(request)
                raise HubTimeout("the request is on its way")
