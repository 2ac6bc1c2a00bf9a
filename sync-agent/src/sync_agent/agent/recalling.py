"""Answers questions from replicas while the agent runs: what was loaded once stays loaded.

What nobody has used for ten minutes is let go, so that an agent that is asked nothing stays
small.
"""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, cast

from memory_core.errors import InvalidInput
from sync_agent.agent.footprint import release_memory

if TYPE_CHECKING:
    from pydantic import JsonValue

    from memory_core.embedding.port import Embedder
    from memory_core.records import Document
    from sync_agent.local.client import LocalClient

IDLE_SECONDS = 600.0


class Recaller:
    """Open replicas and one model for all of them, used by one question at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._clients: dict[Path, LocalClient] = {}
        self._embedder: Embedder | None = None
        self._used_at = 0.0

    def answer(self, path: Path, request: Document) -> Document:
        """Returns the answer to a ``search`` or ``context`` request about a replica.

        ``options`` are those of `LocalClient.search` and `LocalClient.context`; a pack without
        ``project`` is of the replica's own.

        Raises:
            InvalidInput: the request is not complete.
            ContextError: as the client raises.
        """
        options = request.get("options") or {}
        if not isinstance(options, dict):
            raise InvalidInput("options is an object")
        with self._lock:
            self._used_at = time.monotonic()
            try:
                return {"answer": _asked(self._client(path), request, options)}
            except Exception:
                # Its file may be damaged or gone: the next question opens it anew.
                self._drop(path)
                raise

    def rest(self) -> None:
        """Lets go of what was not used for ten minutes."""
        if self._clients and time.monotonic() - self._used_at > IDLE_SECONDS:
            self.close()
            release_memory()

    def close(self) -> None:
        """Lets go of everything."""
        with self._lock:
            for client in self._clients.values():
                client.close()
            self._clients.clear()
            self._embedder = None

    def _drop(self, path: Path) -> None:
        client = self._clients.pop(path, None)
        if client is not None:
            client.close()

    def _client(self, path: Path) -> LocalClient:
        client = self._clients.get(path)
        if client is None:
            from sync_agent.local.client import LocalClient  # noqa: PLC0415 - loads numpy

            client = LocalClient.open(path, embedder=self._model)
            self._clients[path] = client
        return client

    def _model(self) -> Embedder | None:
        if self._embedder is None:
            from sync_agent.local.models import installed_embedder  # noqa: PLC0415

            self._embedder = installed_embedder()
        return self._embedder


def _asked(client: LocalClient, request: Document, options: Document) -> JsonValue:
    if request.get("do") == "search":
        query = request.get("query")
        if not isinstance(query, str):
            raise InvalidInput("query is a text")
        return cast("JsonValue", client.search(query, **options))
    project = request.get("project") or client.own.id
    if not isinstance(project, str):
        raise InvalidInput("project is a slug or an id")
    return cast("JsonValue", client.context(project, **options))
