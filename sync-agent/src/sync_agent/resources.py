"""The hub's records as a client sees them: one small class for each route family."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from sync_agent.channel import API, Channel, segment
from sync_agent.wire import Query

if TYPE_CHECKING:
    from pydantic import JsonValue

    from sync_agent import documents as doc

CREATED = 201
PAGE = 200
MESSAGE_PAGE = 1_000

Body = Mapping[str, "JsonValue"]


class Resource:
    """Shared by all: the channel, and walking through pages."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    def _call(
        self,
        method: str,
        path: str,
        body: Body | None = None,
        *,
        query: Query | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        content = None if body is None else dict(body)
        answer = self._channel.call(method, API + path, query=query, body=content, headers=headers)
        return answer.body

    def _post(self, path: str, body: Body) -> tuple[Any, int]:
        answer = self._channel.call("POST", API + path, body=dict(body))
        return answer.body, answer.status

    def _pages(self, path: str, query: Query, limit: int | None) -> Iterator[Any]:
        """Yields the items of a list, at most ``limit`` of them (None for all)."""
        left = limit
        cursor: str | None = None
        while left is None or left > 0:
            size = PAGE if left is None else min(left, PAGE)
            page = self._call("GET", path, query={**query, "limit": size, "cursor": cursor})
            items = page["items"]
            yield from items if left is None else items[:left]
            left = None if left is None else left - len(items)
            cursor = page["next_cursor"]
            if cursor is None or not items:
                return

    def _patch(self, path: str, changes: Body, *, if_match: str | None, base: str | None) -> Any:
        """Changes a record. With ``if_match`` a lost answer is not asked for again by itself:
        the second try would find the change it made itself and call it somebody else's."""
        headers = {"If-Match": f'"{if_match}"'} if if_match else {}
        answer = self._channel.call(
            "PATCH",
            API + path,
            query={"base": base},
            body=dict(changes),
            headers=headers,
            repeatable=if_match is None,
        )
        return answer.body

    def _delete(self, path: str, *, erase: bool = False) -> None:
        """Deletes a record. A lost answer is not asked for again by itself: the second try
        would find the record gone and call that an error."""
        query = {"erase": erase or None}
        self._channel.call("DELETE", API + path, query=query, repeatable=False)


class Projects(Resource):
    """Repositories and submodules."""

    def ensure(self, body: Body) -> doc.Project:
        """Makes a project, or finds the one that has its slug or one of its remotes."""
        return cast("doc.Project", self._call("POST", "/projects", body))

    def list(
        self, *, slug: str | None = None, remote: str | None = None, limit: int | None = None
    ) -> Iterator[doc.Project]:
        """Yields projects, newest first."""
        return self._pages("/projects", {"slug": slug, "remote": remote}, limit)

    def get(self, project: str) -> doc.Project:
        """Returns a project by its id."""
        return cast("doc.Project", self._call("GET", f"/projects/{segment(project)}"))

    def update(
        self, project: str, changes: Body, *, if_match: str | None = None, base: str | None = None
    ) -> doc.Project:
        """Changes the slug, the parent or the remotes."""
        path = f"/projects/{segment(project)}"
        return cast("doc.Project", self._patch(path, changes, if_match=if_match, base=base))

    def events(self, project: str, *, after: int = 0, limit: int = 100) -> doc.EventPage:
        """Returns a part of a project's log."""
        path = f"/projects/{segment(project)}/events"
        return cast(
            "doc.EventPage", self._call("GET", path, query={"after": after, "limit": limit})
        )


class Sessions(Resource):
    """Conversations and their messages."""

    def create(self, body: Body) -> doc.SavedSession:
        """Saves a session; one that is there already gets the messages it lacks."""
        return cast("doc.SavedSession", self._call("POST", "/sessions", body))

    def store(self, body: Body) -> tuple[doc.SavedSession, bool]:
        """Saves a session as `create` does, and says whether it is new."""
        document, status = self._post("/sessions", body)
        return cast("doc.SavedSession", document), status == CREATED

    def list(self, *, limit: int | None = None, **filters: str | None) -> Iterator[doc.Session]:
        """Yields sessions, newest first, by project, status, tag, agent, since, until."""
        return self._pages("/sessions", filters, limit)

    def get(self, session: str, *, as_of: int | None = None) -> doc.Session:
        """Returns a session, as it is or as it was at a position of its project's log."""
        path = f"/sessions/{segment(session)}"
        return cast("doc.Session", self._call("GET", path, query={"as_of": as_of}))

    def update(
        self, session: str, changes: Body, *, if_match: str | None = None, base: str | None = None
    ) -> doc.Session:
        """Changes the fields that are named."""
        path = f"/sessions/{segment(session)}"
        return cast("doc.Session", self._patch(path, changes, if_match=if_match, base=base))

    def delete(self, session: str, *, erase: bool = False) -> None:
        """Hides a session for good, or removes what it held everywhere."""
        self._delete(f"/sessions/{segment(session)}", erase=erase)

    def append(self, session: str, messages: Sequence[Body]) -> doc.Appended:
        """Appends messages; one whose id is there already is left alone."""
        path = f"/sessions/{segment(session)}/messages"
        body: Body = {"messages": [dict(message) for message in messages]}
        return cast("doc.Appended", self._call("POST", path, body))

    def messages(
        self, session: str, *, after: int = -1, limit: int | None = None
    ) -> Iterator[doc.Message]:
        """Yields a session's messages in order, those after a position."""
        path = f"/sessions/{segment(session)}/messages"
        left = limit
        position: int | None = after
        while position is not None and (left is None or left > 0):
            size = MESSAGE_PAGE if left is None else min(left, MESSAGE_PAGE)
            page = cast(
                "doc.MessagePage",
                self._call("GET", path, query={"after": position, "limit": size}),
            )
            yield from page["items"]
            left = None if left is None else left - len(page["items"])
            position = page["next_after"] if page["items"] else None

    def message(self, message: str) -> doc.Message:
        """Returns one message by its id."""
        return cast("doc.Message", self._call("GET", f"/messages/{segment(message)}"))

    def delete_message(self, message: str, *, erase: bool = False) -> None:
        """Hides a message for good, or removes what it held everywhere."""
        self._delete(f"/messages/{segment(message)}", erase=erase)


