"""`python -m context_migration upgrade|current|ddl`."""

from __future__ import annotations

import argparse
import os
import sys

from context_migration import runner
from memory_core.errors import ContextError


def main(arguments: list[str] | None = None) -> int:
    """Runs one action on the database that MEMCTX_DATABASE_URL names; returns the exit code."""
    parser = argparse.ArgumentParser(prog="context_migration", description=main.__doc__)
    parser.add_argument("action", choices=["upgrade", "current", "ddl"])
    parser.add_argument("--database-url", default=os.environ.get("MEMCTX_DATABASE_URL"))
    parser.add_argument("--dialect", choices=runner.DIALECTS, default="sqlite")
    chosen = parser.parse_args(arguments)
    if chosen.action == "ddl":
        sys.stdout.write(runner.ddl(chosen.dialect))
        return 0
    if not chosen.database_url:
        parser.error("--database-url or MEMCTX_DATABASE_URL is needed")
    try:
        act = runner.upgrade if chosen.action == "upgrade" else runner.current
        sys.stdout.write(f"{act(chosen.database_url)}\n")
    except (runner.SchemaTooNewError, ContextError) as error:
        sys.stderr.write(f"context_migration: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
