"""Runs the chain of revisions: up, down, and as plain DDL."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, NullPool, create_engine, event
from sqlalchemy.engine import make_url

from context_api.adapters.sql.dialect import Dialect, dialect_of_url
from context_api.adapters.sql.failures import translating
from context_api.adapters.sql.libpq import libpq_url

LOCK_TIMEOUT_S = 60.0
TABLE_LOCK_TIMEOUT_S = 5.0
CONNECT_TIMEOUT_S = 10
MIGRATION_LOCK = 0x6D656D637478  # "memctx"
DIALECTS = ("sqlite", "postgresql")


class SchemaTooNewError(RuntimeError):
    """The database was made by a newer release than this one."""


def scripts() -> ScriptDirectory:
    """Returns the chain of revisions."""
    return ScriptDirectory.from_config(_config())


def head() -> str:
    """Returns the revision that this release works on."""
    revision = scripts().get_current_head()
    if revision is None:
        raise RuntimeError("the chain of revisions is empty")
    return revision


def current(url: str) -> str | None:
    """Returns the revision of the database at ``url``, or None if it is empty."""
    with _connected(url) as connection:
        return MigrationContext.configure(connection).get_current_revision()


def upgrade(url: str, revision: str = "head") -> str:
    """Brings the database at ``url`` up to ``revision`` and returns where it stands.

    All of it is one transaction under the database's write lock, so that of several
    processes one does the work and the others find it done, and a killed one leaves nothing
    half-made.

    Raises:
        SchemaTooNewError: the database is at a revision this release does not know.
        StorageFull, Busy, Unavailable, Corrupt: the database cannot be changed; it is as it was.
    """
    with _connected(url) as connection:
        found = MigrationContext.configure(connection).get_current_revision()
        _refuse_unknown(found)
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
        _grant(connection)
        return MigrationContext.configure(connection).get_current_revision() or "base"


def downgrade(url: str, revision: str) -> None:
    """Takes the database at ``url`` back to ``revision``; what newer tables held is gone."""
    with _connected(url) as connection:
        config = _config()
        config.attributes["connection"] = connection
        command.downgrade(config, revision)


def ddl(dialect: str) -> str:
    """Returns the schema that the chain makes on ``dialect``, as SQL text."""
    config = _config()
    config.output_buffer = buffer = io.StringIO()
    config.attributes["dialect"] = dialect
    command.upgrade(config, "head", sql=True)
    lines = [line.rstrip() for line in buffer.getvalue().splitlines()]
    text = "\n".join(line for line in lines if not line.startswith("-- Running"))
    while "\n\n\n" in text:
        text = text.replace("\n\n\n", "\n\n")
    return text.strip() + "\n"


def _grant(connection: Connection) -> None:
    """Gives the roles of a server their rights, also one that came after its tables."""
    if connection.dialect.name != Dialect.POSTGRESQL.value:
        return
    # Imported here, with its driver.
    from context_migration.roles import grant_rights  # noqa: PLC0415

    driver = connection.connection.driver_connection
    assert driver is not None  # noqa: S101 - a connection that is open has one
    grant_rights(driver)


def _refuse_unknown(found: str | None) -> None:
    known = {script.revision for script in scripts().walk_revisions()}
    if found is not None and found not in known:
        raise SchemaTooNewError(
            f"the database is at revision {found}, which this release does not know;"
            " install a newer memory-context, or restore a backup made by this one"
        )


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    # Alembic announces each step at INFO through the root configuration of the caller.
    logging.getLogger("alembic").setLevel(logging.WARNING)
    return config


@contextmanager
def _connected(url: str) -> Iterator[Connection]:
    """Yields a connection in one transaction, under the lock of migrations."""
    engine = _file_engine(url) if dialect_of_url(url) is Dialect.SQLITE else _server_engine(url)
    try:
        with translating(), engine.begin() as connection:
            yield connection
    finally:
        engine.dispose()


def _file_engine(url: str) -> Engine:
    engine = create_engine(
        make_url(url).set(drivername="sqlite"), connect_args={"timeout": LOCK_TIMEOUT_S}
    )
    event.listen(engine, "connect", _without_implicit_transactions)
    event.listen(engine, "begin", _begin_immediate)
    return engine


def _without_implicit_transactions(connection: Any, _record: Any) -> None:
    connection.isolation_level = None


def _begin_immediate(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _server_engine(url: str) -> Engine:
    # Imported here: a hub on a file need not wait for it.
    import psycopg  # noqa: PLC0415

    engine = create_engine(
        "postgresql+psycopg://",
        creator=partial(psycopg.connect, libpq_url(url), connect_timeout=CONNECT_TIMEOUT_S),
        poolclass=NullPool,
    )
    event.listen(engine, "begin", _begin_alone)
    return engine


def _begin_alone(connection: Connection) -> None:
    """Waits for other migrators, then lets no lock of a running hub hold the tables up for long.

    A statement that waits for a lock keeps everybody waiting who comes after it.
    """
    connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT_S:.0f}s'")
    connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
    connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({MIGRATION_LOCK})")
    connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{TABLE_LOCK_TIMEOUT_S:.0f}s'")
