"""The server itself: it rests between requests, and ends when it is told to."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
from starlette.responses import PlainTextResponse

from context_api.http.options import HttpOptions
from context_api.http.server import TICK_SECONDS, Server
from tests.support.patience import BUSY_S

TICKS = 3


class Counting(Server):
    """A server that counts how often it looks after itself."""

    ticks = 0

    async def on_tick(self, counter: int) -> bool:
        self.ticks += 1
        return await super().on_tick(counter)


@contextmanager
def running() -> Iterator[tuple[Counting, threading.Thread, str]]:
    up = threading.Event()
    server = Counting(PlainTextResponse("hello"), HttpOptions(), up.set)
    with socket.create_server(("127.0.0.1", 0)) as bound:
        thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[bound])))
        thread.start()
        try:
            assert up.wait(30)
            yield server, thread, f"http://127.0.0.1:{bound.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(30)


def test_an_idle_server_rests() -> None:
    with running() as (server, _, url):
        date = httpx.get(url, trust_env=False).headers["Date"]
        before, began = server.ticks, time.monotonic()
        while server.ticks < before + TICKS:
            assert time.monotonic() < began + TICKS * TICK_SECONDS + 30
            time.sleep(0.01)
        assert time.monotonic() - began > (TICKS - 1) * TICK_SECONDS * 0.9
        assert httpx.get(url, trust_env=False).headers["Date"] != date


def test_it_ends_at_once_when_another_thread_says_so() -> None:
    with running() as (server, thread, _):
        while not server.ticks:
            time.sleep(0.01)
        began = time.monotonic()
        server.should_exit = True
        thread.join(30)
        assert not thread.is_alive()
        assert time.monotonic() - began < TICK_SECONDS / 2 + BUSY_S
        # Told once more after its loop is gone, as whoever cleans up does.
        server.should_exit = True
        assert server.should_exit
