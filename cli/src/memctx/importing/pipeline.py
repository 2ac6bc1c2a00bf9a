"""Reads transcripts and hands what they hold to a target, one file after the other."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from memctx.importing.report import Report
from memctx.importing.seen import SeenFiles, Shape
from memctx.importing.shape import (
    Redactor,
    checkpoint_body,
    derived_fields,
    message_body,
    session_body,
)
from memctx.importing.targets import Box, ProjectRef, Target
from memory_core.errors import InvalidInput, UnreadableTranscript
from memory_core.transcripts import (
    CheckpointItem,
    Item,
    Malformed,
    MessageItem,
    SessionEnd,
    SessionItem,
    Transcript,
    read,
)

MAX_WAITING_BYTES = 8_000_000


class Listener(Protocol):
    """Is told how the import goes on."""

    def file(self, path: Path) -> None:
        """A file is begun."""
        ...

    def message(self) -> None:
        """A message was read."""
        ...

    def done(self, size: int) -> None:
        """A file of this many bytes is done."""
        ...


@dataclass(frozen=True, slots=True)
class How:
    """What decides about the result beside the files."""

    privacy: str = "TEAM"
    thinking: bool = True


class Importer:
    """Imports transcripts in bounded memory."""

    def __init__(
        self,
        target: Target,
        report: Report,
        listener: Listener,
        *,
        how: How,
        seen: SeenFiles | None = None,
    ) -> None:
        self._target = target
        self._report = report
        self._listener = listener
        self._how = how
        self._seen = seen
        self._redactor = Redactor(how.privacy)
        self._boxes: dict[str, Box] = {}
        self._projects: set[str] = set()
        self._elsewhere = False

    def run(self, transcripts: Iterable[Transcript]) -> None:
        """Imports every file; one that was imported as it is now is left out."""
        start = time.monotonic()
        try:
            for transcript in transcripts:
                if self._seen is not None and self._seen.unchanged(transcript.path):
                    self._report.unchanged += 1
                else:
                    self._file(transcript)
                self._listener.done(transcript.size)
        finally:
            self._report.redactions = self._redactor.counts
            self._report.seconds = time.monotonic() - start

    def _file(self, transcript: Transcript) -> None:
        path = transcript.path
        self._listener.file(path)
        self._boxes, self._projects, self._elsewhere = {}, set(), False
        troubles = self._troubles()
        try:
            shape = Shape.of(path)
            for item in read(path, transcript.agent, thinking=self._how.thinking):
                self._take(item, path)
                if self._elsewhere and not self._boxes:
                    self._report.elsewhere += 1
                    return
            for box in self._boxes.values():
                box.flush()
            same = Shape.of(path) == shape
        except (UnreadableTranscript, OSError) as error:
            self._report.skip(str(path), str(error), named=False)
            return
        self._report.files += 1
        self._report.size += transcript.size
        if self._seen is not None and same and self._troubles() == troubles:
            self._seen.done(path, shape, self._projects)

    def _troubles(self) -> int:
        return self._report.malformed_lines + len(self._report.problems)

    def _take(self, item: Item, path: Path) -> None:
        match item:
            case SessionItem():
                self._begin(item, path)
            case MessageItem():
                self._listener.message()
                self._message(item)
            case CheckpointItem():
                box = self._boxes.get(item.session_id)
                body = checkpoint_body(item, self._redactor)
                if box is not None and body is not None:
                    box.checkpoint(body)
            case SessionEnd():
                box = self._boxes.pop(item.id, None)
                if box is not None:
                    box.finish(derived_fields(item, self._redactor))
            case Malformed():
                self._report.bad_line(item.path, item.line, item.reason)

    def _begin(self, item: SessionItem, path: Path) -> None:
        try:
            project: ProjectRef | None = self._target.project(item, path)
        except InvalidInput as error:
            # A repository whose marker is broken keeps no other repository from being imported.
            self._report.problem("session", item.id, error.detail)
            return
        if project is None:
            self._elsewhere = True
            return
        self._projects.add(project.key)
        session = session_body(item, self._redactor)
        self._boxes[item.id] = self._target.box(session, project, self._report)

    def _message(self, item: MessageItem) -> None:
        box = self._boxes.get(item.session_id)
        if box is None:
            return
        body = message_body(item, self._redactor)
        if body is None:
            return
        box.message(body)
        if sum(each.size for each in self._boxes.values()) > MAX_WAITING_BYTES:
            for each in self._boxes.values():
                each.flush()
