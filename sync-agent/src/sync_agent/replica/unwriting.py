"""Erasing what nobody else has: in a project that was never synchronised it is unwritten.

There is no hub that must hear of it, and no number that a hub has counted: the operations that
speak of the record go, and the rest is numbered anew.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

from memory_core.records import Kind, Ref
from sync_agent.replica.erasing import rewrite
from sync_agent.replica.model import ProjectRow
from sync_agent.replica.records import Records
from sync_agent.replica.renumbering import renumber_project
from sync_agent.replica.showing import refresh

_NAMED_BY = ("source_session_id", "parent_pattern_id", "parent_session_id")


def unwrite(records: Records, project: ProjectRow, erased: Iterable[Ref]) -> None:
    """Removes records, and every operation or part of one that speaks of them."""
    run = records.connection.execute
    touched: set[str] = set()
    for ref in erased:
        held = records.held(ref)
        root = held.root if held is not None and held.root else ref.id
        touched.add(root)
        if root == ref.id:
            gone = run("SELECT kind, id FROM records WHERE root = ?", (root,)).fetchall()
            run("DELETE FROM journal WHERE root = ?", (root,))
            records.remove([Ref(Kind(kind), identity) for kind, identity in gone], 0)
        else:
            run("DELETE FROM journal WHERE record_id = ?", (ref.id,))
            records.remove([ref], 0)
            if ref.kind is Kind.MESSAGE:
                _take_message_out(records, root, ref.id)
        _take_names_out(records, ref.id)
    renumber_project(records.connection, project)
    refresh(records, project.actor, touched)


def _take_message_out(records: Records, root: str, message_id: str) -> None:
    rows = records.connection.execute(
        "SELECT place, type, body FROM journal WHERE root = ?"
        " AND type IN ('create_session', 'append_messages')",
        (root,),
    ).fetchall()
    for place, type_, body in rows:
        content = json.loads(body)
        messages = content.get("messages") or []
        kept = [message for message in messages if message.get("id") != message_id]
        if len(kept) == len(messages):
            continue
        if kept or type_ == "create_session":
            rewrite(records.connection, place, type_, {**content, "messages": kept})
        else:
            records.connection.execute("DELETE FROM journal WHERE place = ?", (place,))


def _take_names_out(records: Records, record_id: str) -> None:
    """Lets other records stand without the one they came from: the hub would refuse them."""
    rows = records.connection.execute(
        "SELECT place, type, body FROM journal WHERE project_id = ?"
        " AND type IN ('create_session', 'create_pattern') AND instr(body, ?) > 0",
        (records.project_id, record_id),
    ).fetchall()
    for place, type_, body in rows:
        content = json.loads(body)
        named = [name for name in _NAMED_BY if content.get(name) == record_id]
        for name in named:
            del content[name]
        if named:
            rewrite(records.connection, place, type_, content)
