"""What of a record is indexed."""

from __future__ import annotations

from memory_core.recall.ports import IndexRecord

from memory_core.records import Document, Kind, Privacy, Ref


def index_record(ref: Ref, document: Document, session: Document | None) -> IndexRecord:
    """Returns what the indexes hold of a live record.

    A message takes its privacy from its ``session``.
    """
    title, text = _texts(ref.kind, document, session)
    private = (session or document).get("privacy_level") == Privacy.PRIVATE
    owner = (session or document).get("owner")
    quality = document.get("quality_score")
    position = document.get("position")
    return IndexRecord(
        kind=ref.kind.value,
        id=ref.id,
        project_id=str(document["project_id"]),
        session_id=ref.id if ref.kind is Kind.SESSION else _optional(document.get("session_id")),
        position=position if isinstance(position, int) else 0,
        role=str(document.get("role") or ""),
        author=str(document.get("author") or ""),
        title=title,
        text=text,
        created_at=str(document.get("started_at") or document["created_at"]),
        owner_id=str(owner) if private else None,
        quality=quality if isinstance(quality, float) else 0.0,
        seq=int(str(document["seq"])),
    )


def _texts(kind: Kind, document: Document, session: Document | None) -> tuple[str, str]:
    if kind is Kind.SESSION:
        return _join(document, "title"), _join(document, "title", "summary", "description")
    if kind is Kind.MESSAGE:
        title = str((session or {}).get("title") or "")
        return title, _join(document, "text")
    if kind is Kind.CHECKPOINT:
        text = _join(document, "description", "next_steps")
        done = document.get("tasks_completed")
        tasks = [str(task) for task in done] if isinstance(done, list) else []
        return text.strip().partition("\n")[0][:200], "\n".join([text, *tasks])
    return _join(document, "name"), _join(document, "name", "description", "body", "example")


def _join(document: Document, *names: str) -> str:
    return "\n".join(str(document[name]) for name in names if document.get(name))


def _optional(value: object) -> str | None:
    return value if isinstance(value, str) else None
