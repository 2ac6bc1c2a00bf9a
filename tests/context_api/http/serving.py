"""A real hub behind a real socket, in a thread of the test process."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from context_api.main import HubServer, build_app, listen
from context_migration import runner
from tests.support.services import KEY, settings


@dataclass
class Hub:
    """A running hub, and a client with its first key."""

    url: str
    port: int
    client: httpx.Client
    app: Any

    def as_(self, key: str | None) -> httpx.Client:
        """Returns a client with another key, or with none."""
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        return httpx.Client(base_url=self.url, headers=headers, timeout=30)

    def make_key(self, *scopes: str, **more: Any) -> dict[str, Any]:
        """Makes a key and returns its document."""
        body = {"name": "test", "scopes": [*scopes], **more}
        answer = self.client.post("/api/v1/keys", json=body)
        assert answer.status_code == 201, answer.text
        made: dict[str, Any] = answer.json()
        return made

    def make_project(self, slug: str) -> str:
        """Makes a project and returns its id."""
        answer = self.client.post("/api/v1/projects", json={"slug": slug})
        assert answer.status_code in {200, 201}, answer.text
        return str(answer.json()["id"])


class _Thread(threading.Thread):
    def __init__(self, folder: Path, bound: socket.socket, given: dict[str, Any]) -> None:
        super().__init__(name="hub")
        chosen = settings(folder, **given)
        if not chosen.database_url:
            runner.upgrade(chosen.database)
        self.app = build_app(chosen)
        self.is_up = threading.Event()
        self.server = HubServer(self.app, self.is_up.set)
        self._bound = bound

    def run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        async with self.app.router.lifespan_context(self.app):
            await self.server.serve(sockets=[self._bound])


@contextmanager
def serving(folder: Path, **given: Any) -> Iterator[Hub]:
    """Runs a hub with its data in ``folder`` on a free port."""
    # As the hub itself does it: of a socket that does not say TCP, asyncio leaves Nagle's wait on.
    with closing(listen("127.0.0.1", 0)) as bound:
        thread = _Thread(folder, bound, given)
        port = bound.getsockname()[1]
        thread.start()
        try:
            assert thread.is_up.wait(30)
            url = f"http://127.0.0.1:{port}"
            headers = {"Authorization": f"Bearer {KEY}"}
            with httpx.Client(base_url=url, headers=headers, timeout=30) as client:
                yield Hub(url, port, client, thread.app)
        finally:
            thread.server.should_exit = True
            thread.join(30)
    assert not thread.is_alive()
