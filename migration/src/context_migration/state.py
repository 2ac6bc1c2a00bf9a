"""Whether a database needs the chain of revisions at all, found out in milliseconds."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from urllib.parse import quote

from sqlalchemy.engine import make_url

from context_api.adapters.sql.dialect import Dialect, dialect_of_url
from context_api.adapters.sql.libpq import libpq_url
from context_api.adapters.sql.schema import REVISION
from memory_core.errors import InvalidInput

CONNECT_TIMEOUT_S = 2
_ASKED = "SELECT version_num FROM alembic_version"


def is_current(url: str) -> bool:
    """Says whether the database at ``url`` has the schema of this release.

    False also where that cannot be told: `runner.upgrade` then says what is wrong.
    """
    try:
        is_file = dialect_of_url(url) is Dialect.SQLITE
    except InvalidInput:
        return False
    found = _in_file(url) if is_file else _on_server(url)
    return found == [(REVISION,)]


def _in_file(url: str) -> list[tuple[object, ...]]:
    path = make_url(url).database
    if not path:
        return []
    try:
        with closing(sqlite3.connect(f"file:{quote(path)}?mode=ro", uri=True)) as connection:
            return connection.execute(_ASKED).fetchall()
    except sqlite3.Error:
        return []


def _on_server(url: str) -> list[tuple[object, ...]]:
    # Imported here: a hub on a file need not wait for it.
    import psycopg  # noqa: PLC0415

    try:
        with psycopg.connect(libpq_url(url), connect_timeout=CONNECT_TIMEOUT_S) as connection:
            return connection.execute(_ASKED).fetchall()
    except psycopg.Error:
        return []
