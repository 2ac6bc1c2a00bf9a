"""The role that the hub connects as, which row-level security binds."""

from __future__ import annotations

import psycopg
from psycopg import sql

from context_api.adapters.sql.libpq import libpq_url
from context_migration.isolation import APP_ROLE

CONNECT_TIMEOUT_S = 10
_READ_ONLY = ("alembic_version", "db_metadata")

_EXISTS = "SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = %s"
_READ_ONLY_TABLES = (
    "SELECT c.relname FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace"
    " AND (c.relkind = 'v' OR c.relname = ANY (%s))"
)


def create_roles(owner_url: str, password: str, role: str = APP_ROLE) -> None:
    """Makes the login role ``role``, or sets its password, with rights on all tables there are.

    A revision gives it rights on the tables that it makes.

    ``owner_url`` names the hub's database and the role that owns or will own its tables, which
    must be allowed to make roles. It may run before or after the migrations, and again.

    Raises:
        psycopg.Error: the server cannot be reached, or the owner may not make roles.
    """
    with psycopg.connect(libpq_url(owner_url), connect_timeout=CONNECT_TIMEOUT_S) as connection:
        connection.execute("SELECT pg_advisory_xact_lock(hashtext('memctx roles'))")
        _make(connection, password, role)
        _grant(connection, role)


def _make(connection: psycopg.Connection, password: str, role: str) -> None:
    found = connection.execute(_EXISTS, [role]).fetchone()
    # Hashed here, so that the password stands in no log of the server.
    hashed = connection.pgconn.encrypt_password(
        password.encode(), role.encode(), b"scram-sha-256"
    ).decode()
    verb = "CREATE" if found is None else "ALTER"
    # Only a superuser may say that a role is none: a new one is not.
    limits = "NOSUPERUSER NOBYPASSRLS" if found is not None and found[0] else ""
    connection.execute(
        sql.SQL("{} ROLE {} LOGIN {} PASSWORD {}").format(
            sql.SQL(verb), sql.Identifier(role), sql.SQL(limits), sql.Literal(hashed)
        )
    )


def _grant(connection: psycopg.Connection, role: str) -> None:
    to = sql.Identifier(role)
    database = sql.Identifier(connection.info.dbname)
    for right in (
        sql.SQL("GRANT CONNECT ON DATABASE {} TO {}").format(database, to),
        sql.SQL("GRANT USAGE ON SCHEMA public TO {}").format(to),
        sql.SQL("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {}").format(
            to
        ),
        sql.SQL("GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO {}").format(to),
    ):
        connection.execute(right)
    for (name,) in connection.execute(_READ_ONLY_TABLES, [list(_READ_ONLY)]).fetchall():
        connection.execute(
            sql.SQL("REVOKE INSERT, UPDATE, DELETE ON {} FROM {}").format(sql.Identifier(name), to)
        )
