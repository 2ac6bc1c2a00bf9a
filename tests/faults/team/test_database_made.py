"""A server that would lose writes, a migration that is killed, and an older copy of the data."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
import pytest
from psycopg import sql

from context_api.adapters.sql.dialect import open_database
from context_migration import runner
from memory_core.errors import Unavailable
from memory_core.ids import uuid7
from tests.faults.asking import asking, log_of, made, until, verified
from tests.faults.team.hubs import OK, Hubs, post
from tests.migration.databases import Served
from tests.support.databases import app_url, create_owned
from tests.support.hub import Hub
from tests.support.servers.finding import free_port, give, unprivileged
from tests.support.servers.postgres import PostgresServer
from tests.support.stack import KEY

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

COPIED = 12
LATER = 9


@contextmanager
def switched_off(server: PostgresServer, setting: str) -> Iterator[None]:
    """Switches a setting of the server off while the block runs."""
    shown = sql.SQL("SELECT current_setting({})").format(sql.Literal(setting))

    def switch(statement: str, expected: str) -> None:
        with server.connect() as connection:
            connection.execute(sql.SQL(statement).format(sql.Identifier(setting)))
            connection.execute("SELECT pg_reload_conf()")

        def is_so() -> bool:
            with server.connect() as connection:
                return connection.execute(shown).fetchone() == (expected,)

        until(is_so, f"{setting} is {expected}")

    switch("ALTER SYSTEM SET {} = off", "off")
    try:
        yield
    finally:
        switch("ALTER SYSTEM RESET {}", "on")


def test_a_server_that_would_lose_writes(hubs: Hubs, tmp_path: Path) -> None:
    environ = Hub(tmp_path, free_port(), key=KEY, extra=hubs.all[0].extra).environ
    with switched_off(hubs.server, "fsync"):
        done = subprocess.run(
            [sys.executable, "-m", "memctx", "serve"],
            env=environ, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
    assert done.returncode == 1
    assert "set fsync = on" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_server_that_would_tear_pages(hubs: Hubs) -> None:
    async def check() -> None:
        database = open_database(app_url(hubs.server, hubs.database))
        try:
            await database.check()
        finally:
            await database.dispose()

    refused = pytest.raises(Unavailable, match="set full_page_writes = on")
    with switched_off(hubs.server, "full_page_writes"), refused:
        asyncio.run(check())
    asyncio.run(check())


def test_a_migration_that_is_killed_halfway(postgres: PostgresServer) -> None:
    """Somebody makes a table of a later revision, so the migration waits there, much of it done."""
    empty = Served(postgres, create_owned(postgres))
    waiting = (
        "SELECT count(*) FROM pg_stat_activity"
        f" WHERE wait_event_type = 'Lock' AND datname = '{empty.name}'"
    )
    with postgres.connect(empty.name) as other, other.transaction():
        other.execute("CREATE TABLE public.chunk_vectors (none_of_ours int)")
        process = subprocess.Popen(
            [sys.executable, "-m", "context_migration", "upgrade"],
            env={**os.environ, "MEMCTX_DATABASE_URL": empty.url},
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        until(lambda: empty.execute(waiting) == [(1,)], "the migration waits", 60)
        process.send_signal(signal.SIGKILL)
        process.wait(60)
        other.execute("DROP TABLE public.chunk_vectors")
    assert empty.schema() == set()
    started = time.monotonic()
    assert runner.upgrade(empty.url) == runner.head()
    print(f"migrated {time.monotonic() - started:.1f} s after the kill")
    postgres.drop(empty.name)


@contextmanager
def older_copy(server: PostgresServer) -> Iterator[PostgresServer]:
    """Yields a server on a copy of the data as it is now; it is not started."""
    assert server.folder is not None
    assert server.process is not None
    folder = server.folder / f"copy-{uuid7()}"
    folder.mkdir()
    give(folder, unprivileged())
    tool = Path(psutil.Process(server.process.pid).exe()).with_name("pg_basebackup")
    command = [str(tool), "-D", str(folder / "data"), "--checkpoint=fast", "-d", server.url]
    subprocess.run(command, user=unprivileged(), cwd=folder, check=True, capture_output=True)
    copy = PostgresServer(f"postgresql://postgres@127.0.0.1:{free_port()}/postgres", folder)
    try:
        yield copy
    finally:
        copy.stop()


def send(client: httpx.Client, project: str, keys: list[str]) -> int:
    """Writes something under each key; returns how many were recognised as done before."""
    recognised = 0
    for key in keys:
        answer = post(client, "/checkpoints", key, {"project": project, "description": key})
        assert answer.status_code in OK
        recognised += answer.headers.get("Idempotency-Replayed") == "true"
    return recognised


def test_an_older_copy_of_the_data_is_filled_again(hubs: Hubs, tmp_path: Path) -> None:
    """A reader that has seen more is refused; who sends again what he sent fills the gap."""
    before, after = ([uuid7() for _ in range(count)] for count in (COPIED, LATER))
    with asking(hubs.all[0]) as client:
        project = made(client, "/projects", slug="acme/copied")["id"]
        send(client, project, before)
        with older_copy(hubs.server) as copy:
            send(client, project, after)
            seen = log_of(client, project)[-1]["seq"]
            copy.start()
            old = Hubs(tmp_path, copy, hubs.database, {})
            hub = old.start()
            try:
                with asking(hub) as restored:
                    page = restored.get(f"/projects/{project}/events?after={seen}")
                    assert (page.status_code, page.json()["code"]) == (410, "cursor_expired")
                    assert len(log_of(restored, project)) == 1 + COPIED
                    assert send(restored, project, before + after) == COPIED
                    found = [event["content"] for event in log_of(restored, project)[1:]]
                    assert [one["description"] for one in found] == before + after
                    assert verified(restored)["ok"]
            finally:
                hub.stop()
