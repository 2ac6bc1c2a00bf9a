"""The roles of the hub in PostgreSQL, and what each may do with each table.

Row-level security binds all of them but the superuser: without a tenant they see no rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import psycopg
from psycopg import sql

from context_api.adapters.sql.libpq import libpq_url
from context_migration.isolation import APP_ROLE

CONNECT_TIMEOUT_S = 10

WORKER_ROLE: Final = "memctx_worker"
"""Indexes what is written; reads neither keys nor the audit log, changes no record."""

AUDITOR_ROLE: Final = "memctx_auditor"
"""Reads the audit log and how the indexes are, and no text of any record."""

ROLES: Final = (APP_ROLE, WORKER_ROLE, AUDITOR_ROLE)
NOTHING: Final[frozenset[str]] = frozenset()
READ: Final = frozenset({"SELECT"})
ADD: Final = READ | {"INSERT"}
ALL: Final = ADD | {"UPDATE", "DELETE"}

_SCHEMA = frozenset({"alembic_version", "db_metadata"})
_INDEX = frozenset(
    {
        "index_state", "index_generations", "index_units", "chunks", "chunk_states",
        "chunk_vectors", "index_dead",
    }
)  # fmt: skip
_RECORDS = frozenset(
    {
        "tenants", "projects", "project_remotes", "events", "sessions", "messages",
        "checkpoints", "patterns", "session_tags", "pattern_tags", "conflicts",
    }
)  # fmt: skip
_AUDITED = frozenset(
    {
        "audit_log", "tenants", "projects", "privacy_audit", "v_privacy_audit_summary",
        "index_state", "index_generations", "index_dead",
    }
)  # fmt: skip

_ROLE = "SELECT oid, rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = %s"
# What the connected role may give away: that of its own tables and views.
_RELATIONS = """
SELECT c.relname, c.relkind = 'v',
       coalesce(array_agg(a.privilege_type) FILTER (WHERE a.grantee IS NOT NULL), '{}')
FROM pg_class c
LEFT JOIN LATERAL aclexplode(c.relacl) a ON a.grantee = %s
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v')
  AND pg_has_role(c.relowner, 'USAGE')
GROUP BY c.oid ORDER BY c.relname
"""


def rights(role: str, name: str, *, is_view: bool = False) -> frozenset[str]:
    """Returns what ``role`` may do with the table or view ``name``."""
    if name in _SCHEMA:
        return READ
    if role == AUDITOR_ROLE:
        return READ if name in _AUDITED else NOTHING
    if role == WORKER_ROLE:
        return ALL if name in _INDEX else READ if name in _RECORDS else NOTHING
    if is_view:
        return READ
    return ADD if name == "audit_log" else ALL


def create_roles(owner_url: str, password: str, role: str = APP_ROLE) -> None:
    """Makes the login role ``role``, or sets its password, with its rights on what there is.

    A migration gives each role that exists its rights on the tables that it makes.

    ``owner_url`` names the hub's database and the role that owns or will own its tables, which
    must be allowed to make roles. It may run before or after the migrations, and again.

    Raises:
        psycopg.Error: the server cannot be reached, or the owner may not make roles.
    """
    with psycopg.connect(libpq_url(owner_url), connect_timeout=CONNECT_TIMEOUT_S) as connection:
        _alone(connection)
        _make(connection, password, role)
        to, database = sql.Identifier(role), sql.Identifier(connection.info.dbname)
        connection.execute(sql.SQL("GRANT CONNECT ON DATABASE {} TO {}").format(database, to))
        connection.execute(sql.SQL("GRANT USAGE ON SCHEMA public TO {}").format(to))
        grant_rights(connection)


def grant_rights(connection: psycopg.Connection) -> None:
    """Gives each role that exists its rights, and takes those it should not have."""
    _alone(connection)
    for role in ROLES:
        found = connection.execute(_ROLE, [role]).fetchone()
        if found is not None:
            for statement in _differences(connection, role, found[0]):
                connection.execute(statement)


def _differences(connection: psycopg.Connection, role: str, oid: int) -> Iterator[sql.Composed]:
    for name, is_view, given in connection.execute(_RELATIONS, [oid]).fetchall():
        wanted, has = rights(role, name, is_view=is_view), frozenset(given)
        on, to = sql.Identifier("public", name), sql.Identifier(role)
        if has - wanted:
            yield sql.SQL("REVOKE {} ON {} FROM {}").format(_listed(has - wanted), on, to)
        if wanted - has:
            yield sql.SQL("GRANT {} ON {} TO {}").format(_listed(wanted - has), on, to)


def _listed(names: frozenset[str]) -> sql.Composed:
    return sql.SQL(", ").join(sql.SQL(name) for name in sorted(names))


def _alone(connection: psycopg.Connection) -> None:
    # Two at once would change the same rows of the catalog, of which one fails.
    connection.execute("SELECT pg_advisory_xact_lock(hashtext('memctx roles'))")


def _make(connection: psycopg.Connection, password: str, role: str) -> None:
    found = connection.execute(_ROLE, [role]).fetchone()
    # Hashed here, so that the password stands in no log of the server.
    hashed = connection.pgconn.encrypt_password(
        password.encode(), role.encode(), b"scram-sha-256"
    ).decode()
    verb = "CREATE" if found is None else "ALTER"
    # Only a superuser may say that a role is none: a new one is not.
    limits = "NOSUPERUSER NOBYPASSRLS" if found is not None and found[1] else ""
    connection.execute(
        sql.SQL("{} ROLE {} LOGIN {} PASSWORD {}").format(
            sql.SQL(verb), sql.Identifier(role), sql.SQL(limits), sql.Literal(hashed)
        )
    )
