"""Values as documents hold them, read from the text that the server sends."""

from __future__ import annotations

import psycopg
from psycopg.abc import AdaptContext, Buffer
from psycopg.adapt import AdaptersMap, Loader
from psycopg.types.string import TextLoader

from memory_core.clock import parse_time

_LATEST = "9999-12-31T23:59:59.999999Z"
_EARLIEST = "0001-01-01T00:00:00.000000Z"


class CanonicalTime(Loader):
    """Reads ``2026-11-21 12:45:38.5+00`` into its canonical form.

    The other driver writes the first and the last moment of all as infinities.
    """

    def load(self, data: Buffer) -> str:
        """Returns 27 characters, as `memory_core.clock` writes them."""
        text = bytes(data).decode("ascii")
        if text.endswith("infinity"):
            return _EARLIEST if text.startswith("-") else _LATEST
        if not text.endswith("+00"):
            return parse_time(text)
        whole, _, fraction = text[:-3].partition(".")
        return f"{whole[:10]}T{whole[11:]}.{fraction:0<6}Z"


class _Documents:
    """How values of documents are read and written, whatever the connection."""

    connection = None

    def __init__(self) -> None:
        self.adapters = AdaptersMap(psycopg.adapters)
        self.adapters.register_loader("uuid", TextLoader)
        self.adapters.register_loader("timestamptz", CanonicalTime)


DOCUMENTS: AdaptContext = _Documents()
"""Ids are read as text and times in their canonical form."""
