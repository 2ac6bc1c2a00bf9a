"""What is gathered: done when it is quiet, and not put off for ever."""

from __future__ import annotations

import asyncio

from context_api.application.wakeup import Wakeup
from context_api.worker.gathering import Gathering


async def scenario() -> None:
    wakeup = Wakeup()
    patient = Gathering(wakeup, 0.05, 3_600.0)
    assert patient.is_due("a"), "nobody has written"
    with wakeup.writing():
        assert not patient.is_due("a")
        assert not patient.is_due("b")
        # Put off long enough, whoever writes.
        assert Gathering(wakeup, 0.05, 0.0).is_due("a")
    assert not patient.is_due("a"), "somebody has just written"
    await wakeup.quiet(0.05, 30.0)
    assert patient.is_due("a")
    assert patient.is_due("b")
    await wakeup.notify()
    assert not patient.is_due("a")


def test_gathering() -> None:
    asyncio.run(scenario())
