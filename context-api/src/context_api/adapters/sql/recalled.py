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
from context_api.application.ports import Viewer
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
        with translating(), self._engine.connect() as connection, connection.begin():
            return at_once(Reader(AtOnce(connection), self._viewer).many(refs, chosen))
