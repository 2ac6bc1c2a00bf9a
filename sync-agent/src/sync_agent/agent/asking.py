"""Asks the agent that runs, if one does."""

from __future__ import annotations

import json
import os
import socket
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from memory_core.errors import Unavailable
from sync_agent.agent.folder import AgentFolder
from sync_agent.errors import BrokenAnswer, problem_class

if TYPE_CHECKING:
    from memory_core.records import Document

ASK_SECONDS = 5.0
POKE_SECONDS = 0.2
MAX_ANSWER_BYTES = 8 * 1024 * 1024


class AgentNotRunning(Unavailable):
    """No agent of this user runs."""

    code = "agent_not_running"


def ask(folder: AgentFolder, request: Document, *, seconds: float = ASK_SECONDS) -> Document:
    """Returns the agent's answer to a request, without its ``ok``.

    Raises:
        AgentNotRunning: none answers.
        BrokenAnswer: it ended before its answer was complete, or answers too late.
        ContextError: what the agent said went wrong, by its code.
    """
    line = json.dumps(request, ensure_ascii=False).encode() + b"\n"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(seconds)
        try:
            connection.connect(os.fspath(folder.socket))
        except OSError as error:
            raise AgentNotRunning("no agent runs; `memctx agent start` starts one") from error
        try:
            connection.sendall(line)
            with connection.makefile("rb") as lines:
                answer = lines.readline(MAX_ANSWER_BYTES + 1)
        except OSError as error:
            raise BrokenAnswer(f"the agent does not answer: {error}") from error
    return _checked(answer)


def poke(folder: AgentFolder, replica: Path) -> bool:
    """Tells the agent of a local write, and says whether it was there to hear it.

    Never raises and never waits for long: the write is safe, and the agent looks by itself.
    """
    if not folder.socket.exists():
        return False
    with suppress(Exception):
        ask(folder, {"do": "poke", "replica": str(replica)}, seconds=POKE_SECONDS)
        return True
    return False


def _checked(line: bytes) -> Document:
    try:
        answer = json.loads(line)
    except ValueError as error:
        raise BrokenAnswer("the agent's answer is not complete") from error
    if not isinstance(answer, dict) or not isinstance(answer.get("ok"), bool):
        raise BrokenAnswer("what answers at the socket is no agent")
    if answer.pop("ok"):
        return answer
    problem = answer.get("error")
    told = problem if isinstance(problem, dict) else {}
    code = str(told.get("code") or "unknown_problem")[:100]
    raise problem_class(code, 500, "The agent could not do it.")(str(told.get("detail") or ""))
