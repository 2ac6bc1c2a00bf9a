"""Runs a program as one of another version of the protocol would speak.

``python -m tests.support.speaking OLDEST NEWEST module argument…``
"""

from __future__ import annotations

import runpy
import sys

from memory_core.sync import protocol


def main() -> None:
    """Changes what is spoken, then becomes the program."""
    oldest, newest, module, *arguments = sys.argv[1:]
    protocol.OLDEST, protocol.PROTOCOL = int(oldest), int(newest)
    defaults = protocol.check_protocol.__kwdefaults__
    assert defaults is not None
    defaults.update(oldest=int(oldest), newest=int(newest))
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
