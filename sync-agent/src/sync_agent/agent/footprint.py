"""What the agent's process holds."""

from __future__ import annotations

import ctypes
import os
from contextlib import suppress
from pathlib import Path


def resident_bytes() -> int | None:
    """Returns the memory that this process holds in RAM, None where this cannot be known."""
    with suppress(OSError, ValueError, IndexError):
        pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")
    return None


def release_memory() -> None:
    """Gives the system back what was freed: malloc_trim(3), where the C library has it."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
