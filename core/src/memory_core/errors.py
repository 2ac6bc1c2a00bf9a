"""Errors as data: a stable code, a status and a sentence, the same at every front door.

The title of an error is the first line of its docstring, so code and documentation
cannot drift apart. Front doors turn an error into RFC 9457 problem+json or one line on
standard error.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar, Literal

if TYPE_CHECKING:
    # Errors are raised at every front door: reading this module must not cost a client pydantic.
    from pydantic import JsonValue


class ContextError(Exception):
    """The request could not be carried out."""

    code: ClassVar[str] = "internal_error"
    status: ClassVar[int] = 500

    def __init__(self, detail: str = "", **extra: JsonValue) -> None:
        super().__init__(detail or self.title())
        self.detail = detail or self.title()
        self.extra = extra

    @classmethod
    def title(cls) -> str:
        """Returns the one-sentence meaning of the error."""
        return (cls.__doc__ or "").strip().splitlines()[0]


class BadRequest(ContextError):
    """The request is not well formed."""

    code, status = "bad_request", 400


class InvalidJson(ContextError):
    """The body is not JSON that this service reads."""

    code, status = "invalid_json", 400


class InvalidCursor(ContextError):
    """The cursor is not one that this service gave out."""

    code, status = "invalid_cursor", 400


class InvalidInput(ContextError):
    """A value in the request is not acceptable."""

    code, status = "invalid_input", 422


class InvalidId(InvalidInput):
    """An id is not a UUID."""

    code = "invalid_id"


class InvalidTime(InvalidInput):
    """A time is not RFC 3339 with a zone."""

    code = "invalid_time"


class InvalidText(InvalidInput):
    """A text holds characters that cannot be stored."""

    code = "invalid_text"


class InvalidSlug(InvalidInput):
    """A project slug is not acceptable."""

    code = "invalid_slug"


class UnreadableTranscript(InvalidInput):
    """A transcript file cannot be read, or is not one."""

    code = "unreadable_transcript"


class InvalidMarker(InvalidInput):
    """The project marker file cannot be used."""

    code = "invalid_marker"


class Unauthorized(ContextError):
    """A valid API key is needed."""

    code, status = "unauthorized", 401


class Forbidden(ContextError):
    """The API key does not allow this."""

    code, status = "forbidden", 403


class NotFound(ContextError):
    """There is no such thing, or the API key may not see it."""

    code, status = "not_found", 404


class ProjectNotFound(NotFound):
    """There is no such project, or the API key may not see it."""

    code = "project_not_found"


class MethodNotAllowed(ContextError):
    """This method is not available here."""

    code, status = "method_not_allowed", 405


class RequestTimeout(ContextError):
    """The request did not arrive in time."""

    code, status = "request_timeout", 408


class Conflict(ContextError):
    """The request contradicts what is stored."""

    code, status = "conflict", 409


class AlreadyExists(Conflict):
    """The id is in use by a different record."""

    code = "already_exists"


class SlugTaken(Conflict):
    """The slug belongs to another project."""

    code = "slug_taken"


class ReplicaForked(Conflict):
    """Two replicas have the same identity; one of them must take a new one."""

    code = "replica_forked"


class OperationsMissing(Conflict):
    """Operations before those that were pushed have not arrived."""

    code = "operations_missing"


class Deleted(ContextError):
    """The record has been deleted."""

    code, status = "deleted", 410


class CursorExpired(ContextError):
    """The cursor lies outside what the log holds; start again."""

    code, status = "cursor_expired", 410


class EpochChanged(ContextError):
    """The log was restored since the replica last read it; read it from the beginning."""

    code, status = "epoch_changed", 410


class PreconditionFailed(ContextError):
    """The record has changed since the version named in If-Match."""

    code, status = "precondition_failed", 412


class PayloadTooLarge(ContextError):
    """The request is larger than this service accepts."""

    code, status = "payload_too_large", 413


class UnsupportedMediaType(ContextError):
    """The body has a content type that this service does not read."""

    code, status = "unsupported_media_type", 415


class IdempotencyMismatch(ContextError):
    """The same Idempotency-Key came with another request."""

    code, status = "idempotency_mismatch", 422


class UpgradeRequired(ContextError):
    """Hub and client speak different versions of the protocol."""

    code, status = "upgrade_required", 426


class RateLimited(ContextError):
    """Too many requests; wait as Retry-After says."""

    code, status = "rate_limited", 429


class Corrupt(ContextError):
    """Stored data does not match its digest."""

    code, status = "corrupt", 500


class Unavailable(ContextError):
    """A store that is needed does not answer."""

    code, status = "unavailable", 503


class Busy(Unavailable):
    """The store is busy; try again."""

    code = "busy"

    met: Literal["", "lock", "deadlock"] = ""
    """Whether another write was in the way, so that this one was undone: it may be begun again."""


class ModelMissing(Unavailable):
    """No embedding model is installed; run `memctx model install`."""

    code = "model_missing"


class ModelBroken(Unavailable):
    """The embedding model is damaged; run `memctx model install`."""

    code = "model_broken"


class ModelInstallFailed(Unavailable):
    """The embedding model could not be obtained from any source."""

    code = "model_install_failed"


class EmbeddingFailed(Unavailable):
    """The embedding provider does not answer as it should."""

    code = "embedding_failed"


class StorageFull(ContextError):
    """There is no space left to write."""

    code, status = "storage_full", 507


def error_classes(root: type[ContextError] = ContextError) -> Iterator[type[ContextError]]:
    """Yields every kind of error, the root first."""
    yield root
    for child in root.__subclasses__():
        yield from error_classes(child)


def by_code() -> dict[str, type[ContextError]]:
    """Returns the errors by their code."""
    return {error.code: error for error in error_classes()}
