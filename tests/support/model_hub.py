"""A model hub on loopback: files with ``Range`` support that misbehaves when told to."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler

from tests.support.web import respond, serving

BLOCK = 1 << 16


@dataclass
class ModelHub:
    """What the hub serves, how it fails, and what it was asked."""

    files: dict[str, bytes]
    """Content by path, without the leading slash."""
    cut_after: list[int] = field(default_factory=list)
    """For each coming request, the bytes after which the line is cut; then none is."""
    statuses: list[int] = field(default_factory=list)
    """For each coming request, a status to answer with instead."""
    supports_range: bool = True
    stop_after: int | None = None
    """Serve this many bytes of a file, then wait until `resume` is set."""
    resume: threading.Event = field(default_factory=threading.Event)
    reached: threading.Event = field(default_factory=threading.Event)
    """Set when a transfer waits at ``stop_after``."""
    url: str = ""
    ranges: list[str | None] = field(default_factory=list)
    """The ``Range`` header of each request so far."""
    sent: int = 0
    """Bytes of content sent so far."""

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        asked = request.headers.get("Range")
        self.ranges.append(asked)
        if self.statuses:
            respond(request, self.statuses.pop(0))
            return
        content = self.files.get(request.path.lstrip("/"))
        if content is None:
            respond(request, 404)
            return
        start = int(re.fullmatch(r"bytes=(\d+)-", asked)[1]) if asked else 0  # type: ignore[index]
        if start and self.supports_range:
            request.send_response(206)
            request.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        else:
            start = 0
            request.send_response(200)
        request.send_header("Content-Length", str(len(content) - start))
        request.end_headers()
        self._send(request, content[start:])

    def _send(self, request: BaseHTTPRequestHandler, body: bytes) -> None:
        limit = self.cut_after.pop(0) if self.cut_after else len(body)
        for position in range(0, min(limit, len(body)), BLOCK):
            if self.stop_after is not None and position >= self.stop_after:
                self.reached.set()
                self.resume.wait()
            block = body[position : min(position + BLOCK, limit)]
            request.wfile.write(block)
            self.sent += len(block)
        if limit < len(body):
            request.close_connection = True


@contextmanager
def model_hub(files: dict[str, bytes]) -> Iterator[ModelHub]:
    """Runs a hub that serves ``files``."""
    hub = ModelHub(files)
    with serving(hub.answer) as url:
        hub.url = url
        try:
            yield hub
        finally:
            hub.resume.set()
