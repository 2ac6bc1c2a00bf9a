"""Records as they are, for a replica that begins on a long log.

All pages belong to the head at the first of them, which the cursor carries. A document may be newer
than that: a replica applies an event only to a record that stands before it.
"""

from __future__ import annotations

import base64
import json
from dataclasses import asdict, dataclass, field, replace

from context_api.application.ports import ReadTx
from context_api.application.services import Services
from context_api.application.sync.fitting import fitting
from context_api.application.sync.ports import Part, Place
from context_api.application.viewing import project_named, viewer_of
from context_api.domain.caller import READ, Caller
from memory_core.clock import parse_time
from memory_core.errors import ContextError, EpochChanged, InvalidCursor, ProjectNotFound
from memory_core.ids import parse_uuid
from memory_core.records import Document, Kind
from memory_core.sync.events import DIGEST_BYTES

_ORDER = (
    Kind.PROJECT,
    Kind.SESSION,
    Kind.MESSAGE,
    Kind.CHECKPOINT,
    Kind.PATTERN,
    Kind.CONFLICT,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotRequest:
    """Which records a replica wants: at most so many of the newest; None means all."""

    limit: int
    max_sessions: int | None = None
    max_patterns: int | None = None
    since: str | None = None
    cursor: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Cursor:
    """How far a snapshot has come: within which kind, after which record."""

    project_id: str
    epoch: str
    seq: int
    digest: str
    since: str | None
    sessions: int | None
    patterns: int | None
    kind: int = 0
    after: tuple[str, str] | None = None
    oldest: tuple[str, str] | None = None


@dataclass(slots=True)
class _Page:
    """What one answer holds so far; ``chars`` are those of its records."""

    limit: int
    items: list[Document] = field(default_factory=list)
    chars: int = 0
    full: bool = False


async def snapshot(
    services: Services, caller: Caller, project: str, asked: SnapshotRequest
) -> Document:
    """Returns up to ``limit`` records and the cursor of those that follow.

    Fewer where their content is long, but at least one if there is any.

    Raises:
        ProjectNotFound: there is no such project for the caller.
        InvalidCursor: the cursor is not one that an earlier page gave.
        EpochChanged: the log was restored since the first page.
    """
    caller.require(READ)
    async with services.uow.read(viewer_of(caller)) as tx:
        found = await project_named(tx.records, project)
        place = await _begun(tx, found, asked)
        page = _Page(asked.limit)
        at: _Cursor | None = place
        while at is not None and not page.full:
            at = await _take(tx, at, page)
    return {
        "epoch": place.epoch,
        "seq": place.seq,
        "digest": place.digest,
        "items": [*page.items],
        "next_cursor": None if at is None else _packed(at),
    }


async def _begun(tx: ReadTx, project: Document, asked: SnapshotRequest) -> _Cursor:
    project_id = str(project["id"])
    if asked.cursor is not None:
        place = _unpacked(asked.cursor)
        if place.project_id != project_id:
            raise InvalidCursor
        if place.epoch != project["epoch"]:
            raise EpochChanged
        return place
    head = await tx.log.head(project_id)
    if head is None:
        raise ProjectNotFound
    return _Cursor(
        project_id=project_id,
        epoch=head.epoch,
        seq=head.seq,
        digest=head.digest.hex(),
        since=asked.since,
        sessions=asked.max_sessions,
        patterns=asked.max_patterns,
    )


async def _take(tx: ReadTx, at: _Cursor, page: _Page) -> _Cursor | None:
    """Adds the next records of one kind; returns where to go on, None at the end of all."""
    kind = _ORDER[at.kind]
    left = {Kind.SESSION: at.sessions, Kind.PATTERN: at.patterns}.get(kind)
    room = page.limit - len(page.items)
    wanted = room if left is None else min(room, left)
    found = await _records(tx, at, page, wanted) if wanted else []
    page.full = page.full or len(found) == room
    last = (str(found[-1]["created_at"]), str(found[-1]["id"])) if found else None
    if kind is Kind.SESSION:
        at = replace(at, oldest=last or at.oldest)
        at = replace(at, sessions=None if left is None else left - len(found))
    if kind is Kind.PATTERN:
        at = replace(at, patterns=None if left is None else left - len(found))
    if page.full and kind is not Kind.PROJECT:
        return replace(at, after=last or at.after)
    return replace(at, kind=at.kind + 1, after=None) if at.kind + 1 < len(_ORDER) else None


async def _records(tx: ReadTx, at: _Cursor, page: _Page, wanted: int) -> list[Document]:
    """Adds as many records of one kind to the page as fit, and returns them."""
    kind, part = _ORDER[at.kind], _part(at, wanted)
    lengths = await tx.snapshots.lengths(kind, part)
    count = fitting(lengths, page.chars)
    page.full = count < len(lengths)
    found = await tx.snapshots.records(kind, replace(part, limit=count)) if count else []
    page.chars += sum(lengths[:count])
    page.items += [{"kind": kind.value, "document": document} for document in found]
    return found


def _part(at: _Cursor, limit: int) -> Part:
    return Part(
        project_id=at.project_id,
        seq=at.seq,
        limit=limit,
        since=at.since,
        after=None if at.after is None else Place(*at.after),
        oldest=None if at.oldest is None else Place(*at.oldest),
    )


def _packed(at: _Cursor) -> str:
    return base64.urlsafe_b64encode(json.dumps(asdict(at)).encode()).decode()


def _unpacked(text: str) -> _Cursor:
    """Returns the cursor of a text.

    Raises:
        InvalidCursor: it is none that `_packed` made.
    """
    try:
        value = json.loads(base64.urlsafe_b64decode(text.encode()))
        at = _Cursor(**value)
        _check(at)
    except (ValueError, TypeError, AttributeError, RecursionError, ContextError) as error:
        raise InvalidCursor from error
    return at


def _check(at: _Cursor) -> None:
    """Raises an error unless every part has its type; a cursor comes back from outside."""
    parse_uuid(at.project_id)
    parse_uuid(at.epoch)
    for number in (at.seq, at.kind, at.sessions, at.patterns):
        if number is not None and (type(number) is not int or not 0 <= number < 2**62):
            raise ValueError(number)
    if at.kind >= len(_ORDER) or len(bytes.fromhex(at.digest)) != DIGEST_BYTES:
        raise ValueError(at.kind)
    for place in (at.after, at.oldest):
        if place is not None:
            created_at, identity = place
            parse_time(created_at)
            parse_uuid(identity)
    if at.since is not None:
        parse_time(at.since)
