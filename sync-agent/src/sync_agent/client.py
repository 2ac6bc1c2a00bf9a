"""The typed client of the hub's REST API."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Self, cast

from sync_agent import resources
from sync_agent.channel import API, MAX_ANSWER_BYTES, Channel, Retry, segment
from sync_agent.config import ClientConfig
from sync_agent.errors import BrokenAnswer, NotAHub

if TYPE_CHECKING:
    from pydantic import JsonValue

    from sync_agent import documents as doc

MAINTENANCE_SECONDS = 3600.0
PING_SECONDS = 15.0
_NDJSON = "application/x-ndjson"


class HubClient:
    """All that can be asked of a hub. Not for use by several threads at once.

    Every method raises `memory_core.errors.ContextError`: what the hub answered, by its code,
    or `HubUnreachable`, `NotAHub` and `BrokenAnswer` of this package.
    """

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self.url = channel.url
        self.projects = resources.Projects(channel)
        self.sessions = resources.Sessions(channel)
        self.checkpoints = resources.Checkpoints(channel)
        self.patterns = resources.Patterns(channel)
        self.keys = resources.Keys(channel)
        self.tenants = resources.Tenants(channel)
        self.audit = resources.Audit(channel)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connection."""
        self._channel.close()

    def search(self, query: str, **options: JsonValue) -> doc.SearchAnswer:
        """Searches; options are those of ``POST /search`` (projects, kinds, tags, limit …)."""
        body = {"query": query, **_given(options)}
        return cast("doc.SearchAnswer", self._post("/search", body))

    def context(self, project: str, **options: JsonValue) -> doc.ContextPack:
        """Packs what is worth knowing into a budget; options are those of ``POST /context``."""
        body = {"project": project, **_given(options)}
        return cast("doc.ContextPack", self._post("/context", body))

    def tags(self, *, project: str | None = None) -> list[doc.Tag]:
        """Returns the tags in use with their counts."""
        return cast("list[doc.Tag]", self._get("/tags", {"project": project})["items"])

    def conflicts(self, *, project: str | None = None) -> list[Mapping[str, JsonValue]]:
        """Returns the fields whose pushed value is kept beside the hub's."""
        items = self._get("/conflicts", {"project": project})["items"]
        return cast("list[Mapping[str, JsonValue]]", items)

    def conflict(self, conflict: str) -> Mapping[str, JsonValue]:
        """Returns one conflict, also one that is resolved."""
        return cast("Mapping[str, JsonValue]", self._get(f"/conflicts/{segment(conflict)}"))

    def resolve_conflict(
        self, conflict: str, resolution: str, value: JsonValue = None
    ) -> Mapping[str, JsonValue]:
        """Closes a conflict: ``kept``, ``pushed``, or ``edited`` with a value."""
        body: dict[str, JsonValue] = {"resolution": resolution}
        if resolution == "edited":
            body["value"] = value
        return cast(
            "Mapping[str, JsonValue]",
            self._post(f"/conflicts/{segment(conflict)}/resolve", body),
        )

    def status(self) -> doc.Status:
        """Returns how the hub is doing."""
        return cast("doc.Status", self._get("/status"))

    def ready(self, *, seconds: float = 10.0) -> Mapping[str, JsonValue]:
        """Returns the hub's readiness, told within ``seconds``; needs no key.

        Raises:
            HubUnreachable: it does not answer, or is not ready yet.
        """
        body = self._channel.call("GET", "/health/ready", seconds=seconds).body
        return body if isinstance(body, dict) else {}

    def health(self, *, seconds: float = 10.0) -> Mapping[str, JsonValue]:
        """Returns what the hub says of its health, also when it cannot work; needs no key.

        Raises:
            HubUnreachable: it does not answer.
            NotAHub: something else answers.
        """
        answer = self._channel.look("/health/ready", seconds=seconds)
        if not isinstance(answer.body, dict) or "status" not in answer.body:
            raise NotAHub(f"{self.url} answers {answer.status}, not as a hub does")
        return answer.body

    def clock(self) -> float | None:
        """Returns the hub's time in seconds since 1970, if its answers carry one."""
        from email.utils import parsedate_to_datetime  # noqa: PLC0415 - rare

        told = self._channel.call("GET", "/health/live").headers.get("date")
        return parsedate_to_datetime(told).timestamp() if told else None

    def verify(self) -> doc.Verified:
        """Checks every log against its digests and every view against its log."""
        return cast("doc.Verified", self._post("/admin/verify", {}, MAINTENANCE_SECONDS))

    def index_care(self, action: str, project: str | None = None) -> doc.VectorCare:
        """Verifies, repairs or rebuilds the vector server's contents."""
        answer = self._channel.call(
            "POST",
            f"{API}/admin/index/{segment(action)}",
            query={"project": project},
            body={},
            seconds=MAINTENANCE_SECONDS,
        )
        return cast("doc.VectorCare", answer.body)

    def rebuild(self) -> doc.Rebuilt:
        """Drops every view and makes it anew from the log."""
        return cast("doc.Rebuilt", self._post("/admin/rebuild", {}, MAINTENANCE_SECONDS))

    def model(self) -> doc.HubModel:
        """Returns the model that the hub embeds with, and its files."""
        return cast("doc.HubModel", self._get("/model"))

    @contextlib.contextmanager
    def model_file(self, name: str) -> Iterator[Iterator[bytes]]:
        """Opens a file of the hub's model as pieces of it."""
        path = f"{API}/model/files/{segment(name)}"
        headers = {"Accept": "application/octet-stream"}
        with self._channel.stream("GET", path, headers=headers) as reply:
            yield reply.pieces()

    @contextlib.contextmanager
    def export(
        self, *, tenant: str | None = None, keys: bool = False, views: bool = False
    ) -> Iterator[Iterator[bytes]]:
        """Opens the export of everything as pieces of NDJSON.

        ``tenant`` names another one than the key's. ``keys`` adds the API keys, ``views`` a
        digest of the views to the last line.

        Raises:
            BrokenAnswer: while reading, when the export ends too early.
        """
        headers = {"Accept": _NDJSON}
        with self._channel.stream(
            "GET",
            f"{API}/export",
            query={"tenant": tenant, "keys": keys or None, "views": views or None},
            headers=headers,
            seconds=MAINTENANCE_SECONDS,
        ) as reply:
            yield reply.pieces()

    def restore(
        self,
        pieces: Iterable[bytes],
        *,
        tenant: str | None = None,
        mode: str | None = None,
        keys: bool = False,
    ) -> doc.Imported:
        """Sends an export back; what the hub has already is skipped.

        ``mode`` takes it in as a restored backup: ``empty`` only where there is no project yet,
        ``merge`` also where there are some. ``keys`` takes API keys too.
        """
        import json  # noqa: PLC0415 - rare

        headers = {"Content-Type": _NDJSON}
        with self._channel.stream(
            "POST",
            f"{API}/import",
            query={"tenant": tenant, "restore": mode, "keys": keys or None},
            body=pieces,
            headers=headers,
            seconds=MAINTENANCE_SECONDS,
        ) as reply:
            body = reply.read(MAX_ANSWER_BYTES)
        try:
            return cast("doc.Imported", json.loads(body))
        except ValueError as error:
            raise BrokenAnswer("the hub's answer is not JSON") from error

    def events(self, project: str, *, after: int = 0, page: int = 1_000) -> Iterator[doc.LogEvent]:
        """Yields a project's log up to its head."""
        while True:
            part = self.projects.events(project, after=after, limit=page)
            yield from part["items"]
            if not part["items"] or part["next_after"] >= part["head"]:
                return
            after = part["next_after"]

    def follow(self, project: str, *, after: int = 0) -> Iterator[doc.LogEvent]:
        """Yields a project's log and then each event as it happens, for ever.

        A broken stream is taken up again after the last event that was yielded.

        Raises:
            HubUnreachable: the hub stays away longer than the retry budget.
        """
        import json  # noqa: PLC0415

        from sync_agent.streams import server_events  # noqa: PLC0415

        path = f"{API}/projects/{segment(project)}/events/stream"
        while True:
            began = after
            headers = {"Accept": "text/event-stream", "Last-Event-ID": str(after)}
            # Silence longer than two pings means that the line is dead, not that all is quiet.
            with (
                contextlib.suppress(BrokenAnswer),
                self._channel.stream(
                    "GET", path, headers=headers, seconds=3 * PING_SECONDS
                ) as reply,
            ):
                for event in server_events(reply.pieces()):
                    if event.id.isdigit() and int(event.id) > after:
                        yield cast("doc.LogEvent", json.loads(event.data))
                        after = int(event.id)
            if after == began:
                time.sleep(1.0)

    def _get(self, path: str, query: Mapping[str, str | None] | None = None) -> Any:
        return self._channel.call("GET", API + path, query=query).body

    def _post(self, path: str, body: dict[str, JsonValue], seconds: float = 30.0) -> Any:
        return self._channel.call("POST", API + path, body=body, seconds=seconds).body


def connect(
    config: ClientConfig,
    *,
    retry: Retry | None = None,
    on_wait: Callable[[str, float], None] | None = None,
) -> HubClient:
    """Returns a client for the configured hub; nothing is sent before the first request."""
    channel = Channel(
        config.url, config.api_key, retry=retry, ca_file=config.ca_file, on_wait=on_wait
    )
    return HubClient(channel)


def _given(options: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    return {name: value for name, value in options.items() if value is not None}
