"""The rows that recall asks for, read in recall's own thread.

A database in a file answers in the thread that asks. A way through the event loop and the driver's
thread would cost more than the reading: each statement changes the thread and comes back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import Engine

from context_api.adapters.sql.at_once import AtOnce, at_once
from context_api.adapters.sql.failures import translating
from context_api.adapters.sql.reading import Reader
from context_api.application.ports import Viewer, Window
from memory_core.recall.ports import RecordFilter
from memory_core.records import Document, Ref


class RecalledAtOnce:
    """The store as recall sees it, through the eyes of ``viewer``."""

    def __init__(self, reader: Engine, viewer: Viewer) -> None:
        self._engine = reader
        self._viewer = viewer

    def load(self, refs: Sequence[Ref], chosen: RecordFilter) -> Mapping[Ref, Document]:
        """Returns the documents of those ``refs`` that are visible and pass the filter.

        Raises:
            Busy, Unavailable, Corrupt: the database cannot be read.
        """
        return self.load_beside(refs, chosen, ())[0]

    def projects(self, names: Sequence[str]) -> list[Document | None]:
        """Returns each visible project by id or slug, None where there is none.

        Raises as `load`.
        """
        return self.load_beside((), RecordFilter(), names)[1]

    def load_beside(
        self, refs: Sequence[Ref], chosen: RecordFilter, names: Sequence[str]
    ) -> tuple[Mapping[Ref, Document], list[Document | None]]:
        """Returns what `load` and `projects` do, of one moment; raises as `load`."""
        with translating(), self._engine.connect() as connection, connection.begin():
            reader = Reader(AtOnce(connection), self._viewer)
            loaded = at_once(reader.many(refs, chosen))
            return loaded, [at_once(reader.project(name)) for name in names]

    async def look(self, names: Sequence[str]) -> list[Document | None]:
        """Returns what `projects` does, on the event loop itself.

        Finding a project took 0.15 ms so, and 0.87 ms through the driver's thread and back (two
        cores, medians of 400).
        """
        return self.projects(names)

    async def look_around(self, limit: int) -> list[Document]:
        """Returns the visible projects, newest first; raises as `load`."""
        with translating(), self._engine.connect() as connection, connection.begin():
            reader = Reader(AtOnce(connection), self._viewer)
            return at_once(reader.projects(slug=None, remote=None, window=Window(limit=limit)))
