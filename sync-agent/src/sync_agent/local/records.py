"""The records of a replica by kind, with the calls of the hub's client."""

from __future__ import annotations

import builtins
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, cast

from memory_core.errors import InvalidInput
from memory_core.fields import Input
from memory_core.ids import parse_uuid
from memory_core.operations import (
    AppendMessages,
    Body,
    CreateCheckpoint,
    CreatePattern,
    CreateSession,
    Delete,
    Erase,
    RecordOutcome,
    UpdatePattern,
    UpdateSession,
)
from memory_core.records import Document, Kind
from memory_core.requests import CheckpointFilter, PatternFilter, SessionFilter
from sync_agent.errors import NotHeld
from sync_agent.local import writing
from sync_agent.local.checked import checked
from sync_agent.local.writing import Done
from sync_agent.replica import Listing, ProjectRow, Replica

if TYPE_CHECKING:
    from pydantic import JsonValue

    from sync_agent import documents as doc

PAGE = 200
MESSAGE_PAGE = 1_000

Given: TypeAlias = Mapping[str, "JsonValue"]
Resolve: TypeAlias = Callable[[Sequence[str]], list[ProjectRow]]
Create = TypeVar("Create", CreateSession, CreateCheckpoint, CreatePattern)


class _Records:
    """Shared by all kinds."""

    kind: Kind

    def __init__(self, replica: Replica, resolve: Resolve, forget: Callable[[str], None]) -> None:
        self._replica = replica
        self._resolve = resolve
        self._forget = forget

    def _create(self, model: type[Create], body: Given) -> Done:
        given = dict(body)
        project = given.pop("project", None)
        if not isinstance(project, str) or not project:
            raise InvalidInput("body.project: name a project by its id or slug")
        record = checked(model, given)
        project_id = self._resolve([project])[0].id
        return self._whole(writing.create(self._replica, project_id, self.kind, record, record.id))

    def _change(
        self,
        record_id: str,
        body: Body,
        *,
        if_match: str | None = None,
        base: str | None = None,
        kind: Kind | None = None,
    ) -> Done:
        identity = parse_uuid(record_id)
        done = writing.change(
            self._replica, kind or self.kind, identity, body, if_match=if_match, base=base
        )
        return self._whole(done)

    def _whole(self, done: Done) -> Done:
        """Returns what was done with the record as it is shown now."""
        if done.document is None:
            return done
        shown = self._replica.get(self.kind, str(done.document["id"]))
        return Done(**{**{f: getattr(done, f) for f in done.__slots__}, "document": shown})

    def _get(self, kind: Kind, record_id: str) -> Document:
        return self._replica.get(kind, parse_uuid(record_id))

    def _remove(self, kind: Kind, record_id: str, *, erase: bool) -> None:
        project_id = str(self._get(kind, record_id)["project_id"])
        self._change(record_id, Erase() if erase else Delete(), kind=kind)
        if erase:
            self._forget(project_id)

    def _pages(
        self, read: Callable[..., Listing], chosen: Input, limit: int | None
    ) -> Iterator[Any]:
        """Yields the items of a list, at most ``limit`` of them (None for all)."""
        filters = chosen.model_dump(mode="json", exclude_none=True)
        project = filters.pop("project", None)
        if project is not None:
            filters["project_id"] = self._resolve([project])[0].id
        left, cursor = limit, None
        while left is None or left > 0:
            size = PAGE if left is None else min(left, PAGE)
            page = read(**filters, limit=size, cursor=cursor)
            yield from page.items
            left = None if left is None else left - len(page.items)
            cursor = page.next_cursor
            if cursor is None:
                return


def _answer(done: Done, **more: JsonValue) -> Document:
    if not done.stored:
        return {"stored": False, "redactions": {**done.redactions}}
    return {**(done.document or {}), **more}


def _counts(done: Done) -> dict[str, JsonValue]:
    return {
        "added": done.added,
        "duplicates": done.duplicates,
        "differing": [*done.differing],
        "redactions": {**done.redactions},
    }


