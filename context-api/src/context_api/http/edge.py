"""The outermost layer: request ids, the access log, headers of every answer, no surprises."""

from __future__ import annotations

import re
import time
import traceback
from dataclasses import dataclass

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from context_api.http.metrics import Metrics
from context_api.http.options import HttpOptions
from context_api.http.problem import problem_response
from memory_core.errors import BadRequest, ContextError
from memory_core.ids import uuid7

log = structlog.stdlib.get_logger("context_api.http")

REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
MAX_LOGGED_PATH = 300
FRAMES = 12

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"
_HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
    "content-security-policy": _POLICY,
}


@dataclass(slots=True)
class _Answer:
    status: int = 0
    sent_bytes: int = 0
    complete: bool = False


class Edge:
    """ASGI middleware around everything else.

    Gives each request an id, writes one line for it without query, body or key, and turns
    what nobody caught into a problem that tells nothing of the inside.
    """

    def __init__(self, app: ASGIApp, options: HttpOptions, metrics: Metrics) -> None:
        self.app = app
        self.metrics = metrics
        self._hosts = frozenset(host.lower() for host in options.allowed_hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes an HTTP request on and accounts for it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        state = scope.setdefault("state", {})
        state["request_id"] = request_id = _request_id(scope)
        answer = _Answer()

        async def send_on(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer.status = message["status"]
                _add_headers(MutableHeaders(raw=message["headers"]), request_id)
            elif message["type"] == "http.response.body":
                answer.sent_bytes += len(message.get("body", b""))
                answer.complete = not message.get("more_body", False)
            await send(message)

        started = time.perf_counter()
        with self.metrics.in_flight.track_inprogress():
            await self._answer(scope, receive, send_on, answer)
        self._account(scope, answer, time.perf_counter() - started)

    async def _answer(self, scope: Scope, receive: Receive, send: Send, answer: _Answer) -> None:
        try:
            if self._hosts and _host(scope) not in self._hosts:
                refusal = BadRequest("this host name is not served here")
                await problem_response(refusal, scope)(scope, receive, send)
            else:
                await self.app(scope, receive, send)
        except ClientDisconnect:
            scope["state"]["code"] = "client_disconnected"
        except Exception as error:  # noqa: BLE001 -- the last place where it can be answered
            _log_failure(scope, error)
            if not answer.status:
                await problem_response(ContextError(), scope)(scope, receive, send)

    def _account(self, scope: Scope, answer: _Answer, seconds: float) -> None:
        state = scope["state"]
        route = state.get("route", "")
        self.metrics.observe(scope["method"], route, answer.status, seconds)
        caller = state.get("caller")
        write = log.warning if answer.status >= 500 else log.info
        write(
            "request",
            request_id=state["request_id"],
            method=scope["method"][:20],
            path=_path(scope),
            status=answer.status,
            code=state.get("code"),
            key=caller.key_id if caller is not None else None,
            bytes=answer.sent_bytes,
            complete=answer.complete,
            ms=round(seconds * 1000, 2),
        )


def _request_id(scope: Scope) -> str:
    given = Headers(scope=scope).get("x-request-id", "")
    return given if REQUEST_ID.fullmatch(given) else uuid7()


def _host(scope: Scope) -> str:
    """Returns the host that the client asked for, without its port."""
    given = Headers(scope=scope).get("host", "").lower()
    return given if given.endswith("]") else re.sub(r":\d*$", "", given)


def _path(scope: Scope) -> str:
    """Returns the path as it came, never decoded, so that nothing in it can forge a line."""
    raw: bytes = scope.get("raw_path") or scope["path"].encode("utf-8", "backslashreplace")
    text = raw.split(b"?")[0].decode("ascii", "backslashreplace")
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text[:MAX_LOGGED_PATH])


def _add_headers(headers: MutableHeaders, request_id: str) -> None:
    headers["x-request-id"] = request_id
    for name, value in _HEADERS.items():
        headers.setdefault(name, value)


def _log_failure(scope: Scope, error: Exception) -> None:
    """Logs where it failed, innermost call last.

    What an exception says may hold a part of a request, so its text is for debugging only.
    """
    frames = traceback.extract_tb(error.__traceback__)[-FRAMES:]
    log.error(
        "unhandled",
        request_id=scope["state"]["request_id"],
        error=type(error).__name__,
        where=[f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames],
    )
    log.debug("unhandled", request_id=scope["state"]["request_id"], text=repr(error))
