"""The projects of a replica, with the calls of the hub's client."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias, cast

from memory_core.errors import ProjectNotFound
from memory_core.ids import time_of
from memory_core.records import Document
from memory_core.remotes import normalise_remote
from sync_agent.errors import NotHeld
from sync_agent.replica import ProjectRow, Replica

if TYPE_CHECKING:
    from pydantic import JsonValue

    from sync_agent import documents as doc

Given: TypeAlias = Mapping[str, "JsonValue"]
Resolve: TypeAlias = Callable[[Sequence[str]], list[ProjectRow]]


class Projects:
    """The projects that the replica holds."""

    def __init__(
        self,
        replica: Replica,
        resolve: Resolve,
        indexed: Callable[[Sequence[ProjectRow]], tuple[int, int]],
    ) -> None:
        self._replica = replica
        self._resolve = resolve
        self._indexed = indexed

    def ensure(self, body: Given) -> doc.Project:
        """Returns the project held here that has the id, the slug or one of the remotes.

        Raises:
            ProjectNotFound: the replica holds none; a new one is made at the hub, or by
                `memctx init` in its own folder.
        """
        remotes = body.get("remotes")
        wanted = {str(remote) for remote in remotes} if isinstance(remotes, list) else set()
        for row in self._replica.projects():
            if body.get("id") == row.id or body.get("slug") == row.slug or wanted & {*row.remotes}:
                return self._shown(row)
        raise ProjectNotFound(f"the replica does not hold the project {body.get('slug')}")

    def list(
        self, *, slug: str | None = None, remote: str | None = None, limit: int | None = None
    ) -> Iterator[doc.Project]:
        """Yields the projects held here, the replica's own first."""
        if remote:
            remote = normalise_remote(remote) or normalise_remote(f"https://{remote}") or remote
        found = [
            row
            for row in self._replica.projects()
            if (slug is None or row.slug == slug) and (remote is None or remote in row.remotes)
        ]
        yield from map(self._shown, found if limit is None else found[:limit])

    def get(self, project: str) -> doc.Project:
        """Returns a project by its id or slug."""
        return self._shown(self._resolve([project])[0])

    def update(
        self, project: str, changes: Given, *, if_match: str | None = None, base: str | None = None
    ) -> doc.Project:
        """Is left to the hub.

        Raises:
            NotHeld: a project's name, parent and remotes are changed at the hub alone.
        """
        raise NotHeld("a project's name, parent and remotes are changed at the hub alone")

    def _shown(self, row: ProjectRow) -> doc.Project:
        indexed, head = self._indexed([row])
        shown: Document = row.document or {
            "owner": row.actor,
            "epoch": row.epoch or "",
            "version": 1,
            "last_op": None,
            "deleted": False,
            "erased": False,
        }
        return cast(
            "doc.Project",
            {
                **shown,
                "id": row.id,
                "slug": row.slug,
                "identity": row.identity,
                "remotes": [*row.remotes],
                "parent_id": row.parent,
                "head": head,
                "indexed_seq": indexed,
                "created_at": shown.get("created_at") or time_of(row.id),
                "updated_at": shown.get("updated_at") or time_of(row.id),
            },
        )
