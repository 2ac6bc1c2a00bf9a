"""The hub is killed while eight writers are at work: what it acknowledged is there once."""

from __future__ import annotations

import os
import random
import threading
import time
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from memory_core.ids import uuid7
from tests.faults.asking import asking, is_indexed, log_of, made, until, verified
from tests.support.hub import Hub, running_hub

KILLS = 6
WRITERS = 8


class Writer(threading.Thread):
    """Writes sessions, messages and outcomes, and keeps what the hub acknowledged."""

    def __init__(self, hub: Hub, pattern: str) -> None:
        super().__init__()
        self.messages: dict[str, str] = {}
        self.sessions: list[str] = []
        self.outcomes = 0
        self.unknown_outcomes = 0
        self.refused: list[str] = []
        self._hub, self._pattern = hub, pattern

    def run(self) -> None:
        with asking(self._hub) as client:
            try:
                while True:
                    self._round(client)
            except httpx.HTTPError:
                return

    def _round(self, client: httpx.Client) -> None:
        session = uuid7()
        body: dict[str, Any] = {"id": session, "project": "acme/api", "title": f"t {session}"}
        if self._took(client.post("/sessions", json=body)):
            self.sessions.append(session)
        for _ in range(2):
            messages = [{"id": uuid7(), "role": "user", "text": uuid7()} for _ in range(5)]
            answer = client.post(f"/sessions/{session}/messages", json={"messages": messages})
            if self._took(answer):
                self.messages.update({one["id"]: one["text"] for one in messages})
        self.unknown_outcomes += 1
        answer = client.post(f"/patterns/{self._pattern}/outcomes", json={"success": True})
        self.unknown_outcomes -= 1
        self.outcomes += self._took(answer)

    def _took(self, answer: httpx.Response) -> bool:
        if answer.status_code not in {200, 201}:
            self.refused.append(answer.text)
        return answer.status_code in {200, 201}


def check_log(log: list[dict[str, Any]], writers: list[Writer]) -> None:
    assert [event["seq"] for event in log] == list(range(1, len(log) + 1))
    made_sessions = Counter(e["record_id"] for e in log if e["type"] == "session.created")
    texts = {e["record_id"]: e["content"]["text"] for e in log if e["type"] == "message.appended"}
    appended = Counter(e["record_id"] for e in log if e["type"] == "message.appended")
    assert not [one for one, times in (made_sessions + appended).items() if times != 1]
    for writer in writers:
        assert writer.refused == []
        assert set(writer.sessions) <= made_sessions.keys()
        assert all(texts.get(one) == text for one, text in writer.messages.items())
    # A batch is one operation: it is there whole or not at all.
    batches = Counter(e["op_id"] for e in log if e["type"] == "message.appended")
    assert set(batches.values()) <= {5}


def _has_written(writers: list[Writer]) -> bool:
    return any(writer.sessions for writer in writers)


@pytest.mark.slow
def test_acknowledged_writes_survive_every_kill(tmp_path: Path) -> None:
    seed = int(os.environ.get("MEMCTX_TEST_SEED") or random.randrange(2**32))
    print(f"MEMCTX_TEST_SEED={seed}")
    chance = random.Random(seed)
    writers: list[Writer] = []
    with running_hub(tmp_path / "hub") as hub:
        with asking(hub) as client:
            project = made(client, "/projects", slug="acme/api")["id"]
            pattern = made(
                client, "/patterns", project="acme/api", pattern_type="code", name="retry"
            )["id"]
        for _ in range(KILLS):
            round_ = [Writer(hub, pattern) for _ in range(WRITERS)]
            for writer in round_:
                writer.start()
            until(partial(_has_written, round_), "a first write")
            # The moment of the kill is the fault that is injected.
            time.sleep(chance.uniform(0.05, 0.7))
            hub.kill()
            for writer in round_:
                writer.join(30)
                assert not writer.is_alive()
            writers += round_
            hub.start()
            with asking(hub) as client:
                check_log(log_of(client, project), writers)
                assert verified(client)["ok"]
        with asking(hub) as client:
            until(lambda: is_indexed(client, project), "indexing reaches the head by itself")
            counted = client.get(f"/patterns/{pattern}").json()["successes"]
            sure = sum(writer.outcomes for writer in writers)
            assert sure <= counted <= sure + sum(writer.unknown_outcomes for writer in writers)
            assert sum(len(writer.messages) for writer in writers) > 0
