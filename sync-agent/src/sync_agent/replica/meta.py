"""What a replica's file says about itself."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from sync_agent.replica import identity


def set_meta(connection: sqlite3.Connection, name: str, value: str) -> None:
    """Keeps a value about the file itself."""
    connection.execute("INSERT OR REPLACE INTO meta (name, value) VALUES (?, ?)", (name, value))


def set_identity(connection: sqlite3.Connection, path: Path, replica_id: str) -> None:
    """Names the file, and notes which one it is."""
    set_meta(connection, "replica_id", replica_id)
    set_meta(connection, "fingerprint", identity.fingerprint(path))
