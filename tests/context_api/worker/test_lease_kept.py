"""A database that goes away in the middle of a worker's work: the work goes on when it is back."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence

import pytest

from context_api.application.index_work import LeaseLost
from memory_core.embedding.hashing import HashingEmbedder
from memory_core.embedding.port import Vectors
from memory_core.errors import ContextError
from tests.context_api.adapters.index.support import IndexDatabase
from tests.context_api.worker.hub import Hub, hub, in_loop

PROJECT = "acme/api"
TEXTS = [f"the parser broke on tabs in module_{number}.ex" for number in range(12)]
HALF_A_LEASE_S = 30.0
"""Who waits for the end of the lease is too late."""


class Interrupted(HashingEmbedder):
    """Something happens at its first batch."""

    def __init__(self, happens: Callable[[], object]) -> None:
        super().__init__(32)
        self._happens: Callable[[], object] | None = happens

    def embed(self, texts: Sequence[str]) -> Vectors:
        happens, self._happens = self._happens, None
        if happens is not None:
            happens()
        return super().embed(texts)


def open_or_close(database: IndexDatabase, *, to_all: bool) -> None:
    """Lets connections to the database in, or ends them all and lets no other in."""
    with database.server.connect() as connection:
        allowed = f"ALTER DATABASE {database.name} ALLOW_CONNECTIONS {to_all}"
        connection.execute(allowed.encode())
        if not to_all:
            ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s"
            connection.execute(ended, (database.name,))


async def turns_until(one: Hub, holds: Callable[[], bool], patience_s: float) -> None:
    """Takes turns until something holds, over connections that may be broken."""
    end = time.monotonic() + patience_s
    while not holds():
        try:
            await one.indexer.turn()
        except ContextError:
            await asyncio.sleep(0.05)
        assert time.monotonic() < end, "it never came to hold"


@in_loop
async def test_a_lease_that_could_not_be_given_back_is_taken_again_at_once(
    url: str, database: IndexDatabase
) -> None:
    away = Interrupted(lambda: open_or_close(database, to_all=False))
    async with hub(url, embedder=away) as one:
        await one.save(PROJECT, TEXTS)
        await one.indexer.turn()
        assert one.services.indexes.state.failures == 1
        with pytest.raises(ContextError):
            await one.indexer.turn()
        open_or_close(database, to_all=True)
        kept = database.run("SELECT lease_owner, fence, lease_until > now() FROM index_state")
        assert kept == [(one.indexer.worker_id, 1, True)]

        def is_done() -> bool:
            waiting = database.count("chunk_states", "state = 0")
            return waiting == 0 and database.count("chunk_states") == database.count("chunks") > 0

        await turns_until(one, is_done, HALF_A_LEASE_S)


@in_loop
async def test_what_was_claimed_again_is_fenced_from_the_claim_before(url: str) -> None:
    async with hub(url) as one, hub(url) as other:
        await one.save(PROJECT, TEXTS)
        first = one.leases.claim("worker")
        again = one.leases.claim("worker")
        assert first is not None
        assert again is not None
        assert again.fence == first.fence + 1
        assert other.leases.claim("another") is None
        with pytest.raises(LeaseLost):
            one.leases.renew(first)
        one.leases.release(first, succeeded=True)
        one.leases.renew(again)
