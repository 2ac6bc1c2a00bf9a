"""The agent's one process: what happens is noted in the schedule, what is due is synced.

The main thread waits for the socket, the network and the next due time, and alone touches the
schedule. Two threads sync, one for each watched replica waits for news of its hub. Whatever a
thread has to say comes through one queue, and a byte in a pipe wakes the main thread for it.
"""

from __future__ import annotations

import os
import queue
import selectors
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from memory_core.errors import ContextError, InvalidInput, NotFound
from sync_agent.agent import network
from sync_agent.agent.folder import AgentFolder, held
from sync_agent.agent.footprint import release_memory, resident_bytes
from sync_agent.agent.indexing import Indexers
from sync_agent.agent.recalling import Recaller
from sync_agent.agent.registry import Registered, Registry
from sync_agent.agent.rounds import Outcome, sync_replica, tell_paused
from sync_agent.agent.schedule import Schedule, Timing
from sync_agent.agent.socket_server import SocketServer
from sync_agent.agent.waking import Waker
from sync_agent.agent.watching import Watchers
from sync_agent.agent.workers import Workers
from sync_agent.sync import Watch

if TYPE_CHECKING:
    from logging import Logger

    from pydantic import JsonValue

    from memory_core.records import Document

LOOK_SECONDS = 60.0
"""At least this often the list of replicas is looked at again."""
END_SECONDS = 1.5
"""What is under way when the agent is told to end has this long; it is safe to cut off."""


@dataclass(frozen=True, slots=True)
class _Event:
    what: str
    path: Path | None = None
    outcome: Outcome | None = None


