"""How many writes of one project are under way at once, so that they leave room for others.

Writers of a project whose log somebody holds wait for its head row, each with a connection. If
they had all of them, writers of every other project would wait as well.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from memory_core.errors import Busy

_REMEMBERED = 10_000


class Lanes:
    """Lets at most ``places`` writers of a project pass at once; one event loop may use it.

    A project is named by its id, its slug or one of its records. Which of them are the same
    project is learned from the writes themselves; a name that is new has a lane of its own once.
    """

    def __init__(self, places: int, wait_s: float) -> None:
        self._places = places
        self._wait_s = wait_s
        self._ids: OrderedDict[tuple[str, str], str] = OrderedDict()
        self._lanes: dict[tuple[str, str], tuple[asyncio.Semaphore, int]] = {}

    @asynccontextmanager
    async def enter(self, tenant_id: str, name: str) -> AsyncIterator[Callable[[str], None]]:
        """Waits for a place, and yields what takes note of the project's id.

        Raises:
            Busy: the writers before had all places for too long.
        """
        named = (tenant_id, name)
        lane = (tenant_id, self._ids.get(named, name))
        places, users = self._lanes.get(lane, (asyncio.Semaphore(self._places), 0))
        self._lanes[lane] = (places, users + 1)
        try:
            try:
                await asyncio.wait_for(places.acquire(), self._wait_s)
            except TimeoutError as error:
                raise Busy("many writes to this project wait already") from error
            try:
                yield lambda project_id: self._learn(named, project_id)
            finally:
                places.release()
        finally:
            self._leave(lane)

    def _learn(self, named: tuple[str, str], project_id: str) -> None:
        self._ids[named] = project_id
        self._ids.move_to_end(named)
        if len(self._ids) > _REMEMBERED:
            self._ids.popitem(last=False)

    def _leave(self, lane: tuple[str, str]) -> None:
        places, users = self._lanes[lane]
        if users > 1:
            self._lanes[lane] = (places, users - 1)
        else:
            del self._lanes[lane]
