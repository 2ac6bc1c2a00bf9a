"""A replica on a machine: its folder, its user, its clock, and how it dies."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any

from memory_core import clock
from memory_core.records import Document, Kind, Ref
from sync_agent.replica import NewProject, Replica
from tests.sync.oracle import Held, Row

FILE = "replica.db"
Say = Callable[[str], None]


@dataclass
class Device:
    """One replica. ``days`` is how far its clock is off.

    ``seen`` is where its cursor was last; ``may_go_back``: the hub's log has become shorter under
    the same epoch, so that the cursor goes back once, when this is noticed.
    """

    name: str
    actor: str
    folder: Path
    project_id: str
    days: int = 0
    is_cut_off: bool = False
    seen: tuple[str | None, int] | None = None
    may_go_back: bool = False
    _open: Replica | None = field(default=None, repr=False)

    @property
    def path(self) -> Path:
        """The replica's file."""
        return self.folder / FILE

    @property
    def replica(self) -> Replica:
        """The replica, opened if it is not."""
        if self._open is None:
            self._open = Replica.open(self.path)
        return self._open

    def make(self, slug: str, hub: str) -> None:
        """Makes the replica's file."""
        project = NewProject(
            id=self.project_id, slug=slug, identity="marker", hub=hub, actor=self.actor
        )
        self._open = Replica.create(self.path, project)

    def close(self) -> None:
        """Closes the file."""
        if self._open is not None:
            self._open.close()
            self._open = None

    def held(self) -> Held:
        """Returns what the file holds, read from its tables."""
        with closing(sqlite3.connect(f"{self.path.as_uri()}?mode=ro", uri=True)) as file:
            found = file.execute(
                "SELECT epoch, cursor FROM projects WHERE id = ?", (self.project_id,)
            ).fetchone()
            records = file.execute(
                "SELECT kind, id, base, view FROM records WHERE project_id = ?", (self.project_id,)
            ).fetchall()
            journal = file.execute(
                "SELECT op_id, type, kind, record_id, state, outcome, result, body IS NULL"
                " FROM journal"
                " WHERE project_id = ?",
                (self.project_id,),
            ).fetchall()
            operations = file.execute(
                "SELECT DISTINCT op_id FROM log WHERE project_id = ?", (self.project_id,)
            ).fetchall()
        base: dict[Ref, Document] = {}
        view: dict[Ref, Document] = {}
        for kind, identity, pulled, shown in records:
            ref = Ref(Kind(kind), identity)
            if pulled is not None:
                base[ref] = json.loads(pulled)
            if (seen := shown or pulled) is not None:
                view[ref] = json.loads(seen)
        return Held(
            name=self.name,
            actor=self.actor,
            epoch=found[0],
            cursor=found[1],
            base=base,
            view=view,
            journal=[*map(_row, journal)],
            pulled=frozenset(op_id for (op_id,) in operations),
        )

    def op_ids(self) -> set[str]:
        """Returns the ids of the operations in the journal."""
        with closing(sqlite3.connect(f"{self.path.as_uri()}?mode=ro", uri=True)) as file:
            return {row[0] for row in file.execute("SELECT op_id FROM journal")}

    def holds(self, text: str) -> list[str]:
        """Returns the files of the folder that hold a text, and the rows of the replica."""
        wanted = text.encode()
        files = [path for path in sorted(self.folder.rglob("*")) if path.is_file()]
        found = [path.name for path in files if wanted in path.read_bytes()]
        return found + (self._rows_with(text) if found else [])

    def _rows_with(self, text: str) -> list[str]:
        with closing(sqlite3.connect(f"{self.path.as_uri()}?mode=ro", uri=True)) as file:
            names = file.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
            return [
                f"{name}: {row}"[:600]
                for (name,) in names
                for row in file.execute(f"SELECT * FROM {name}")
                if text in str(row)
            ]


def _row(found: tuple[Any, ...]) -> Row:
    op_id, type_, kind, record_id, state, outcome, result, is_erased = found
    problem = (json.loads(result) if result else {}).get("problem") or {}
    ref, reason = Ref(Kind(kind), record_id), problem.get("code")
    return Row(op_id, type_, ref, state, outcome, reason, bool(is_erased))


def shared_memory() -> Path | None:
    """Returns a folder of which no disk has to be waited for, None for the usual one."""
    found = Path("/dev/shm")
    return found if os.access(found, os.W_OK) else None


@contextmanager
def clock_off(days: int) -> Iterator[None]:
    """Lets this process believe in another day."""

    class Shifted(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:
            return datetime.now(tz) + timedelta(days=days)

    true = clock.datetime
    clock.datetime = Shifted  # type: ignore[misc]
    try:
        yield
    finally:
        clock.datetime = true  # type: ignore[misc]


def dying(act: Callable[[Say], None], statements: int) -> tuple[list[str], bool]:
    """Runs ``act`` in a process that is killed as it begins its n-th statement of SQLite.

    Returns what it said before, and whether it was killed. It must open its files itself.
    """
    read, write = os.pipe()
    with warnings.catch_warnings():
        # Under several workers this process has a thread that waits for work and holds no lock.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        status = 1
        try:
            os.close(read)
            _die_at(statements)
            act(lambda line: _say(write, line))
            status = 0
        finally:
            os._exit(status)
    os.close(write)
    with os.fdopen(read) as lines:
        said = lines.read().splitlines()
    _, status = os.waitpid(child, 0)
    is_killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
    assert is_killed or status == 0, f"a device ended with {status}: {said}"
    return said, is_killed


def _say(handle: int, line: str) -> None:
    os.write(handle, f"{line}\n".encode())


def _die_at(statements: int) -> None:
    left = statements
    connect = sqlite3.connect

    def begins(_: str) -> None:
        nonlocal left
        left -= 1
        if left <= 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def traced(*arguments: Any, **options: Any) -> sqlite3.Connection:
        connection = connect(*arguments, **options)
        connection.set_trace_callback(begins)
        return connection

    sqlite3.connect = traced  # type: ignore[assignment]