class Service:
    """The agent of one user."""

    def __init__(
        self, folder: AgentFolder, log: Logger, *, version: str, timing: Timing | None = None
    ) -> None:
        self._folder = folder
        self._log = log
        self._version = version
        self._registry = Registry(folder.registry)
        self._schedule = Schedule(Random(), timing)  # noqa: S311 - spreads load, hides nothing
        self._entries: dict[str, Registered] = {}
        self._outcomes: dict[str, Outcome] = {}
        self._told: dict[str, str] = {}
        self._stalls: dict[str, Watch] = {}
        self._registry_state: object = ()
        self._looked_at = float("-inf")
        self._events: queue.SimpleQueue[_Event] = queue.SimpleQueue()
        self._indexers = Indexers()
        self._workers = Workers(self._work, log)
        self._waker = Waker()
        self._ends = False
        self._began = time.monotonic()
        self._recaller = Recaller()
        self._watchers = Watchers(self._news, self._back, log)

    def run(self) -> None:
        """Runs until it is told to stop, by the socket or a signal.

        Raises:
            AgentRuns: another agent of this user runs.
            LocalFailure: the agent's folder cannot be used.
        """
        self._folder.make()
        with (
            held(self._folder),
            self._waker.on_signals(self._stop),
            network.watching() as self._network,
        ):
            server = SocketServer(self._folder, self._answer)
            server.open()
            self._workers.staff()
            self._log.info("agent %s runs as process %d", self._version, os.getpid())
            try:
                self._loop(server)
            finally:
                server.close()
                self._end()
                self._log.info("agent ends")

    def _loop(self, server: SocketServer) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(server, selectors.EVENT_READ, server.accept)
            selector.register(self._waker, selectors.EVENT_READ, self._drain)
            if self._network is not None:
                selector.register(self._network, selectors.EVENT_READ, self._network_changed)
            while not self._ends:
                self._workers.staff()
                self._look()
                for name in self._schedule.take(time.monotonic()):
                    self._workers.put(self._entries[name])
                for key, _ in selector.select(self._wait()):
                    key.data()

    def _stop(self) -> None:
        self._ends = True

    def _wait(self) -> float:
        due = self._schedule.next_at()
        left = LOOK_SECONDS if due is None else due - time.monotonic()
        return max(0.0, min(LOOK_SECONDS, left))

    def _look(self) -> None:
        """Reads the list of replicas again after it changed, and each minute for what is gone."""
        now, state = time.monotonic(), self._registry.changed_at()
        if state == self._registry_state and now - self._looked_at < LOOK_SECONDS:
            return
        self._registry_state, self._looked_at = state, now
        self._recaller.rest()
        try:
            entries = {str(entry.path): entry for entry in self._registry.entries()}
        except ContextError as error:
            self._log.error("the list of replicas cannot be read: %s", error.detail)
            return
        for name, entry in entries.items():
            known = self._entries.get(name)
            if known is not None and entry.paused and not known.paused and not entry.missing:
                # The hub is told once that it is paused; after that nothing is sent.
                self._workers.put(entry)
        paused = {name for name, entry in self._entries.items() if entry.paused}
        self._entries = entries
        active = {n: e for n, e in entries.items() if not e.paused and not e.missing}
        self._schedule.keep(set(active), now)
        for name in paused & active.keys():
            # A run that began before the pause may still be under way.
            self._schedule.asked(name, now)
        self._watchers.keep(active)

    def _drain(self) -> None:
        self._waker.drain()
        with suppress(queue.Empty):
            while True:
                self._take(self._events.get_nowait())

    def _take(self, event: _Event) -> None:
        now, name = time.monotonic(), str(event.path)
        match event.what:
            case "wrote":
                self._schedule.wrote(name, now)
            case "news":
                self._schedule.heard(name, now)
            case "asked":
                for each in [name] if event.path else list(self._entries):
                    self._schedule.asked(each, now)
                self._watchers.wake(event.path)
            case "back":
                self._schedule.returned(set(self._entries), now)
            case "stop":
                self._ends = True
            case "told" if event.outcome is not None:
                self._outcomes[name] = event.outcome
            case "ended" if event.outcome is not None:
                self._ended(name, event.outcome, now)

    def _ended(self, name: str, outcome: Outcome, now: float) -> None:
        self._outcomes[name] = outcome
        stalled = self._stalled(outcome)
        if outcome.problem is None:
            self._schedule.succeeded(name, now)
            if not stalled and any(report.pending for report in outcome.reports):
                self._schedule.wrote(name, now)
            self._watchers.wake(Path(name))
        elif outcome.refused:
            self._schedule.refused(name, now)
        else:
            self._schedule.failed(name, now, retry_after=outcome.retry_after)
        self._watchers.synced(name)
        detail = [] if outcome.problem is None else [outcome.problem.detail]
        told = "; ".join([*detail, *outcome.alerts, *stalled])
        if outcome.moved or told != self._told.get(name, ""):
            self._told[name] = told
            self._log.info("%s: %s", name, told or outcome.summary)

    def _stalled(self, outcome: Outcome) -> list[str]:
        """Returns what to say of projects whose work waits and does not move."""
        said = []
        for report in outcome.reports:
            watch = self._stalls.get(report.project_id, Watch()).after(report)
            self._stalls[report.project_id] = watch
            problem = watch.problem(report)
            said += [problem.detail] if problem is not None else []
        return said

    def _network_changed(self) -> None:
        if self._network is not None:
            network.drain(self._network)
        self._take(_Event("back"))
        self._watchers.wake(None)

    def _work(self, entry: Registered) -> None:
        outcome = self._ran(entry)
        self._tell(_Event("told" if entry.paused else "ended", entry.path, outcome))
        if outcome.moved:
            release_memory()
        try:
            self._indexers.synced(entry, outcome)
        except OSError:
            self._log.exception("%s: the index was not brought up", entry.path)

    def _ran(self, entry: Registered) -> Outcome:
        try:
            return tell_paused(entry) if entry.paused else sync_replica(entry)
        except Exception as error:  # noqa: BLE001 - one replica must not end it for all
            self._log.exception("%s: unexpected", entry.path)
            return Outcome(problem=ContextError(f"unexpected: {type(error).__name__}"))

    def _news(self, path: Path) -> None:
        self._tell(_Event("news", path))

    def _back(self, path: Path) -> None:
        self._tell(_Event("back", path))

    def _tell(self, event: _Event) -> None:
        self._events.put(event)
        self._waker.wake()

    def _answer(self, request: Document) -> Document:
        match request.get("do"):
            case "status":
                return self._status()
            case "poke":
                return {"known": self._note("wrote", request)}
            case "sync":
                return {"known": self._note("asked", request)}
            case "search" | "context":
                return self._recaller.answer(self._known(request).path, request)
            case "look":
                self._tell(_Event("look"))
                return {}
            case "stop":
                self._tell(_Event("stop"))
                return {"pid": os.getpid()}
        raise InvalidInput("the agent knows status, poke, sync, look, search, context and stop")

    def _known(self, request: Document) -> Registered:
        entry = self._entries.get(str(request.get("replica")))
        if entry is None:
            raise NotFound("the agent takes care of no such replica")
        return entry

    def _note(self, what: str, request: Document) -> bool:
        replica = request.get("replica")
        if replica is None and what == "asked":
            self._tell(_Event(what))
            return True
        if not isinstance(replica, str):
            raise InvalidInput("replica is the path of a replica")
        self._tell(_Event(what, Path(replica)))
        return replica in self._entries

    def _status(self) -> Document:
        now, replicas = time.monotonic(), dict[str, "JsonValue"]()
        for name, entry in list(self._entries.items()):
            plan, outcome = self._schedule.plan(name), self._outcomes.get(name)
            replicas[name] = {
                "running": self._schedule.runs(name),
                "paused": entry.paused,
                "next_in_s": None if plan is None else round(max(0.0, plan.at - now), 1),
                "failures": 0 if plan is None else plan.failures,
                "waits_for_user": plan is not None and plan.held,
                "error": None if outcome is None else outcome.document(),
            }
        return {
            "pid": os.getpid(),
            "version": self._version,
            "up_s": round(now - self._began, 1),
            "rss_bytes": resident_bytes(),
            "workers": self._workers.alive,
            "replicas": replicas,
        }

    def _end(self) -> None:
        """Lets what is under way come to its end, for a moment."""
        self._workers.end(END_SECONDS)
        self._indexers.end()
        self._recaller.close()
