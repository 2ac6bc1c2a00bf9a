"""What the commands ask of a memory: a hub's client and a replica's answer alike.

Both give the same documents (`sync_agent.documents`) and the same errors
(`memory_core.errors`) to the same calls.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import builtins

    from pydantic import JsonValue

    from sync_agent import documents as doc

    Body = Mapping[str, JsonValue]


class ProjectCalls(Protocol):
    """Repositories and submodules."""

    def ensure(self, body: Body) -> doc.Project:
        """Makes a project, or finds the one that has its slug or one of its remotes."""
        ...

    def list(
        self, *, slug: str | None = None, remote: str | None = None, limit: int | None = None
    ) -> Iterator[doc.Project]:
        """Yields projects, newest first."""
        ...

    def get(self, project: str) -> doc.Project:
        """Returns a project by its id."""
        ...

    def update(
        self, project: str, changes: Body, *, if_match: str | None = None, base: str | None = None
    ) -> doc.Project:
        """Changes the slug, the parent or the remotes."""
        ...


class SessionCalls(Protocol):
    """Conversations and their messages."""

    def create(self, body: Body) -> doc.SavedSession:
        """Saves a session; one that is there already gets the messages it lacks."""
        ...

    def store(self, body: Body) -> tuple[doc.SavedSession, bool]:
        """Saves a session as `create` does, and says whether it is new."""
        ...

    def list(self, *, limit: int | None = None, **filters: str | None) -> Iterator[doc.Session]:
        """Yields sessions, newest first, by project, status, tag, agent, since, until."""
        ...

    def get(self, session: str, *, as_of: int | None = None) -> doc.Session:
        """Returns a session, as it is or as it was at a position of its project's log."""
        ...

    def update(
        self, session: str, changes: Body, *, if_match: str | None = None, base: str | None = None
    ) -> doc.Session:
        """Changes the fields that are named."""
        ...

    def delete(self, session: str, *, erase: bool = False) -> None:
        """Hides a session for good, or removes what it held everywhere."""
        ...

    def append(self, session: str, messages: Sequence[Body]) -> doc.Appended:
        """Appends messages; one whose id is there already is left alone."""
        ...

    def messages(
        self, session: str, *, after: int = -1, limit: int | None = None
    ) -> Iterator[doc.Message]:
        """Yields a session's messages in order, those after a position."""
        ...

    def message(self, message: str) -> doc.Message:
        """Returns one message by its id."""
        ...

    def delete_message(self, message: str, *, erase: bool = False) -> None:
        """Hides a message for good, or removes what it held everywhere."""
        ...


class CheckpointCalls(Protocol):
    """Saved states of work."""

    def create(self, body: Body) -> doc.Checkpoint:
        """Saves a checkpoint."""
        ...

    def store(self, body: Body) -> tuple[doc.Checkpoint, bool]:
        """Saves a checkpoint as `create` does, and says whether it is new."""
        ...

    def list(self, *, limit: int | None = None, **filters: str | None) -> Iterator[doc.Checkpoint]:
        """Yields checkpoints, newest first, by project, session_id, since, until."""
        ...

    def get(self, checkpoint: str) -> doc.Checkpoint:
        """Returns a checkpoint by its id."""
        ...

    def delete(self, checkpoint: str, *, erase: bool = False) -> None:
        """Hides a checkpoint for good, or removes what it held everywhere."""
        ...


class PatternCalls(Protocol):
    """Reusable lessons."""

    def create(self, body: Body) -> doc.Pattern:
        """Saves a pattern."""
        ...

    def list(
        self, *, limit: int | None = None, **filters: str | bool | None
    ) -> Iterator[doc.Pattern]:
        """Yields patterns, newest first, by project, type, tag, category, deprecated, q."""
        ...

    def get(self, pattern: str) -> doc.Pattern:
        """Returns a pattern by its id."""
        ...

    def update(
        self, pattern: str, changes: Body, *, if_match: str | None = None, base: str | None = None
    ) -> doc.Pattern:
        """Changes the fields that are named."""
        ...

    def delete(self, pattern: str, *, erase: bool = False) -> None:
        """Hides a pattern for good, or removes what it held everywhere."""
        ...

    def outcome(self, pattern: str, *, success: bool) -> doc.Pattern:
        """Says whether a pattern worked when it was used."""
        ...


class MemoryClient(Protocol):
    """A memory that can be asked and written: a hub, or a replica.

    Every method raises `memory_core.errors.ContextError`.
    """

    @property
    def projects(self) -> ProjectCalls:
        """Repositories and submodules."""
        ...

    @property
    def sessions(self) -> SessionCalls:
        """Conversations and their messages."""
        ...

    @property
    def checkpoints(self) -> CheckpointCalls:
        """Saved states of work."""
        ...

    @property
    def patterns(self) -> PatternCalls:
        """Reusable lessons."""
        ...

    def search(self, query: str, **options: JsonValue) -> doc.SearchAnswer:
        """Searches; options are those of ``POST /search`` (projects, kinds, tags, limit …)."""
        ...

    def context(self, project: str, **options: JsonValue) -> doc.ContextPack:
        """Packs what is worth knowing into a budget; options are those of ``POST /context``."""
        ...

    def tags(self, *, project: str | None = None) -> builtins.list[doc.Tag]:
        """Returns the tags in use with their counts."""
        ...

    def conflicts(self, *, project: str | None = None) -> builtins.list[Mapping[str, JsonValue]]:
        """Returns the fields whose pushed value is kept beside the hub's."""
        ...

    def conflict(self, conflict: str) -> Mapping[str, JsonValue]:
        """Returns one conflict, also one that is resolved."""
        ...

    def resolve_conflict(
        self, conflict: str, resolution: str, value: JsonValue = None
    ) -> Mapping[str, JsonValue]:
        """Closes a conflict: ``kept``, ``pushed``, or ``edited`` with a value."""
        ...

    def close(self) -> None:
        """Gives up what it holds open."""
        ...
