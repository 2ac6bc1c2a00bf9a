"""Authentication before anything else of a request is looked at."""

from __future__ import annotations

from typing import cast

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from context_api.application import authenticate
from context_api.application.services import Services
from context_api.domain.caller import Caller
from context_api.http.access import OPEN_PATHS
from context_api.http.problem import problem_response
from memory_core.errors import ContextError, Unauthorized

MAX_TOKEN = 512


class Authentication:
    """ASGI middleware: no valid key, no answer, but for the few open paths.

    It runs before routing, so that a caller without a key learns nothing about what is
    there and cannot make the hub read a body. The caller goes to ``state.caller``.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Authenticates an HTTP request and passes it on."""
        if scope["type"] != "http" or scope["path"] in OPEN_PATHS:
            await self.app(scope, receive, send)
            return
        state = scope.setdefault("state", {})
        try:
            caller = await authenticate.authenticate(services_of(scope), token_of(scope))
        except ContextError as error:
            await problem_response(error, scope)(scope, receive, send)
            return
        state["caller"] = caller
        await self.app(scope, receive, send)


def token_of(scope: Scope) -> str:
    """Returns the API key that the request carries.

    Raises:
        Unauthorized: there is none, there are two that differ, or it is no key at all.
    """
    headers = Headers(scope=scope)
    given = [value.strip() for value in headers.getlist("x-api-key")]
    for value in headers.getlist("authorization"):
        scheme, _, token = value.partition(" ")
        if scheme.lower() != "bearer":
            raise Unauthorized("use `Authorization: Bearer <API key>` or `X-API-Key`")
        given.append(token.strip())
    if not given:
        raise Unauthorized
    token = given[0]
    if any(other != token for other in given) or not token.isascii() or not token.isprintable():
        raise Unauthorized
    if not token or len(token) > MAX_TOKEN:
        raise Unauthorized
    return token


def services_of(scope: Scope) -> Services:
    """Returns what the running hub is made of."""
    return cast("Services", scope["app"].state.services)


def caller_of(scope: Scope) -> Caller:
    """Returns who asks.

    Raises:
        Unauthorized: the request came past the authentication, which must not happen.
    """
    caller = scope.get("state", {}).get("caller")
    if not isinstance(caller, Caller):
        raise Unauthorized
    return caller
