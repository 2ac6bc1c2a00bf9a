"""A hub and the replicas of one project, as the tests of the sync engine use them."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from memory_core.clock import now
from memory_core.errors import ContextError
from memory_core.ids import uuid7
from memory_core.operations import (
    AppendMessages,
    CreateSession,
    Delete,
    Erase,
    NewMessage,
    Operation,
    UpdateSession,
)
from memory_core.records import Document, Kind, Role
from sync_agent.channel import Channel, Retry
from sync_agent.replica import NewProject, Replica
from sync_agent.sync import HttpTransport, Options, Report, State, sync_project
from sync_agent.url import parse_url
from tests.support.hub import Hub
from tests.sync_agent.sync.lossy import LossyTransport


@dataclass
class Side:
    """One replica, and the line from it to the hub."""

    path: Path
    project_id: str
    line: LossyTransport
    acknowledged: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.replica = Replica.open(self.path)

    def options(self, **changes: Any) -> Options:
        return Options(**{"name": self.path.parent.name, "agent": "tests"} | changes)

    def sync(self, **changes: Any) -> Report:
        return sync_project(self.replica, self.project_id, self.line, self.options(**changes))

    def synced(self, **changes: Any) -> Report:
        """Syncs, which must go well."""
        report = self.sync(**changes)
        assert report.problem is None, repr(report.problem)
        assert report.state is State.SYNCED
        return report

    def write(self, operation: Operation) -> Document | None:
        """Carries out an operation here; from then on it counts as acknowledged."""
        written = self.replica.write(self.project_id, operation, at=now(), redactions={})
        self.acknowledged.append(operation.op_id)
        return written.document

    def create(self, title: str = "A session", *texts: str, **more: Any) -> str:
        session_id = uuid7()
        messages = [NewMessage(role=Role.USER, text=text) for text in texts]
        body = CreateSession(title=title, messages=messages, **more)
        self.write(Operation(op_id=uuid7(), kind=Kind.SESSION, record_id=session_id, body=body))
        return session_id

    def delete(self, session_id: str, *, erase: bool = False) -> None:
        body = Erase() if erase else Delete()
        self.write(Operation(op_id=uuid7(), kind=Kind.SESSION, record_id=session_id, body=body))

    def rename(self, session_id: str, title: str) -> None:
        body = UpdateSession(title=title)
        self.write(Operation(op_id=uuid7(), kind=Kind.SESSION, record_id=session_id, body=body))

    def append(self, session_id: str, text: str) -> None:
        body = AppendMessages(messages=[NewMessage(role=Role.USER, text=text)])
        self.write(Operation(op_id=uuid7(), kind=Kind.SESSION, record_id=session_id, body=body))

    def session(self, session_id: str) -> Document:
        return self.replica.get(Kind.SESSION, session_id)

    def knows(self, session_id: str) -> bool:
        """Says whether a session is there to be worked on."""
        try:
            self.session(session_id)
        except ContextError:
            return False
        return True

    def unaccounted(self, operations: Counter[str]) -> list[str]:
        """Operations that were acknowledged here and of which nothing says what became of them.

        What was erased with its record is accounted for: its row is there and says nothing.
        """
        rows = {row.op_id: row for row in self.replica.journal(self.project_id, after=-(2**62))}
        found = []
        for op_id in self.acknowledged:
            row = rows.get(op_id)
            if op_id in operations:
                continue
            if row is None or (
                row.outcome not in {"rejected", "duplicate"} and row.wire and row.wire["body"]
            ):
                found.append(f"{op_id} {row and (row.type, row.state, row.outcome)}")
        return found

    def states(self) -> Counter[str]:
        """How many operations of the journal are in which state."""
        rows = self.replica.journal(self.project_id, after=-(2**62))
        return Counter(row.state.value for row in rows)

    def shown(self) -> dict[str, Document]:
        """Everything of the project that reads show, by kind and id."""
        changes = self.replica.changes(self.project_id, 0, 1_000_000)
        return {
            f"{change.ref.kind} {change.ref.id}": change.document
            for change in changes
            if change.document is not None
        }


@dataclass
class World:
    """A hub with one project; replicas are made in ``folder``."""

    hub: Hub
    folder: Path
    project: Document
    stack: ExitStack
    seed: int = 1

    @property
    def project_id(self) -> str:
        return str(self.project["id"])

    def line(self, *, key: str | None = None) -> LossyTransport:
        channel = Channel(parse_url(self.hub.url), key or self.hub.key, retry=Retry(budget=0.0))
        self.stack.callback(channel.close)
        self.seed += 1
        return LossyTransport(HttpTransport(channel), random.Random(self.seed))

    def side(self, name: str, *, key: str | None = None) -> Side:
        """Makes a replica of the project, or opens the one that has been made."""
        path = self.folder / name / "replica.db"
        if not path.exists():
            new = NewProject(id=self.project_id, slug=str(self.project["slug"]), hub=self.hub.url)
            Replica.create(path, new).close()
        side = Side(path, self.project_id, self.line(key=key))
        self.stack.callback(side.replica.close)
        return side

    def operations(self) -> Counter[str]:
        """How often each operation is in the hub's log: its events but one follow each other."""
        with self.hub.client() as client:
            events = list(client.events(self.project_id))
        ends: Counter[str] = Counter()
        before = None
        for event in events:
            if event["op_id"] != before:
                ends[event["op_id"]] += 1
            before = event["op_id"]
        return ends

    def sessions(self) -> dict[str, Document]:
        with self.hub.client() as client:
            return {one["id"]: dict(one) for one in client.sessions.list(project=self.project_id)}


@contextmanager
def world(hub: Hub, folder: Path) -> Iterator[World]:
    """Yields a hub with a new project."""
    with ExitStack() as stack:
        with hub.client() as client:
            project = client.projects.ensure({"slug": f"acme/{uuid7()}"})
        yield World(hub, folder, dict(project), stack)
