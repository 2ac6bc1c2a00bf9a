"""What an answer shows of a hit: the same at the hub and in a replica."""

from __future__ import annotations

from memory_core.recall.documents import happened_at, title_of
from memory_core.recall.pipeline import Answer, Hit
from memory_core.records import Document


def shown_hit(hit: Hit) -> Document:
    """Returns a hit as an answer lists it."""
    document = hit.document
    return {
        "kind": hit.ref.kind.value,
        "id": hit.ref.id,
        "session_id": document.get("session_id"),
        "source_id": document.get("source_id"),
        "project": document.get("project"),
        "project_id": hit.project_id,
        "score": round(hit.score, 6),
        "title": title_of(hit.ref.kind, document),
        "snippet": hit.snippet,
        "author": document.get("author") or document.get("owner"),
        "role": document.get("role"),
        "created_at": happened_at(document),
        "repeats": [repeat.id for repeat in hit.repeats],
        **({"explain": hit.explain} if hit.explain is not None else {}),
    }


def shown_timings(answer: Answer) -> Document:
    """Returns the milliseconds that each stage took, rounded."""
    return {name: round(taken, 3) for name, taken in answer.timings.items()}
