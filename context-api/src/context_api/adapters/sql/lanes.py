"""How many writes of one project are under way at once, so that they leave room for others.

Writers of a project whose log somebody holds wait for its head row, each with a connection. If
they had all of them, writers of every other project would wait as well.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from context_api.adapters.sql.places import Places

_REMEMBERED = 10_000


class Lanes:
    """Lets only a few writers of a project pass at once; one event loop may use it.

    A project is named by its id, its slug or one of its records. Which of them are the same
    project is learned from the writes themselves; a name that is new has a lane of its own once.
    """

    def __init__(self, places: Callable[[], Places]) -> None:
        """Makes the places of a lane with ``places`` when somebody comes."""
        self._places = places
        self._ids: OrderedDict[tuple[str, str], str] = OrderedDict()
        self._lanes: dict[tuple[str, str], tuple[Places, int]] = {}

    @asynccontextmanager
    async def enter(self, tenant_id: str, name: str) -> AsyncIterator[Callable[[str], None]]:
        """Waits for a place, and yields what takes note of the project's id; raises as `Places`."""
        named = (tenant_id, name)
        lane = (tenant_id, self._ids.get(named, name))
        places, users = self._lanes.get(lane) or (self._places(), 0)
        self._lanes[lane] = (places, users + 1)
        try:
            async with places.taken():
                yield lambda project_id: self._learn(named, project_id)
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
