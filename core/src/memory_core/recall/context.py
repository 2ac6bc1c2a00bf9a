"""What goes into a context pack, and in which order: the same at the hub and in a replica.

First where work stopped, then what answers the question, lessons of the project and the team,
the last session, and earlier states.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from string import ascii_letters, digits

from memory_core.recall.documents import happened_at, text_of, title_of
from memory_core.recall.pack import Note, Pack, PackedNote, Reason, pack
from memory_core.recall.pipeline import Hit, Scope, SearchRequest
from memory_core.recall.ports import RecordFilter
from memory_core.records import Document, Kind, Ref

SHARED_PROJECT = "_team"
"""The slug of the tenant's own project, whose lessons are for all."""

HITS = 20
CHECKPOINTS = 4
PATTERNS = 12

CANDIDATE_CHECKPOINTS = CHECKPOINTS + 1
"""How many of a project's newest checkpoints are looked at: one may be of who asks."""

CANDIDATE_SESSIONS = 3
"""How many of a project's newest sessions are looked at."""

CANDIDATE_PATTERNS = 100
"""How many of a project's newest lessons in force are looked at."""


def question(
    query: str,
    project_ids: Sequence[str],
    *,
    kinds: Sequence[str],
    session_id: str | None,
    min_score: float | None,
    asker: str | None,
    now: str,
) -> SearchRequest:
    """Returns what a pack asks of recall; the project itself comes first in ``project_ids``."""
    return SearchRequest(
        query=query,
        scopes=[Scope(project_id, distance) for distance, project_id in enumerate(project_ids)],
        chosen=RecordFilter(kinds=frozenset(kinds), without_session=session_id),
        limit=HITS,
        min_score=min_score,
        asker=asker,
        now=now,
    )


def standing_notes(
    *,
    checkpoints: Sequence[Document],
    sessions: Sequence[Document],
    lessons: Sequence[Document],
    session_id: str | None,
) -> list[Note]:
    """Returns what matters whatever is asked: checkpoints, lessons, the last session.

    ``checkpoints`` and ``sessions`` are the project's, newest first; ``lessons`` are its
    patterns in force and the team's, in any order. ``session_id`` is the asking session.
    """
    saved = [c for c in checkpoints if not session_id or c["session_id"] != session_id]
    last = [s for s in sessions if s["id"] != session_id and not s["parent_session_id"]]
    best = sorted(lessons, key=lambda lesson: (-_quality(lesson), str(lesson["id"])))
    notes = [_note(Kind.CHECKPOINT, c, Reason.LAST_CHECKPOINT) for c in saved[:1]]
    notes += [_note(Kind.PATTERN, p, Reason.PATTERN) for p in best[:PATTERNS]]
    notes += [_note(Kind.SESSION, s, Reason.LAST_SESSION) for s in last[:1]]
    notes += [_note(Kind.CHECKPOINT, c, Reason.EARLIER_CHECKPOINT) for c in saved[1:CHECKPOINTS]]
    return notes


def pack_context(
    standing: Sequence[Note],
    hits: Sequence[Hit],
    *,
    kinds: Sequence[str],
    budget: int,
    project: str,
    now: str,
    nonce: str,
) -> Pack:
    """Returns the standing notes and what answers the question, packed into ``budget`` tokens.

    ``kinds`` empty means all. ``project`` is the slug that the pack's text names.
    """
    found = [_of_hit(hit) for hit in hits]
    starts = bool(standing) and standing[0].reason is Reason.LAST_CHECKPOINT
    wanted = [*standing[:1], *found, *standing[1:]] if starts else [*found, *standing]
    chosen = [note for note in wanted if not kinds or note.kind in kinds]
    return pack(chosen, budget=budget, project=project, now=now, nonce=nonce)


def shown_pack(packed: Pack, *, query: str, budget: int, found: bool) -> Document:
    """Returns a pack as an answer shows it; ``found`` says that the question has hits.

    ``nothing_relevant`` says that the question found nothing, or that nothing is known at all.
    """
    return {
        "text": packed.text,
        "items": [_shown(held) for held in packed.notes],
        "tokens_used": packed.tokens_used,
        "budget_tokens": budget,
        "nothing_relevant": not packed.notes or (bool(query.strip()) and not found),
    }


def new_nonce() -> str:
    """Returns a nonce of 72 random bits.

    Letters and digits take turns, so that its estimated size, and with it what fits into a
    pack, is always the same.
    """
    return "".join(secrets.choice(letters) for letters in (ascii_letters, digits) * 8)


def _quality(lesson: Document) -> float:
    score, confidence = lesson["quality_score"], lesson["confidence"]
    return sum(value for value in (score, confidence) if isinstance(value, float | int))


def _of_hit(hit: Hit) -> Note:
    return _noted(hit.ref, hit.document, Reason.ANSWER, hit.score, hit.span[0])


def _note(kind: Kind, document: Document, reason: Reason) -> Note:
    return _noted(Ref(kind, str(document["id"])), document, reason)


def _noted(
    ref: Ref, document: Document, reason: Reason, score: float | None = None, start: int = 0
) -> Note:
    author = document.get("author") or document.get("role") or document.get("agent")
    return Note(
        kind=ref.kind.value,
        id=ref.id,
        reason=reason,
        title=title_of(ref.kind, document),
        text=text_of(ref.kind, document),
        at=happened_at(document),
        source=str(author or document.get("owner") or ""),
        score=score,
        start=start,
    )


def _shown(held: PackedNote) -> Document:
    note = held.note
    return {
        "kind": note.kind,
        "id": note.id,
        "title": note.title,
        "reason": note.reason.value,
        "score": None if note.score is None else round(note.score, 6),
        "tokens": held.tokens,
    }
