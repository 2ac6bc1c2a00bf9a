"""A sync that runs and moves nothing is noticed."""

from __future__ import annotations

from collections import Counter

from sync_agent.errors import HubTimeout
from sync_agent.sync import Report, State, Watch


def report(pending: int, *, answered: int = 0, state: State = State.SYNCED) -> Report:
    made = Report("p", state=state, pending=pending)
    made.outcomes = Counter(accepted=answered) if answered else Counter()
    return made


def test_two_cycles_in_which_waiting_work_does_not_move_raise_the_alarm() -> None:
    stuck = report(3, state=State.STOPPED)
    stuck.problem = HubTimeout("no answer to a push")
    once = Watch().after(stuck)
    assert once.problem(stuck) is None
    problem = once.after(stuck).problem(stuck)
    assert problem is not None
    assert problem.code == "sync_stalled"
    assert "3 operations" in problem.detail
    assert "no answer to a push" in problem.detail


def test_progress_or_nothing_to_do_ends_the_alarm() -> None:
    watch = Watch().after(report(3)).after(report(3))
    assert watch.problem(report(3)) is not None
    assert watch.after(report(2, answered=1)).problem(report(2)) is None
    assert watch.after(report(0)).problem(report(0)) is None


def test_a_cycle_that_another_process_ran_says_nothing() -> None:
    watch = Watch().after(report(3))
    assert watch.after(report(0, state=State.BUSY)) == watch
