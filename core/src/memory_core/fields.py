"""Types of the fields that clients send, with their limits and checks.

A check that fails raises a pydantic error whose type is a code of `memory_core.errors`, so
that a front door can answer with that code and the place of the value.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    StringConstraints,
)
from pydantic_core import PydanticCustomError

from memory_core.canonical import canonical_json, check_json, check_text
from memory_core.clock import parse_time
from memory_core.errors import ContextError, InvalidInput, InvalidSlug
from memory_core.ids import parse_uuid

MAX_TEXT = 1_000_000
MAX_LINE = 500
MAX_MESSAGES = 1_000
MAX_METADATA_BYTES = 65_536
SLUG_PATTERN = r"^[a-z0-9_][a-z0-9._-]*(/[a-z0-9_][a-z0-9._-]*)*$"
_ID = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")

T = TypeVar("T")


def _coded(check: Callable[[T], T]) -> Callable[[T], T]:
    def run(value: T) -> T:
        try:
            return check(value)
        except ContextError as error:
            sentence = error.detail.replace("{", "(").replace("}", ")")
            raise PydanticCustomError(error.code, sentence) from error

    return run


def check_slug(text: str) -> str:
    """Returns ``text`` if it is an acceptable project slug such as ``acme/api``.

    Raises:
        InvalidSlug: other characters, an empty or dotted part, more than 200 characters, or
            the form of an id, under which the project could not be found by its name.
    """
    if len(text) > 200 or ".." in text or not re.fullmatch(SLUG_PATTERN, text):
        raise InvalidSlug(
            "a slug is lower-case letters, digits, '.', '_' and '-' in parts joined by '/',"
            " at most 200 characters"
        )
    if _ID.fullmatch(text):
        raise InvalidSlug("a slug must not have the form of an id")
    return text


def _check_metadata(value: dict[str, JsonValue]) -> dict[str, JsonValue]:
    check_json(value)
    if len(canonical_json(value)) > MAX_METADATA_BYTES:
        raise InvalidInput(f"metadata is larger than {MAX_METADATA_BYTES} bytes")
    return value


def _check_line(value: str) -> str:
    if any(ord(character) < 32 or ord(character) == 127 for character in value):
        raise InvalidInput("a one-line text holds control characters")
    return check_text(value)


def _only_text(value: object) -> object:
    if not isinstance(value, str):
        raise PydanticCustomError("invalid_input", "a text is needed")
    return value


Id = Annotated[
    str,
    BeforeValidator(_only_text),
    AfterValidator(_coded(parse_uuid)),
    Field(json_schema_extra={"format": "uuid"}),
]
Time = Annotated[
    str,
    BeforeValidator(_only_text),
    StringConstraints(max_length=64),
    AfterValidator(_coded(parse_time)),
    Field(json_schema_extra={"format": "date-time"}),
]
Slug = Annotated[
    str, AfterValidator(_coded(check_slug)), Field(json_schema_extra={"maxLength": 200})
]
Text = Annotated[str, StringConstraints(max_length=MAX_TEXT), AfterValidator(_coded(check_text))]
RequiredText = Annotated[
    str,
    StringConstraints(min_length=1, max_length=MAX_TEXT),
    AfterValidator(_coded(check_text)),
]
Line = Annotated[str, StringConstraints(max_length=MAX_LINE), AfterValidator(_coded(_check_line))]
RequiredLine = Annotated[
    str,
    StringConstraints(min_length=1, max_length=MAX_LINE),
    AfterValidator(_coded(_check_line)),
]
Tag = Annotated[
    str,
    StringConstraints(min_length=1, max_length=100, strip_whitespace=True),
    AfterValidator(_coded(_check_line)),
]
Path = Annotated[
    str, StringConstraints(min_length=1, max_length=1024), AfterValidator(_coded(_check_line))
]
Tags = Annotated[list[Tag], Field(max_length=50)]
Paths = Annotated[list[Path], Field(max_length=2_000)]
Remotes = Annotated[list[RequiredLine], Field(max_length=20)]
Metadata = Annotated[dict[str, JsonValue], AfterValidator(_coded(_check_metadata))]
Counter = Annotated[int, Field(ge=0, le=2**31 - 1)]


class Input(BaseModel):
    """Base of everything a client sends: unknown fields are refused, nothing is mutable."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
