"""What is computed of a record once, when it is indexed."""

from __future__ import annotations

import hashlib
import json
import re
from typing import NamedTuple

from memory_core.chunking import chunk_text
from memory_core.clock import to_datetime
from memory_core.recall.ports import IndexRecord
from memory_core.text.counting import TermCounts, count_terms, fingerprint, sum_counts

HASH_BYTES = 16

_QUESTION = re.compile(r"[?؟？]['\"’”)\]]*\s*(?:\[[^\]]*\]\s*)?\Z")  # noqa: RUF001 (other scripts)
_NOT_PEOPLE = """
agent ai assistant bot chatgpt claude codex copilot cursor gemini gpt human model system tool user
"""
_NOT_A_PERSON = frozenset(_NOT_PEOPLE.split())


class PreparedChunk(NamedTuple):
    """A chunk: its span in the text, its terms, and what is embedded of it."""

    start: int
    end: int
    counts: TermCounts
    length: int
    content_hash: bytes
    embedded_text: str


class PreparedUnit(NamedTuple):
    """A record with all that its index rows hold."""

    record: IndexRecord
    created: float
    question: bool
    fingerprint: int
    chunks: tuple[PreparedChunk, ...]


def is_person(author: str) -> bool:
    """Tells whether an author is somebody a query can mean by name.

    Roles, agents and models are not: "claude" in a question says nothing about the author of
    half of all messages. Names of models carry a version.
    """
    if not author or any(character.isdigit() for character in author):
        return False
    return author.casefold().split("-")[0].strip() not in _NOT_A_PERSON


def prepare(record: IndexRecord) -> PreparedUnit:
    """Returns what is stored of a record in an index.

    Raises:
        InvalidTime: ``created_at`` is not a time with a zone.
    """
    spoken = _spoken(record)
    chunks = tuple(
        _prepare_chunk(record.text, start, end, record.text[context:end], spoken, first=number == 0)
        for number, (context, start, end) in enumerate(chunk_text(record.text))
    )
    return PreparedUnit(
        record=record,
        created=to_datetime(record.created_at).timestamp(),
        question=_QUESTION.search(record.text[-400:]) is not None,
        fingerprint=fingerprint(sum_counts([chunk.counts for chunk in chunks])),
        chunks=chunks,
    )


def record_digest(record: IndexRecord) -> bytes:
    """Returns a digest of all that is indexed of a record, but not of its ``seq``."""
    described = json.dumps(
        [record.kind, record.id, record.session_id, record.position, record.role, record.author,
         record.title, record.created_at, record.owner_id, record.quality, record.tool_name]
    )  # fmt: skip
    digest = hashlib.blake2b(described.encode(), digest_size=16)
    digest.update(record.text.encode("utf-8", "surrogatepass"))
    return digest.digest()


def embedded_texts(record: IndexRecord) -> dict[bytes, str]:
    """Returns what is embedded of a record, by content hash, without counting its terms."""
    spoken = _spoken(record)
    texts = (spoken + record.text[context:end] for context, _, end in chunk_text(record.text))
    return {content_hash(text): text for text in texts}


def content_hash(text: str) -> bytes:
    """Returns the key of a text's vector: the first 16 bytes of its BLAKE2b digest."""
    data = text.encode("utf-8", "surrogatepass")
    return hashlib.blake2b(data, digest_size=HASH_BYTES).digest()


def _spoken(record: IndexRecord) -> str:
    return f"{record.author}: " if is_person(record.author) else ""


def _prepare_chunk(
    text: str, start: int, end: int, in_context: str, spoken: str, *, first: bool
) -> PreparedChunk:
    counts, length = count_terms((spoken if first else "") + text[start:end])
    embedded = spoken + in_context
    return PreparedChunk(
        start=start,
        end=end,
        counts=counts,
        length=length,
        content_hash=content_hash(embedded),
        embedded_text=embedded,
    )
