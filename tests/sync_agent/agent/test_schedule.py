"""When which replica is synced, by a clock that the test holds."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync_agent.agent import schedule
from sync_agent.agent.schedule import Plan, Schedule, Timing

TIMING = Timing()
SEEDS = st.integers(0, 2**32)
EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["write", "news", "return", "success", "failure", "refusal", "ask"]),
        st.floats(0.0, 400.0),
        st.floats(0.0, 10_000.0),
    ),
    max_size=40,
)


def step(plan: Plan, event: str, now: float, chance: Random, wait: float) -> Plan:
    changes: dict[str, Callable[[], Plan]] = {
        "write": lambda: schedule.wrote(plan, now, TIMING),
        "news": lambda: schedule.heard(plan, now),
        "return": lambda: schedule.returned(plan, now, chance, TIMING),
        "ask": lambda: schedule.asked(plan, now),
        "success": lambda: schedule.succeeded(schedule.began(plan), now, chance, TIMING),
        "failure": lambda: schedule.failed(
            schedule.began(plan), now, chance, TIMING, retry_after=wait
        ),
        "refusal": lambda: schedule.refused(schedule.began(plan), now, chance, TIMING),
    }
    return changes[event]()


@given(SEEDS, EVENTS)
def test_whatever_happens_the_next_run_is_neither_hot_nor_far(
    seed: int, events: list[tuple[str, float, float]]
) -> None:
    chance, now = Random(seed), 1000.0
    plan = schedule.planned(now, chance, TIMING)
    asked_to_wait = float("-inf")
    for event, passed, wait in events:
        now += passed
        plan = step(plan, event, now, chance, wait)
        if event == "failure":
            assert plan.at >= now + TIMING.backoff_s
            asked_to_wait = now + min(wait, TIMING.retry_after_most_s)
        if event in {"success", "ask"}:
            asked_to_wait = float("-inf")
        assert plan.at <= max(now + TIMING.every_s * 1.2, asked_to_wait)
        assert plan.at >= asked_to_wait or now >= asked_to_wait


@given(SEEDS)
def test_a_sync_that_went_well_is_followed_by_one_in_15_minutes_give_or_take_a_fifth(
    seed: int,
) -> None:
    plan = schedule.succeeded(Plan(0.0, failures=4), 50.0, Random(seed), TIMING)
    assert 50.0 + 720.0 <= plan.at <= 50.0 + 1080.0
    assert plan.failures == 0


def test_the_times_of_many_replicas_spread() -> None:
    chance = Random(7)
    at = [schedule.succeeded(Plan(0.0), 0.0, chance, TIMING).at for _ in range(200)]
    assert max(at) - min(at) > 300


@given(SEEDS, st.integers(0, 60))
def test_the_wait_after_failures_is_random_below_a_bound_that_doubles(
    seed: int, failures: int
) -> None:
    plan = schedule.failed(Plan(0.0, failures=failures), 10.0, Random(seed), TIMING)
    assert 2.0 <= plan.at - 10.0 <= min(2.0 * 2 ** (failures + 1), 900.0)


def test_the_wait_after_failures_reaches_its_bound() -> None:
    chance = Random(3)
    waits = [schedule.failed(Plan(0.0, failures=20), 0.0, chance, TIMING).at for _ in range(300)]
    assert max(waits) > 850
    assert min(waits) < 60


def test_a_hub_that_asks_to_wait_is_not_asked_before_by_anything_but_the_user() -> None:
    plan = schedule.failed(Plan(0.0), 0.0, Random(1), TIMING, retry_after=120.0)
    assert plan.at == 120.0
    assert schedule.heard(plan, 5.0).at == 120.0
    assert schedule.returned(plan, 5.0, Random(1), TIMING).at == 120.0
    assert schedule.wrote(plan, 5.0, TIMING).at == 120.0
    assert schedule.asked(plan, 5.0).at == 5.0


def test_a_write_is_synced_two_seconds_later() -> None:
    assert schedule.wrote(Plan(900.0), 100.0, TIMING).at == 102.0


def test_writes_in_a_row_put_the_sync_off_but_not_for_ever() -> None:
    plan, now = Plan(900.0), 100.0
    while now < 115.0:
        plan = schedule.wrote(plan, now, TIMING)
        assert plan.at == min(now + 2.0, 110.0)
        now += 0.5


def test_a_write_does_not_put_off_what_is_due_sooner() -> None:
    plan = schedule.wrote(Plan(100.5), 100.0, TIMING)
    assert plan.at == 100.5


def test_a_write_during_a_sync_is_for_the_next() -> None:
    plan = schedule.began(schedule.wrote(Plan(900.0), 100.0, TIMING))
    plan = schedule.wrote(plan, 103.0, TIMING)
    plan = schedule.succeeded(plan, 104.0, Random(1), TIMING)
    assert plan.at == 106.0


def test_news_are_taken_in_at_once_but_not_sooner_after_a_failure() -> None:
    assert schedule.heard(Plan(900.0), 100.0).at == 100.0
    failed = schedule.failed(Plan(0.0, failures=9), 0.0, Random(5), TIMING)
    assert schedule.heard(failed, 1.0).at == failed.at


def test_a_write_does_not_shorten_the_wait_for_a_hub_that_fails() -> None:
    failed = schedule.failed(Plan(0.0, failures=9), 0.0, Random(5), TIMING)
    assert schedule.wrote(failed, 1.0, TIMING).at == failed.at


def test_when_the_network_returns_those_that_failed_begin_within_two_seconds() -> None:
    failed = schedule.failed(Plan(0.0, failures=9), 0.0, Random(5), TIMING)
    assert failed.at > 4.0
    assert 1.0 <= schedule.returned(failed, 1.0, Random(2), TIMING).at <= 3.0
    assert schedule.returned(Plan(900.0), 1.0, Random(2), TIMING).at == 900.0


def test_what_only_the_user_can_mend_is_not_tried_more_often_for_writes_or_news() -> None:
    held = schedule.refused(Plan(0.0), 0.0, Random(5), TIMING)
    assert held.at >= 720.0
    for plan in (
        schedule.wrote(held, 1.0, TIMING),
        schedule.heard(held, 1.0),
        schedule.returned(held, 1.0, Random(5), TIMING),
    ):
        assert plan.at == held.at
    assert schedule.asked(held, 1.0).at == 1.0


@pytest.fixture
def plans() -> Schedule:
    made = Schedule(Random(1))
    made.keep({"a", "b"}, 0.0)
    return made


def test_what_is_due_is_taken_once_until_it_has_ended(plans: Schedule) -> None:
    assert set(plans.take(2.0)) == {"a", "b"}
    assert plans.take(5000.0) == []
    assert plans.next_at() is None
    plans.succeeded("a", 5000.0)
    assert plans.take(5000.0) == []
    assert plans.take(5000.0 + 1080.0) == ["a"]


def test_news_during_a_run_do_not_make_another(plans: Schedule) -> None:
    plans.take(2.0)
    plans.heard("a", 3.0)
    plans.succeeded("a", 4.0)
    assert plans.take(5.0) == []
    plans.heard("a", 6.0)
    assert plans.take(6.0) == ["a"]


def test_a_replica_that_is_no_longer_kept_is_never_due(plans: Schedule) -> None:
    plans.keep({"b"}, 1.0)
    plans.wrote("a", 1.0)
    assert plans.take(10.0) == ["b"]
    plans.keep(set(), 10.0)
    plans.failed("b", 11.0)
    assert plans.next_at() is None


@given(
    SEEDS,
    st.sampled_from(["asked", "returned"]),
    st.sampled_from(["succeeded", "failed"]),
    st.lists(st.sampled_from(["wrote", "heard"]), max_size=5),
    st.integers(0, 20),
)
def test_what_is_wanted_during_a_run_is_done_right_after_it(
    seed: int, wanted: str, end: str, others: list[str], failures: int
) -> None:
    plans, now = Schedule(Random(seed)), 0.0
    plans.keep({"a"}, now)
    for _ in range(failures):
        now += 2000.0
        assert plans.take(now) == ["a"]
        plans.failed("a", now)
    now += 2000.0
    assert plans.take(now) == ["a"]
    if wanted == "asked":
        plans.asked("a", now + 1.0)
    else:
        plans.returned({"a"}, now + 1.0)
    for other in others:
        getattr(plans, other)("a", now + 2.0)
    assert plans.take(now + 3.0) == []
    getattr(plans, end)("a", now + 3.0)
    assert plans.take(now + 3.0 + TIMING.return_s) == ["a"]
    getattr(plans, end)("a", now + 6.0)
    plan = plans.plan("a")
    assert plan is not None
    assert not plan.again
    assert plan.at >= now + 6.0 + TIMING.backoff_s


def test_who_asks_during_a_run_that_is_refused_gets_one_more(plans: Schedule) -> None:
    plans.take(2.0)
    plans.asked("a", 3.0)
    plans.refused("a", 4.0)
    assert plans.take(6.0) == ["a"]
    plans.returned({"a"}, 7.0)
    plans.refused("a", 8.0)
    assert plans.take(20.0) == []


@given(SEEDS, st.lists(st.tuples(st.sampled_from("abcd"), st.booleans()), max_size=60))
def test_no_replica_is_ever_forgotten(seed: int, ends: list[tuple[str, bool]]) -> None:
    """Whatever ends however, each replica is due again within the longest interval."""
    plans, now = Schedule(Random(seed)), 0.0
    plans.keep(set("abcd"), now)
    for name, well in ends:
        now += 1.0
        if name in plans.take(now) or plans.runs(name):
            (plans.succeeded if well else plans.failed)(name, now)
    for name in "abcd":
        if plans.runs(name):
            plans.succeeded(name, now)
    assert set(plans.take(now + 1080.0)) == set("abcd")
