"""What `memctx doctor` asks a hub: is it there, does it take the key, does its work go on."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from memctx.commands.program import own_version
from memctx.findings import Check, State, ok
from memctx.run import Run
from memory_core.errors import ContextError, Forbidden, Unauthorized

if TYPE_CHECKING:
    from sync_agent import documents as doc

SKEW_SECONDS = 60
PENDING_LIMIT = 1_000
OLD_SECONDS = 300.0

_START_DATABASE = "start PostgreSQL: docker-compose up -d postgres"
_TRY_DEAD_AGAIN = {"embedded": "memctx rebuild", "server": "memctx index repair"}
_RESTART = {
    "embedded": "memctx stop, then memctx serve --detach; its log says why",
    "server": "docker-compose restart worker; its log says why",
}


def hub_checks(run: Run) -> Iterator[Check]:
    """Yields what the configured hub says of itself."""
    try:
        health = run.client.health()
    except ContextError as error:
        start = "memctx serve" if run.config.url.loopback else "check MEMCTX_URL"
        yield Check("hub", State.FAIL, error.detail, start)
        return
    state = health.get("status")
    parts = _mapping(health.get("checks"))
    database = _mapping(parts.get("database"))
    if state == "unavailable":
        reason = database.get("detail") or "it is starting or stopping"
        detail = f"{run.config.url} answers, but cannot work: {reason}"
        yield Check("hub", State.FAIL, detail, _START_DATABASE)
        return
    yield ok("hub", f"{run.config.url} answers, {state}")
    yield from _clock(run)
    status: doc.Status | None = None
    if run.config.api_key is not None:
        try:
            next(run.client.projects.list(limit=1), None)
            yield ok("key", "the hub takes it")
            status = run.client.status()
        except Unauthorized:
            source = run.config.settings["MEMCTX_API_KEY"].source
            yield Check(
                "key",
                State.FAIL,
                f"the hub does not take the key of {source}",
                "memctx keys create",
            )
        except Forbidden:
            yield ok("status", "not shown: the key has not the scope admin")
    mode = status["mode"] if status is not None else "embedded"
    yield from _progress(_mapping(parts.get("progress")), _RESTART.get(mode, ""))
    yield from _indexer(_mapping(parts.get("indexer")), _RESTART.get(mode, ""))
    if status is not None:
        yield from _status(status)


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _clock(run: Run) -> Iterator[Check]:
    theirs = run.client.clock()
    if theirs is None:
        return
    skew = abs(theirs - time.time())
    if skew > SKEW_SECONDS:
        detail = f"this machine's clock and the hub's are {skew:.0f} s apart"
        yield Check("clock", State.WARN, detail, "set the clocks by NTP")
    else:
        yield ok("clock", "agrees with the hub's")


def _progress(progress: Mapping[str, Any], restart: str) -> Iterator[Check]:
    """Yields whether what was written gets indexed, of a hub that says so."""
    if "lag_events" not in progress:
        if progress:
            yield Check("progress", State.FAIL, str(progress.get("detail")), restart)
        return
    behind, oldest = progress["lag_events"], float(progress["oldest_unprocessed_s"])
    detail = f"{behind} events wait, the oldest for {oldest:.0f} s"
    if progress["stalled"]:
        parts = ", ".join(progress["stalled"])
        last = progress["last_success_at"]
        yield Check(
            "progress", State.FAIL, f"{parts}: {detail} and none is done since {last}", restart
        )
    elif oldest > OLD_SECONDS:
        yield Check("progress", State.WARN, f"{detail}; it goes on", "memctx status")
    else:
        yield ok("progress", detail)


def _indexer(indexer: Mapping[str, Any], restart: str) -> Iterator[Check]:
    if indexer and not indexer.get("ok"):
        reason = indexer.get("last_error") or "it has ended"
        yield Check("indexer", State.FAIL, f"the indexer fails: {reason}", restart)


def _status(status: doc.Status) -> Iterator[Check]:
    if status["version"] != own_version():
        detail = f"the hub is {status['version']}, this client {own_version()}"
        yield Check("version", State.WARN, detail, "install the same version on both")
    for part in status["degraded"]:
        detail = f"{part['part']} is degraded: {part['reason']}"
        yield Check(part["part"], State.WARN, detail, part["mend"])
    pending = sum(each["pending"] for each in status["index"])
    dead = sum(each["dead"] for each in status["index"])
    if pending > PENDING_LIMIT:
        yield Check("index", State.WARN, f"{pending} entries wait to be indexed", "memctx status")
    else:
        yield ok("index", f"{pending} entries wait to be indexed")
    if dead:
        mend = _TRY_DEAD_AGAIN.get(status["mode"], "memctx rebuild")
        yield Check("index", State.WARN, f"{dead} records could not be indexed", mend)
