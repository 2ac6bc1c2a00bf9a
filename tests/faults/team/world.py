"""A team's hub that faults happen to, and what SQL says it must hold and answer."""

from __future__ import annotations

import os
import re
import shutil
import signal
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psycopg
import redis

from context_api.adapters.vector.chroma import ChromaVectors
from memory_core.errors import ContextError
from sync_agent.client import HubClient
from tests.support.hub import Hub
from tests.support.stack import Servers, Stack, running_stack

TOKEN = re.compile(r"\btk[0-9a-f]{12}\b")
"""Each text has such a word of its own, so that every hit tells which text it is of."""

_BEHIND = """
SELECT count(*) FROM projects p
LEFT JOIN index_state s ON s.tenant_id = p.tenant_id AND s.project_id = p.id
LEFT JOIN index_generations g ON g.tenant_id = p.tenant_id AND g.project_id = p.id
WHERE p.head > 1 AND (s.applied_seq IS DISTINCT FROM p.head
    OR g.pushed IS DISTINCT FROM s.revision OR g.audited_at IS NULL
    OR EXISTS (SELECT 1 FROM chunk_states c WHERE c.project_id = p.id AND c.state = 0))
"""
_VECTORS = """
SELECT s.project_id::text, s.kind, s.number::text, encode(s.hash, 'hex')
FROM chunk_states s WHERE s.state = 1
"""
_NUMBERS = """
SELECT s.tenant_id::text, s.project_id::text, s.kind, s.number, v.vector FROM chunk_states s
JOIN chunk_vectors v ON v.tenant_id = s.tenant_id AND v.hash = s.hash WHERE s.state = 1
"""
_INDEXED = """
SELECT u.id::text, encode(c.hash, 'hex') FROM index_units u
JOIN chunks c ON c.tenant_id = u.tenant_id AND c.project_id = u.project_id AND c.unit = u.number
WHERE u.alive
"""
_LIVE = """
SELECT id::text FROM sessions WHERE NOT deleted
UNION SELECT id::text FROM messages WHERE NOT deleted
UNION SELECT id::text FROM patterns WHERE NOT deleted
"""


