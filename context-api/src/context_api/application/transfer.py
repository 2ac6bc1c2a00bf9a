"""Everything as JSON lines and back: the log itself, so that a copy is exact."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from typing import Any, get_args

from pydantic import JsonValue

from context_api.application import audit
from context_api.application.erasures import Erasures
from context_api.application.ports import (
    ContextLoad,
    StoredKey,
    UnitOfWork,
    Viewer,
    WriteTx,
)
from context_api.application.requests import Scope
from context_api.application.services import Services
from context_api.application.sync.documents import from_replica_document, replica_document
from context_api.application.sync.ports import Replica
from context_api.application.viewing import viewer_of
from context_api.domain.caller import ADMIN, Caller
from memory_core.canonical import canonical_json, check_text
from memory_core.clock import now, parse_time
from memory_core.errors import Conflict, Corrupt, InvalidInput, SlugTaken, StorageFull
from memory_core.events import Event, EventType, genesis, verify_event
from memory_core.ids import parse_uuid, uuid7
from memory_core.records import Document, Kind

FORMAT = "memory_context_export"
FORMAT_VERSION = 1
_BATCH = 500
_KEY_ID = re.compile(r"[A-Za-z0-9]{6,32}")
_MALFORMED = (
    ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError,
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """What an export holds beside the logs.

    ``keys``: the API keys, their secrets as hashes. ``views``: a digest of every view in the
    last line, by which what was made of a copy can be compared.
    """

    keys: bool = False
    views: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """How an export is taken in.

    ``restore`` gives every project that grows a new epoch, so that a client which had seen
    more than the copy holds notices; ``only_empty`` refuses a tenant that has projects;
    ``keys`` takes API keys too.
    """

    restore: bool = False
    only_empty: bool = False
    keys: bool = False


async def export(
    services: Services, caller: Caller, chosen: Exported | None = None
) -> AsyncIterator[bytes]:
    """Yields every log of the tenant, what contexts loaded and its replicas, as JSON lines.

    All of it is of one moment. The first line names the format, the last one counts, so that a
    cut file is recognised.
    """
    caller.require(ADMIN)
    chosen = chosen or Exported()
    # What is to be saved from a full disk must not need room on it.
    with suppress(StorageFull):
        await audit.announce(services, caller, "export", keys=chosen.keys)
    yield _line({FORMAT: {"version": FORMAT_VERSION, "exported_at": now()}})
    count = 0
    async with services.uow.read(viewer_of(caller)) as tx:
        project_ids = await tx.all_project_ids()
        for project_id in project_ids:
            head = await tx.log.head(project_id)
            if head is None:
                continue
            yield _line({"project": {"id": project_id, "epoch": head.epoch, "head": head.seq}})
            async for events in tx.log.pages(project_id):
                count += len(events)
                yield b"".join(_line({"event": to_document(event)}) for event in events)
        for load in await tx.loads():
            yield _line({"context_load": asdict(load)})
        for replica in await tx.replicas.of_projects(None):
            yield _line({"replica": replica_document(replica)})
        for key in await tx.keys() if chosen.keys else ():
            yield _line({"api_key": key_document(key)})
        end: Document = {"projects": len(project_ids), "events": count}
        if chosen.views:
            end["tenant_id"] = caller.tenant_id
            end["view_digest"] = (await tx.view_digest()).hex()
    yield _line({"end": end})


def _line(value: JsonValue) -> bytes:
    return canonical_json(value) + b"\n"


async def import_(
    services: Services, caller: Caller, lines: AsyncIterator[bytes], chosen: Taken | None = None
) -> Document:
    """Takes an export in and wakes those who wait for the logs to grow; see `take_in`."""
    caller.require(ADMIN)
    chosen = chosen or Taken()
    act = "restore" if chosen.restore else "import"
    await audit.announce(services, caller, act, keys=chosen.keys)
    done = await take_in(services.uow, caller, lines, chosen)
    services.measures.appended(int(str(done["events"])) + int(str(done["erased"])))
    if done["erased"]:
        await services.uow.checkpoint()
    await services.wakeup.notify()
    return done


async def take_in(
    uow: UnitOfWork, caller: Caller, lines: AsyncIterator[bytes], chosen: Taken | None = None
) -> Document:
    """Takes an export in: logs that are new, and the rest of logs that go on.

    Each batch of events is one transaction whose digests follow what is stored, so a cut
    import leaves true prefixes that a second one completes. Lines that name records erased since
    come before the projects; see `Erasures`.

    Raises:
        InvalidInput: a line is not of an export, or an event does not match its digest.
        Conflict: a log here has taken another course, or only an empty tenant was to be filled.
        SlugTaken: a project here has the slug of one that comes in.
    """
    intake = _Intake(uow, caller, chosen or Taken())
    await intake.check_empty()
    async for line in lines:
        if line.strip():
            await intake.take(line)
    await intake.close()
    if not intake.ended:
        raise InvalidInput(
            "the export was cut off: its last line is missing; what it held so far is stored"
        )
    return {
        "projects": intake.projects,
        "events": intake.added,
        "skipped": intake.skipped,
        "keys": intake.added_keys,
        "erased": intake.erased,
    }


class _Intake:
    def __init__(self, uow: UnitOfWork, caller: Caller, chosen: Taken) -> None:
        self._uow = uow
        self._caller = caller
        self._chosen = chosen
        self._erasures = Erasures()
        self._project_id = ""
        self._tenant_id = caller.tenant_id
        self._viewer = Viewer(tenant_id=caller.tenant_id, actor=caller.actor)
        self._number = 0
        self._started = False
        self._epoch = ""
        self._head = 0
        self._previous = b""
        self._shared: Event | None = None
        self._batch: list[Event] = []
        self._loads: list[ContextLoad] = []
        self._replicas: list[Replica] = []
        self.ended = False
        self.projects = 0
        self.added = 0
        self.skipped = 0
        self.added_keys = 0
        self.erased = 0

    async def check_empty(self) -> None:
        """Raises `Conflict` if only an empty tenant may be filled and this is not one."""
        if not self._chosen.only_empty:
            return
        async with self._uow.read(self._viewer) as tx:
            if await tx.all_project_ids():
                raise Conflict(
                    "there are projects here already; restore into an empty hub, or take in"
                    " only what is missing here"
                )

    async def take(self, line: bytes) -> None:
        """Takes one line."""
        self._number += 1
        try:
            value: Any = json.loads(line)
            [(what, content)] = value.items()
            await self._take(what, content)
        except Corrupt as error:
            raise InvalidInput(f"line {self._number}: {error.detail}") from error
        except _MALFORMED as error:
            raise InvalidInput(f"line {self._number} is not of an export") from error

    async def _take(self, what: str, content: Any) -> None:
        if not self._started:
            if what != FORMAT:
                raise InvalidInput("this is not an export of memory-context")
            if content["version"] != FORMAT_VERSION:
                raise InvalidInput("the export was made by another release; use that one")
            self._started = True
        elif what == "project":
            await self._open(parse_uuid(content["id"]), parse_uuid(content["epoch"]))
        elif what == "event":
            await self._event(from_document(content))
        elif what == "erased" and not self._project_id:
            self._erasures.want(content)
        elif what == "context_load":
            self._loads.append(_checked(ContextLoad(**content)))
        elif what == "replica":
            self._replicas.append(from_replica_document(content))
        elif what == "api_key":
            await self._key(from_key_document(content, self._tenant_id))
        elif what == "end":
            await self._check_course()
            self.ended = True
        else:
            raise InvalidInput(f"line {self._number} is of an unknown kind")

    async def _open(self, project_id: str, epoch: str) -> None:
        await self._check_course()
        await self.close()
        self._project_id = project_id
        self.projects += 1
        self._epoch = uuid7() if self._chosen.restore else epoch
        async with self._uow.read(self._viewer) as tx:
            head = await tx.log.head(project_id)
        self._head = head.seq if head else 0
        self._previous = genesis(project_id)

    async def _event(self, event: Event) -> None:
        verify_event(self._previous, event)
        self._previous = event.digest
        event = self._erasures.stripped(event)
        if event.seq <= self._head:
            self.skipped += 1
            self._shared = event
            return
        await self._check_course()
        self._batch.append(event)
        if len(self._batch) >= _BATCH:
            await self.flush()

    async def _check_course(self) -> None:
        """Checks that the last event that was skipped is the one that is stored."""
        event, self._shared = self._shared, None
        if event is None:
            return
        async with self._uow.read(self._viewer) as tx:
            [stored] = await tx.log.page(event.project_id, event.seq - 1, 1)
        if stored.digest != event.digest:
            raise Conflict(f"the log of project {event.project_id} here has taken another course")

    async def _key(self, key: StoredKey) -> None:
        """Stores a key whose id nobody has; one that is there stays as it is."""
        if not self._chosen.keys or await self._uow.find_key(key.id) is not None:
            return
        async with self._uow.write(self._tenant_id) as tx:
            await tx.add_key(key)
            await tx.commit()
        self.added_keys += 1

    async def close(self) -> None:
        """Ends the project that was open: all its events, then the erasures it does not have."""
        await self.flush()
        if self._project_id:
            done = await self._erasures.finish(self._uow, self._caller, self._project_id)
            self.erased += done

    async def flush(self) -> None:
        """Writes the batch."""
        if not (self._batch or self._loads or self._replicas):
            return
        async with self._uow.write(self._tenant_id) as tx:
            if self._batch:
                first = self._batch[0]
                head = await tx.log.head(first.project_id)
                if (head.seq if head else 0) != first.seq - 1:
                    raise Conflict("the log grew while it was imported; import again")
                await _check_slugs(tx, self._batch)
                await tx.restore(self._batch, self._epoch)
            await tx.add_loads(self._loads)
            for replica in self._replicas:
                # Written after all events, which are those of its operations.
                await tx.replicas.restore(replica)
            await tx.commit()
        self.added += len(self._batch)
        self._batch, self._loads, self._replicas = [], [], []


async def _check_slugs(tx: WriteTx, batch: list[Event]) -> None:
    for event in batch:
        if event.kind is not Kind.PROJECT or event.content is None:
            continue
        changes = event.content.get("changes")
        slug = (changes if isinstance(changes, dict) else event.content).get("slug")
        holder = await tx.project_id_of_slug(slug) if isinstance(slug, str) else None
        if holder is not None and holder != event.project_id:
            raise SlugTaken(
                f"the slug {slug!r} belongs to another project here; rename that one first",
                project_id=holder,
            )


def _checked(load: ContextLoad) -> ContextLoad:
    """Returns a load whose values have their types; no digest covers it."""
    for text in (load.kind, load.reason, load.actor):
        check_text(text)
    for count in (load.position, load.tokens):
        if type(count) is not int or not 0 <= count < 2**31:
            raise InvalidInput("a count of a context load is none")
    return replace(
        load,
        recall_id=parse_uuid(load.recall_id),
        project_id=parse_uuid(load.project_id),
        record_id=parse_uuid(load.record_id),
        loaded_at=parse_time(load.loaded_at),
        score=None if load.score is None else float(load.score),
    )


def to_document(event: Event) -> Document:
    """Returns an event with everything that its digest covers."""
    return {
        "project_id": event.project_id,
        "seq": event.seq,
        "type": event.type.value,
        "kind": event.kind.value,
        "record_id": event.record_id,
        "parent_id": event.parent_id,
        "op_id": event.op_id,
        "op_index": event.op_index,
        "actor": event.actor,
        "occurred_at": event.occurred_at,
        "recorded_at": event.recorded_at,
        "redactions": dict(event.redactions),
        "content": event.content,
        "salt": None if event.salt is None else base64.b64encode(event.salt).decode(),
        "content_digest": event.content_digest.hex(),
        "digest": event.digest.hex(),
    }


def from_document(document: dict[str, Any]) -> Event:
    """Returns the event of an exported document.

    Raises:
        Corrupt: a digest or the salt is not in its form.
    """
    salt = document["salt"]
    try:
        event = Event(**{**document, "salt": None, "content_digest": b"", "digest": b""})
        return replace(
            event,
            type=EventType(event.type),
            kind=Kind(event.kind),
            salt=None if salt is None else base64.b64decode(salt, validate=True),
            content_digest=bytes.fromhex(document["content_digest"]),
            digest=bytes.fromhex(document["digest"]),
        )
    except (binascii.Error, ValueError) as error:
        raise Corrupt("an exported event is not in its form") from error


def key_document(key: StoredKey) -> Document:
    """Returns a key as an export holds it: all but the tenant, the secret as its hash."""
    document: Document = {**asdict(key), "secret_hash": key.secret_hash.hex()}
    document["scopes"] = [*key.scopes]
    document["project_ids"] = None if key.project_ids is None else [*key.project_ids]
    del document["tenant_id"]
    return document


def from_key_document(document: dict[str, Any], tenant_id: str) -> StoredKey:
    """Returns the key of an exported document as one of ``tenant_id``.

    Raises:
        InvalidInput: a value is not in its form.
    """
    key = StoredKey(**{**document, "tenant_id": tenant_id})
    granted = document["project_ids"]
    for text in (key.name, key.owner):
        check_text(text)
    if not _KEY_ID.fullmatch(key.id) or not set(key.scopes) <= set(get_args(Scope)):
        raise InvalidInput("a key is not in its form")
    return replace(
        key,
        secret_hash=bytes.fromhex(document["secret_hash"]),
        scopes=tuple(sorted(set(document["scopes"]))),
        project_ids=None if granted is None else tuple(parse_uuid(one) for one in granted),
        created_at=parse_time(key.created_at),
        expires_at=None if key.expires_at is None else parse_time(key.expires_at),
        revoked_at=None if key.revoked_at is None else parse_time(key.revoked_at),
        last_used_at=None if key.last_used_at is None else parse_time(key.last_used_at),
    )
