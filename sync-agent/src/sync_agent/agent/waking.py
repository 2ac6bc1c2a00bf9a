"""Lets signals and other threads wake a thread that waits with a selector."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType


class Waker:
    """A pipe: `wake` makes its reading end ready, `drain` makes it quiet again."""

    def __init__(self) -> None:
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._reader, False)
        os.set_blocking(self._writer, False)

    def fileno(self) -> int:
        """Returns what to wait on."""
        return self._reader

    def wake(self) -> None:
        """Wakes who waits; from any thread."""
        # A full pipe has woken it already.
        with suppress(BlockingIOError):
            os.write(self._writer, b"\0")

    def drain(self) -> None:
        """Forgets what woke it."""
        with suppress(BlockingIOError):
            while os.read(self._reader, 4096):
                pass

    @contextmanager
    def on_signals(self, stop: Callable[[], None]) -> Iterator[None]:
        """Calls ``stop`` and wakes at SIGTERM and SIGINT while the block runs, ignores SIGHUP.

        Only in the main thread (signal(3)).
        """

        def told(_number: int, _frame: FrameType | None) -> None:
            stop()

        old = {number: signal.signal(number, told) for number in (signal.SIGTERM, signal.SIGINT)}
        old[signal.SIGHUP] = signal.signal(signal.SIGHUP, signal.SIG_IGN)
        before = signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        try:
            yield
        finally:
            signal.set_wakeup_fd(before)
            for number, handler in old.items():
                signal.signal(number, handler)
