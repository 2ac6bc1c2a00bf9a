"""A server that is killed, stands still or forgets: nothing is lost, and answers say what lacks."""

from __future__ import annotations

import os
import re
import shutil
import signal
import time
from collections.abc import Iterator

import pytest

from memory_core.errors import Unavailable
from sync_agent.errors import HubUnreachable
from tests.context_api.http.test_logs import CANARIES, ask_everything
from tests.faults.team.team import Memory, eventually, paused
from tests.support.servers import redis
from tests.support.stack import CACHE_SECRET, KEY, Stack

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

PROMPT_S = 3.0
"""The hub gives a silent server two seconds."""


@pytest.fixture
def memory(stack: Stack, request: pytest.FixtureRequest) -> Iterator[Memory]:
    """A project of the test's own, with everything indexed."""
    slug = f"acme/{re.sub('[^a-z]+', '-', request.node.name.lower()).strip('-')}"
    with stack.api.client(budget=0.0) as client:
        memory = Memory(client, slug)
        memory.remember("the parser was rewritten by hand", "because nesting made it slow")
        eventually(memory.is_whole)
        yield memory


def test_chroma_is_killed_and_comes_back_with_what_it_had(stack: Stack, memory: Memory) -> None:
    stack.servers.chroma.stop(signal.SIGKILL)
    memory.remember("written while vectors were away")
    answer = memory.ask("written while vectors were away")
    assert answer["degraded"] == ["vector"]
    assert answer["hits"][0]["snippet"] == "written while vectors were away"
    stack.servers.chroma.start()
    eventually(memory.is_whole)


def test_chroma_loses_everything(stack: Stack, memory: Memory) -> None:
    chroma = stack.servers.chroma
    chroma.stop(signal.SIGKILL)
    shutil.rmtree(chroma.data)
    chroma.start()
    memory.remember("written after the loss")
    assert "written after the loss" in memory.texts("written after the loss")
    eventually(memory.is_whole)


def test_chroma_stands_still(stack: Stack, memory: Memory) -> None:
    process = stack.servers.chroma.process
    assert process is not None
    with paused(process):
        memory.remember("written while vectors stood still")
        began = time.monotonic()
        answer = memory.ask("written while vectors stood still")
        assert time.monotonic() - began < PROMPT_S
        assert answer["degraded"] == ["vector"]
        assert answer["hits"][0]["snippet"] == "written while vectors stood still"
    eventually(memory.is_whole)


@pytest.mark.parametrize("fault", ["killed", "still", "emptied"])
def test_redis_makes_answers_slower_at_worst(stack: Stack, memory: Memory, fault: str) -> None:
    redis = stack.servers.redis
    before = memory.texts("the parser")
    assert memory.texts("the parser") == before
    assert redis.process is not None
    if fault == "still":
        with paused(redis.process):
            memory.remember("the parser again, meanwhile")
            during = memory.texts("the parser")
    else:
        redis.stop(signal.SIGKILL)
        if fault == "emptied":
            redis.start()
        memory.remember("the parser again, meanwhile")
        during = memory.texts("the parser")
        redis.start() if fault == "killed" else None
    assert during == before | {"the parser again, meanwhile"}
    assert memory.texts("the parser") == during


def test_postgresql_stands_still(stack: Stack, memory: Memory) -> None:
    process = stack.servers.postgres.process
    assert process is not None
    with paused(process):
        for act in (lambda: memory.remember("lost"), lambda: memory.ask("the parser")):
            began = time.monotonic()
            with pytest.raises((Unavailable, HubUnreachable)) as refusal:
                act()
            assert time.monotonic() - began < PROMPT_S
            assert getattr(refusal.value, "code", "") == "unavailable"
    eventually(lambda: bool(memory.remember("kept after the pause")))
    assert "kept after the pause" in memory.texts("kept after the pause")


def test_postgresql_is_killed_among_writes(stack: Stack, memory: Memory) -> None:
    acknowledged = []
    postgres = stack.servers.postgres
    for number in range(40):
        if number == 20:
            assert postgres.process is not None
            os.kill(postgres.process.pid, signal.SIGKILL)
            postgres.process.wait(30)
        try:
            acknowledged.append(memory.remember(f"note {number}"))
        except (Unavailable, HubUnreachable):
            continue
    assert len(acknowledged) >= 20
    postgres.start()
    eventually(lambda: bool(memory.remember("kept after the crash")))
    for session_id in acknowledged:
        assert memory.client.sessions.get(session_id)["message_count"] == 1
    eventually(memory.is_whole)


def test_what_one_process_acknowledged_another_finds_at_once(stack: Stack, memory: Memory) -> None:
    with stack.apis[1].client(budget=0.0) as client:
        other = Memory(client, memory.slug)
        assert other.id == memory.id
        for number in range(20):
            writer, reader = (memory, other) if number % 2 else (other, memory)
            text = f"finding {number} of many"
            reader.ask("of many")
            writer.remember(text)
            assert text in reader.texts("of many")


def test_after_all_that_no_log_holds_what_was_said(stack: Stack, memory: Memory) -> None:
    """Neither ours nor the servers': no text, question, name or key, whatever went wrong."""
    chroma = stack.servers.chroma.process
    assert chroma is not None
    with paused(chroma):
        ask_everything(stack.api)
    ask_everything(stack.apis[1])
    eventually(memory.is_whole)
    servers = stack.servers
    logs = [one.folder / "hub.log" for one in [*stack.apis, *stack.workers]]
    logs += [one.folder / "log" for one in (servers.postgres, servers.redis, servers.chroma)
             if one.folder is not None]  # fmt: skip
    assert len(logs) == 6
    said = (*CANARIES, "nesting made it slow", "written while", "kept after", "finding 1")
    secrets = (KEY.rpartition("_")[2], CACHE_SECRET, redis.PASSWORD)
    for log in logs:
        written = log.read_text(errors="replace")
        assert written
        assert [word for word in (*said, *secrets) if word in written] == [], log
