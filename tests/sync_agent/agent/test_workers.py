"""The threads that sync go on, whatever happens to one of their jobs."""

from __future__ import annotations

import logging
import os
import sys
import threading
from pathlib import Path

import pytest

from sync_agent.agent.registry import Registered
from sync_agent.agent.service import Service
from sync_agent.agent.workers import WORKERS, Workers
from tests.support.hub import Hub
from tests.sync_agent.agent.machine import Machine, wait_for

LOG = logging.getLogger("test")


def entry(name: str) -> Registered:
    return Registered(Path("/") / name / ".memctx" / "replica.db", Path("/") / name, name)


def test_a_job_that_raises_ends_no_thread(caplog: pytest.LogCaptureFixture) -> None:
    done: list[str] = []

    def work(job: Registered) -> None:
        if job.project == "bad":
            raise FileNotFoundError(job.root)
        done.append(job.project)

    workers = Workers(work, LOG)
    workers.staff()
    for name in ["bad"] * WORKERS * 2 + ["good"]:
        workers.put(entry(name))
    wait_for(lambda: done == ["good"], "the job after those that failed")
    assert workers.alive == WORKERS
    assert "/bad/" in caplog.text
    workers.end(30.0)
    assert workers.alive == 0


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_ended_is_replaced_and_said(caplog: pytest.LogCaptureFixture) -> None:
    done = threading.Event()

    def work(job: Registered) -> None:
        if job.project == "exit":
            raise SystemExit
        done.set()

    workers = Workers(work, LOG)
    workers.staff()
    for _ in range(WORKERS):
        workers.put(entry("exit"))
    wait_for(lambda: workers.alive == 0, "the end of the threads")
    workers.put(entry("good"))
    workers.staff()
    assert done.wait(30.0)
    assert f"{WORKERS} threads that sync have ended" in caplog.text
    workers.end(30.0)


def test_an_index_that_cannot_be_brought_up_ends_no_sync(
    tmp_path: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    machine = Machine(tmp_path / "machine")
    for name in set(os.environ) & {"XDG_CONFIG_HOME", "XDG_STATE_HOME", "MEMCTX_URL"}:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(machine.home))
    repository = machine.repository("indexed", hub)
    repository.write("from here")
    monkeypatch.setattr(sys, "executable", str(tmp_path / "gone"))
    service = Service(machine.folder, LOG, version="test")
    service._work(Registered(repository.replica, repository.root, "acme/indexed"))
    assert repository.pending() == 0
    assert "the index was not brought up" in caplog.text
