"""Answers: JSON written straight from documents, and the models that describe them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated

import orjson
from pydantic import BaseModel, ConfigDict, Field, JsonValue
from starlette.responses import Response

from memory_core.records import Document


class Json(Response):
    """A JSON answer. Documents are JSON already, so nothing is validated on the way out."""

    media_type = "application/json"

    def render(self, content: object) -> bytes:
        """Returns the bytes of a document."""
        return orjson.dumps(content)


def answer(
    document: Mapping[str, JsonValue],
    status: int = 200,
    *,
    replayed: bool = False,
    tagged: bool = False,
) -> Json:
    """Returns a JSON answer; ``tagged`` adds the document's last operation as its ETag."""
    headers: dict[str, str] = {}
    if tagged and (last_op := document.get("last_op")):
        headers["ETag"] = f'"{last_op}"'
    if replayed:
        headers["Idempotency-Replayed"] = "true"
    return Json(document, status, headers)


def empty() -> Response:
    """Returns the answer that says nothing but that it is done."""
    return Response(status_code=204)


def listing(items: Sequence[Document], next_cursor: str | None = None) -> Json:
    """Returns a page of a list."""
    return Json({"items": items, "next_cursor": next_cursor})


Uuid = Annotated[str, Field(json_schema_extra={"format": "uuid"})]
Moment = Annotated[str, Field(json_schema_extra={"format": "date-time"})]


class Answer(BaseModel):
    """Base of everything the hub answers: all fields are always there, and no others."""

    model_config = ConfigDict(extra="forbid")


class ProblemEntry(Answer):
    """One value of a request that is not acceptable."""

    loc: list[str | int]
    message: str
    code: str


class Problem(BaseModel):
    """An error (RFC 9457). Some codes add members of their own."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(examples=["urn:memory-context:error:not_found"])
    title: str
    status: int
    detail: str
    code: str = Field(examples=["not_found"])
    request_id: str
    errors: list[ProblemEntry] | None = None