@dataclass
class World:
    """The processes, the servers below them, and eyes that see past both."""

    stack: Stack
    sql: psycopg.Connection
    redis: redis.Redis
    pool: ThreadPoolExecutor
    starting: list[Future[Hub]] = field(default_factory=list)
    killed: list[int] = field(default_factory=list)

    def rows(self, statement: str, *values: object) -> list[Any]:
        """Runs a statement as a superuser, whom row-level security does not bind."""
        cursor = self.sql.execute(statement.encode(), values)
        return cursor.fetchall() if cursor.description else []

    def client(self, key: str | None = None) -> HubClient:
        """Returns a client of the API process that never tries twice."""
        return self.stack.api.client(budget=0.0, key=key)

    def start_worker(self) -> None:
        """Begins a worker, without waiting for it."""
        before = len(self.stack.workers)
        begun = self.pool.submit(self.stack.start, "worker")
        self.starting.append(begun)
        # Its folder is named by how many there are.
        while len(self.stack.workers) == before and not begun.done():
            time.sleep(0.001)

    def kill_worker(self) -> None:
        """Kills the oldest worker and begins another one."""
        self.started()
        worker = next(one for one in self.stack.workers if _lives(one))
        assert worker.process is not None
        self.killed.append(worker.process.pid)
        worker.kill()
        self.start_worker()

    def started(self) -> None:
        """Waits for all that was begun."""
        for one in self.starting:
            one.result(60)
        self.starting.clear()

    # Faults

    def signal_chroma(self, number: signal.Signals) -> None:
        """Stops the vector server, or lets it go on."""
        process = self.stack.servers.chroma.process
        assert process is not None
        os.killpg(process.pid, number)

    def wipe_chroma(self) -> None:
        """Takes everything from the vector server."""
        chroma = self.stack.servers.chroma
        chroma.stop(signal.SIGKILL)
        shutil.rmtree(chroma.data)
        chroma.start()

    def garble_redis(self) -> None:
        """Gives every cached answer to another key, and nonsense to the first."""
        keys = sorted(key for key in self.redis.scan_iter() if b":rate:" not in key)
        values = [self.redis.get(key) for key in keys]
        for key, value in zip(keys, [b"nonsense", *values], strict=False):
            self.redis.set(key, value or b"", ex=300)

    def garble_chroma(self) -> None:
        """Gives every project the ids and hashes of another one's vectors."""
        rows = self.rows(_VECTORS)
        for collection in self.collections():
            project, dimension = collection["metadata"]["project_id"], collection["dimension"]
            foreign = {row[2]: row[3] for row in rows if row[0] != project}
            if dimension is None or not foreign:
                continue
            body = {
                "ids": list(foreign),
                "embeddings": [[1.0, *[0.0] * (dimension - 1)]] * len(foreign),
                "metadatas": [{"hash": hashed, "record": project} for hashed in foreign.values()],
            }
            address = f"{self._collections()}/{collection['id']}/upsert"
            httpx.post(address, json=body).raise_for_status()

    def let_audits_be_due(self) -> None:
        """Does as if a quarter of an hour had passed since the last audit."""
        self.rows("UPDATE index_generations SET audited_at = now() - interval '1 hour'")

    def let_leases_of_the_dead_end(self) -> None:
        """Does as if a minute had passed since a worker was killed."""
        for pid in self.killed:
            self.rows(
                "UPDATE index_state SET lease_until = now() WHERE lease_owner LIKE %s",
                f"%:{pid}:%",
            )

    # What must be

    def is_quiet(self) -> bool:
        """Says if the indexes hold all of the logs, and Chroma what SQL says."""
        return self.rows(_BEHIND) == [(0,)] and self.held() == self.wanted()

    def wanted(self) -> set[tuple[str, ...]]:
        """Returns project, kind, chunk and hash of every vector that there should be."""
        return {tuple(row) for row in self.rows(_VECTORS)}

    def held(self) -> set[tuple[str, ...]]:
        """Returns what Chroma holds, likewise; what does not answer holds nothing."""
        found: set[tuple[str, ...]] = set()
        index = ChromaVectors(self.stack.servers.chroma.url)
        projects = self.rows("SELECT tenant_id::text, id::text FROM projects")
        try:
            for tenant, project in projects:
                for space in index.spaces(tenant, project):
                    found |= {(project, space.kind, *pair) for pair in index.hashes(space)}
        except ContextError:
            return set()
        finally:
            index.close()
        return found

    def recall(self) -> float:
        """Returns the share of the ten nearest to each vector that Chroma names."""
        found = asked = 0
        index = ChromaVectors(self.stack.servers.chroma.url)
        rows = self.rows(_NUMBERS)
        for tenant, project in {row[:2] for row in rows}:
            for space in index.spaces(tenant, project):
                mine = [row for row in rows if row[1:3] == (project, space.kind)]
                matrix = np.array([np.frombuffer(row[4], dtype="<f4") for row in mine])
                scores = matrix @ matrix.T
                for row, score in zip(matrix, scores, strict=True):
                    # Equal vectors may stand for each other.
                    least = np.sort(score)[::-1][: min(10, len(mine))].min() - 1e-4
                    near = index.nearest(space, row, 10)
                    found += sum(far >= least for _, far in near)
                    asked += min(10, len(mine))
        index.close()
        return found / asked

    def indexed(self) -> set[tuple[str, str]]:
        """Returns the record and content hash of every chunk."""
        return {tuple(row) for row in self.rows(_INDEXED)}

    def live(self) -> set[str]:
        """Returns the ids of the records that are not deleted."""
        return {row[0] for row in self.rows(_LIVE)}

    def collections(self) -> list[Any]:
        """Returns Chroma's collections of projects."""
        listed = httpx.get(self._collections(), params={"limit": 1000}).raise_for_status().json()
        return [one for one in listed if "project_id" in (one["metadata"] or {})]

    def _collections(self) -> str:
        base = f"{self.stack.servers.chroma.url}/api/v2/tenants/default_tenant"
        return f"{base}/databases/default_database/collections"


def _lives(hub: Hub) -> bool:
    return hub.process is not None and hub.process.poll() is None


@contextmanager
def running_world(folder: Path, servers: Servers) -> Iterator[World]:
    """Yields one API process and two workers, which search every vector in Chroma."""
    with (
        ThreadPoolExecutor(4) as pool,
        running_stack(folder, servers, apis=0, workers=0, exact_search_chunks="0") as stack,
    ):
        name = stack.environ["MEMCTX_DATABASE_URL"].rpartition("/")[2]
        with servers.postgres.connect(name) as sql, redis.Redis.from_url(servers.redis.url) as far:
            world = World(stack, sql, far, pool)
            api = pool.submit(stack.start, "api")
            world.start_worker()
            world.start_worker()
            try:
                api.result(60)
                world.started()
                yield world
            finally:
                with suppress(ProcessLookupError):
                    world.signal_chroma(signal.SIGCONT)
                for one in world.starting:
                    one.exception(60)
                for hub in filter(_lives, [*stack.apis, *stack.workers]):
                    hub.kill()
