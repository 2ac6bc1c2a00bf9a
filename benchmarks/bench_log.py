"""Appends to the log on PostgreSQL: 16 writers in 4 processes, on one project and on 16.

An append is one transaction: the tenant, the project's head, the sealed event, its record, the
commit. Beside it the bare statements of such a transaction, which is what a server of this
machine could do if Python took no time; both are measured in turns.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import asyncpg
from harness import ROOT, benchmark, parser

sys.path.insert(0, str(ROOT))

from context_api.adapters.sql.dialect import open_database
from context_api.adapters.sql.libpq import libpq_url
from context_api.adapters.sql.unit_of_work import SqlUnitOfWork
from context_api.application.seeding import seed
from memory_core.clock import now
from memory_core.decide import Known, complete, decide
from memory_core.events import EventDraft
from memory_core.ids import uuid7
from memory_core.operations import CreatePattern, CreateProject, Operation
from memory_core.records import Kind, PatternType
from tests.support.databases import app_url, template
from tests.support.servers.postgres import running_postgres

PROCESSES = 4
WRITERS = 16
IMPORT_S = 3.0
TARGETS = {"bare_1": 1_200, "bare_16": 2_800}

BARE_HEAD = (
    "UPDATE projects SET head = head + 1, head_digest = sha256(head_digest || int8send(head + 1)"
    " || $2) WHERE tenant_id = $3 AND id = $1 RETURNING head, head_digest"
)
BARE = f"""
WITH taken AS ({BARE_HEAD})
INSERT INTO events (tenant_id, project_id, seq, type, kind, record_id, op_id, op_index, actor,
                    occurred_at, recorded_at, redactions, content, content_digest, digest)
SELECT $3, $1, head, 'pattern.created', 'pattern', $4, $4, 0, 'bench', now(), now(), '{{}}',
       $5, $2, head_digest FROM taken
"""


@dataclass(frozen=True, slots=True)
class Work:
    """What one process does, and from when until when (seconds since the epoch)."""

    url: str
    tenant_id: str
    project_ids: list[str]
    start: float
    until: float
    is_bare: bool


def drafted(
    kind: Kind, record_id: str, project_id: str, body: CreateProject | CreatePattern
) -> Sequence[EventDraft]:
    at = now()
    asked = complete(Operation(op_id=uuid7(), kind=kind, record_id=record_id, body=body), at)
    known = Known(project_id=project_id, actor="bench", now=at, documents={})
    return decide(asked, known).drafts


async def append(
    uow: SqlUnitOfWork, tenant_id: str, project_id: str, drafts: Sequence[EventDraft]
) -> None:
    async with uow.write(tenant_id) as tx:
        await tx.append(
            project_id, drafts, op_id=uuid7(), op_hash=None, actor="bench", recorded_at=now()
        )
        await tx.commit()


async def lane(uow: SqlUnitOfWork, work: Work, project_id: str) -> int:
    done = 0
    await asyncio.sleep(max(0.0, work.start - time.time()))
    while time.time() < work.until:
        body = CreatePattern(name="a lesson", pattern_type=PatternType.CODE)
        drafts = drafted(Kind.PATTERN, uuid7(), project_id, body)
        await append(uow, work.tenant_id, project_id, drafts)
        done += 1
    return done


async def bare_lane(work: Work, project_id: str) -> int:
    connection = await asyncpg.connect(libpq_url(work.url))
    body, text, done = os.urandom(32), "x" * 300, 0
    await asyncio.sleep(max(0.0, work.start - time.time()))
    while time.time() < work.until:
        async with connection.transaction():
            await connection.execute(
                "SELECT set_config('memctx.tenant_id', $1, true)", work.tenant_id
            )
            await connection.execute(BARE, project_id, body, work.tenant_id, uuid7(), text)
        done += 1
    await connection.close()
    return done


async def lanes(work: Work) -> int:
    if work.is_bare:
        return sum(await asyncio.gather(*(bare_lane(work, p) for p in work.project_ids)))
    database = open_database(work.url)
    uow = SqlUnitOfWork(database)
    try:
        return sum(await asyncio.gather(*(lane(uow, work, p) for p in work.project_ids)))
    finally:
        await database.dispose()


def run(work: Work) -> tuple[int, float]:
    """Returns how many were appended, and the processor time that took in this process."""
    before = time.process_time()
    return asyncio.run(lanes(work)), time.process_time() - before


async def prepared(url: str) -> tuple[str, list[str]]:
    """Returns a new tenant with 16 projects."""
    database = open_database(url)
    uow, tenant_id = SqlUnitOfWork(database), uuid7()
    await seed(uow, tenant_id)
    project_ids = [uuid7() for _ in range(WRITERS)]
    for number, project_id in enumerate(project_ids):
        body = CreateProject(slug=f"bench/{number}")
        await append(
            uow, tenant_id, project_id, drafted(Kind.PROJECT, project_id, project_id, body)
        )
    await database.dispose()
    return tenant_id, project_ids


def appended(url: str, *, projects: int, is_bare: bool, seconds: float) -> tuple[int, float]:
    """Returns how many were appended, and the processor time of the writers in seconds."""
    tenant_id, project_ids = asyncio.run(prepared(url))
    lanes_of = [project_ids[number % projects] for number in range(WRITERS)]
    # All begin at one time, when every process has imported what it needs.
    start = time.time() + IMPORT_S
    made = partial(Work, url, tenant_id, start=start, until=start + seconds, is_bare=is_bare)
    with ProcessPoolExecutor(PROCESSES) as pool:
        share = WRITERS // PROCESSES
        works = [made(lanes_of[n * share : (n + 1) * share]) for n in range(PROCESSES)]
        done = list(pool.map(run, works))
    return sum(number for number, _ in done), sum(taken for _, taken in done)


def figures_of(url: str, *, projects: int, rounds: int, seconds: float) -> dict[str, Any]:
    """Measures both ways in turns, so that what disturbs one disturbs the other."""
    counts = {"bare": 0, "append": 0}
    cpu = {"bare": 0.0, "append": 0.0}
    for _ in range(rounds):
        for way in counts:
            number, taken = appended(url, projects=projects, is_bare=way == "bare", seconds=seconds)
            counts[way] += number
            cpu[way] += taken
    return {
        **{f"{way}_per_s": round(count / seconds / rounds) for way, count in counts.items()},
        "share": round(counts["append"] / counts["bare"], 3),
        **{f"{way}_cpu_ms": round(1e3 * cpu[way] / counts[way], 3) for way in counts},
    }


def measure(folder: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """Measures on a PostgreSQL of its own, one project first and then 16."""
    with running_postgres() as server:
        name = server.create(template(server))
        try:
            url = app_url(server, name)
            found = partial(figures_of, url, rounds=arguments.rounds, seconds=arguments.seconds)
            return {
                "targets": TARGETS,
                "writers": WRITERS,
                "one_project": found(projects=1),
                "a_project_each": found(projects=WRITERS),
            }
        finally:
            server.drop(name)


def main() -> None:
    made = parser(__doc__, "log")
    made.add_argument("--seconds", type=float, default=4.0)
    made.add_argument("--rounds", type=int, default=2)
    benchmark(made.parse_args(), "log", measure)


if __name__ == "__main__":
    main()
