"""The audit log of a tenant: entries that only follow each other, each sealed over the one before.

An entry's digest is ``SHA-256(digest before | seq, 8 bytes | SHA-256(what the entry says))``, so
that the database itself can seal an entry whose place in the chain only it knows.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from hashlib import sha256

from pydantic import JsonValue

from memory_core.canonical import canonical_json
from memory_core.errors import Corrupt
from memory_core.records import Document

MAX_NAME = 200
MAX_TARGET = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """Who did what to what; ``seq`` and ``digest`` are those of its place in the chain."""

    tenant_id: str
    at: str
    key_id: str
    actor: str
    act: str
    target: str
    detail: Document = field(default_factory=dict)
    seq: int = 0
    digest: bytes = b""

    @property
    def content_digest(self) -> bytes:
        """The SHA-256 of everything that the entry says, its place left out."""
        said: list[JsonValue] = [
            self.tenant_id, self.at, self.key_id, self.actor, self.act, self.target, self.detail,
        ]  # fmt: skip
        return sha256(canonical_json(said)).digest()


def genesis(tenant_id: str) -> bytes:
    """Returns the digest that stands before a tenant's first entry."""
    return sha256(f"memory-context audit {tenant_id}".encode()).digest()


def chained(previous: bytes, seq: int, content_digest: bytes) -> bytes:
    """Returns the digest of the entry at ``seq`` after one whose digest is ``previous``."""
    return sha256(previous + seq.to_bytes(8, "big") + content_digest).digest()


def sealed(entry: Entry, after: tuple[int, bytes] | None) -> Entry:
    """Returns ``entry`` as the one after ``after`` (seq, digest), None if it is the first."""
    seq, previous = after or (0, genesis(entry.tenant_id))
    return replace(entry, seq=seq + 1, digest=chained(previous, seq + 1, entry.content_digest))


def follow(after: tuple[int, bytes], entry: Entry) -> tuple[int, bytes]:
    """Returns the place (seq, digest) of ``entry``, which must be the one after ``after``.

    Raises:
        Corrupt: entries are missing or out of order, or this one was changed.
    """
    seq, previous = after
    if entry.seq != seq + 1:
        raise Corrupt(f"entry {seq + 1} is missing")
    if entry.digest != chained(previous, entry.seq, entry.content_digest):
        raise Corrupt(f"entry {entry.seq} or the one before it was changed")
    return entry.seq, entry.digest


def escaped(text: str, limit: int = MAX_NAME) -> str:
    """Returns text of a user without characters that could forge a line or colour a terminal."""
    safe = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    return safe if len(safe) <= limit else f"{safe[: limit - 1]}…"
