"""What the routes that write have in common: from an operation to an answer."""

from __future__ import annotations

from starlette.responses import Response

from context_api.application import writing
from context_api.application.writing import Written
from context_api.http.answers import Json, answer, empty
from context_api.http.dto import Ask, entity_tag, operation
from memory_core.operations import Body, Delete, Erase, Operation
from memory_core.records import Document, Kind


async def create(
    ask: Ask,
    project: str,
    asked: Operation,
    idempotency_key: str | None,
) -> Written:
    """Carries out the creation of a record in ``project`` (an id or slug)."""
    return await writing.execute(
        ask.services, ask.caller, project, asked, idempotency_key=idempotency_key
    )


async def change(
    ask: Ask,
    kind: Kind,
    record_id: str,
    body: Body,
    *,
    base: str | None = None,
    if_match: str | None = None,
    idempotency_key: str | None = None,
) -> Written:
    """Carries out an operation on a record that says itself to which project it belongs."""
    return await writing.execute(
        ask.services,
        ask.caller,
        None,
        operation(kind, record_id, body, base),
        if_match=entity_tag(if_match),
        idempotency_key=idempotency_key,
    )


async def remove(
    ask: Ask, kind: Kind, record_id: str, *, erase: bool, base: str | None, if_match: str | None
) -> Response:
    """Deletes or erases a record and answers 204."""
    body = Erase() if erase else Delete()
    await change(ask, kind, record_id, body, base=base, if_match=if_match)
    return empty()


def created(written: Written, more: Document | None = None, *, tagged: bool) -> Json:
    """Answers 201 for what is new and 200 for what was there or is not kept."""
    replayed = written.replayed
    if not written.stored:
        unstored: Document = {"stored": False, "redactions": {**written.redactions}}
        return answer(unstored, replayed=replayed)
    document: Document = {**(written.document or {}), **(more or {})}
    return answer(document, 201 if written.created else 200, replayed=replayed, tagged=tagged)


def changed(written: Written) -> Json:
    """Answers a record after a change, with the fields that kept the hub's value."""
    document: Document = {**(written.document or {}), "conflicts": [*written.conflicts]}
    return answer(document, replayed=written.replayed, tagged=True)
