"""Rate limits for each API key, after authentication and before anything is read or done."""

from __future__ import annotations

import math

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from context_api.application.limiting import WINDOW_S, Allowance
from context_api.domain.caller import Caller
from context_api.http.access import STREAMED_PATHS
from context_api.http.auth import services_of
from context_api.http.problem import problem_response
from memory_core.errors import RateLimited

BODY_BYTES = 64 * 1024
"""A body costs one more for each of these, so that a batch is not as cheap as one record."""


class RateLimits:
    """ASGI middleware that bounds what each key asks for, the hub's own key included.

    Paths that need no key, such as health, pass. The headers `RateLimit` and `RateLimit-Policy`
    (draft-ietf-httpapi-ratelimit-headers) say how much is left and for how many seconds. There
    is no limit unless the services hold a limiter.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes a request on if its key has not asked too much."""
        caller = scope.get("state", {}).get("caller") if scope["type"] == "http" else None
        limiter = services_of(scope).limiter if isinstance(caller, Caller) else None
        if limiter is None or not isinstance(caller, Caller):
            await self.app(scope, receive, send)
            return
        allowance = await limiter.take(f"{caller.tenant_id}:{caller.key_id}", cost_of(scope))
        headers = headers_of(allowance)
        if not allowance.allowed:
            wait = max(1, math.ceil(allowance.retry_after_s))
            error = RateLimited(
                f"this key may make {allowance.limit} requests a minute; wait {wait} s",
                retry_after=wait,
            )
            await problem_response(error, scope, headers)(scope, receive, send)
            return

        async def send_on(message: Message) -> None:
            if message["type"] == "http.response.start":
                sent = MutableHeaders(raw=message["headers"])
                for name, value in headers.items():
                    sent[name] = value
            await send(message)

        await self.app(scope, receive, send_on)


def cost_of(scope: Scope) -> int:
    """Returns what a request takes from the limit: 1, and 1 more for each 64 KiB of its body.

    Bodies of any size, which are read as they come, count as one request.
    """
    if scope["path"] in STREAMED_PATHS:
        return 1
    declared = Headers(scope=scope).get("content-length", "0")
    size = int(declared) if declared.isascii() and declared.isdigit() and len(declared) < 16 else 0
    return 1 + size // BODY_BYTES


def headers_of(allowance: Allowance) -> dict[str, str]:
    """Returns the headers that tell a client where it stands."""
    reset = math.ceil(allowance.reset_s)
    return {
        "RateLimit-Policy": f'"key";q={allowance.limit};w={round(WINDOW_S)}',
        "RateLimit": f'"key";r={allowance.remaining};t={reset}',
    }
