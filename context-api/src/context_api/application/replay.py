"""The views as a log says they should be, to compare with those that are stored."""

from __future__ import annotations

from dataclasses import dataclass

from context_api.application.ports import ReadTx
from memory_core.canonical import canonical_json, digest
from memory_core.events import Event
from memory_core.projection import apply
from memory_core.records import Document, Kind, Ref

_VIEWED = (
    Kind.PROJECT,
    Kind.SESSION,
    Kind.MESSAGE,
    Kind.CHECKPOINT,
    Kind.PATTERN,
    Kind.CONFLICT,
)


@dataclass(frozen=True, slots=True)
class _Seen:
    document: Document | None
    digest: bytes
    parent_id: str | None


class Replay:
    """Projects a log in memory; of messages, which are many, only digests stay."""

    def __init__(self) -> None:
        self._seen: dict[Ref, _Seen] = {}

    async def take(self, tx: ReadTx, event: Event) -> None:
        """Applies one event."""
        ref = Ref(event.kind, event.record_id)
        held = self._seen.get(ref)
        if event.kind is Kind.MESSAGE and held is not None:
            before = await _message_before(tx, event)
            self._seen[ref] = _Seen(before, held.digest, held.parent_id)
        effects = apply(event, self._lookup)
        for changed, document in effects.documents.items():
            kept = None if changed.kind is Kind.MESSAGE else document
            self._seen[changed] = _Seen(kept, _digest(document), _parent(changed, document))
        erased = effects.erased_record
        if erased is not None:
            gone = [
                child
                for child, seen in self._seen.items()
                if seen.parent_id == erased.id
                and (erased.kind is Kind.SESSION or child.kind is Kind.CONFLICT)
            ]
            for child in gone:
                del self._seen[child]

    def _lookup(self, ref: Ref) -> Document | None:
        seen = self._seen.get(ref)
        return seen.document if seen else None

    async def differing(self, tx: ReadTx, project_id: str) -> list[str]:
        """Returns the kinds whose stored rows are not what the log says."""
        kinds: list[str] = []
        for kind in _VIEWED:
            expected = {ref.id: seen.digest for ref, seen in self._seen.items() if ref.kind is kind}
            found: dict[str, bytes] = {}
            async for document in tx.view_rows(project_id, kind):
                found[str(document["id"])] = _digest(document)
            if found != expected:
                kinds.append(kind.value)
        return kinds


def _parent(ref: Ref, document: Document) -> str | None:
    value = document.get("record_id" if ref.kind is Kind.CONFLICT else "session_id")
    return value if isinstance(value, str) else None


def _digest(document: Document) -> bytes:
    """Returns a digest in which an empty field and a missing one are the same."""
    return digest(canonical_json({name: value for name, value in document.items() if value}))


async def _message_before(tx: ReadTx, event: Event) -> Document | None:
    """Returns a message as it was before ``event``, from the log."""
    ref = Ref(event.kind, event.record_id)
    state: dict[Ref, Document] = {}
    for earlier in await tx.log.of_record(event.record_id, upto=event.seq - 1):
        state.update(apply(earlier, state.get).documents)
    return state.get(ref)
