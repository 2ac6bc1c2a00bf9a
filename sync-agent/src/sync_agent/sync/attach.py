"""The first contact of a project that has lived in a replica alone with its hub."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from memory_core.errors import Forbidden, InvalidInput, SlugTaken
from memory_core.identity import slugs_to_try
from sync_agent.errors import InvalidAnswer

if TYPE_CHECKING:
    from memory_core.records import Document
    from sync_agent.replica import ProjectRow, Replica
    from sync_agent.sync.transport import Transport


def attach(
    replica: Replica,
    project_id: str,
    transport: Transport,
    *,
    hub: str,
    with_parent: bool = True,
) -> str:
    """Makes a project known to the hub at ``hub``, or finds it there; returns its id.

    The hub may know it under another id, because somebody else came first: then the replica's
    project takes that one, with all that waits to be pushed. Doing it again after a lost answer
    finds what the first try made. Without ``with_parent`` the hub does not hear of the project
    that this one is a part of.

    Raises:
        SlugTaken: every name that fits belongs to a project with other remotes.
        ContextError: as `Transport.attach`; the replica is as it was.
    """
    row = replica.project(project_id)
    found = _ensured(row if with_parent else replace(row, parent=None), transport)
    known = found.get("id")
    if not isinstance(known, str):
        raise InvalidAnswer("the hub's answer about a project has no id")
    replica.rekey(project_id, known)
    replica.note(known, hub=hub)
    return known


def _ensured(row: ProjectRow, transport: Transport) -> Document:
    body: Document = {
        "id": row.id,
        "remotes": [*row.remotes],
        "identity": row.identity,
    }
    parent = _parent(row, transport)
    if parent is not None:
        body["parent"] = parent
    taken = SlugTaken()
    for slug in slugs_to_try(row.slug, row.remotes, row.identity):
        try:
            return transport.attach({**body, "slug": slug})
        except SlugTaken as error:
            taken = error
    raise taken


def _parent(row: ProjectRow, transport: Transport) -> str | None:
    """Returns the parent's id at the hub, made known by its name if it was not yet.

    None where the caller may not make it known: a project is better without its parent than
    not at the hub at all.
    """
    if row.parent is None:
        return None
    try:
        found = transport.attach({"slug": row.parent})
    except (Forbidden, SlugTaken, InvalidInput):
        return None
    known = found.get("id")
    return known if isinstance(known, str) else None
