"""The audit log: written with what is done, listed, and checked link by link."""

from __future__ import annotations

import base64
import binascii
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from pydantic import JsonValue

from context_api.application.ports import WriteTx
from context_api.application.requests import Listing, Page
from context_api.application.services import Services
from context_api.application.viewing import viewer_of
from context_api.domain.audit import MAX_TARGET, Entry, escaped, follow, genesis
from context_api.domain.caller import ADMIN, Caller
from memory_core.clock import now
from memory_core.errors import Corrupt, InvalidCursor
from memory_core.records import Document

REFUSED: Final = "refused"
READ: Final = "read"

REPEAT_S: Final = 60.0
"""Refusals of one key at one route are written at most once in so many seconds."""

_KEPT_KEYS = 4_096


def entry(caller: Caller, act: str, target: str = "", **detail: JsonValue) -> Entry:
    """Returns what the audit log keeps of an act of ``caller``, now."""
    return Entry(
        tenant_id=caller.tenant_id,
        at=now(),
        key_id=caller.key_id,
        actor=escaped(caller.actor),
        act=act,
        target=escaped(target, MAX_TARGET),
        detail={name: _plain(value) for name, value in detail.items() if value is not None},
    )


def _plain(value: JsonValue) -> JsonValue:
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return escaped(value) if isinstance(value, str) else value


async def note(
    tx: WriteTx, caller: Caller, act: str, target: str = "", **detail: JsonValue
) -> None:
    """Adds an act to the audit log in the transaction that does it."""
    await tx.audit.add(entry(caller, act, target, **detail))


async def announce(
    services: Services, caller: Caller, act: str, target: str = "", **detail: JsonValue
) -> None:
    """Writes down an act that is no single transaction, before it begins.

    Raises:
        StorageFull, Busy, Unavailable: it could not be written, so the act must not begin.
    """
    async with services.uow.write(caller.tenant_id) as tx:
        await note(tx, caller, act, target, **detail)
        await tx.commit()


@dataclass(slots=True)
class Refusals:
    """Writes down who was refused what is for admins, without letting them fill the log."""

    clock: Callable[[], float] = time.monotonic
    _last: dict[tuple[str, str], tuple[float, int]] = field(default_factory=dict)

    async def note(self, services: Services, caller: Caller, route: str) -> None:
        """Notes a refusal; those that follow within a minute are counted in the next entry."""
        about = (caller.key_id, route)
        at, waiting = self._last.get(about, (float("-inf"), 0))
        if self.clock() - at < REPEAT_S:
            self._last[about] = (at, waiting + 1)
            return
        if len(self._last) >= _KEPT_KEYS:
            self._last.clear()
        self._last[about] = (self.clock(), 0)
        await announce(services, caller, REFUSED, route, unwritten_before=waiting or None)


async def list_(services: Services, caller: Caller, page: Page, act: str | None) -> Listing:
    """Returns the tenant's audit log, newest entry first.

    Raises:
        InvalidCursor: the cursor is not one of a list before.
    """
    caller.require(ADMIN)
    before = None if page.cursor is None else _position(page.cursor)
    async with services.uow.read(viewer_of(caller)) as tx:
        found = await tx.audit.newest(before=before, act=act, limit=page.limit + 1)
    items = [shown(one) for one in found[: page.limit]]
    if len(found) <= page.limit:
        return Listing(items=items)
    last = json.dumps(["audit", found[page.limit - 1].seq])
    return Listing(items=items, next_cursor=base64.urlsafe_b64encode(last.encode()).decode())


def _position(cursor: str) -> int:
    try:
        what, seq = json.loads(base64.urlsafe_b64decode(cursor.encode()))
    except (ValueError, TypeError, binascii.Error) as error:
        raise InvalidCursor from error
    if what != "audit" or type(seq) is not int or not 0 < seq < 2**63:
        raise InvalidCursor
    return seq


async def verify(
    services: Services, caller: Caller, anchor: tuple[int, str] | None = None
) -> Document:
    """Follows the tenant's audit log link by link to its end.

    Finds an entry that was changed, taken out or moved. Entries taken from the end, or a chain
    made anew from the beginning, show only against an ``anchor`` (seq, digest in hex) that was
    kept elsewhere.
    """
    caller.require(ADMIN)
    place = (0, genesis(caller.tenant_id))
    problem = None
    kept = anchor is None
    async with services.uow.read(viewer_of(caller)) as tx:
        try:
            async for one in tx.audit.chain():
                place = follow(place, one)
                kept = kept or (place[0], place[1].hex()) == anchor
        except Corrupt as error:
            problem = error.detail
    if problem is None and anchor is not None and not kept:
        problem = f"entry {anchor[0]} is not the one that was kept as the anchor"
    return {
        "ok": problem is None,
        "entries": place[0],
        "problem": problem,
        "head": f"{place[0]}:{place[1].hex()}",
    }


def shown(one: Entry) -> Document:
    """Returns an entry as answers have it."""
    return {
        "seq": one.seq,
        "at": one.at,
        "key_id": one.key_id,
        "actor": one.actor,
        "act": one.act,
        "target": one.target,
        "detail": one.detail,
        "digest": one.digest.hex(),
    }
