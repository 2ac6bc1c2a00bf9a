"""The records of a replica inside one transaction: what was pulled, and what is shown."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from memory_core.canonical import canonical_json
from memory_core.records import Document, Kind, Ref

_SAVE = """
INSERT INTO records (project_id, kind, id, root, parent, seq, base, base_hash, view, change_no,
    created_at, position, privacy, owner, deleted, evicted, used_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (id, kind) DO UPDATE SET project_id = excluded.project_id, root = excluded.root,
    parent = coalesce(excluded.parent, parent), seq = excluded.seq, base = excluded.base,
    base_hash = excluded.base_hash, view = excluded.view, change_no = excluded.change_no,
    created_at = excluded.created_at, position = excluded.position, privacy = excluded.privacy,
    owner = excluded.owner, deleted = excluded.deleted, evicted = excluded.evicted,
    used_at = max(coalesce(used_at, ''), coalesce(excluded.used_at, ''))
"""
_ROW = "SELECT seq, base, view, root, parent, deleted, evicted FROM records"


@dataclass(slots=True)
class Held:
    """A row of the records: documents as text, None where there are none."""

    seq: int = 0
    base: str | None = None
    view: str | None = None
    root: str = ""
    parent: str | None = None
    deleted: bool = True
    evicted: bool = False

    @property
    def is_live(self) -> bool:
        """Whether something is shown of it."""
        return not self.deleted and not self.evicted and bool(self.view or self.base)


class Records:
    """A project's records as one transaction sees and changes them."""

    def __init__(self, connection: sqlite3.Connection, project_id: str, change_no: int) -> None:
        self.connection = connection
        self.project_id = project_id
        self.change_no = change_no
        self._run = connection.execute

    def held(self, ref: Ref) -> Held | None:
        """Returns a row, None if the record was never seen here."""
        row = self._run(f"{_ROW} WHERE id = ? AND kind = ?", (ref.id, ref.kind.value)).fetchone()
        if row is None:
            return None
        seq, base, view, root, parent, deleted, evicted = row
        return Held(seq, base, view, root, parent, bool(deleted), bool(evicted))

    def base(self, ref: Ref) -> Document | None:
        """Returns a record as it was pulled."""
        held = self.held(ref)
        return None if held is None or held.base is None else loads(held.base)

    def shown(self, ref: Ref) -> Document | None:
        """Returns a record as it is shown, without the mark of pending work."""
        held = self.held(ref)
        text = None if held is None else held.view or held.base
        if text is None:
            return None
        document = loads(text)
        document.pop("pending", None)
        return document

    def save_base(self, ref: Ref, document: Document | None, seq: int, *, root: str = "") -> None:
        """Stores what was pulled of a record; None leaves a row that holds its ids alone."""
        held = self.held(ref) or Held()
        text = None if document is None else dumps(document)
        place = root or held.root or ref.id
        if document is not None:
            place = root_of(ref, document) or place
        self._save(ref, held, Held(seq, text, held.view, place, held.parent))

    def save_view(self, ref: Ref, document: Document | None, *, root: str = "") -> None:
        """Stores what is shown of a record, None where that is what was pulled."""
        held = self.held(ref) or Held()
        text = None if document is None else dumps(document)
        if text == held.view:
            return
        place = held.root or root or ref.id
        if document is not None and not held.root:
            place = root_of(ref, document) or place
        self._save(
            ref, held, Held(held.seq, held.base, text, place, held.parent, evicted=held.evicted)
        )

    def evict(self, ref: Ref) -> None:
        """Forgets what was pulled of a record, and keeps note that the hub has it."""
        held = self.held(ref)
        if held is not None:
            stub = Held(held.seq, None, None, held.root, held.parent, evicted=True)
            self._save(ref, held, stub)

    def _save(self, ref: Ref, before: Held, after: Held) -> None:
        text = after.view or after.base
        document = {} if text is None else loads(text)
        after.deleted = text is None or bool(document.get("deleted"))
        self.change_no += 1
        base = after.base
        self._run(
            _SAVE,
            (self.project_id, ref.kind.value, ref.id, after.root,
             parent_of(ref, document) or after.parent, after.seq, base,
             None if base is None else text_hash(base), after.view, self.change_no,
             document.get("created_at"), document.get("position"),
             document.get("privacy_level"), document.get("owner") or document.get("author"),
             after.deleted, after.evicted, document.get("updated_at")),
        )  # fmt: skip
        if ref.kind is Kind.SESSION and after.is_live and not before.is_live:
            self.touch_parts(ref.id)

    def touch_parts(self, session_id: str) -> None:
        """Marks what belongs to a session as changed: with it, it comes back into the index."""
        rows = self._run(
            "SELECT place FROM records WHERE root = ? AND kind IN ('message', 'checkpoint')"
            " ORDER BY place",
            (session_id,),
        ).fetchall()
        changed = [(self.change_no + 1 + index, place) for index, (place,) in enumerate(rows)]
        self.connection.executemany("UPDATE records SET change_no = ? WHERE place = ?", changed)
        self.change_no += len(changed)

    def remove(self, refs: Iterable[Ref], seq: int) -> None:
        """Takes away what is held of records; rows with their ids stay, so that indexes learn."""
        for ref in refs:
            held = self.held(ref)
            if held is not None:
                self._save(ref, held, Held(max(seq, held.seq), None, None, held.root, held.parent))

    def parts(self, ref: Ref) -> list[Ref]:
        """Returns what goes with a record: its conflicts; a session's messages, checkpoints."""
        rows = self._run(
            "SELECT kind, id FROM records WHERE root = ? AND (kind = 'conflict' AND parent = ?"
            " OR kind IN ('message', 'checkpoint') AND ? = 'session')"
            " AND (base IS NOT NULL OR view IS NOT NULL) AND NOT (kind = ? AND id = ?)",
            (ref.id, ref.id, ref.kind.value, ref.kind.value, ref.id),
        )
        return [Ref(Kind(kind), identity) for kind, identity in rows]

    def child_sessions(self, session_id: str, *, shown: bool) -> list[str]:
        """Returns the sessions directly below a session, those pulled or also pending ones."""
        there = "(base IS NOT NULL OR view IS NOT NULL)" if shown else "base IS NOT NULL"
        rows = self._run(
            "SELECT id FROM records WHERE kind = 'session' AND parent IS NOT NULL AND parent = ?"  # noqa: S608
            f" AND {there} ORDER BY id",
            (session_id,),
        )
        return [identity for (identity,) in rows]

    def changed_after(self, record_id: str, op_id: str) -> frozenset[str] | None:
        """Returns the fields that the log says were changed after an operation; None: not known."""
        fields: set[str] | None = None
        rows = self._run(
            "SELECT op_id, fields FROM log WHERE record_id = ? AND kind <> 'message' ORDER BY seq",
            (record_id,),
        )
        for made_by, changed in rows:
            if made_by == op_id:
                fields = set()
            elif fields is not None and changed is not None:
                fields |= set(json.loads(changed))
        return None if fields is None else frozenset(fields)


class Pulled:
    """What was pulled, as something to lay operations over."""

    def __init__(self, records: Records) -> None:
        self._records = records
        self.document = records.base
        self.changed_after = records.changed_after

    def children(self, session_id: str) -> Sequence[str]:
        """Returns the sessions directly below a session."""
        return self._records.child_sessions(session_id, shown=False)


class Shown:
    """What is shown, as something to lay one more operation over."""

    def __init__(self, records: Records) -> None:
        self._records = records
        self.document = records.shown
        self.changed_after = records.changed_after

    def children(self, session_id: str) -> Sequence[str]:
        """Returns the sessions directly below a session."""
        return self._records.child_sessions(session_id, shown=True)


def root_of(ref: Ref, document: Mapping[str, object]) -> str:
    """Returns the id of the record that a record is shown with, empty if that is not known.

    Operations on records of one root are decided one after the other; roots stand alone.
    """
    match ref.kind:
        case Kind.MESSAGE:
            return str(document.get("session_id") or "")
        case Kind.CHECKPOINT:
            return str(document.get("session_id") or ref.id)
        case Kind.CONFLICT:
            return str(document.get("record_id") or "")
        case Kind.PROJECT | Kind.SESSION | Kind.PATTERN:
            return ref.id


def parent_of(ref: Ref, document: Mapping[str, object]) -> str | None:
    """Returns the id of the record that a record belongs to."""
    name = {Kind.SESSION: "parent_session_id", Kind.CONFLICT: "record_id"}.get(
        ref.kind, "session_id"
    )
    value = document.get(name)
    return value if isinstance(value, str) else None


def dumps(document: Document) -> str:
    """Returns a document as the file holds it."""
    return canonical_json(document).decode()


def loads(text: str) -> Document:
    """Returns the document of a text that `dumps` made."""
    return cast("Document", json.loads(text))


def text_hash(text: str) -> bytes:
    """Returns the SHA-256 of a stored text (32 bytes)."""
    return hashlib.sha256(text.encode()).digest()
