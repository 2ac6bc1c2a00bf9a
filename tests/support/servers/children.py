"""Children that end with this process: a test run that is killed leaves no server behind.

The kernel ends them (`prctl(2)`, PR_SET_PDEATHSIG), whatever became of this process. It looks at
the thread that started a child, so one thread, which lives as long as the process, starts them
all. util-linux's `setpriv` asks for it after a change of the user, which would undo it, and
becomes the program itself: the child's id stays. Where it is not installed nothing is asked for.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

_STARTER = ThreadPoolExecutor(1, thread_name_prefix="starter")


def start_child(command: Sequence[str], **options: Any) -> subprocess.Popen[Any]:
    """Starts a program that is killed when this process ends; ``options`` are Popen's."""
    setpriv = shutil.which("setpriv")
    bound = [setpriv, "--pdeathsig", "KILL"] if setpriv else []
    return _STARTER.submit(subprocess.Popen[Any], [*bound, *command], **options).result()
