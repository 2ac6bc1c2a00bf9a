"""The hub in the background: started, found again, and stopped."""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from memctx.errors import Failed
from memory_core.errors import ContextError
from sync_agent.channel import Channel, Retry
from sync_agent.client import HubClient
from sync_agent.files import private_file, private_folder
from sync_agent.url import HubUrl

PID_FILE = "hub.pid"
LOG_FILE = "hub.log"
START_SECONDS = 60.0
READY_SECONDS = 2.0
STOP_SECONDS = 20.0
SHOWN_LINES = 15


@dataclass(frozen=True, slots=True)
class Daemon:
    """A hub in the background; its command line holds ``mark``, and no other's does."""

    pid: int
    mark: str
    url: str

    @property
    def alive(self) -> bool:
        """Says whether that very process still runs."""
        return self.mark in _command_line(self.pid)


def find(data_dir: Path) -> Daemon | None:
    """Returns the hub that was started in the background on this data, if it still runs."""
    try:
        found = Daemon(**json.loads((data_dir / PID_FILE).read_text()))
    except (OSError, ValueError, TypeError):
        return None
    return found if found.alive else None


def start(arguments: Sequence[str], data_dir: Path, url: HubUrl) -> Daemon:
    """Starts ``memctx serve`` in the background and waits until it is ready.

    Raises:
        Failed: it ended, or is not ready in time; says what it logged last.
    """
    private_folder(data_dir)
    mark = secrets.token_hex(8)
    command = [sys.executable, "-m", "memctx", "serve", *arguments, "--mark", mark]
    with (data_dir / LOG_FILE).open("ab") as log:
        begin = log.tell()
        process = subprocess.Popen(  # noqa: S603 - our own program
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    daemon = Daemon(process.pid, mark, str(url))
    _remember(data_dir, daemon)
    if not _wait(process, url):
        ended = process.poll()
        if ended is None:
            process.terminate()
        forget(data_dir)
        reason = f"it ended with {ended}" if ended is not None else "it is not ready in time"
        said = _last_lines(data_dir / LOG_FILE, begin)
        raise Failed(f"the hub did not start: {reason}; {said}")
    return daemon


def stop(data_dir: Path, daemon: Daemon) -> None:
    """Stops a hub and waits until it is gone.

    Raises:
        Failed: it still runs after 20 seconds.
    """
    os.kill(daemon.pid, signal.SIGTERM)
    end = time.monotonic() + STOP_SECONDS
    while daemon.alive:
        if time.monotonic() > end:
            raise Failed(f"the hub (process {daemon.pid}) does not stop; its log may say why")
        time.sleep(0.05)
    forget(data_dir)


def forget(data_dir: Path) -> None:
    """Removes the note of a hub that no longer runs."""
    (data_dir / PID_FILE).unlink(missing_ok=True)


def ready(url: HubUrl) -> bool:
    """Says whether a memory-context hub answers at ``url`` that it can work."""
    with HubClient(Channel(url, None, retry=Retry(budget=0.0))) as client:
        try:
            return "status" in client.ready(seconds=READY_SECONDS)
        except ContextError:
            return False


def _wait(process: subprocess.Popen[bytes], url: HubUrl) -> bool:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and process.poll() is None:
        # Another program's answer would come from a port that this hub could not take, so the
        # process must still run once the answer is there.
        if ready(url) and process.poll() is None:
            return True
        time.sleep(0.1)
    return False


def _remember(data_dir: Path, daemon: Daemon) -> None:
    temporary = data_dir / f"{PID_FILE}.{os.getpid()}"
    with private_file(temporary) as file:
        file.write(json.dumps(asdict(daemon)).encode())
    temporary.replace(data_dir / PID_FILE)


def _command_line(pid: int) -> str:
    """Returns a process's command line; empty when there is none, or it is a zombie."""
    proc = Path(f"/proc/{pid}/cmdline")
    if proc.parent.parent.joinpath("self").exists():
        try:
            return proc.read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
        except OSError:
            return ""
    done = subprocess.run(  # noqa: S603 - fixed arguments, a number
        ("/bin/ps", "-ww", "-p", str(pid), "-o", "command="),
        capture_output=True,
        check=False,
        timeout=10,
    )
    return done.stdout.decode("utf-8", "replace")


def _last_lines(path: Path, begin: int) -> str:
    try:
        with path.open("rb") as file:
            file.seek(begin)
            text = file.read(1_000_000).decode("utf-8", "replace")
    except OSError as error:
        return f"no log: {error.strerror}"
    lines = [line for line in text.splitlines() if line.strip()][-SHOWN_LINES:]
    return f"its log ({path}) ends with: " + " | ".join(lines) if lines else f"see {path}"
