"""What the tests of a team's hub do again and again."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from memory_core.errors import ContextError
from sync_agent.client import HubClient
from sync_agent.documents import SearchAnswer

PATIENCE_S = 90.0
"""A lease of a process that was killed lasts a minute."""


class Memory:
    """One project of a hub, written and asked through one process."""

    def __init__(self, client: HubClient, slug: str) -> None:
        self.client = client
        self.slug = slug
        self.id = str(client.projects.ensure({"slug": slug})["id"])

    def remember(self, *texts: str) -> str:
        """Writes a session and returns its id."""
        messages = [{"role": "user", "text": text} for text in texts]
        session = {"project": self.id, "title": "work", "messages": messages}
        return str(self.client.sessions.create(session)["id"])

    def ask(self, question: str) -> SearchAnswer:
        """Returns the answer, however little is relevant."""
        return self.client.search(question, projects=[self.id], min_score=0, limit=50)

    def texts(self, question: str) -> set[str]:
        """Returns the snippets of the answer."""
        return {str(hit["snippet"]) for hit in self.ask(question)["hits"]}

    def is_whole(self) -> bool:
        """Says if everything is indexed and answers lack nothing."""
        project = self.client.projects.get(self.id)
        return project["indexed_seq"] == project["head"] and not self.ask("work")["degraded"]


def eventually(holds: Callable[[], bool], patience_s: float = PATIENCE_S) -> None:
    """Waits until something holds; errors of the hub count as not yet.

    Raises:
        AssertionError: it does not come to hold.
    """
    end = time.monotonic() + patience_s
    last: ContextError | None = None
    while True:
        try:
            if holds():
                return
        except ContextError as error:
            last = error
        assert time.monotonic() < end, f"it never came to hold; last error: {last}"
        # What other processes do is only seen by looking again.
        time.sleep(0.1)


@contextmanager
def paused(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """Stops a process and its children for a while, as a machine without time would."""
    listed = subprocess.run(
        ["pgrep", "-P", str(process.pid)], capture_output=True, text=True, check=False
    )
    members = [process.pid, *map(int, listed.stdout.split())]
    for member in members:
        os.kill(member, signal.SIGSTOP)
    try:
        yield
    finally:
        for member in reversed(members):
            os.kill(member, signal.SIGCONT)
