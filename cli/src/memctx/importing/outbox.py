"""Sends one session to a memory, in batches that repeat without harm."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from memctx.importing.report import Report, Tally
from memctx.importing.shape import Body, changes
from memory_core.errors import (
    AlreadyExists,
    ContextError,
    Deleted,
    InvalidInput,
    NotFound,
    PayloadTooLarge,
)

if TYPE_CHECKING:
    from pydantic import JsonValue

    from sync_agent.interface import MemoryClient

MAX_MESSAGES = 100
MAX_BYTES = 1_000_000


class Outbox:
    """Holds what is to be sent of one session, at most one batch of it.

    The session itself is sent with its first batch: a short one is complete in one request.
    What the hub refuses is reported and left out; the rest goes on.
    """

    def __init__(
        self,
        client: MemoryClient,
        session: Body,
        *,
        project: str,
        tally: Tally,
        report: Report,
    ) -> None:
        self._client = client
        self._session = session
        self._project = project
        self._tally = tally
        self._report = report
        self._stored: dict[str, JsonValue] | None = None
        self._messages: list[Body] = []
        self._size = 0
        self._checkpoints: list[Body] = []
        self._closed = False

    @property
    def identity(self) -> str:
        """The session's id."""
        return str(self._session["id"])

    @property
    def size(self) -> int:
        """Bytes of the messages that wait, about."""
        return self._size

    def message(self, body: Body) -> None:
        """Takes a message, and sends a batch when there is one."""
        size = len(json.dumps(body))
        if self._messages and self._size + size > MAX_BYTES:
            self.flush()
        self._messages.append(body)
        self._size += size
        if len(self._messages) >= MAX_MESSAGES:
            self.flush()

    def checkpoint(self, body: Body) -> None:
        """Takes a checkpoint, which follows the messages before it."""
        self._checkpoints.append(body)

    def finish(self, derived: Body) -> None:
        """Sends what is left, and what the rules derived if the hub has it otherwise."""
        if self._stored is None and (self._messages or self._checkpoints):
            metadata = cast("Body", self._session["metadata"])
            more = cast("Body", derived["metadata"])
            self._session |= {**derived, "metadata": {**metadata, **more}}
        self.flush()
        if self._closed or self._stored is None:
            return
        wanted = changes(self._stored, derived)
        if wanted:
            self._guarded("session", lambda: self._client.sessions.update(self.identity, wanted))

    def flush(self) -> None:
        """Sends what waits."""
        messages, self._messages, self._size = self._messages, [], 0
        checkpoints, self._checkpoints = self._checkpoints, []
        if self._closed or not (messages or checkpoints):
            return
        if self._stored is None:
            self._open(messages)
        elif messages:
            self._append(messages)
        for body in checkpoints:
            self._save(body)

    def _open(self, messages: list[Body]) -> None:
        body = {"project": self._project, **self._session}
        try:
            self._store(body, messages)
        except NotFound:
            if body.get("parent_session_id") is None:
                raise
            # The parent has not been imported: its subagent's session is kept on its own.
            self._session |= {"parent_session_id": None}
            self._store({**body, "parent_session_id": None}, messages)
        except (InvalidInput, PayloadTooLarge, AlreadyExists) as error:
            self._open_alone(body, messages, error)
        except Deleted:
            self._closed = True
            self._tally.deleted += 1

    def _open_alone(self, body: Body, messages: list[Body], error: ContextError) -> None:
        """Sends the session without its messages, then these so that the bad ones are found."""
        if not messages:
            self._give_up(error)
            return
        try:
            self._store(body, [])
        except (InvalidInput, PayloadTooLarge, AlreadyExists, NotFound) as problem:
            self._give_up(problem)
        else:
            self._append(messages)

    def _give_up(self, error: ContextError) -> None:
        self._closed = True
        self._report.problem("session", self.identity, error.detail)

    def _store(self, body: Body, messages: list[Body]) -> None:
        saved, new = self._client.sessions.store({**body, "messages": [*messages]})
        self._stored = cast("dict[str, JsonValue]", saved)
        self._tally.sessions += new
        self._tally.sessions_known += not new
        self._count(saved["added"], saved["duplicates"], len(saved["differing"]))

    def _append(self, messages: list[Body]) -> None:
        """Appends messages; a batch that is refused is halved until the bad ones are found."""
        if self._closed:
            return
        try:
            done = self._client.sessions.append(self.identity, messages)
        except (InvalidInput, PayloadTooLarge, AlreadyExists) as error:
            if len(messages) == 1:
                self._report.problem("message", str(messages[0]["id"]), error.detail)
                return
            middle = len(messages) // 2
            self._append(messages[:middle])
            self._append(messages[middle:])
        except Deleted:
            self._closed = True
            self._tally.deleted += 1
        else:
            self._count(done["added"], done["duplicates"], len(done["differing"]))

    def _save(self, body: Body) -> None:
        if self._closed:
            return

        def store() -> None:
            _, new = self._client.checkpoints.store({"project": self._project, **body})
            self._tally.checkpoints += new
            self._tally.checkpoints_known += not new

        self._guarded("checkpoint", store, str(body["id"]))

    def _guarded(self, what: str, send: Callable[[], object], identity: str = "") -> None:
        try:
            send()
        except Deleted:
            self._tally.deleted += 1
        except (InvalidInput, PayloadTooLarge, AlreadyExists) as error:
            self._report.problem(what, identity or self.identity, error.detail)

    def _count(self, added: int, known: int, differing: int) -> None:
        self._tally.messages += added
        self._tally.messages_known += known
        self._tally.differing += differing
