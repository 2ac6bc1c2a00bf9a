"""The hub's JSON answers as values, every part of them checked.

A hub is another machine: what it says is taken only if it is what the protocol says.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, get_args

from memory_core.errors import InvalidInput
from memory_core.records import Kind
from memory_core.sync.events import Pulled, from_wire
from memory_core.sync.protocol import check_protocol
from sync_agent.errors import InvalidAnswer
from sync_agent.exchange import (
    Acked,
    ModelName,
    Outcome,
    ProjectName,
    PulledPage,
    PushAnswer,
    PushResult,
    RangeDigests,
    SnapshotItem,
    SnapshotPage,
)
from sync_agent.sync.fields import Fields, digest

if TYPE_CHECKING:
    from pydantic import JsonValue

_OUTCOMES: dict[str, Outcome] = {name: name for name in get_args(Outcome)}


def pulled_page(body: JsonValue, after: int) -> PulledPage:
    """Returns the answer to a pull of what follows ``after``.

    Raises:
        InvalidAnswer: it is none.
        UpgradeRequired: it is in a version of the protocol that is not known here.
    """
    fields = Fields(body, "the answer to a pull")
    _check_version(fields)
    items = [pulled(item) for item in fields.items("items")]
    _check_order(items, after)
    return PulledPage(
        after=after,
        epoch=fields.text("epoch"),
        head=fields.number("head"),
        floor=fields.number("floor"),
        project=fields.document("project"),
        actor=fields.text("actor"),
        items=items,
        next_after=fields.number("next_after"),
        up_to_date=fields.flag("up_to_date"),
        acked=_acked(fields),
        digest=fields.digest("digest"),
        model=_model(fields),
        shared=_shared(fields),
    )


def pulled(item: JsonValue) -> Pulled:
    """Returns one event of an answer.

    Raises:
        InvalidAnswer: it is none that can be read here.
    """
    if not isinstance(item, dict):
        raise InvalidAnswer("an event is no object")
    try:
        return from_wire(item)
    except InvalidInput as error:
        raise InvalidAnswer(error.detail) from error


def push_answer(body: JsonValue) -> PushAnswer:
    """Returns the answer to a push; raises as `pulled_page` does."""
    fields = Fields(body, "the answer to a push")
    _check_version(fields)
    return PushAnswer(
        epoch=fields.text("epoch"),
        head=fields.number("head"),
        acked=_acked(fields),
        expected=fields.number("expected"),
        results=[_result(item) for item in fields.items("results")],
        stopped=fields.optional_document("stopped"),
    )


def snapshot_page(body: JsonValue) -> SnapshotPage:
    """Returns the answer to a request for a snapshot; raises as `pulled_page` does."""
    fields = Fields(body, "the answer to a snapshot")
    return SnapshotPage(
        epoch=fields.text("epoch"),
        seq=fields.number("seq"),
        digest=fields.digest("digest"),
        items=[_item(item) for item in fields.items("items")],
        next_cursor=fields.optional_text("next_cursor"),
    )


def range_digests(body: JsonValue, count: int) -> RangeDigests:
    """Returns the answer to a request for ``count`` digests; raises as `pulled_page` does."""
    fields = Fields(body, "the answer to a request for digests")
    found = [digest(text, "a range's digest") for text in fields.texts("digests")]
    if len(found) != count:
        raise InvalidAnswer(f"{count} digests were asked for, {len(found)} came")
    return RangeDigests(epoch=fields.text("epoch"), head=fields.number("head"), digests=found)


def events(body: JsonValue) -> list[Pulled]:
    """Returns the answer to a request for single events; raises as `pulled_page` does."""
    return [pulled(item) for item in Fields(body, "the answer to a request").items("items")]


def _check_version(fields: Fields) -> None:
    check_protocol(fields.number("protocol"), side="hub")


def _check_order(items: list[Pulled], after: int) -> None:
    seqs = [after, *(item.event.seq for item in items)]
    if any(later != earlier + 1 for earlier, later in pairwise(seqs)):
        raise InvalidAnswer("a page of the log has a gap, or is out of order")


def _acked(fields: Fields) -> Acked:
    part = Fields(fields.document("acked"), "acked")
    return Acked(part.number("number"), part.optional_digest("hash"))


def _model(fields: Fields) -> ModelName | None:
    found = fields.optional_document("model")
    if found is None:
        return None
    part = Fields(found, "model")
    return ModelName(part.text("name"), part.number("dimension"))


def _shared(fields: Fields) -> ProjectName | None:
    found = fields.optional_document("shared")
    if found is None:
        return None
    part = Fields(found, "shared")
    return ProjectName(part.text("id"), part.text("slug"))


def _result(item: JsonValue) -> PushResult:
    fields = Fields(item, "a result")
    outcome = _OUTCOMES.get(fields.text("outcome"))
    if outcome is None:
        raise InvalidAnswer("a result has an outcome that is not known here")
    return PushResult(
        number=fields.number("number"),
        op_id=fields.text("op_id"),
        outcome=outcome,
        seq=fields.optional_number("seq"),
        head=fields.number("head"),
        conflicts=tuple(fields.texts("conflicts")),
        problem=fields.optional_document("problem"),
    )


def _item(item: JsonValue) -> SnapshotItem:
    fields = Fields(item, "an item of a snapshot")
    try:
        kind = Kind(fields.text("kind"))
    except ValueError as error:
        raise InvalidAnswer("a snapshot has a kind of record that is not known here") from error
    return SnapshotItem(kind, fields.document("document"))
