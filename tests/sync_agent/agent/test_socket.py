"""The agent's socket: who may ask, and how much."""

from __future__ import annotations

import json
import os
import selectors
import socket
import stat
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from memory_core.errors import NotFound
from memory_core.records import Document
from sync_agent.agent import socket_server
from sync_agent.agent.asking import AgentNotRunning, ask, poke
from sync_agent.agent.folder import AgentFolder
from sync_agent.agent.socket_server import MAX_CLIENTS, MAX_REQUEST_BYTES, SocketServer


class Listening:
    """A server in a thread. ``echo`` answers, ``fail`` is an error, ``wait`` waits for the end."""

    def __init__(self, folder: AgentFolder) -> None:
        folder.make()
        self.server = SocketServer(folder, self.answer)
        self.server.open()
        self.waiting = threading.Semaphore(0)
        self.release = threading.Event()
        self._stop_reading, self._stop_writing = os.pipe()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def answer(self, request: Document) -> Document:
        match request.get("do"):
            case "fail":
                raise NotFound("there is no such replica")
            case "wait":
                self.waiting.release()
                self.release.wait(30)
            case "big":
                return {"text": "x" * (socket_server.MAX_ANSWER_BYTES + 1)}
        return {"echo": request}

    def _run(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self.server, selectors.EVENT_READ)
            selector.register(self._stop_reading, selectors.EVENT_READ, "stop")
            while True:
                for key, _ in selector.select():
                    if key.data == "stop":
                        return
                    self.server.accept()

    def close(self) -> None:
        self.release.set()
        os.write(self._stop_writing, b"x")
        self._thread.join(30)
        os.close(self._stop_writing)
        os.close(self._stop_reading)
        self.server.close()


@pytest.fixture
def folder(tmp_path: Path) -> AgentFolder:
    return AgentFolder(tmp_path / "agent")


@pytest.fixture
def listening(folder: AgentFolder) -> Iterator[Listening]:
    server = Listening(folder)
    yield server
    server.close()


def connected(folder: AgentFolder) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(30)
    connection.connect(str(folder.socket))
    return connection


def said(connection: socket.socket, *lines: bytes) -> list[Any]:
    """Sends lines and returns the answers."""
    answers = []
    with connection.makefile("rb") as answering:
        for line in lines:
            connection.sendall(line)
            answers.append(json.loads(answering.readline()))
    return answers


@pytest.mark.usefixtures("listening")
def test_a_request_is_answered(folder: AgentFolder) -> None:
    assert ask(folder, {"do": "echo", "text": "zażółć \n"}) == {
        "echo": {"do": "echo", "text": "zażółć \n"}
    }


@pytest.mark.usefixtures("listening")
def test_an_error_comes_back_with_its_code(folder: AgentFolder) -> None:
    with pytest.raises(NotFound, match="no such replica"):
        ask(folder, {"do": "fail"})


@pytest.mark.usefixtures("listening")
def test_several_requests_share_a_connection(folder: AgentFolder) -> None:
    with connected(folder) as connection:
        answers = said(connection, b'{"n": 1}\n', b"nonsense\n", b"[1]\n", b'{"n": 2}\n')
    assert [answer["ok"] for answer in answers] == [True, False, False, True]


@pytest.mark.usefixtures("listening")
def test_a_request_that_is_too_long_is_refused_and_the_connection_ends(
    folder: AgentFolder,
) -> None:
    with connected(folder) as connection, connection.makefile("rb") as lines:
        connection.sendall(b"x" * (MAX_REQUEST_BYTES + 1))
        assert json.loads(lines.readline())["error"]["code"] == "invalid_input"
        assert lines.readline() == b""


@pytest.mark.usefixtures("listening")
def test_an_answer_that_is_too_long_is_an_error(folder: AgentFolder) -> None:
    with connected(folder) as connection:
        [answer] = said(connection, b'{"do": "big"}\n')
    assert answer["error"]["code"] == "invalid_input"


def test_only_so_many_are_answered_at_once(folder: AgentFolder, listening: Listening) -> None:
    held = [connected(folder) for _ in range(MAX_CLIENTS)]
    for connection in held:
        connection.sendall(b'{"do": "wait"}\n')
    for _ in held:
        assert listening.waiting.acquire(timeout=30)
    with connected(folder) as connection, connection.makefile("rb") as lines:
        assert json.loads(lines.readline())["error"]["code"] == "busy"
    listening.release.set()
    for connection in held:
        with connection, connection.makefile("rb") as lines:
            assert json.loads(lines.readline())["ok"]


@pytest.mark.usefixtures("listening")
def test_only_the_user_may_connect(folder: AgentFolder) -> None:
    assert stat.S_IMODE(folder.socket.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.socket.parent.stat().st_mode) == 0o700
    with connected(folder) as connection:
        assert socket_server.peer_user(connection) == os.getuid()


def test_another_user_is_not_answered(
    folder: AgentFolder, listening: Listening, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket_server.os, "getuid", lambda: os.geteuid() + 1)
    with connected(folder) as connection, suppress(ConnectionResetError, BrokenPipeError):
        connection.sendall(b'{"do": "wait"}\n')
        assert connection.recv(1) == b""
    assert not listening.waiting.acquire(blocking=False)


def test_without_an_agent_nothing_answers_and_a_poke_says_so(folder: AgentFolder) -> None:
    with pytest.raises(AgentNotRunning):
        ask(folder, {"do": "status"})
    assert poke(folder, Path("/x")) is False


def test_a_socket_that_a_killed_agent_left_is_replaced(folder: AgentFolder) -> None:
    folder.make()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as left:
        left.bind(str(folder.socket))
    with pytest.raises(AgentNotRunning):
        ask(folder, {"do": "echo"})
    assert poke(folder, Path("/x")) is False
    server = Listening(folder)
    try:
        assert poke(folder, Path("/x")) is True
    finally:
        server.close()
    assert not folder.socket.exists()
