"""Starts and ends the agent's process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress

from memory_core.errors import ContextError, Unavailable
from sync_agent.agent.asking import ask
from sync_agent.agent.folder import AgentFolder, holder, runs
from sync_agent.agent.installing import installed_way, start_installed
from sync_agent.config import environment_for_all

START_SECONDS = 30.0
STOP_SECONDS = 10.0
LOOK_SECONDS = 0.05
MAX_TAIL = 4000


class AgentNotStarted(Unavailable):
    """The agent did not start, or does not end."""

    code = "agent_not_started"


def own_program() -> tuple[str, ...]:
    """Returns how this very program is started."""
    return (sys.executable, "-m", "memctx")


def start(folder: AgentFolder) -> int:
    """Starts the agent in the background, and returns its process id once it answers.

    One that was installed is started by the machine's supervisor. One that runs is left alone.

    Raises:
        AgentNotStarted: it ended, or does not answer in time; says what it logged last.
    """
    folder.make()
    folder.stopped.unlink(missing_ok=True)
    process = None
    begin = _size(folder)
    if not runs(folder) and not start_installed(installed_way(folder)):
        errors = os.open(folder.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            process = subprocess.Popen(  # noqa: S603 - our own program
                [*own_program(), "agent", "run"],
                cwd="/",
                env=environment_for_all(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                start_new_session=True,
            )
        finally:
            os.close(errors)
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        with suppress(ContextError):
            pid = ask(folder, {"do": "status"})["pid"]
            return pid if isinstance(pid, int) else 0
        if process is not None and process.poll() is not None and not runs(folder):
            raise AgentNotStarted(
                f"the agent ended with {process.returncode}; {_tail(folder, begin)}"
            )
        time.sleep(LOOK_SECONDS)
    raise AgentNotStarted(f"the agent does not answer in time; {_tail(folder, begin)}")


def stop(folder: AgentFolder) -> int | None:
    """Ends the agent, waits until it is gone, and returns its process id, None if none ran.

    Raises:
        AgentNotStarted: it still runs after 10 seconds.
    """
    pid = holder(folder)
    if not runs(folder):
        return None
    try:
        ask(folder, {"do": "stop"})
    except ContextError:
        # It holds the lock, so the process is the one whose id is written there.
        if pid is not None:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
    end = time.monotonic() + STOP_SECONDS
    while runs(folder):
        if time.monotonic() > end:
            raise AgentNotStarted(f"the agent (process {pid}) does not end; its log may say why")
        time.sleep(LOOK_SECONDS)
    return pid


def _size(folder: AgentFolder) -> int:
    try:
        return folder.log.stat().st_size
    except OSError:
        return 0


def _tail(folder: AgentFolder, begin: int) -> str:
    try:
        with folder.log.open("rb") as file:
            file.seek(begin)
            text = file.read(MAX_TAIL).decode("utf-8", "replace")
    except OSError:
        text = ""
    lines = [line for line in text.splitlines() if line.strip()][-5:]
    return f"its log ends with: {' | '.join(lines)}" if lines else f"see {folder.log}"
