"""A worker as a process of its own, for the tests that kill and stop it.

It writes a line to ``--log`` for every claim that it gets and gives back, and one for each text
that it embeds.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Sequence
from pathlib import Path

from context_api.adapters.index import SqlLeases
from context_api.application.index_work import Claim
from memory_core.embedding.hashing import HashingEmbedder
from memory_core.embedding.port import Vectors
from tests.context_api.worker.hub import hub


class Journal:
    """Lines that survive the process."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a", buffering=1)

    def note(self, *words: object) -> None:
        self._file.write(" ".join(str(word) for word in (f"{time.monotonic():.6f}", *words)) + "\n")


class Slow(HashingEmbedder):
    """Takes a while for each batch."""

    def __init__(self, journal: Journal, seconds: float) -> None:
        super().__init__(32)
        self._journal = journal
        self._seconds = seconds

    def embed(self, texts: Sequence[str]) -> Vectors:
        # What takes long in production is here a pause of known length.
        time.sleep(self._seconds)
        self._journal.note("embedded", len(texts))
        return super().embed(texts)


class Told(SqlLeases):
    """Leases that say what they gave."""

    journal: Journal

    def claim(self, worker_id: str) -> Claim | None:
        found = super().claim(worker_id)
        if found is not None:
            self.journal.note("claim", found.project_id, found.fence)
        return found

    def release(self, claim: Claim, *, succeeded: bool) -> None:
        self.journal.note("release", claim.project_id, claim.fence)
        super().release(claim, succeeded=succeeded)


async def work(chosen: argparse.Namespace) -> None:
    journal = Journal(chosen.log)
    embedder = Slow(journal, chosen.pause)
    async with hub(
        chosen.url,
        embedder=embedder,
        lease_s=chosen.lease,
        beat_s=chosen.lease / 4,
        batch=4,
        worker_id=chosen.name,
    ) as one:
        leases = Told(one.indexes, lease_s=chosen.lease)
        leases.journal = journal
        one.indexer._leases = leases
        journal.note("started")
        await one.indexer.run()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("--name", required=True)
    parser.add_argument("--log", type=Path, required=True)
    parser.add_argument("--lease", type=float, default=60.0)
    parser.add_argument("--pause", type=float, default=0.0)
    asyncio.run(work(parser.parse_args()))


if __name__ == "__main__":
    main()
