"""What a replica shows: pending operations over what was pulled, kept up to date by root."""

from __future__ import annotations

from collections.abc import Iterable

from memory_core.records import Kind, Ref
from sync_agent.replica import journal
from sync_agent.replica.rebase import rebase
from sync_agent.replica.records import Pulled, Records, root_of

_REMOVALS = "('delete', 'erase')"


def refresh(records: Records, actor: str, roots: Iterable[str]) -> None:
    """Shows these roots anew: their pending operations over what was pulled."""
    group = sorted(closure(records, roots))
    if not group:
        return
    entries = journal.overlaid(records.connection, records.project_id, group)
    shown = dict(rebase(Pulled(records), entries, project_id=records.project_id, actor=actor))
    for root in group:
        viewed = records.connection.execute(
            "SELECT kind, id FROM records WHERE root = ? AND view IS NOT NULL", (root,)
        ).fetchall()
        for kind, identity in viewed:
            ref = Ref(Kind(kind), identity)
            if ref not in shown:
                records.save_view(ref, None)
    # A session is there before what belongs to it.
    for ref, document in sorted(shown.items(), key=lambda item: item[0].kind is not Kind.SESSION):
        records.save_view(ref, document, root=root_of(ref, document))


def closure(records: Records, roots: Iterable[str]) -> set[str]:
    """Returns ``roots`` where work is pending, with those that such work reaches.

    A session that is removed takes the sessions below it along.
    """
    removals = records.connection.execute(
        "SELECT DISTINCT root FROM journal WHERE overlaid = 1 AND project_id = ?"  # noqa: S608
        f" AND kind = 'session' AND type IN {_REMOVALS}",
        (records.project_id,),
    ).fetchall()
    removing = {root for (root,) in removals}
    found: set[str] = set()
    ahead = list(set(roots))
    while ahead:
        root = ahead.pop()
        if root in found:
            continue
        above = removing.intersection(_ancestors(records, root)) if removing else set()
        if not above and not _is_worked_on(records, root):
            continue
        found.add(root)
        ahead += above
        if root in removing or above:
            # Whatever lies below goes along, at any depth: each is below a removed one too.
            ahead += records.child_sessions(root, shown=True)
    return found


def _is_worked_on(records: Records, root: str) -> bool:
    row = records.connection.execute(
        "SELECT EXISTS (SELECT 1 FROM journal WHERE root = ? AND overlaid = 1)"
        " OR EXISTS (SELECT 1 FROM records WHERE root = ? AND view IS NOT NULL)",
        (root, root),
    ).fetchone()
    return bool(row[0])


def _ancestors(records: Records, session_id: str) -> list[str]:
    found: list[str] = []
    at: str | None = session_id
    while at is not None:
        held = records.held(Ref(Kind.SESSION, at))
        at = None if held is None else held.parent
        if at is None or at in found:
            break
        found.append(at)
    return found
