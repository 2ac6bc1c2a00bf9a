"""The kernel tells of a network that changed."""

from __future__ import annotations

import shutil
import subprocess
import sys

import pytest

from sync_agent.agent import network

LISTENS = """
import select, subprocess
from sync_agent.agent import network
watch = network.open_watch()
assert watch is not None
assert not select.select([watch], [], [], 0)[0], "said before anything changed"
subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
subprocess.run(["ip", "address", "add", "10.9.9.9/32", "dev", "lo"], check=True)
assert select.select([watch], [], [], 30)[0], "nothing was said"
network.drain(watch)
"""


def own_network() -> list[str]:
    """Returns a command that runs another in a network of its own, empty where there is none."""
    if not all(map(shutil.which, ("unshare", "ip"))):
        return []
    command = ["unshare", "--user", "--map-root-user", "--net"]
    tried = subprocess.run([*command, "true"], capture_output=True, check=False, timeout=30)
    return [] if tried.returncode else command


def test_a_new_address_is_heard_of() -> None:
    command = own_network()
    if not command:
        pytest.skip("this machine gives no network of its own (unshare, ip)")
    done = subprocess.run(
        [*command, sys.executable, "-c", LISTENS],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_a_watch_is_read_without_waiting_and_closed() -> None:
    with network.watching() as watch:
        if watch is not None:
            network.drain(watch)
    assert watch is None or watch.fileno() == -1
