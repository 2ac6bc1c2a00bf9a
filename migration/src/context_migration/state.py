"""Whether a database needs the chain of revisions at all, found out in a millisecond."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from urllib.parse import quote

from sqlalchemy.engine import make_url

from context_api.adapters.sql.schema import REVISION


def is_current(url: str) -> bool:
    """Says whether the SQLite database at ``url`` has the schema of this release.

    False also where that cannot be told: `runner.upgrade` then says what is wrong.
    """
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite" or not parsed.database:
        return False
    address = f"file:{quote(parsed.database)}?mode=ro"
    try:
        with closing(sqlite3.connect(address, uri=True)) as connection:
            found = connection.execute("SELECT version_num FROM alembic_version").fetchall()
    except sqlite3.Error:
        return False
    return found == [(REVISION,)]
