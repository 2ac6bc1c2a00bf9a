"""What finding a server has in common: ports, waiting, and what happens when there is none."""

from __future__ import annotations

import os
import pwd
import random
import socket
import subprocess
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

import pytest

START_SECONDS = 60.0
PORTS = range(15_000, 22_000)
"""Below the ports that the system lends to outgoing connections, one of which could otherwise take
a port before the server does; so is the port 10,000 above, where Redis Cluster speaks to its own.
"""

_given: set[int] = set()


class Unstartable(Exception):
    """The server is not installed here, or does not start; says why in one line."""


def required() -> bool:
    """Says whether a missing service is a failure."""
    return os.environ.get("REQUIRE_SERVICES") == "1"


def missing(name: str, error: Exception) -> NoReturn:
    """Skips the test for want of a server, or fails it where services are required."""
    if required():
        pytest.fail(f"{name} is required: {error}")
    pytest.skip(f"{name} is not here: {error}")


def free_port() -> int:
    """Returns a free port of the loopback interface, none twice.

    Processes that test side by side choose from parts of their own: a port is free until its
    server listens, and both could see that.
    """
    while True:
        port = random.SystemRandom().choice(own_ports(os.environ))
        if port in _given:
            continue
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                continue
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            _given.add(port)
            return port


def own_ports(environ: Mapping[str, str]) -> range:
    """Returns the ports of this process among those that test side by side (pytest-xdist)."""
    number = int(environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    count = max(int(environ.get("PYTEST_XDIST_WORKER_COUNT", "1")), 1)
    return PORTS[number % count :: count]


def unprivileged() -> str | None:
    """Returns a user to run servers as, which refuse root; None if we are not root."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            pwd.getpwnam(name)
        except KeyError:
            continue
        return name
    raise Unstartable("run as root, and there is no other user to start a server as")


def give(folder: Path, user: str | None) -> None:
    """Makes ``user`` the owner of a folder."""
    if user is not None:
        entry = pwd.getpwnam(user)
        os.chown(folder, entry.pw_uid, entry.pw_gid)


def wait_until(
    ready: Callable[[], bool], process: subprocess.Popen[bytes] | None, log: Path
) -> None:
    """Waits until a server answers.

    Raises:
        Unstartable: it ended, or it does not answer in time.
    """
    end = time.monotonic() + START_SECONDS
    while not ready():
        ended = process is not None and process.poll() is not None
        if ended or time.monotonic() > end:
            tail = log.read_text(errors="replace")[-500:] if log.exists() else ""
            raise Unstartable(f"it does not start: {tail}")
        # The server says in no other way that it is ready.
        time.sleep(0.02)


def answers(port: int) -> bool:
    """Says whether something listens on a port of the loopback interface."""
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0
