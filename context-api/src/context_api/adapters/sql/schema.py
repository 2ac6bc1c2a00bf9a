"""Which schema this release works on."""

from __future__ import annotations

from sqlalchemy import inspect, text

from context_api.adapters.sql.database import Database
from memory_core.errors import Unavailable

REVISION = "0005"


async def check_revision(database: Database) -> str:
    """Returns the database's revision.

    Raises:
        Unavailable: it is empty, older or newer than this release; the sentence says what to do.
    """
    async with database.of_everyone() as connection:
        found = None
        if await connection.run_sync(lambda sync: inspect(sync).has_table("alembic_version")):
            row = await connection.execute(text("SELECT version_num FROM alembic_version"))
            found = row.scalar()
    if found == REVISION:
        return REVISION
    if found is None or found < REVISION:
        raise Unavailable(
            f"the database is at revision {found or 'none'} and needs {REVISION};"
            " run `python -m context_migration upgrade`"
        )
    raise Unavailable(
        f"the database is at revision {found}, made by a newer release than this one,"
        f" which works on {REVISION}; install the newer release"
    )
