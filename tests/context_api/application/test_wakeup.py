"""Who waits for quiet waits for those who write, but not for ever."""

from __future__ import annotations

import asyncio

import pytest

from context_api.application.wakeup import Wakeup


async def _quiet_ends_only_after_the_writer_is_done() -> None:
    wakeup = Wakeup()
    waiting: asyncio.Task[None]
    with wakeup.writing():
        waiting = asyncio.create_task(wakeup.quiet(0.001, 60.0))
        done, _ = await asyncio.wait({waiting}, timeout=0.1)
        assert not done
    await asyncio.wait_for(waiting, 10.0)


def test_quiet_ends_only_after_the_writer_is_done() -> None:
    asyncio.run(_quiet_ends_only_after_the_writer_is_done())


async def _quiet_is_bounded_when_nobody_stops_writing() -> None:
    wakeup = Wakeup()
    with wakeup.writing():
        await asyncio.wait_for(wakeup.quiet(5.0, 0.02), 10.0)


def test_quiet_is_bounded_when_nobody_stops_writing() -> None:
    asyncio.run(_quiet_is_bounded_when_nobody_stops_writing())


async def _a_writer_that_fails_is_no_longer_waited_for() -> None:
    wakeup = Wakeup()
    with pytest.raises(LookupError), wakeup.writing():
        raise LookupError
    await asyncio.wait_for(wakeup.quiet(0.001, 60.0), 10.0)


def test_a_writer_that_fails_is_no_longer_waited_for() -> None:
    asyncio.run(_a_writer_that_fails_is_no_longer_waited_for())
