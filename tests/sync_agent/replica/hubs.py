"""A hub's log in memory: it decides, seals and hands out pages, as the real one does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from memory_core.clock import now
from memory_core.decide import complete
from memory_core.errors import ContextError
from memory_core.events import Event, genesis, seal, unsealed
from memory_core.ids import uuid7
from memory_core.operations import Body, Operation
from memory_core.projection import apply
from memory_core.records import Document, Kind, Ref
from memory_core.sync.events import Pulled
from sync_agent.exchange import Acked, PulledPage, PushResult
from sync_agent.replica.model import NewProject
from sync_agent.replica.rebase import UPDATES, Overlay, changed_fields

PROJECT = "01900000-0000-7000-8000-000000000001"
FILES = {"replica.db", "replica.db-wal", "replica.db-shm", "replica.lock", "replica.writer"}
NEW = NewProject(id=PROJECT, slug="acme/api", actor="ada")


def operation(kind: Kind, body: Body, record_id: str | None = None, **more: str) -> Operation:
    """Returns an operation under new ids."""
    named = record_id or getattr(body, "id", None) or uuid7()
    return Operation(op_id=more.get("op_id") or uuid7(), kind=kind, record_id=named, body=body,
                     base=more.get("base"))  # fmt: skip


def of_parts(ref: Ref, document: Document, erased: Ref) -> bool:
    """Says whether a record goes with an erased one."""
    if ref.kind is Kind.CONFLICT:
        return document.get("record_id") == erased.id
    return (
        erased.kind is Kind.SESSION
        and ref.kind is not Kind.SESSION
        and (document.get("session_id") == erased.id)
    )


def replay(events: Sequence[Event]) -> dict[Ref, Document]:
    """Returns the documents of a log, as plainly as they can be made."""
    return replay_pulled([Pulled(event) for event in events])


def replay_pulled(items: Sequence[Pulled]) -> dict[Ref, Document]:
    """Returns the documents of a log as it was sent: what was withheld is not there."""
    state: dict[Ref, Document] = {}
    for pulled in items:
        event = pulled.event
        ref = Ref(event.kind, event.record_id)
        gone = ref if pulled.withheld else None
        if pulled.withheld:
            state.pop(ref, None)
        else:
            effects = apply(event, state.get)
            state.update(effects.documents)
            gone = effects.erased_record
        if gone is not None:
            parts = [one for one, doc in state.items() if one != gone and of_parts(one, doc, gone)]
            for one in parts:
                del state[one]
    return state


class _State:
    """The hub's records, as something to decide over."""

    def __init__(self, log: FakeLog) -> None:
        self._log = log

    def document(self, ref: Ref) -> Document | None:
        return self._log.state.get(ref)

    def children(self, session_id: str) -> list[str]:
        return [
            ref.id
            for ref, document in self._log.state.items()
            if ref.kind is Kind.SESSION and document.get("parent_session_id") == session_id
        ]

    def changed_after(self, record_id: str, op_id: str) -> frozenset[str] | None:
        fields: frozenset[str] | None = None
        for event in self._log.events:
            if event.record_id != record_id:
                continue
            if event.op_id == op_id:
                fields = frozenset()
            elif fields is not None and event.type in UPDATES:
                fields |= changed_fields(event)
        return fields


@dataclass
class FakeLog:
    """A project's log at a hub."""

    project_id: str = PROJECT
    epoch: str = "e1"
    events: list[Event] = field(default_factory=list)
    state: dict[Ref, Document] = field(default_factory=dict)
    done: dict[str, int] = field(default_factory=dict)
    acked: Acked = field(default_factory=lambda: Acked(number=0, hash=None))

    def do(self, asked: Operation, *, actor: str = "bob", at: str | None = None) -> int:
        """Carries out an operation; returns the position of its last event, 0 for none."""
        moment = at or now()
        asked = complete(asked, moment)
        overlay = Overlay(_State(self), self.project_id, actor)
        decision = overlay.decide(asked, moment)
        drafts = unsealed(
            decision.drafts, project_id=self.project_id, after_seq=len(self.events),
            op_id=asked.op_id, actor=actor, recorded_at=moment,
        )  # fmt: skip
        last = self.events[-1].digest if self.events else genesis(self.project_id)
        self.events += seal(drafts, last)
        if any(event.type.value.endswith(".erased") for event in drafts):
            self._erase()
        self.state = replay(self.events)
        self.done[asked.op_id] = len(self.events) if drafts else 0
        return self.done[asked.op_id]

    def _erase(self) -> None:
        gone = {event.record_id: event.seq for event in self.events
                if event.type.value.endswith(".erased")}  # fmt: skip
        self.events = [
            event
            if event.seq >= max(gone.get(event.record_id, 0), gone.get(event.parent_id or "", 0))
            else _without_content(event)
            for event in self.events
        ]

    def push(
        self, number: int, asked: Operation, at: str, hashed: bytes, actor: str = "ada"
    ) -> PushResult:
        """Answers one pushed operation."""
        if number <= self.acked.number or asked.op_id in self.done:
            result = self._answer(number, asked, "duplicate", self.done.get(asked.op_id, 0))
        else:
            before = len(self.events)
            try:
                seq = self.do(asked, actor=actor, at=at)
            except ContextError as error:
                problem: Document = {"code": error.code, "detail": error.detail}
                result = self._answer(number, asked, "rejected", 0, problem)
            else:
                opened = any(event.kind is Kind.CONFLICT for event in self.events[before:])
                result = self._answer(number, asked, "conflict" if opened else "accepted", seq)
        if number > self.acked.number:
            self.acked = Acked(number=number, hash=hashed)
        return result

    def _answer(
        self, number: int, asked: Operation, outcome: str, seq: int, problem: Document | None = None
    ) -> PushResult:
        return PushResult(number=number, op_id=asked.op_id, outcome=outcome, seq=seq,  # type: ignore[arg-type]
                          head=len(self.events), problem=problem)  # fmt: skip

    def page(
        self,
        after: int,
        limit: int = 1_000,
        *,
        actor: str = "ada",
    ) -> PulledPage:
        """Returns the page after a cursor."""
        items = [self._pulled(event, actor) for event in self.events[after : after + limit]]
        end = after + len(items)
        digest = self.events[end - 1].digest if end else genesis(self.project_id)
        return PulledPage(
            after=after, epoch=self.epoch, head=len(self.events), items=items, next_after=end,
            up_to_date=end == len(self.events), acked=self.acked, digest=digest, actor=actor,
            project={"id": self.project_id, "slug": "acme/api"},
        )  # fmt: skip

    def _pulled(self, event: Event, actor: str) -> Pulled:
        hidden = any(
            document.get("privacy_level") == "PRIVATE" and document.get("owner") != actor
            for ref, document in self.state.items()
            if ref.id in (event.record_id, event.parent_id)
        )
        return Pulled(_without_content(event), withheld=True) if hidden else Pulled(event)


def _without_content(event: Event) -> Event:
    return replace(event, content=None, salt=None)
