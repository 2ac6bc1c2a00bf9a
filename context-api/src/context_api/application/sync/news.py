"""Waiting for a project's log to grow, together with all others who wait.

Whoever waits asks for the heads of all projects that are waited for, and all share the answer:
a hundred replicas that wait cost one small read for each time that something is written.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any

from context_api.application.ports import UnitOfWork, Viewer
from context_api.application.wakeup import Wakeup

POLL_S = 2.0
GATHER_S = 0.1
"""How long news are gathered: a batch that is being written is one answer, not many."""


@dataclass(slots=True)
class _Waited:
    """What is waited for in one tenant, and the heads as they were last read."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    projects: Counter[str] = field(default_factory=Counter)
    read_at: float = float("-inf")
    heads: Mapping[str, int] = field(default_factory=dict)


class News:
    """Tells when logs have grown."""

    def __init__(self) -> None:
        self._waited: dict[str, _Waited] = {}

    def waits_for(self, project_id: str) -> int:
        """Returns how many wait for a project's log."""
        return sum(waited.projects[project_id] for waited in self._waited.values())

    async def wait(
        self,
        uow: UnitOfWork,
        wakeup: Wakeup,
        place: tuple[str, str],
        after: int,
        *,
        timeout_s: float,
        stopping: asyncio.Event,
    ) -> None:
        """Returns once the log of a project (tenant, id) goes beyond ``after``.

        Also after ``timeout_s``, and once ``stopping`` is set.
        """
        tenant_id, project_id = place
        waited = self._waited.setdefault(tenant_id, _Waited())
        waited.projects[project_id] += 1
        end = time.monotonic() + timeout_s
        try:
            while (left := end - time.monotonic()) > 0 and not stopping.is_set():
                seen, asked_at = wakeup.round, time.monotonic()
                if await _head(uow, waited, place, asked_at) > after:
                    return
                await _either(wakeup.wait(seen, min(left, POLL_S)), stopping)
                await asyncio.sleep(min(GATHER_S, max(0.0, end - time.monotonic())))
        finally:
            waited.projects[project_id] -= 1
            if not +waited.projects:
                self._waited.pop(tenant_id, None)


async def _either(news: Coroutine[Any, Any, None], stopping: asyncio.Event) -> None:
    tasks = [asyncio.create_task(news), asyncio.create_task(stopping.wait())]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()


async def _head(uow: UnitOfWork, waited: _Waited, place: tuple[str, str], asked_at: float) -> int:
    tenant_id, project_id = place
    async with waited.lock:
        if waited.read_at < asked_at or project_id not in waited.heads:
            read_at = time.monotonic()
            async with uow.read(Viewer(tenant_id=tenant_id, actor="")) as tx:
                waited.heads = await tx.heads([*+waited.projects])
            waited.read_at = read_at
    return waited.heads.get(project_id, 0)
