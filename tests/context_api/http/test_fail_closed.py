"""What cannot be told for sure is refused: keys whose rows are damaged, or cannot be read."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.context_api.http.serving import Hub, serving

CANARY = "quokka-project"
UNKNOWN = "01900000-0000-7000-8000-000000000000"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("hub")


@pytest.fixture(scope="module")
def hub(folder: Path) -> Iterator[Hub]:
    with serving(folder) as running:
        running.make_project(f"acme/{CANARY}")
        yield running


def execute(folder: Path, statement: str, *values: Any) -> None:
    with closing(sqlite3.connect(folder / "hub.db", timeout=20)) as connection, connection:
        # What damages a row asks for nobody's permission.
        connection.execute("PRAGMA ignore_check_constraints = ON")
        connection.execute("PRAGMA foreign_keys = OFF")
        connection.execute(statement, values)


def reached(hub: Hub, key: str) -> list[str]:
    """Returns the routes that let a key in, with what they showed it."""
    found = []
    body = {"project": f"acme/{CANARY}", "description": "d"}
    with hub.as_(key) as client:
        for method, path, sent in (
            ("GET", "/api/v1/projects", None),
            ("GET", "/api/v1/keys", None),
            ("GET", "/api/v1/export", None),
            ("GET", "/metrics", None),
            ("POST", "/api/v1/search", {"query": CANARY}),
            ("POST", "/api/v1/checkpoints", body),
        ):
            answer = client.request(method, path, json=sent)
            if answer.is_success:
                found.append(f"{method} {path}: {answer.text}")
            else:
                assert answer.headers["content-type"] == "application/problem+json"
    return found


def test_a_key_that_is_whole_is_let_in(hub: Hub) -> None:
    assert len(reached(hub, hub.make_key("admin")["key"])) == 6


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("secret_hash", b""),
        ("secret_hash", b"\x00" * 32),
        ("scopes", "[]"),
        ("scopes", '["god"]'),
        ("scopes", '"admin"'),
        ("scopes", '{"read": false}'),
        ("scopes", "[null]"),
        ("scopes", "admin"),
        ("scopes", ""),
        ("expires_at", "2020-01-01T00:00:00.000000Z"),
        ("expires_at", "never"),
        ("expires_at", ""),
        ("revoked_at", "2999-01-01T00:00:00.000000Z"),
        ("revoked_at", "not yet"),
        ("revoked_at", ""),
    ],
)
def test_a_key_whose_row_is_damaged_is_not_let_in(
    hub: Hub, folder: Path, column: str, value: object
) -> None:
    made = hub.make_key("read", "write", "admin")
    execute(folder, f"UPDATE api_keys SET {column} = ? WHERE id = ?", value, made["id"])
    assert reached(hub, made["key"]) == []
    execute(folder, "DELETE FROM api_keys WHERE id = ?", made["id"])


@pytest.mark.parametrize("value", ["[]", f'["{UNKNOWN}"]', '""', "{}", "x"])
def test_a_key_whose_projects_cannot_be_told_sees_none(hub: Hub, folder: Path, value: str) -> None:
    made = hub.make_key("read", "write")
    execute(folder, "UPDATE api_keys SET project_ids = ? WHERE id = ?", value, made["id"])
    assert [one for one in reached(hub, made["key"]) if CANARY in one] == []
    execute(folder, "DELETE FROM api_keys WHERE id = ?", made["id"])


def test_without_the_table_of_keys_nobody_is_let_in(hub: Hub, folder: Path) -> None:
    made = hub.make_key("read", "write", "admin")
    execute(folder, "ALTER TABLE api_keys RENAME TO away")
    try:
        assert reached(hub, made["key"]) == []
    finally:
        execute(folder, "ALTER TABLE away RENAME TO api_keys")
    assert len(reached(hub, made["key"])) == 6
