"""Errors on the client's side, and a hub's problem documents as errors again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from memory_core.errors import Conflict, ContextError, InvalidInput, NotFound, Unavailable

if TYPE_CHECKING:
    from pydantic import JsonValue


class HubUnreachable(Unavailable):
    """The hub does not answer."""

    code = "hub_unreachable"


class HubTimeout(HubUnreachable):
    """The hub did not answer in time."""

    code = "hub_timeout"


class NotAHub(ContextError):
    """What answers at the hub's address is not a memory-context hub."""

    code, status = "not_a_hub", 502


class BrokenAnswer(ContextError):
    """The hub's answer ended before it was complete."""

    code, status = "broken_answer", 502
    cut = False
    """Whether the connection ended in the middle, so that asking again may help."""


class InvalidAnswer(BrokenAnswer):
    """The hub's answer is not what the protocol says it is."""

    code = "invalid_answer"


class LocalFailure(ContextError):
    """A file of this machine could not be read or written."""

    code = "local_failure"


class InvalidConfig(InvalidInput):
    """The client's configuration is not usable."""

    code = "invalid_config"


class InsecureUrl(InvalidConfig):
    """The hub's address would send the API key where it is not safe."""

    code = "insecure_url"


class ReplicaMissing(NotFound):
    """There is no replica here; `memctx init` makes one."""

    code = "replica_missing"


class ReplicaTooNew(ContextError):
    """The replica was made by a newer version of memory-context; upgrade to use it."""

    code, status = "replica_too_new", 409


class ReplicaReadOnly(Unavailable):
    """The replica's folder or file cannot be written."""

    code = "replica_read_only"


class ReplicaNotOwn(ContextError):
    """The replica's file is not private to its user; it may be somebody else's."""

    code, status = "replica_not_own", 403


class PageOutOfOrder(Conflict):
    """A page of the log does not follow what the replica holds."""

    code = "page_out_of_order"


class NotHeld(NotFound):
    """The replica no longer holds this record; only the hub does."""

    code = "not_held"


def _subclasses(of: type[ContextError]) -> Iterator[type[ContextError]]:
    for each in of.__subclasses__():
        yield each
        yield from _subclasses(each)


def problem_class(code: str, status: int, title: str) -> type[ContextError]:
    """Returns the error class of a code; for one this version does not know, a new class.

    A newer hub may speak of errors that an older client has never heard of: their code, status
    and title are kept.
    """
    for each in _subclasses(ContextError):
        if each.code == code:
            return each
    if code == ContextError.code:
        return ContextError
    name = "".join(part.title() for part in code.split("_") if part.isidentifier()) or "Problem"
    return type(name, (ContextError,), {"code": code, "status": status, "__doc__": title})


def from_problem(status: int, body: Mapping[str, JsonValue]) -> ContextError:
    """Returns the error that an ``application/problem+json`` document describes.

    Everything beside its title and detail (``errors``, ``request_id``, ``project_id`` …) is in
    the error's ``extra``.
    """
    code = str(body.get("code") or "unknown_problem")[:100]
    title = str(body.get("title") or f"The hub answered {status}.")[:500]
    known = ("type", "title", "status", "detail", "code")
    extra = {str(name): value for name, value in body.items() if name not in known}
    return problem_class(code, status, title)(str(body.get("detail") or ""), **extra)
