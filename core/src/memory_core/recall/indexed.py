"""What of a record is indexed."""

from __future__ import annotations

from memory_core.recall.documents import happened_at, text_of, title_of
from memory_core.recall.ports import IndexRecord
from memory_core.records import Document, Kind, Privacy, Ref


def index_record(ref: Ref, document: Document, session: Document | None) -> IndexRecord:
    """Returns what the indexes hold of a live record.

    A message takes its title and privacy from its ``session``.
    """
    shared = session or document
    private = shared.get("privacy_level") == Privacy.PRIVATE
    quality = document.get("quality_score")
    position = document.get("position")
    session_id = document.get("session_id")
    return IndexRecord(
        kind=ref.kind.value,
        id=ref.id,
        project_id=str(document["project_id"]),
        session_id=ref.id if ref.kind is Kind.SESSION else _optional(session_id),
        position=position if isinstance(position, int) else 0,
        role=str(document.get("role") or ""),
        author=str(document.get("author") or ""),
        tool_name=str(document.get("tool_name") or ""),
        title=str(shared.get("title") or "") if session else title_of(ref.kind, document),
        text=text_of(ref.kind, document),
        created_at=happened_at(document),
        owner_id=str(shared.get("owner")) if private else None,
        quality=quality if isinstance(quality, float) else 0.0,
        seq=int(str(document["seq"])),
    )


def _optional(value: object) -> str | None:
    return value if isinstance(value, str) else None
