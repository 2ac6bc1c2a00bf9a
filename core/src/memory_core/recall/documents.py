"""What of a record's document is indexed and shown."""

from __future__ import annotations

from memory_core.records import Document, Kind

_TEXT_FIELDS: dict[Kind, tuple[str, ...]] = {
    Kind.SESSION: ("title", "summary", "description"),
    Kind.MESSAGE: ("text",),
    Kind.CHECKPOINT: ("description", "next_steps", "tasks_completed"),
    Kind.PATTERN: ("name", "description", "body", "example"),
}
_TITLE_CHARS = 200


def text_of(kind: Kind, document: Document) -> str:
    """Returns the text under which a record is found: its fields, a line each."""
    lines: list[str] = []
    for name in _TEXT_FIELDS.get(kind, ()):
        value = document.get(name)
        if isinstance(value, list):
            lines.extend(str(part) for part in value)
        elif value:
            lines.append(str(value))
    return "\n".join(lines)


def title_of(kind: Kind, document: Document) -> str:
    """Returns one line that names a record, at most 200 characters."""
    name = {Kind.SESSION: "title", Kind.PATTERN: "name"}.get(kind)
    text = str(document.get(name) or "") if name else text_of(kind, document)
    return text.strip().partition("\n")[0][:_TITLE_CHARS].strip()


def happened_at(document: Document) -> str:
    """Returns when a record happened: a session's start, else when it was made."""
    return str(document.get("started_at") or document.get("created_at") or "")
