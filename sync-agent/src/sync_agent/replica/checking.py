"""Is the file as it was written? And what can still be read of one that is not?"""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from memory_core.errors import Unavailable
from memory_core.events import genesis
from memory_core.sync.operations import operation_hash
from sync_agent.replica import journal, projects
from sync_agent.replica.model import Damage, JournalRow, ProjectRow
from sync_agent.replica.records import text_hash
from sync_agent.replica.schema import beside

_MOST = 1_000
_COPY = "import shutil, sys; shutil.copyfile(sys.argv[1], sys.argv[2])"


@dataclass(frozen=True, slots=True, kw_only=True)
class Salvage:
    """What could be read of a damaged file: whose it was, and rows that are as written."""

    replica_id: str | None
    projects: tuple[ProjectRow, ...]
    rows: tuple[JournalRow, ...]
    unreadable: int


def check(connection: sqlite3.Connection) -> list[Damage]:
    """Returns what is not as it was written, at most about 1,000 finds."""
    found = [
        Damage("file", "", str(text))
        for (text,) in connection.execute("PRAGMA quick_check(100)")
        if text != "ok"
    ]
    if found:
        return found
    for kind, identity, base, hashed in connection.execute(
        "SELECT kind, id, base, base_hash FROM records WHERE base IS NOT NULL"
    ):
        if text_hash(base) != hashed:
            found.append(Damage("records", f"{kind} {identity}", "is not as it was pulled"))
    for project in projects.every(connection):
        found += _check_log(connection, project)
        found += [
            Damage("journal", f"{project.slug} {row.number}", "is not as it was written")
            for row, as_written in _journal(connection, project.id)
            if not as_written
        ]
    return found[:_MOST]


def _check_log(connection: sqlite3.Connection, project: ProjectRow) -> list[Damage]:
    (count, last) = connection.execute(
        "SELECT count(*), max(seq) FROM log WHERE project_id = ? AND seq > ?",
        (project.id, project.floor),
    ).fetchone()
    if count != project.cursor - project.floor or (last or project.floor) != project.cursor:
        return [Damage("log", project.slug, "has gaps, or does not end at the cursor")]
    row = connection.execute(
        "SELECT digest FROM log WHERE project_id = ? AND seq = ?", (project.id, project.cursor)
    ).fetchone()
    at_end = genesis(project.id) if project.cursor == 0 else None if row is None else row[0]
    if at_end is not None and at_end != project.chain:
        return [Damage("log", project.slug, "ends with another digest than the cursor has")]
    return []


def _journal(connection: sqlite3.Connection, project_id: str) -> Iterator[tuple[JournalRow, bool]]:
    hashes = dict(
        connection.execute(
            "SELECT op_id, row_hash FROM journal WHERE project_id = ?", (project_id,)
        )
    )
    for row in journal.rows(connection, project_id, after=-(2**63)):
        yield row, is_as_written(row, hashes[row.op_id])


def is_as_written(row: JournalRow, hashed: bytes) -> bool:
    """Says whether a row of the journal is what was once put there."""
    if row.wire is not None and operation_hash(row.wire) != row.hash:
        return False
    return journal.row_hash(row.project_id, row.number, row.wire, row.hash) == hashed


def salvage(path: Path) -> Salvage:
    """Returns what can be read of a damaged file, which is not touched: a copy is read.

    Raises:
        Unavailable: the copy cannot be made.
    """
    with tempfile.TemporaryDirectory(prefix="memctx-salvage-") as folder:
        copy = Path(folder) / path.name
        for source in (path, *beside(path)):
            if source.is_file() and not source.name.endswith("-shm"):
                _copy(source, copy.with_name(source.name))
        if not copy.is_file() or copy.stat().st_size == 0:
            return Salvage(replica_id=None, projects=(), rows=(), unreadable=0)
        with closing(sqlite3.connect(copy, isolation_level=None)) as connection:
            # So SQLite reads a file that is shorter than it says, as far as it goes.
            connection.execute("PRAGMA writable_schema = ON")
            return _salvaged(connection)


def _copy(source: Path, target: Path) -> None:
    """Copies a file in a process of its own: see `schema.check_there`.

    Raises:
        Unavailable: it cannot be read, or there is no room for the copy.
    """
    done = subprocess.run(  # noqa: S603 (this interpreter, our own text)
        [sys.executable, "-I", "-S", "-c", _COPY, str(source), str(target)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        said = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
        raise Unavailable(f"{source} cannot be copied: {said[-1]}")


def _salvaged(connection: sqlite3.Connection) -> Salvage:
    rows: list[JournalRow] = []
    unreadable = 0
    for place in _places(connection):
        try:
            row, hashed = journal.at_place(connection, place)
        except (sqlite3.Error, ValueError, KeyError, TypeError):
            unreadable += 1
            continue
        if row is not None and is_as_written(row, hashed):
            rows.append(row)
        elif row is not None:
            unreadable += 1
    return Salvage(
        replica_id=_replica_id(connection),
        projects=tuple(_projects(connection)),
        rows=tuple(rows),
        unreadable=unreadable,
    )


def _places(connection: sqlite3.Connection) -> Iterator[int]:
    """Yields the places of the journal's rows, or all that there may be where a page is lost."""
    top = 0
    for question in (
        "SELECT seq FROM sqlite_sequence WHERE name = 'journal'",
        "SELECT max(place) FROM journal",
        "SELECT sum(last_number) FROM projects",
    ):
        found = _first(connection, question)
        top = max(top, found if isinstance(found, int) else 0)
    yield from range(1, top + 1)


def _replica_id(connection: sqlite3.Connection) -> str | None:
    found = _first(connection, "SELECT value FROM meta WHERE name = 'replica_id'")
    return found if isinstance(found, str) else None


def _projects(connection: sqlite3.Connection) -> list[ProjectRow]:
    try:
        return projects.every(connection)
    except (sqlite3.Error, ValueError, TypeError):
        return []


def _first(connection: sqlite3.Connection, question: str) -> Any:
    try:
        row = connection.execute(question).fetchone()
    except sqlite3.Error:
        return None
    return None if row is None else row[0]
