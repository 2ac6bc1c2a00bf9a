"""When which replica is synced next: a function of the monotonic time and of what happened.

Nothing here reads a clock or sleeps. Times are seconds of a monotonic clock that the caller
reads; chance is a generator that the caller made.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from random import Random

MOST_DOUBLINGS = 20


@dataclass(frozen=True, slots=True)
class Timing:
    """The seconds between things.

    A replica is synced every ``every_s`` ± ``spread`` (a share), ``debounce_s`` after the last
    local write but no later than ``debounce_most_s`` after the first, and after a failure within
    a random wait whose bound doubles from ``backoff_s`` to ``backoff_most_s`` ("full jitter":
    Brooker, Exponential Backoff And Jitter, AWS Architecture Blog, 2015), never below
    ``backoff_s``. What a hub asks for by Retry-After is honoured up to ``retry_after_most_s``.
    When the network returns the replicas begin within ``return_s``.
    """

    every_s: float = 900.0
    spread: float = 0.2
    debounce_s: float = 2.0
    debounce_most_s: float = 10.0
    backoff_s: float = 2.0
    backoff_most_s: float = 900.0
    retry_after_most_s: float = 3600.0
    return_s: float = 2.0


@dataclass(frozen=True, slots=True)
class Plan:
    """When one replica is synced next.

    ``not_before`` is what the hub asked for. ``first_write`` is the time of the first local
    write that no sync has begun after. ``held`` says that only the user, or time, can mend what
    went wrong, so that neither a write nor news bring the next try forward.
    """

    at: float
    failures: int = 0
    not_before: float = float("-inf")
    first_write: float | None = None
    held: bool = False
    again: bool = False


def planned(now: float, chance: Random, timing: Timing) -> Plan:
    """Returns the plan of a replica that was just registered, or of an agent that just began."""
    return Plan(now + chance.uniform(0.0, timing.return_s))


def wrote(plan: Plan, now: float, timing: Timing) -> Plan:
    """Returns the plan after a local write; a replica whose hub fails keeps its wait."""
    first = now if plan.first_write is None else plan.first_write
    plan = replace(plan, first_write=first)
    if plan.failures or plan.held:
        return plan
    wanted = min(now + timing.debounce_s, first + timing.debounce_most_s)
    # A run that was planned for a write moves on with the next one; any other is not put off.
    waits_for_write = first != now and plan.at <= first + timing.debounce_most_s
    return replace(plan, at=wanted if waits_for_write else _earlier(plan, wanted))


def heard(plan: Plan, now: float) -> Plan:
    """Returns the plan after news from the hub; they do not shorten the wait after a failure,
    as a hub whose news cannot be taken in would otherwise be asked without end."""
    if plan.failures or plan.held:
        return plan
    return replace(plan, at=_earlier(plan, now))


def returned(plan: Plan, now: float, chance: Random, timing: Timing) -> Plan:
    """Returns the plan when the network, or the hub, may be back."""
    if plan.held or not plan.failures:
        return plan
    return replace(plan, at=_earlier(plan, now + chance.uniform(0.0, timing.return_s)))


def asked(plan: Plan, now: float) -> Plan:
    """Returns the plan when the user asks: now, whatever was before."""
    return replace(plan, at=now, held=False, not_before=float("-inf"))


def began(plan: Plan) -> Plan:
    """Returns the plan of a replica whose sync begins: what comes from now on is for the next."""
    return replace(plan, first_write=None, again=False)


def wanted_again(plan: Plan) -> Plan:
    """Returns the plan of a running sync after which another is wanted at once.

    Not where only the user can mend what is wrong, who says so by asking (`asked`).
    """
    return plan if plan.held else replace(plan, again=True)


def succeeded(plan: Plan, now: float, chance: Random, timing: Timing) -> Plan:
    """Returns the plan after a sync that ended well."""
    regular = Plan(now + _interval(chance, timing))
    if plan.again:
        regular = replace(regular, at=now + chance.uniform(0.0, timing.return_s))
    if plan.first_write is None:
        return regular
    return wrote(replace(regular, first_write=plan.first_write), now, timing)


def failed(
    plan: Plan, now: float, chance: Random, timing: Timing, *, retry_after: float = 0.0
) -> Plan:
    """Returns the plan after a sync that may go well the next time it is tried.

    A local write during the run does not shorten the wait, being no sign that the hub is back.
    """
    failures = plan.failures + 1
    bound = min(timing.backoff_s * 2.0 ** min(failures, MOST_DOUBLINGS), timing.backoff_most_s)
    lowest, highest = (0.0, timing.return_s) if plan.again else (timing.backoff_s, bound)
    delay = chance.uniform(lowest, highest)
    asked_for = now + min(max(retry_after, 0.0), timing.retry_after_most_s)
    return replace(plan, at=max(now + delay, asked_for), failures=failures, not_before=asked_for)


def refused(plan: Plan, now: float, chance: Random, timing: Timing) -> Plan:
    """Returns the plan after a sync that the user has to mend: a key, a rule, a version."""
    wait = chance.uniform(0.0, timing.return_s) if plan.again else _interval(chance, timing)
    at = max(now + wait, plan.not_before)
    return replace(plan, at=at, failures=plan.failures + 1, held=True)


def _earlier(plan: Plan, wanted: float) -> float:
    return max(min(plan.at, wanted), plan.not_before)


def _interval(chance: Random, timing: Timing) -> float:
    return timing.every_s * chance.uniform(1.0 - timing.spread, 1.0 + timing.spread)


class Schedule:
    """The plans of all replicas by name; those that run or are paused are not due."""

    def __init__(self, chance: Random, timing: Timing | None = None) -> None:
        self._chance = chance
        self._timing = timing or Timing()
        self._plans: dict[str, Plan] = {}
        self._running: set[str] = set()

    def keep(self, names: set[str], now: float) -> None:
        """Takes in new replicas, and forgets those that are not among ``names``."""
        for name in self._plans.keys() - names:
            del self._plans[name]
        for name in names - self._plans.keys():
            self._plans[name] = planned(now, self._chance, self._timing)

    def wrote(self, name: str, now: float) -> None:
        """Notes a local write."""
        self._change(name, lambda plan: wrote(plan, now, self._timing))

    def heard(self, name: str, now: float) -> None:
        """Notes that the hub has news; the watch says so again if a run under way misses them."""
        if name not in self._running:
            self._change(name, lambda plan: heard(plan, now))

    def asked(self, name: str, now: float) -> None:
        """Notes that the user wants it now."""
        self._change(name, lambda plan: asked(plan, now))
        self._again(name)

    def returned(self, names: set[str], now: float) -> None:
        """Notes that the network may be back for these."""
        for name in names:
            self._change(name, lambda plan: returned(plan, now, self._chance, self._timing))
            self._again(name)

    def take(self, now: float) -> list[str]:
        """Returns the replicas that are due, the longest overdue first; they run from now on."""
        due = [n for n, plan in self._plans.items() if plan.at <= now and n not in self._running]
        due.sort(key=lambda name: self._plans[name].at)
        for name in due:
            self._running.add(name)
            self._change(name, began)
        return due

    def succeeded(self, name: str, now: float) -> None:
        """Notes that a run ended well."""
        self._running.discard(name)
        self._change(name, lambda plan: succeeded(plan, now, self._chance, self._timing))

    def failed(self, name: str, now: float, *, retry_after: float = 0.0) -> None:
        """Notes that a run failed and is to be tried again."""
        self._running.discard(name)
        self._change(
            name,
            lambda plan: failed(plan, now, self._chance, self._timing, retry_after=retry_after),
        )

    def refused(self, name: str, now: float) -> None:
        """Notes that a run failed as it will again until the user mends it."""
        self._running.discard(name)
        self._change(name, lambda plan: refused(plan, now, self._chance, self._timing))

    def next_at(self) -> float | None:
        """Returns when the next run is due, or None when none waits."""
        waiting = [plan.at for name, plan in self._plans.items() if name not in self._running]
        return min(waiting, default=None)

    def plan(self, name: str) -> Plan | None:
        """Returns the plan of a replica."""
        return self._plans.get(name)

    def runs(self, name: str) -> bool:
        """Says whether a replica's sync is under way."""
        return name in self._running

    def _again(self, name: str) -> None:
        if name in self._running:
            self._change(name, wanted_again)

    def _change(self, name: str, change: Callable[[Plan], Plan]) -> None:
        plan = self._plans.get(name)
        if plan is not None:
            self._plans[name] = change(plan)
