"""A replica behind the interface of the hub's client."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Self, cast

from memory_core.errors import ProjectNotFound
from sync_agent.errors import NotHeld
from sync_agent.local.projects import Projects
from sync_agent.local.recalling import Recalling
from sync_agent.places import index_of
from sync_agent.replica import Replica

if TYPE_CHECKING:
    from pydantic import JsonValue

    from memory_core.embedding.port import Embedder
    from sync_agent import documents as doc
    from sync_agent.local.records import Checkpoints, Patterns, Sessions
    from sync_agent.replica import ProjectRow


class LocalClient:
    """All that can be asked of a replica. Not for use by several threads at once.

    It gives what `sync_agent.client.HubClient` gives, with the same errors; work that the hub
    has not answered yet carries ``pending``. What only the hub holds raises `NotHeld`.
    """

    def __init__(self, replica: Replica, *, embedder: Callable[[], Embedder | None]) -> None:
        """Serves an open replica, which it closes; ``embedder`` is called when one is needed."""
        self.replica = replica
        self._recalling = Recalling(replica, index_of(replica.path), embedder, self._resolve)
        self.projects = Projects(replica, self._resolve, self._recalling.indexed)

    # A search need not load the rules of all records and of what is secret.

    @cached_property
    def sessions(self) -> Sessions:
        """Conversations and their messages."""
        from sync_agent.local.records import Sessions  # noqa: PLC0415

        return Sessions(self.replica, self._resolve, self._recalling.forget)

    @cached_property
    def checkpoints(self) -> Checkpoints:
        """Saved states of work."""
        from sync_agent.local.records import Checkpoints  # noqa: PLC0415

        return Checkpoints(self.replica, self._resolve, self._recalling.forget)

    @cached_property
    def patterns(self) -> Patterns:
        """Reusable lessons."""
        from sync_agent.local.records import Patterns  # noqa: PLC0415

        return Patterns(self.replica, self._resolve, self._recalling.forget)

    @classmethod
    def open(cls, path: Path, *, embedder: Callable[[], Embedder | None] | None = None) -> Self:
        """Opens the replica at ``path``; questions are embedded by the installed model, if any.

        Raises:
            ReplicaNotOwn: others could have written it.
            ReplicaMissing, ReplicaTooNew, ReplicaReadOnly, Corrupt, Busy: it cannot be used.
        """
        if embedder is None:
            from sync_agent.local.models import installed_embedder  # noqa: PLC0415

            embedder = installed_embedder
        return cls(Replica.open(path), embedder=embedder)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the replica and its index."""
        self._recalling.close()
        self.replica.close()

    @property
    def own(self) -> ProjectRow:
        """The project that the replica was made for."""
        return self.replica.projects()[0]

    def indexed(self, projects: Sequence[ProjectRow]) -> tuple[int, int]:
        """Returns how far projects are indexed, and how far they could be, in changes."""
        return self._recalling.indexed(projects)

    def waiting(self, project_id: str) -> int:
        """Returns how many texts of a project wait for their vectors."""
        return self._recalling.waiting(project_id)

    def search(self, query: str, **options: JsonValue) -> doc.SearchAnswer:
        """Searches; options are those of ``POST /search`` (projects, kinds, tags, limit …)."""
        started = time.perf_counter()
        if options.get("as_of") is not None:
            raise NotHeld("what was remembered at an earlier position only the hub can say")
        answer = self._recalling.search({"query": query, **_given(options)})
        answer["took_ms"] = round(1e3 * (time.perf_counter() - started), 2)
        return cast("doc.SearchAnswer", answer)

    def context(self, project: str, **options: JsonValue) -> doc.ContextPack:
        """Packs what is worth knowing into a budget; options are those of ``POST /context``."""
        pack = self._recalling.context({"project": project, **_given(options)})
        return cast("doc.ContextPack", pack)

    def tags(self, *, project: str | None = None) -> list[doc.Tag]:
        """Returns the tags in use with their counts."""
        return cast("list[doc.Tag]", self.replica.tags(project_id=self._one(project)))

    def conflicts(self, *, project: str | None = None) -> list[Mapping[str, JsonValue]]:
        """Returns the fields whose pushed value is kept beside the hub's."""
        found = self.replica.conflicts(project_id=self._one(project))
        return cast("list[Mapping[str, JsonValue]]", found)

    def conflict(self, conflict: str) -> Mapping[str, JsonValue]:
        """Returns one conflict, also one that is resolved."""
        from sync_agent.local import conflicts  # noqa: PLC0415

        return conflicts.conflict(self.replica, conflict)

    def resolve_conflict(
        self, conflict: str, resolution: str, value: JsonValue = None
    ) -> Mapping[str, JsonValue]:
        """Closes a conflict: ``kept``, ``pushed``, or ``edited`` with a value."""
        from sync_agent.local import conflicts  # noqa: PLC0415

        return conflicts.resolve(self.replica, conflict, resolution, value)

    def _one(self, project: str | None) -> str | None:
        return None if project is None else self._resolve([project])[0].id

    def _resolve(self, names: Sequence[str]) -> list[ProjectRow]:
        """Returns the projects with these ids or slugs, all without names.

        Raises:
            ProjectNotFound: one is not held here.
        """
        held = self.replica.projects()
        if not names:
            return held
        found = []
        for name in dict.fromkeys(names):
            named = [row for row in held if name.lower() == row.id or name == row.slug]
            if not named:
                raise ProjectNotFound(f"the replica does not hold the project {name!r}")
            found.append(named[0])
        return found


def _given(options: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    return {name: value for name, value in options.items() if value is not None}
