"""Declares which errors a route answers, for the API description."""

from __future__ import annotations

from typing import Any, TypeAlias

from context_api.http.problem import MEDIA_TYPE
from memory_core.errors import ContextError

Responses: TypeAlias = dict[int | str, dict[str, Any]]

PROBLEM = {"schema": {"$ref": "#/components/schemas/Problem"}}


def refuses(*errors: type[ContextError]) -> Responses:
    """Returns the entries of `responses` for ``errors``, those of one status together."""
    by_status: dict[int | str, list[str]] = {}
    for error in errors:
        by_status.setdefault(error.status, []).append(f"`{error.code}`: {error.title()}")
    return {
        status: {"description": " ".join(sentences), "content": {MEDIA_TYPE: PROBLEM}}
        for status, sentences in by_status.items()
    }
