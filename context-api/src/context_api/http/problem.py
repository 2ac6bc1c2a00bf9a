"""Errors as `application/problem+json` (RFC 9457), each with a stable code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from fastapi.exceptions import RequestValidationError
from pydantic import JsonValue
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from context_api.http.access import allowed_methods
from memory_core.errors import (
    BadRequest,
    Busy,
    ContextError,
    Forbidden,
    InvalidInput,
    MethodNotAllowed,
    NotFound,
    PayloadTooLarge,
    RequestTimeout,
    Unauthorized,
    Unavailable,
    UnsupportedMediaType,
    by_code,
)
from memory_core.records import Document

MEDIA_TYPE = "application/problem+json"
MAX_ERRORS = 20
MAX_ECHO = 200
RETRY_SECONDS = {Busy: 1, Unavailable: 5}

_BY_STATUS: Mapping[int, type[ContextError]] = {
    error.status: error
    for error in (
        BadRequest,
        Unauthorized,
        Forbidden,
        NotFound,
        MethodNotAllowed,
        RequestTimeout,
        PayloadTooLarge,
        UnsupportedMediaType,
    )
}


def problem(error: ContextError, request_id: str, **more: JsonValue) -> Document:
    """Returns the problem document of ``error``."""
    return {
        **error.extra,
        **more,
        "type": f"urn:memory-context:error:{error.code}",
        "title": error.title(),
        "status": error.status,
        "detail": error.detail,
        "code": error.code,
        "request_id": request_id,
    }


def request_id_of(scope: Scope) -> str:
    """Returns the id of the request, empty outside of the hub's own middleware."""
    return str(scope.get("state", {}).get("request_id", ""))


def problem_response(
    error: ContextError,
    scope: Scope,
    headers: Mapping[str, str] | None = None,
    **more: JsonValue,
) -> Response:
    """Returns the answer for ``error``, with the headers that belong to its status."""
    sent = {**_headers(error), **(headers or {})}
    document = problem(error, request_id_of(scope), **more)
    scope.setdefault("state", {})["code"] = error.code
    return Response(orjson.dumps(document), error.status, sent, media_type=MEDIA_TYPE)


def _headers(error: ContextError) -> dict[str, str]:
    if isinstance(error, Unauthorized):
        return {"WWW-Authenticate": "Bearer"}
    wait = error.extra.get("retry_after")
    if isinstance(wait, int | float):
        return {"Retry-After": str(max(1, round(wait)))}
    for kind, seconds in RETRY_SECONDS.items():
        if isinstance(error, kind):
            return {"Retry-After": str(seconds)}
    return {}


async def on_context_error(request: Request, error: Exception) -> Response:
    """Answers with the error's own code and status."""
    if not isinstance(error, ContextError):
        raise error
    return problem_response(error, request.scope)


async def on_http_exception(request: Request, error: Exception) -> Response:
    """Answers what the framework itself refuses: no such route, no such method."""
    if not isinstance(error, HTTPException):
        raise error
    headers = dict(error.headers or {})
    kind = _BY_STATUS.get(error.status_code, BadRequest)
    if kind is MethodNotAllowed:
        headers["Allow"] = ", ".join(allowed_methods(request.url.path))
    detail = "there is nothing at this path" if kind is NotFound else ""
    return problem_response(kind(detail), request.scope, headers)


async def on_invalid_request(request: Request, error: Exception) -> Response:
    """Answers values that failed their checks, each with its place, sentence and code."""
    if not isinstance(error, RequestValidationError):
        raise error
    found = _entries(error.errors())
    first = found[0]
    kind = by_code()[str(first["code"])]
    place = ".".join(str(part) for part in first["loc"])
    errors: list[JsonValue] = [{**entry} for entry in found]
    detail = f"{place}: {first['message']}"
    return problem_response(kind(detail), request.scope, errors=errors)


def _entries(errors: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    known = by_code()
    return [
        {
            "loc": [_short(part) for part in error["loc"]],
            "message": _short(error["msg"]),
            "code": error["type"] if error["type"] in known else InvalidInput.code,
        }
        for error in errors[:MAX_ERRORS]
    ]


def _short(part: object) -> str | int:
    return part if isinstance(part, int) else str(part)[:MAX_ECHO]
