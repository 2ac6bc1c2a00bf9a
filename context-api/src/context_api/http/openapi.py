"""The description of the API: what FastAPI derives, plus keys, scopes and problems."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from context_api.http.access import OPEN_PATHS, SCOPES
from context_api.http.answers import Problem
from context_api.http.problem import MEDIA_TYPE
from context_api.http.refusals import refuses
from memory_core.errors import (
    BadRequest,
    Busy,
    ContextError,
    Forbidden,
    InvalidInput,
    InvalidJson,
    PayloadTooLarge,
    RateLimited,
    RequestTimeout,
    StorageFull,
    Unauthorized,
    Unavailable,
    UnsupportedMediaType,
)

TITLE = "memory-context"
METHODS = ("get", "post", "put", "patch", "delete")
REF = "#/components/schemas/{model}"

_KEYED = (Unauthorized, Forbidden, RateLimited, Busy, Unavailable)
_WITH_BODY = (InvalidJson, RequestTimeout, PayloadTooLarge, UnsupportedMediaType)


def complete(schema: dict[str, Any]) -> dict[str, Any]:
    """Adds what holds for all routes to the description and returns it."""
    components = schema.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    described = Problem.model_json_schema(ref_template=REF)
    schemas.update(described.pop("$defs", {}))
    schemas["Problem"] = described
    components["schemas"] = dict(sorted(schemas.items()))
    components["securitySchemes"] = {
        "bearer": {"type": "http", "scheme": "bearer", "description": "An API key."},
        "apiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    }
    for path, method, operation in _operations(schema):
        _complete_operation(path, method, operation)
    return schema


def _operations(schema: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, operations in schema["paths"].items():
        for method in METHODS:
            if method in operations:
                yield path, method, operations[method]


def _complete_operation(path: str, method: str, operation: dict[str, Any]) -> None:
    operation["summary"] = operation.pop("description").rstrip(".")
    responses = operation["responses"]
    if responses.get("422", {}).get("description") == "Validation Error":
        del responses["422"]
    kinds: list[type[ContextError]] = [BadRequest]
    has_body = "requestBody" in operation
    if has_body or "parameters" in operation:
        kinds.append(InvalidInput)
    if has_body:
        kinds += _WITH_BODY
    if path not in OPEN_PATHS:
        kinds += _KEYED
        operation["security"] = [{"bearer": []}, {"apiKey": []}]
        operation["x-required-scope"] = scope = SCOPES[method.upper(), path]
        if scope != "read" and method != "get":
            kinds.append(StorageFull)
    for status, response in refuses(*kinds).items():
        known = responses.get(str(status))
        if known is None:
            responses[str(status)] = response
        elif MEDIA_TYPE in known.get("content", {}):
            known["description"] += f" {response['description']}"
    operation["responses"] = dict(sorted(responses.items()))
