"""Requests checked with the hub's own models, and refused with its words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar, cast

from pydantic import JsonValue, ValidationError

from memory_core.errors import InvalidInput, by_code
from memory_core.fields import Input

Model = TypeVar("Model", bound=Input)

_MAX_ERRORS = 20
_MAX_ECHO = 200


def checked(model: type[Model], body: Mapping[str, JsonValue]) -> Model:
    """Returns ``body`` as the model of a request.

    Raises:
        InvalidInput: by the code of the first value that is not allowed; ``errors`` in its extra
            names the place of each.
    """
    try:
        return model.model_validate(dict(body))
    except ValidationError as error:
        known = by_code()
        entries: list[JsonValue] = [
            {
                "loc": [part if isinstance(part, int) else str(part)[:_MAX_ECHO] for part in loc],
                "message": each["msg"][:_MAX_ECHO],
                "code": each["type"] if each["type"] in known else InvalidInput.code,
            }
            for each in error.errors()[:_MAX_ERRORS]
            for loc in [("body", *each["loc"])]
        ]
        first = cast("dict[str, JsonValue]", entries[0])
        place = ".".join(str(part) for part in cast("list[JsonValue]", first["loc"]))
        kind = known[str(first["code"])]
        raise kind(f"{place}: {first['message']}", errors=entries) from error
