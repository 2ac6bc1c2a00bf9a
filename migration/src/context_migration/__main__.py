"""`python -m context_migration upgrade|current|ddl|roles`."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from context_migration import runner
from context_migration.isolation import APP_ROLE
from memory_core.errors import ContextError

PASSWORD = "MEMCTX_APP_PASSWORD"  # noqa: S105 - the name of a variable
MORE = {"MEMCTX_WORKER_PASSWORD": "memctx_worker", "MEMCTX_AUDITOR_PASSWORD": "memctx_auditor"}


def main(arguments: list[str] | None = None) -> int:
    """Runs one action on the database that MEMCTX_DATABASE_URL names; returns the exit code.

    ``roles`` makes the role memctx_app that the hub connects as, with the password in
    MEMCTX_APP_PASSWORD or in the file that MEMCTX_APP_PASSWORD_FILE names; also memctx_worker
    for workers and memctx_auditor for who reads the audit log, where MEMCTX_WORKER_PASSWORD and
    MEMCTX_AUDITOR_PASSWORD are given.
    """
    parser = argparse.ArgumentParser(prog="context_migration", description=main.__doc__)
    parser.add_argument("action", choices=["upgrade", "current", "ddl", "roles"])
    parser.add_argument("--database-url", default=os.environ.get("MEMCTX_DATABASE_URL"))
    parser.add_argument("--dialect", choices=runner.DIALECTS, default="sqlite")
    chosen = parser.parse_args(arguments)
    if chosen.action == "ddl":
        sys.stdout.write(runner.ddl(chosen.dialect))
        return 0
    if not chosen.database_url:
        parser.error("--database-url or MEMCTX_DATABASE_URL is needed")
    if chosen.action == "roles":
        if not _password(PASSWORD):
            parser.error(f"{PASSWORD} or {PASSWORD}_FILE is needed")
        return _roles(chosen.database_url)
    try:
        act = runner.upgrade if chosen.action == "upgrade" else runner.current
        sys.stdout.write(f"{act(chosen.database_url)}\n")
    except (runner.SchemaTooNewError, ContextError) as error:
        sys.stderr.write(f"context_migration: {error}\n")
        return 1
    return 0


def _password(variable: str) -> str:
    path = os.environ.get(f"{variable}_FILE")
    if path:
        return Path(path).read_text(encoding="utf-8").strip()
    return os.environ.get(variable, "")


def _roles(url: str) -> int:
    import psycopg  # noqa: PLC0415

    from context_migration.roles import create_roles  # noqa: PLC0415

    try:
        for variable, role in {PASSWORD: APP_ROLE, **MORE}.items():
            if password := _password(variable):
                create_roles(url, password, role)
    except psycopg.Error as error:
        sys.stderr.write(f"context_migration: {str(error).strip()}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
