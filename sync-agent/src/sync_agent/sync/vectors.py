"""Vectors for a replica's index: the hub has made them, so no repository embeds them again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from memory_core.sync.protocol import MAX_HASHES
from sync_agent.errors import InvalidAnswer

if TYPE_CHECKING:
    from memory_core.local_index import LocalIndex
    from sync_agent.exchange import ModelName
    from sync_agent.sync.transport import Transport


def fetch_vectors(
    index: LocalIndex, transport: Transport, project_id: str, model: ModelName
) -> int:
    """Stores the vectors that the hub has for texts of a project; returns how many.

    The index takes the hub's model. Texts that the hub has not embedded yet, and those that
    wait to be pushed, go on waiting. What was stored before an error stays.

    Raises:
        ContextError: as `Transport.vectors`.
        InvalidAnswer: what came is not what was asked for.
    """
    index.use_model(model.name, model.dimension)
    stored, after = 0, 0
    while waiting := index.waiting(project_id, after=after, limit=MAX_HASHES):
        wanted = {hashed for _, hashed in waiting}
        batch = transport.vectors(project_id, sorted(wanted))
        if batch is None:
            break
        if (batch.model, batch.dimension) != model:
            raise InvalidAnswer(f"vectors of {batch.model} came, not of {model.name}")
        if any(hashed not in wanted for hashed, _ in batch.rows):
            raise InvalidAnswer("a vector came that was not asked for")
        index.put_vectors(batch.model, batch.rows)
        stored += len(batch.rows)
        after = waiting[-1][0]
    return stored
