"""The class of every route of the API: scope first, then the body, then the rest."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from contextlib import suppress
from http import HTTPStatus
from typing import Any, Final

from fastapi.routing import APIRoute
from pydantic import JsonValue
from starlette.requests import Request
from starlette.responses import Response

from context_api.application import audit
from context_api.http.access import ADMIN, OPEN_PATHS, READ, ROOT, SCOPES, Scope
from context_api.http.auth import caller_of, services_of
from context_api.http.json_body import parse_json
from memory_core.errors import ContextError, Forbidden, InvalidJson, UnsupportedMediaType

Handler = Callable[[Request], Coroutine[Any, Any, Response]]

_WATCHED: Final = frozenset({ADMIN, ROOT})
"""Scopes whose refusals go to the audit log."""


class JsonRequest(Request):
    """A request whose JSON body has been read within its bounds."""

    def __init__(self, request: Request, raw: bytes) -> None:
        super().__init__(request.scope, request.receive)
        self._raw = raw
        self._value = parse_json(raw)

    async def body(self) -> bytes:
        """Returns the bytes that were read."""
        return self._raw

    async def json(self) -> JsonValue:
        """Returns the parsed body."""
        return self._value


class HubRoute(APIRoute):
    """A route that knows the scope it needs from the one table of them.

    Raises:
        KeyError: when it is made and the table does not name it, so that no route is open
            by oversight.
    """

    def get_route_handler(self) -> Handler:
        """Returns what answers a request to this route."""
        handle = super().get_route_handler()
        path = self.path_format
        scope = _required_scope(path, self.methods or set())
        reads_json = self.body_field is not None

        async def run(request: Request) -> Response:
            request.state.route = path
            try:
                if scope is not None:
                    caller_of(request.scope).require(scope)
                if reads_json:
                    request = await read_json(request)
                answer = await handle(request)
            except Forbidden:
                if scope in _WATCHED:
                    await _note_refusal(request, path)
                raise
            if scope == READ and request.app.state.options.audit_reads:
                await _note_read(request, answer)
            return answer

        return run


async def _note_refusal(request: Request, path: str) -> None:
    """Writes down that somebody tried what is for admins; the refusal holds in any case."""
    refusals: audit.Refusals = request.app.state.refusals
    with suppress(ContextError):
        caller = caller_of(request.scope)
        await refusals.note(services_of(request.scope), caller, f"{request.method} {path}")


async def _note_read(request: Request, answer: Response) -> None:
    """Writes down what was read before it is answered; what cannot be written is not answered."""
    if answer.status_code < HTTPStatus.BAD_REQUEST:
        target = f"{request.method} {request.url.path}"
        await audit.announce(
            services_of(request.scope), caller_of(request.scope), audit.READ, target
        )


def _required_scope(path: str, methods: set[str]) -> Scope | None:
    if path in OPEN_PATHS:
        return None
    scopes = {SCOPES[method, path] for method in methods}
    if len(scopes) != 1:
        raise KeyError(path)
    return scopes.pop()


async def read_json(request: Request) -> JsonRequest:
    """Returns the request with its body parsed.

    Raises:
        UnsupportedMediaType: the body is not declared to be JSON in UTF-8.
        InvalidJson: there is no body, or it is not JSON as `parse_json` reads it.
    """
    check_media_type(request, "application/json", "application/merge-patch+json")
    body = await request.body()
    if not body:
        raise InvalidJson("the body is empty")
    return JsonRequest(request, body)


def check_media_type(request: Request, *accepted: str) -> None:
    """Raises `UnsupportedMediaType` unless the body is declared as one of ``accepted``."""
    declared, _, parameters = request.headers.get("content-type", "").lower().partition(";")
    charset = parameters.replace(" ", "").replace('"', "")
    if declared.strip() not in accepted or charset not in {"", "charset=utf-8"}:
        raise UnsupportedMediaType(f"send the body as {accepted[0]}")
