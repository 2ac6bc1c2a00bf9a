"""What a PostgreSQL server must be set to before the hub trusts it."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import RowMapping, text
from sqlalchemy.ext.asyncio import AsyncConnection

from memory_core.errors import Unavailable

# Views that keep row-level security (security_invoker) came with 15.
OLDEST = 15
DURABLE = ("fsync", "full_page_writes", "synchronous_commit")

_SERVER = text(
    "SELECT current_setting('server_version_num')::int / 10000 AS version,"
    " current_setting('fsync') AS fsync,"
    " current_setting('full_page_writes') AS full_page_writes,"
    " current_setting('synchronous_commit') AS synchronous_commit,"
    " rolname, rolsuper, rolbypassrls FROM pg_roles WHERE rolname = current_user"
)
# Also a member of the owner's role may switch row-level security off.
_TABLES = text(
    "SELECT c.relname AS name, pg_has_role(c.relowner, 'MEMBER') AS is_owner,"
    " c.relrowsecurity AND c.relforcerowsecurity AS is_secured"
    " FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid"
    " WHERE c.relkind IN ('r', 'p') AND a.attname = 'tenant_id' AND NOT a.attisdropped"
    " AND c.relnamespace = (SELECT relnamespace FROM pg_class WHERE oid = to_regclass('events'))"
    " ORDER BY c.relname"
)


async def check_server(connection: AsyncConnection) -> None:
    """Checks that an answered write is durable, and that the role cannot pass between tenants.

    Raises:
        Unavailable: the server is set so that it is not, or the role can; says what to change.
    """
    server = (await connection.execute(_SERVER)).mappings().one()
    tables = (await connection.execute(_TABLES)).mappings().all()
    for problem in _problems(server, tables):
        raise Unavailable(problem)


def _problems(server: RowMapping, tables: Iterable[RowMapping]) -> Iterable[str]:
    if server["version"] < OLDEST:
        yield (
            f"the database server is PostgreSQL {server['version']}; memory-context needs"
            f" {OLDEST} or newer"
        )
    for name in DURABLE:
        if server[name] == "off":
            yield (
                f"the database server runs with {name} = off and would lose answered writes;"
                f" set {name} = on"
            )
    role = server["rolname"]
    if server["rolsuper"] or server["rolbypassrls"]:
        yield (
            f"the database role {role} is exempt from row-level security, which keeps tenants"
            " apart; connect as memctx_app, made by `python -m context_migration roles`"
        )
    for table in tables:
        if table["is_owner"]:
            yield (
                f"the database role {role} owns the table {table['name']} and could read every"
                " tenant; connect as memctx_app, made by `python -m context_migration roles`"
            )
        if not table["is_secured"]:
            yield f"the table {table['name']} has no forced row-level security; migrate again"
