"""Whatever happens in whatever order: base is the log replayed, the view is base plus own work."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from memory_core.errors import ContextError
from memory_core.ids import derive_id, uuid7
from memory_core.operations import (
    AppendMessages,
    CreateCheckpoint,
    CreatePattern,
    CreateSession,
    Delete,
    Erase,
    NewMessage,
    Operation,
    RecordOutcome,
    ResolveConflict,
    UpdatePattern,
    UpdateSession,
)
from memory_core.records import Document, Kind, Privacy, Ref, Role
from memory_core.sync.events import Pulled
from sync_agent.replica import Replica, State, rebase
from sync_agent.replica.journal import entry_of
from sync_agent.replica.rebase import UPDATES, changed_fields
from sync_agent.replica.records import loads
from tests.sync_agent.replica.hubs import NEW, PROJECT, FakeLog, replay_pulled

AT = "2026-11-21T10:00:00.000000Z"
names = st.integers(0, 2)
words = st.sampled_from(["red", "green", "blue"])


def named(kind: str, number: int) -> str:
    return derive_id(AT, kind, str(number))


def said(number: int, text: str) -> NewMessage:
    return NewMessage(id=named("message", number), role=Role.USER, text=text, token_count=3)


@st.composite
def asked(draw: st.DrawFn) -> Operation:
    """An operation on one of a few records, which may or may not be there."""
    session, pattern = named("session", draw(names)), named("pattern", draw(names))
    text, number = draw(words), draw(names)
    above = named("session", draw(names)) if draw(st.booleans()) else None
    level = draw(st.sampled_from([Privacy.TEAM, Privacy.TEAM, Privacy.PRIVATE]))
    # Ids of messages differ by session: the same id in two sessions is refused as it is written.
    mine = 10 * int(session[-2:], 16) + number
    kind, record_id, body = draw(
        st.sampled_from([
            (Kind.SESSION, session, CreateSession(
                title=text, parent_session_id=above if above != session else None,
                messages=[said(mine, text)], privacy_level=level, started_at=AT)),
            (Kind.SESSION, session, UpdateSession(title=text)),
            (Kind.SESSION, session, UpdateSession(summary=text, tags_add=[text])),
            (Kind.SESSION, session, UpdateSession(privacy_level=Privacy.PRIVATE)),
            (Kind.SESSION, session, AppendMessages(messages=[said(mine, text)])),
            (Kind.SESSION, session, AppendMessages(
                messages=[said(mine, text), said(mine + 5, text)])),
            (Kind.SESSION, session, Delete()),
            (Kind.SESSION, session, Erase()),
            (Kind.MESSAGE, named("message", mine), Delete()),
            (Kind.MESSAGE, named("message", mine), Erase()),
            (Kind.CHECKPOINT, named("checkpoint", mine), CreateCheckpoint(
                session_id=session, description=text, created_at=AT)),
            (Kind.CHECKPOINT, named("checkpoint", mine), Delete()),
            (Kind.PATTERN, pattern, CreatePattern(
                pattern_type="code", name=text, source_session_id=above, created_at=AT)),
            (Kind.PATTERN, pattern, UpdatePattern(name=text)),
            (Kind.PATTERN, pattern, RecordOutcome(success=number > 1)),
            (Kind.PATTERN, pattern, Delete()),
        ])
    )  # fmt: skip
    return Operation(op_id=uuid7(), kind=kind, record_id=record_id, body=body)


class Machine(RuleBasedStateMachine):
    """A replica of ada's, and a hub where bob works too; answers get lost."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.replica = Replica.create(Path(self.folder.name) / "replica.db", NEW)
        self.log = FakeLog()
        self.served: list[Pulled] = []
        self.indexed: dict[Ref, Document] = {}
        self.change = 0

    def teardown(self) -> None:
        self.replica.close()
        self.folder.cleanup()

    @initialize(pulled=st.booleans())
    def something_is_there(self, pulled: bool) -> None:
        for number in range(2):
            session, pattern = named("session", number), named("pattern", number)
            for kind, record_id, body in (
                (Kind.SESSION, session, CreateSession(title="first", started_at=AT)),
                (Kind.PATTERN, pattern, CreatePattern(pattern_type="code", name="first")),
            ):
                self.log.do(Operation(op_id=uuid7(), kind=kind, record_id=record_id, body=body))
        if pulled:
            self.pull(10)

    @rule(operation=asked(), actor=st.sampled_from(["ada", "bob"]))
    def hub_is_told(self, operation: Operation, actor: str) -> None:
        try:
            self.log.do(operation, actor=actor)
        except ContextError:
            return

    @rule(operation=asked())
    def user_writes(self, operation: Operation) -> None:
        before = self.replica.journal(PROJECT)
        try:
            written = self.replica.write(PROJECT, operation)
        except ContextError:
            assert self.replica.journal(PROJECT) == before
        else:
            assert written.number == len(before) + 1

    @rule(operation=asked(), data=st.data())
    def user_edits_what_she_saw_long_ago(self, operation: Operation, data: st.DataObject) -> None:
        bases = [event.op_id for event in self.log.events]
        bases += [row.op_id for row in self.replica.journal(PROJECT)]
        if not isinstance(operation.body, UpdateSession | UpdatePattern) or not bases:
            return
        base = data.draw(st.sampled_from(bases))
        stale = Operation(op_id=operation.op_id, kind=operation.kind, base=base,
                          record_id=operation.record_id, body=operation.body)  # fmt: skip
        try:
            self.replica.write(PROJECT, stale)
        except ContextError:
            return

    @precondition(lambda self: self.replica.conflicts())
    @rule(resolution=st.sampled_from(["kept", "pushed"]))
    def user_resolves(self, resolution: str) -> None:
        conflict = self.replica.conflicts()[0]
        body = ResolveConflict.model_validate({
            "record_kind": conflict["record_kind"], "record_id": conflict["record_id"],
            "resolution": resolution})  # fmt: skip
        operation = Operation(
            op_id=uuid7(), kind=Kind.CONFLICT, record_id=str(conflict["id"]), body=body
        )
        try:
            self.replica.write(PROJECT, operation)
        except ContextError:
            return

    @rule(upto=st.integers(1, 4), answers_arrive=st.booleans())
    def push(self, upto: int, answers_arrive: bool) -> None:
        pending = self.replica.journal(PROJECT, states=[State.PENDING], limit=upto)
        shown = self.replica.sessions().items
        for row in pending:
            result = self.log.push(row.number, entry_of(row).operation, row.at, row.hash)
            if answers_arrive:
                self.replica.store_results(PROJECT, [result])
        assert self.replica.sessions().items == shown

    @rule(limit=st.integers(1, 5))
    def pull(self, limit: int) -> None:
        cursor = self.replica.project(PROJECT).cursor
        page = self.log.page(cursor, limit)
        applied = self.replica.apply_page(PROJECT, page)
        self.served += page.items
        assert applied.cursor == min(cursor + limit, len(self.log.events))
        assert applied.acked_known

    @rule()
    def index_reads_on(self) -> None:
        for change in self.replica.changes(PROJECT, self.change, 3):
            self.change = change.change_no
            self.indexed.pop(change.ref, None)
            if change.document is not None:
                self.indexed[change.ref] = change.document
            elif change.ref.kind is Kind.SESSION:
                for ref in [
                    r for r, d in self.indexed.items() if d.get("session_id") == change.ref.id
                ]:
                    del self.indexed[ref]

    @invariant()
    def base_is_the_log_replayed(self) -> None:
        assert self.bases() == replay_pulled(self.served)

    @invariant()
    def the_view_is_base_with_the_unsettled_over_it(self) -> None:
        rows = [row for row in self.replica.journal(PROJECT) if row.overlaid]
        expected = rebase(_Bases(self), map(entry_of, rows), project_id=PROJECT, actor="ada")
        with self.replica._file.reading() as connection:
            found = connection.execute("SELECT kind, id, view FROM records WHERE view NOT NULL")
            views = {Ref(Kind(kind), one): loads(view) for kind, one, view in found}
        assert views == dict(expected)

    @invariant()
    def the_index_can_follow(self) -> None:
        indexed, at = dict(self.indexed), self.change
        self.index_reads_on_to_the_end()
        live = self.replica.load([*self.indexed, *self.bases()])
        # The index holds what is there; who may see it is decided when it is loaded.
        private = {ref.id for ref, one in self.indexed.items() if _is_of_another(one)}
        mine = {
            ref
            for ref, one in self.indexed.items()
            if ref.id not in private and one.get("session_id") not in private
        }
        assert mine == {ref for ref in live if ref.kind in _INDEXED}
        self.indexed, self.change = indexed, at

    def index_reads_on_to_the_end(self) -> None:
        before = -1
        while before != self.change:
            before = self.change
            self.index_reads_on()

    def bases(self) -> dict[Ref, Document]:
        with self.replica._file.reading() as connection:
            found = connection.execute("SELECT kind, id, base FROM records WHERE base NOT NULL")
            return {Ref(Kind(kind), one): loads(base) for kind, one, base in found}


_INDEXED = (Kind.SESSION, Kind.MESSAGE, Kind.CHECKPOINT, Kind.PATTERN)


def _is_of_another(document: Document) -> bool:
    return document.get("privacy_level") == "PRIVATE" and document.get("owner") != "ada"


class _Bases:
    """What was pulled, read without the code that keeps views."""

    def __init__(self, machine: Machine) -> None:
        self.state = machine.bases()
        self.events = [pulled.event for pulled in machine.served]

    def document(self, ref: Ref) -> Document | None:
        return self.state.get(ref)

    def children(self, session_id: str) -> list[str]:
        return sorted(
            ref.id for ref, one in self.state.items()
            if ref.kind is Kind.SESSION and one.get("parent_session_id") == session_id
        )  # fmt: skip

    def changed_after(self, record_id: str, op_id: str) -> frozenset[str] | None:
        fields: frozenset[str] | None = None
        for event in self.events:
            if event.record_id == record_id and event.op_id == op_id:
                fields = frozenset()
            elif event.record_id == record_id and fields is not None and event.type in UPDATES:
                fields |= changed_fields(event)
        return fields


TestRebasing = Machine.TestCase
TestRebasing.settings = settings(
    max_examples=25,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
