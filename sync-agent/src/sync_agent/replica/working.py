"""Records while a page is applied: read once, changed in memory, written at the end."""

from __future__ import annotations

import sqlite3

from memory_core.records import Document, Kind, Ref
from sync_agent.replica.records import Held, Records, loads, root_of


class WorkingRecords(Records):
    """Records whose pulled documents are collected until `flush`."""

    def __init__(self, connection: sqlite3.Connection, project_id: str, change_no: int) -> None:
        super().__init__(connection, project_id, change_no)
        self.touched: set[str] = set()
        self._rows: dict[Ref, Held] = {}
        self._documents: dict[Ref, Document | None] = {}
        self._changed: dict[Ref, int] = {}

    def lookup(self, ref: Ref) -> Document | None:
        """Returns a record as pulled so far."""
        if ref not in self._documents:
            base = self._row(ref).base
            self._documents[ref] = None if base is None else loads(base)
        return self._documents[ref]

    def seq(self, ref: Ref) -> int:
        """Returns the last event that a record has seen, 0 for none."""
        return self._changed.get(ref) or self._row(ref).seq

    def is_evicted(self, ref: Ref) -> bool:
        """Says whether only the hub still holds a record's content."""
        return self._row(ref).evicted

    def put(self, ref: Ref, document: Document, seq: int) -> None:
        """Notes a record's new document."""
        self._documents[ref] = document
        self._changed[ref] = seq

    def pass_over(self, ref: Ref, seq: int) -> None:
        """Notes how far the log has come past a record that is not held."""
        if self._row(ref).evicted:
            self.connection.execute(
                "UPDATE records SET seq = max(seq, ?) WHERE id = ? AND kind = ?",
                (seq, ref.id, ref.kind.value),
            )

    def clear(self, ref: Ref) -> None:
        """Forgets what was pulled of a record, so that its events can be applied again."""
        self._documents[ref] = None
        self._rows[ref] = Held()
        self._changed.pop(ref, None)

    def take_away(self, ref: Ref, seq: int) -> None:
        """Removes what is held of a record and of what belongs to it."""
        self.flush()
        self._forget([ref, *self.parts(ref)], seq)

    def take_parts_away(self, ref: Ref, seq: int) -> None:
        """Removes what belongs to a record."""
        self.flush()
        self._forget(self.parts(ref), seq)

    def flush(self) -> None:
        """Writes what has changed, a session before what belongs to it."""
        changed = sorted(self._changed.items(), key=lambda item: item[0].kind is not Kind.SESSION)
        for ref, seq in changed:
            document = self._documents[ref]
            self.save_base(ref, document, seq)
            if document is not None:
                self.touched.add(root_of(ref, document) or ref.id)
        self._changed.clear()
        self._rows.clear()

    def _forget(self, refs: list[Ref], seq: int) -> None:
        for ref in refs:
            held = self.held(ref)
            if held is not None and held.root:
                self.touched.add(held.root)
            self._documents[ref] = None
        self.remove(refs, seq)
        self._rows.clear()

    def _row(self, ref: Ref) -> Held:
        if ref not in self._rows:
            self._rows[ref] = self.held(ref) or Held()
        return self._rows[ref]
