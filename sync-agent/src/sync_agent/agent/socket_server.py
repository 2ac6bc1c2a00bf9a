"""Where the agent is asked: a Unix socket of the user, a JSON object a line each way.

Only processes of the same user are answered: the socket lies in a private folder, has mode
0600, and the kernel is asked who is at the other end.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import struct
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from memory_core.errors import Busy, ContextError, InvalidInput
from sync_agent.agent.folder import AgentFolder

if TYPE_CHECKING:
    from memory_core.records import Document

MAX_REQUEST_BYTES = 64 * 1024
MAX_ANSWER_BYTES = 8 * 1024 * 1024
MAX_CLIENTS = 16
IDLE_SECONDS = 30.0
_BACKLOG = 32
_SOL_LOCAL, _LOCAL_PEERCRED, _XUCRED_BYTES = 0, 1, 76

Handler = Callable[["Document"], "Document"]


class SocketServer:
    """Answers each connection in a thread of its own, a bounded number at once."""

    def __init__(self, folder: AgentFolder, handle: Handler) -> None:
        self._path = folder.socket
        self._handle = handle
        self._free = threading.Semaphore(MAX_CLIENTS)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)

    def open(self) -> None:
        """Begins to listen. A socket that a killed agent left is replaced: call it locked."""
        self._path.unlink(missing_ok=True)
        mask = os.umask(0o177)
        try:
            self._socket.bind(os.fspath(self._path))
        finally:
            os.umask(mask)
        self._socket.listen(_BACKLOG)
        self._socket.setblocking(False)

    def fileno(self) -> int:
        """Returns what to wait on until somebody connects."""
        return self._socket.fileno()

    def accept(self) -> None:
        """Takes a connection that waits, and answers it in a thread."""
        try:
            connection, _ = self._socket.accept()
        except OSError:
            return
        if peer_user(connection) not in {None, os.getuid()}:
            connection.close()
            return
        connection.settimeout(IDLE_SECONDS)
        if not self._free.acquire(blocking=False):
            with connection, suppress(OSError):
                connection.sendall(_line(_failure(Busy("too many ask the agent at once"))))
            return
        threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def close(self) -> None:
        """Ends listening, and leaves no file behind."""
        self._socket.close()
        self._path.unlink(missing_ok=True)

    def _serve(self, connection: socket.socket) -> None:
        try:
            with connection, connection.makefile("rb") as lines, suppress(OSError):
                while line := lines.readline(MAX_REQUEST_BYTES + 1):
                    connection.sendall(_line(self._answer(line)))
                    if not line.endswith(b"\n"):
                        return
        finally:
            self._free.release()

    def _answer(self, line: bytes) -> Document:
        try:
            return {"ok": True, **self._handle(_parsed(line))}
        except ContextError as error:
            return _failure(error)
        except Exception as error:
            logging.getLogger(__package__).exception("unexpected, while answering")
            return _failure(ContextError(f"the agent failed: {type(error).__name__}"))


def peer_user(connection: socket.socket) -> int | None:
    """Returns the user at the other end of a Unix socket, None where this cannot be asked."""
    if hasattr(socket, "SO_PEERCRED"):
        size = struct.calcsize("3i")
        found = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
        return int(struct.unpack("3i", found)[1])
    if sys.platform == "darwin":
        found = connection.getsockopt(_SOL_LOCAL, _LOCAL_PEERCRED, _XUCRED_BYTES)
        return int(struct.unpack_from("II", found)[1])
    return None


def _parsed(line: bytes) -> Document:
    if len(line) > MAX_REQUEST_BYTES:
        raise InvalidInput(f"a request has at most {MAX_REQUEST_BYTES} bytes")
    try:
        request = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise InvalidInput("a request is one line of JSON") from error
    if not isinstance(request, dict):
        raise InvalidInput("a request is a JSON object")
    return request


def _failure(error: ContextError) -> Document:
    return {"ok": False, "error": {"code": error.code, "detail": error.detail}}


def _line(answer: Document) -> bytes:
    line = json.dumps(answer, ensure_ascii=False).encode() + b"\n"
    if len(line) <= MAX_ANSWER_BYTES:
        return line
    too_long = _failure(InvalidInput(f"the answer has more than {MAX_ANSWER_BYTES} bytes"))
    return json.dumps(too_long).encode() + b"\n"
