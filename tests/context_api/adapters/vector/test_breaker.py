"""The circuit breaker, by a clock that the test moves."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor, as_completed

import pytest

from context_api.adapters.vector.breaker import BreakerState, CircuitBreaker, NoAnswer
from memory_core.errors import Corrupt, Unavailable


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def breaker(clock: Clock) -> CircuitBreaker:
    return CircuitBreaker("It", failures=3, first_pause=1, longest_pause=4, clock=clock)


def fail(one: CircuitBreaker) -> None:
    with pytest.raises(NoAnswer), one.guard():
        raise NoAnswer("silence")


def refused(one: CircuitBreaker) -> bool:
    try:
        with one.guard():
            return False
    except Unavailable:
        return True


def test_it_opens_after_failures_in_a_row_only() -> None:
    one = breaker(Clock())
    fail(one)
    fail(one)
    with one.guard():
        pass
    fail(one)
    fail(one)
    assert one.state() is BreakerState.CLOSED
    fail(one)
    assert one.state() is BreakerState.OPEN
    assert refused(one)


def test_an_answer_that_is_an_error_does_not_count() -> None:
    one = breaker(Clock())
    for _ in range(5):
        with pytest.raises(Corrupt), one.guard():
            raise Corrupt("it answers")
        with pytest.raises(Unavailable), one.guard():
            raise Unavailable("its disk is full")
    assert one.state() is BreakerState.CLOSED


def test_one_trial_after_the_pause_decides() -> None:
    clock = Clock()
    one = breaker(clock)
    for _ in range(3):
        fail(one)
    clock.now += 0.99
    assert refused(one)
    clock.now += 0.02
    assert one.state() is BreakerState.HALF_OPEN
    with one.guard() as trial:
        assert trial
        assert refused(one), "a second call while the trial runs"
    assert one.state() is BreakerState.CLOSED
    with one.guard() as trial:
        assert not trial


def test_pauses_double_to_the_longest_and_begin_anew() -> None:
    clock = Clock()
    one = breaker(clock)
    for _ in range(3):
        fail(one)
    for pause in (1, 2, 4, 4):
        clock.now += pause - 0.01
        assert refused(one)
        clock.now += 0.02
        fail(one)
    clock.now += 4.01
    assert not refused(one)
    for _ in range(3):
        fail(one)
    clock.now += 1.01
    assert not refused(one)


def test_a_failure_that_began_before_it_opened_does_not_prolong_the_pause() -> None:
    clock = Clock()
    one = breaker(clock)
    late = one.guard()
    late.__enter__()
    for _ in range(3):
        fail(one)
    clock.now += 0.9
    late.__exit__(NoAnswer, NoAnswer("late"), None)
    clock.now += 0.2
    assert not refused(one)


def test_a_trial_that_was_interrupted_leaves_room_for_another() -> None:
    clock = Clock()
    one = breaker(clock)
    for _ in range(3):
        fail(one)
    clock.now += 1.1
    with pytest.raises(KeyboardInterrupt), one.guard():
        raise KeyboardInterrupt
    assert not refused(one)


def test_a_trial_that_never_ends_is_forgotten() -> None:
    clock = Clock()
    one = breaker(clock)
    for _ in range(3):
        fail(one)
    clock.now += 1.1
    lost = one.guard()
    lost.__enter__()
    assert refused(one)
    clock.now += 61
    assert not refused(one)
    lost.__exit__(None, None, None)


def test_of_many_threads_one_is_the_trial() -> None:
    clock = Clock()
    one = breaker(clock)
    for _ in range(3):
        fail(one)
    clock.now += 1.1
    ready, done = threading.Barrier(8), threading.Event()

    def work() -> bool:
        ready.wait(10)
        try:
            with one.guard() as trial:
                return trial and done.wait(10)
        except Unavailable:
            return False

    with ThreadPoolExecutor(8) as threads:
        running = {threads.submit(work) for _ in range(8)}
        ended = as_completed(running)
        refusals = [next(ended).result() for _ in range(7)]
        done.set()
        trial = next(ended).result()
    assert refusals == [False] * 7
    assert trial
