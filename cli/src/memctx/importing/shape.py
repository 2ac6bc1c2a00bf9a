"""What a transcript holds as bodies of REST requests: redacted, and within the limits."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import islice

from pydantic import JsonValue

from memory_core.canonical import MAX_DEPTH, canonical_json, check_json, clean_text
from memory_core.errors import InvalidInput
from memory_core.fields import MAX_LINE, MAX_METADATA_BYTES, MAX_TEXT
from memory_core.redaction import redact_text, redact_value
from memory_core.transcripts import CheckpointItem, MessageItem, SessionEnd, SessionItem

Body = dict[str, JsonValue]

MAX_PATH = 1_024
MAX_PATHS = 2_000
MAX_TASKS = 500
_CUT = "\n[… cut: longer than a message can be]"


class Redactor:
    """Redacts at one privacy level and counts what it took out, by type."""

    def __init__(self, level: str) -> None:
        self.level = level
        self.counts: Counter[str] = Counter()

    def text(self, text: str, limit: int = MAX_TEXT) -> str:
        """Returns ``text`` redacted, storable and at most ``limit`` characters long."""
        done = redact_text(clean_text(text), self.level)
        self.counts.update(done.counts)
        if len(done.text) <= limit:
            return done.text
        return done.text[: limit - len(_CUT)] + _CUT

    def line(self, text: str) -> str:
        """Returns ``text`` redacted on one line of at most 500 characters."""
        done = redact_text(clean_text(text), self.level)
        self.counts.update(done.counts)
        printable = "".join(c if c.isprintable() else " " for c in done.text)
        return " ".join(printable.split())[:MAX_LINE]

    def metadata(self, value: Mapping[str, JsonValue]) -> Body:
        """Returns metadata redacted; empty if it is too large or cannot be stored."""
        try:
            done, counts = redact_value(_clean(dict(value)), self.level)
            check_json(done)
            size = len(canonical_json(done))
        except InvalidInput:
            return {}
        self.counts.update(counts)
        return done if isinstance(done, dict) and size <= MAX_METADATA_BYTES else {}


def _clean(value: JsonValue, depth: int = MAX_DEPTH) -> JsonValue:
    if isinstance(value, str):
        return clean_text(value)
    if depth == 0:
        return value
    if isinstance(value, dict):
        return {clean_text(key): _clean(item, depth - 1) for key, item in value.items()}
    return [_clean(item, depth - 1) for item in value] if isinstance(value, list) else value


def plain_line(text: str) -> str:
    """Returns a name (a branch, a tool, an id) on one line of at most 500 characters."""
    return "".join(c if c.isprintable() else " " for c in clean_text(text)).strip()[:MAX_LINE]


def paths(names: Iterable[str]) -> list[JsonValue]:
    """Returns file names as the hub takes them: printable, each once, 2,000 at most."""
    kept = ("".join(c if c.isprintable() else "\ufffd" for c in clean_text(n)) for n in names)
    unique = dict.fromkeys(name[:MAX_PATH] for name in kept if name)
    return [*islice(unique, MAX_PATHS)]


def message_body(item: MessageItem, redactor: Redactor) -> Body | None:
    """Returns a message, or None if nothing of it may be kept."""
    text = redactor.text(item.text)
    if not text.strip():
        return None
    return {
        "id": item.id,
        "role": item.role,
        "text": text,
        "author": plain_line(item.author),
        "tool_name": plain_line(item.tool_name) if item.tool_name else None,
        "source_id": plain_line(item.source_id) or None,
        "created_at": item.created_at,
        "metadata": redactor.metadata(item.metadata),
    }


def session_body(item: SessionItem, redactor: Redactor) -> Body:
    """Returns a session as it begins, with a title until its end gives a better one."""
    return {
        "id": item.id,
        "title": provisional_title(item),
        "agent": item.agent,
        "privacy_level": redactor.level,
        "source_id": plain_line(item.source_id),
        "started_at": item.started_at,
        "parent_session_id": item.parent_id,
        "metadata": _session_metadata(item, redactor),
    }


def provisional_title(item: SessionItem) -> str:
    """Returns the title of a session whose end has not been read yet."""
    return f"{item.agent} session of {item.started_at[:16].replace('T', ' ')}"


def _session_metadata(item: SessionItem, redactor: Redactor) -> Body:
    known: Body = {"cwd": item.cwd, "git_branch": item.git_branch, **item.metadata}
    return redactor.metadata({name: value for name, value in known.items() if value is not None})


def derived_fields(end: SessionEnd, redactor: Redactor) -> Body:
    """Returns what the rules found out about a session, as its fields.

    ``metadata.derived`` holds digests of title and summary: as long as they fit, nobody has
    changed them by hand, and a later import may.
    """
    title = redactor.line(end.title)
    summary = redactor.text(end.summary)
    derived: Body = {"title": short_digest(title), "summary": short_digest(summary)}
    return {
        "title": title,
        "summary": summary,
        "ended_at": end.ended_at,
        "files_changed": paths(end.files_changed),
        "metadata": {**redactor.metadata(end.metadata), "derived": derived},
    }


def short_digest(text: str) -> str:
    """Returns 16 hexadecimal digits of the SHA-256 of ``text``."""
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:16]


def changes(stored: Mapping[str, JsonValue], derived: Body) -> Body:
    """Returns the derived fields that a stored session lacks.

    A title or summary that somebody has changed by hand stays, and an older copy of a
    transcript changes nothing.
    """
    ended = stored.get("ended_at")
    if isinstance(ended, str) and ended > str(derived["ended_at"]):
        return {}
    metadata = stored.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    before = metadata.get("derived")
    before = before if isinstance(before, dict) else {}
    wanted: Body = {}
    for name in ("title", "summary"):
        current = str(stored.get(name) or "")
        untouched = name not in before or before[name] == short_digest(current)
        if derived[name] and current != derived[name] and untouched:
            wanted[name] = derived[name]
    for name in ("ended_at", "files_changed"):
        if stored.get(name) != derived[name]:
            wanted[name] = derived[name]
    found = derived["metadata"]
    merged = {**metadata, **(found if isinstance(found, dict) else {})}
    if merged != metadata and len(canonical_json(merged)) <= MAX_METADATA_BYTES:
        wanted["metadata"] = merged
    return wanted


def checkpoint_body(item: CheckpointItem, redactor: Redactor) -> Body | None:
    """Returns a checkpoint, or None if nothing of it may be kept."""
    description = redactor.text(item.description)
    if not description.strip():
        return None
    done = (redactor.text(task, 2_000) for task in item.tasks_completed[:MAX_TASKS])
    return {
        "id": item.id,
        "session_id": item.session_id,
        "description": description,
        "next_steps": redactor.text(item.next_steps),
        "git_branch": plain_line(item.git_branch) if item.git_branch else None,
        "git_commit": plain_line(item.git_commit) if item.git_commit else None,
        "files_changed": paths(item.files_changed),
        "tasks_completed": [*done],
        "privacy_level": redactor.level,
        "source_id": plain_line(item.source_id) if item.source_id else None,
        "created_at": item.created_at,
    }
