"""Who a replica belongs to, and what it says about itself."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from context_api.application.services import Services
from context_api.application.sync.ports import Greeting, Replica, ReplicaReader
from context_api.domain.caller import Caller
from memory_core.clock import now, to_datetime
from memory_core.errors import Forbidden

SEEN_EVERY = timedelta(minutes=1)
"""How often the time at which a replica was last seen is written, if nothing else changes."""


async def check_owner(
    replicas: ReplicaReader, known: Replica | None, replica_id: str, caller: Caller
) -> None:
    """Checks that a replica is the caller's, or nobody's yet.

    Raises:
        Forbidden: it is somebody else's.
    """
    actor = known.actor if known is not None else await replicas.actor_of(replica_id)
    if actor not in {None, caller.actor}:
        raise Forbidden(
            "this replica belongs to somebody else; a copy needs an id of its own",
            replica_id=replica_id,
        )


async def greet_if_due(
    services: Services, caller: Caller, project_id: str, known: Replica | None, said: Greeting
) -> None:
    """Keeps what a replica says about itself, if that is new or was said a minute ago."""
    at = now()
    # A replica that knew this hub before it was restored may say more than can be.
    done = 0 if known is None else known.last_number
    said = replace(said, confirmed=min(said.confirmed, done))
    if known is not None and not _is_due(known, said, at):
        return
    async with services.uow.write(caller.tenant_id) as tx:
        await tx.replicas.greet(project_id, caller.actor, said, at)
        await tx.commit()


def _is_due(known: Replica, said: Greeting, at: str) -> bool:
    names = ["name", "agent", "protocol", "confirmed", "pending", "conflicts", "rejected", "paused"]
    if said.cursor_seq is not None:
        names += ["cursor_epoch", "cursor_seq"]
    if any(getattr(known, name) != getattr(said, name) for name in names):
        return True
    return to_datetime(at) - to_datetime(known.last_seen) >= SEEN_EVERY