class Sessions(_Records):
    """Conversations and their messages."""

    kind = Kind.SESSION

    def create(self, body: Given) -> doc.SavedSession:
        """Saves a session; one that is there already gets the messages it lacks."""
        return self.store(body)[0]

    def store(self, body: Given) -> tuple[doc.SavedSession, bool]:
        """Saves a session as `create` does, and says whether it is new."""
        done = self._create(CreateSession, body)
        return cast("doc.SavedSession", _answer(done, **_counts(done))), done.created

    def list(self, *, limit: int | None = None, **filters: str | None) -> Iterator[doc.Session]:
        """Yields sessions, newest first, by project, status, tag, agent, since, until."""
        chosen = checked(SessionFilter, _given(filters))
        return self._pages(self._replica.sessions, chosen, limit)

    def get(self, session: str, *, as_of: int | None = None) -> doc.Session:
        """Returns a session.

        Raises:
            NotHeld: as it was at an earlier position only the hub can say.
        """
        if as_of is not None:
            raise NotHeld("what was remembered at an earlier position only the hub can say")
        return cast("doc.Session", self._get(Kind.SESSION, session))

    def update(
        self, session: str, changes: Given, *, if_match: str | None = None, base: str | None = None
    ) -> doc.Session:
        """Changes the fields that are named."""
        body = checked(UpdateSession, changes)
        done = self._change(session, body, if_match=if_match, base=base)
        return cast("doc.Session", _answer(done, conflicts=[*done.conflicts]))

    def delete(self, session: str, *, erase: bool = False) -> None:
        """Hides a session for good, or removes what it held everywhere."""
        self._remove(Kind.SESSION, session, erase=erase)

    def append(self, session: str, messages: Sequence[Given]) -> doc.Appended:
        """Appends messages; one whose id is there already is left alone."""
        body = checked(AppendMessages, {"messages": [dict(message) for message in messages]})
        done = self._change(session, body)
        project_id = str((done.document or self._get(Kind.SESSION, session))["project_id"])
        head = self._replica.project(project_id).change_no
        return cast("doc.Appended", {"session_id": session, **_counts(done), "head": head})

    def messages(
        self, session: str, *, after: int = -1, limit: int | None = None
    ) -> Iterator[doc.Message]:
        """Yields a session's messages in order, those after a position."""
        left, session = limit, parse_uuid(session)
        while left is None or left > 0:
            size = MESSAGE_PAGE if left is None else min(left, MESSAGE_PAGE)
            page = self._replica.messages(session, after=after, limit=size)
            yield from cast("builtins.list[doc.Message]", page)
            if len(page) < size:
                return
            left = None if left is None else left - len(page)
            after = int(str(page[-1]["position"]))

    def message(self, message: str) -> doc.Message:
        """Returns one message by its id."""
        return cast("doc.Message", self._get(Kind.MESSAGE, message))

    def delete_message(self, message: str, *, erase: bool = False) -> None:
        """Hides a message for good, or removes what it held everywhere."""
        self._remove(Kind.MESSAGE, message, erase=erase)


class Checkpoints(_Records):
    """Saved states of work."""

    kind = Kind.CHECKPOINT

    def create(self, body: Given) -> doc.Checkpoint:
        """Saves a checkpoint."""
        return self.store(body)[0]

    def store(self, body: Given) -> tuple[doc.Checkpoint, bool]:
        """Saves a checkpoint as `create` does, and says whether it is new."""
        done = self._create(CreateCheckpoint, body)
        return cast("doc.Checkpoint", _answer(done)), done.created

    def list(self, *, limit: int | None = None, **filters: str | None) -> Iterator[doc.Checkpoint]:
        """Yields checkpoints, newest first, by project, session_id, since, until."""
        chosen = checked(CheckpointFilter, _given(filters))
        return self._pages(self._replica.checkpoints, chosen, limit)

    def get(self, checkpoint: str) -> doc.Checkpoint:
        """Returns a checkpoint by its id."""
        return cast("doc.Checkpoint", self._get(Kind.CHECKPOINT, checkpoint))

    def delete(self, checkpoint: str, *, erase: bool = False) -> None:
        """Hides a checkpoint for good, or removes what it held everywhere."""
        self._remove(Kind.CHECKPOINT, checkpoint, erase=erase)


class Patterns(_Records):
    """Reusable lessons."""

    kind = Kind.PATTERN

    def create(self, body: Given) -> doc.Pattern:
        """Saves a pattern."""
        return cast("doc.Pattern", _answer(self._create(CreatePattern, body)))

    def list(
        self, *, limit: int | None = None, **filters: str | bool | None
    ) -> Iterator[doc.Pattern]:
        """Yields patterns, newest first, by project, type, tag, category, deprecated, q."""
        chosen = checked(PatternFilter, _given(filters))
        return self._pages(self._replica.patterns, chosen, limit)

    def get(self, pattern: str) -> doc.Pattern:
        """Returns a pattern by its id."""
        return cast("doc.Pattern", self._get(Kind.PATTERN, pattern))

    def update(
        self, pattern: str, changes: Given, *, if_match: str | None = None, base: str | None = None
    ) -> doc.Pattern:
        """Changes the fields that are named."""
        body = checked(UpdatePattern, changes)
        done = self._change(pattern, body, if_match=if_match, base=base)
        return cast("doc.Pattern", _answer(done, conflicts=[*done.conflicts]))

    def delete(self, pattern: str, *, erase: bool = False) -> None:
        """Hides a pattern for good, or removes what it held everywhere."""
        self._remove(Kind.PATTERN, pattern, erase=erase)

    def outcome(self, pattern: str, *, success: bool) -> doc.Pattern:
        """Says whether a pattern worked when it was used."""
        return cast("doc.Pattern", _answer(self._change(pattern, RecordOutcome(success=success))))


def _given(filters: Mapping[str, str | bool | None]) -> dict[str, JsonValue]:
    return {name: value for name, value in filters.items() if value is not None}
