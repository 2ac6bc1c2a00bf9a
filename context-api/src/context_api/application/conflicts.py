"""Conflicts: a field that two sides changed, and what becomes of it."""

from __future__ import annotations

from context_api.application.carrying import Written
from context_api.application.ports import Records
from context_api.application.reading import get
from context_api.application.services import Services
from context_api.application.viewing import viewer_of
from context_api.application.writing import execute
from context_api.domain.caller import WRITE, Caller
from memory_core.errors import InvalidInput, SlugTaken
from memory_core.fields import Input
from memory_core.ids import parse_uuid, uuid7
from memory_core.operations import Operation, ResolveConflict
from memory_core.records import Document, Kind


async def resolve(
    services: Services,
    caller: Caller,
    conflict_id: str,
    asked: Input,
    *,
    idempotency_key: str | None = None,
) -> Written:
    """Closes a conflict; ``asked`` holds ``resolution`` and, if it is edited, ``value``.

    Raises:
        NotFound: there is no such conflict for the caller.
        Conflict: it was resolved before, in another way.
        SlugTaken: the chosen slug belongs to another project.
        InvalidInput: the value is none for the field.
    """
    caller.require(WRITE)
    conflict = await get(services, caller, Kind.CONFLICT, conflict_id)
    about = {"record_kind": conflict["record_kind"], "record_id": conflict["record_id"]}
    body = ResolveConflict.model_validate({**asked.model_dump(exclude_unset=True), **about})
    async with services.uow.glance(viewer_of(caller)) as records:
        await check_value(records, conflict, body)
    operation = Operation(op_id=uuid7(), kind=Kind.CONFLICT, record_id=conflict_id, body=body)
    return await execute(services, caller, None, operation, idempotency_key=idempotency_key)


async def check_value(records: Records, conflict: Document, body: ResolveConflict) -> None:
    """Checks what a project's new name or parent rests on beside the project itself.

    Raises:
        SlugTaken: another project has the slug.
        InvalidInput: the parent is none.
    """
    if body.record_kind is not Kind.PROJECT or body.resolution == "kept":
        return
    value = body.value if body.resolution == "edited" else conflict.get("pushed")
    if conflict["field"] == "slug" and isinstance(value, str):
        holder = await records.project(value)
        if holder is not None and holder["id"] != body.record_id:
            raise SlugTaken(f"the slug {value!r} belongs to another project")
    if conflict["field"] == "parent_id" and value is not None:
        if not isinstance(value, str):
            raise InvalidInput("a parent is named by its id")
        parent = await records.project(parse_uuid(value))
        # No 404: the project that the request is about is there.
        if parent is None:
            raise InvalidInput(f"there is no project {value!r} to lie below")
        if parent["id"] == body.record_id:
            raise InvalidInput("a project cannot lie below itself")
