"""Named places where a test lets the process die, to see what the file looks like then."""

from __future__ import annotations

import os
import signal

_CHOSEN = os.environ.get("MEMCTX_FAILPOINT", "")


def reached(name: str) -> None:
    """Kills the process at once if MEMCTX_FAILPOINT names this place, else does nothing."""
    if _CHOSEN and name == _CHOSEN:
        os.kill(os.getpid(), signal.SIGKILL)