class Checkpoints(Resource):
    """Saved states of work."""

    def create(self, body: Body) -> doc.Checkpoint:
        """Saves a checkpoint."""
        return cast("doc.Checkpoint", self._call("POST", "/checkpoints", body))

    def store(self, body: Body) -> tuple[doc.Checkpoint, bool]:
        """Saves a checkpoint as `create` does, and says whether it is new."""
        document, status = self._post("/checkpoints", body)
        return cast("doc.Checkpoint", document), status == CREATED

    def list(self, *, limit: int | None = None, **filters: str | None) -> Iterator[doc.Checkpoint]:
        """Yields checkpoints, newest first, by project, session_id, since, until."""
        return self._pages("/checkpoints", filters, limit)

    def get(self, checkpoint: str) -> doc.Checkpoint:
        """Returns a checkpoint by its id."""
        return cast("doc.Checkpoint", self._call("GET", f"/checkpoints/{segment(checkpoint)}"))

    def delete(self, checkpoint: str, *, erase: bool = False) -> None:
        """Hides a checkpoint for good, or removes what it held everywhere."""
        self._delete(f"/checkpoints/{segment(checkpoint)}", erase=erase)


class Patterns(Resource):
    """Reusable lessons."""

    def create(self, body: Body) -> doc.Pattern:
        """Saves a pattern."""
        return cast("doc.Pattern", self._call("POST", "/patterns", body))

    def list(
        self, *, limit: int | None = None, **filters: str | bool | None
    ) -> Iterator[doc.Pattern]:
        """Yields patterns, newest first, by project, type, tag, category, deprecated, q."""
        return self._pages("/patterns", filters, limit)

    def get(self, pattern: str) -> doc.Pattern:
        """Returns a pattern by its id."""
        return cast("doc.Pattern", self._call("GET", f"/patterns/{segment(pattern)}"))

    def update(
        self, pattern: str, changes: Body, *, if_match: str | None = None, base: str | None = None
    ) -> doc.Pattern:
        """Changes the fields that are named."""
        path = f"/patterns/{segment(pattern)}"
        return cast("doc.Pattern", self._patch(path, changes, if_match=if_match, base=base))

    def delete(self, pattern: str, *, erase: bool = False) -> None:
        """Hides a pattern for good, or removes what it held everywhere."""
        self._delete(f"/patterns/{segment(pattern)}", erase=erase)

    def outcome(self, pattern: str, *, success: bool) -> doc.Pattern:
        """Says whether a pattern worked when it was used."""
        path = f"/patterns/{segment(pattern)}/outcomes"
        return cast("doc.Pattern", self._call("POST", path, {"success": success}))


class Keys(Resource):
    """API keys."""

    def create(self, body: Body) -> doc.Key:
        """Makes a key; the answer holds it, and nothing holds it afterwards."""
        return cast("doc.Key", self._call("POST", "/keys", body))

    def list(self) -> list[doc.Key]:
        """Returns all keys, without the secrets."""
        return cast("list[doc.Key]", self._call("GET", "/keys")["items"])

    def rotate(self, key: str, body: Body) -> doc.RotatedKey:
        """Replaces a key; the answer holds the new one, and nothing holds it afterwards.

        A lost answer is not asked for again by itself: that would make another one.
        """
        answer = self._channel.call(
            "POST", f"{API}/keys/{segment(key)}/rotate", body=dict(body), repeatable=False
        )
        return cast("doc.RotatedKey", answer.body)

    def revoke(self, key: str) -> None:
        """Ends a key at once."""
        self._delete(f"/keys/{segment(key)}")


class Tenants(Resource):
    """Teams behind one hub; only for the hub's own key."""

    def create(self, body: Body) -> doc.NewTenant:
        """Makes a tenant; the answer holds its first admin key, and nothing does afterwards."""
        answer = self._channel.call("POST", f"{API}/tenants", body=dict(body), repeatable=False)
        return cast("doc.NewTenant", answer.body)

    def list(self) -> list[doc.Tenant]:
        """Returns all tenants."""
        return cast("list[doc.Tenant]", self._call("GET", "/tenants")["items"])


class Audit(Resource):
    """The audit log; ``tenant`` names another one than the key's, for the hub's own key."""

    def list(
        self, *, act: str | None = None, tenant: str | None = None, limit: int | None = None
    ) -> Iterator[doc.AuditEntry]:
        """Yields entries, newest first."""
        return self._pages("/audit", {"act": act, "tenant": tenant}, limit)

    def verify(self, *, anchor: str | None = None, tenant: str | None = None) -> doc.AuditVerified:
        """Follows the chain to its end, and compares it with a head that was kept."""
        query = {"anchor": anchor, "tenant": tenant}
        return cast("doc.AuditVerified", self._call("POST", "/audit/verify", {}, query=query))
