"""Redaction of operations, before anything is stored."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, TypeVar

from memory_core.budget import estimate_tokens
from memory_core.fields import Input
from memory_core.operations import AppendMessages, Body, CreateSession, NewMessage, Operation
from memory_core.records import Privacy
from memory_core.redaction import redact_text, redact_value

Counts = dict[str, int]
Model = TypeVar("Model", bound=Input)

_FIELDS = frozenset(
    {
        "title", "description", "summary", "text", "author", "next_steps", "git_status", "body",
        "example", "name", "metadata", "tasks_completed", "files_changed", "category", "tags",
        "tags_add", "value", "citations", "tool_name", "source_id", "agent", "git_branch",
        "git_commit",
    }
)  # fmt: skip


def redact_operation(operation: Operation, level: Privacy) -> tuple[Operation, dict[str, Counts]]:
    """Returns the operation with secrets replaced, and counts by type for each record id.

    Messages that came without a token count get an estimate of the redacted text.
    """
    counts: dict[str, Counts] = {}
    body: Body = operation.body
    if isinstance(body, CreateSession | AppendMessages):
        messages = [_redact_message(message, level, counts) for message in body.messages]
        body = body.model_copy(update={"messages": messages})
    body, own = _redact_model(body, level)
    _add(counts, operation.record_id, own)
    return replace(operation, body=body), counts


def total(counts: dict[str, Counts]) -> Counts:
    """Returns the counts of all records together."""
    summed: Counts = {}
    for one in counts.values():
        for type_, count in one.items():
            summed[type_] = summed.get(type_, 0) + count
    return summed


def _redact_message(message: NewMessage, level: Privacy, counts: dict[str, Counts]) -> NewMessage:
    redacted, own = _redact_model(message, level)
    _add(counts, str(message.id), own)
    if redacted.token_count is None:
        redacted = redacted.model_copy(update={"token_count": estimate_tokens(redacted.text)})
    return redacted


def _redact_model(model: Model, level: Privacy) -> tuple[Model, Counts]:
    """Copies only what changed, so that the set of given fields stays what the client gave."""
    changed: dict[str, Any] = {}
    counts: Counts = {}
    for name in model.model_fields_set & _FIELDS:
        value = getattr(model, name)
        if not value:
            continue
        if isinstance(value, str):
            redacted = redact_text(value, level)
            after, found = redacted.text, dict(redacted.counts)
        else:
            plain = (
                [v.model_dump() if isinstance(v, Input) else v for v in value]
                if isinstance(value, list)
                else value
            )
            after, found = redact_value(plain, level)  # type: ignore[assignment]
            if name == "citations" and found:
                after = [type(value[0])(**item) for item in after]  # type: ignore[arg-type,assignment]
        if found:
            changed[name] = after
            for type_, count in found.items():
                counts[type_] = counts.get(type_, 0) + count
    return (model.model_copy(update=changed), counts) if changed else (model, counts)


def _add(counts: dict[str, Counts], record_id: str, own: Counts) -> None:
    if own:
        counts[record_id] = own
