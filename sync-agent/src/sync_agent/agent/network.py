"""Hears from the kernel that the network changed, so that nobody has to ask again and again.

On Linux the routing socket (rtnetlink(7)), on macOS and the BSDs PF_ROUTE (route(4)) tell of new
addresses and routes to any user. Elsewhere nothing is heard, and waits end by themselves.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_RTMGRP_IPV4_IFADDR, _RTMGRP_IPV4_ROUTE = 0x10, 0x40
_RTMGRP_IPV6_IFADDR, _RTMGRP_IPV6_ROUTE = 0x100, 0x400
_GROUPS = _RTMGRP_IPV4_IFADDR | _RTMGRP_IPV4_ROUTE | _RTMGRP_IPV6_IFADDR | _RTMGRP_IPV6_ROUTE
_NETLINK_ROUTE = 0
_PF_ROUTE = 17
_DATAGRAM = 65_536


def open_watch() -> socket.socket | None:
    """Returns a socket that can be read after a change, None where there is none."""
    with suppress(OSError, AttributeError):
        if sys.platform == "linux":
            watch = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_ROUTE)
            try:
                watch.bind((0, _GROUPS))
            except OSError:
                watch.close()
                raise
        else:
            watch = socket.socket(_PF_ROUTE, socket.SOCK_RAW, 0)
        watch.setblocking(False)
        return watch
    return None


def drain(watch: socket.socket) -> None:
    """Reads what waits; what it says is of no interest, only that something changed."""
    with suppress(OSError):
        while watch.recv(_DATAGRAM):
            pass


@contextmanager
def watching() -> Iterator[socket.socket | None]:
    """Yields what `open_watch` returns, and closes it when the block ends."""
    watch = open_watch()
    try:
        yield watch
    finally:
        if watch is not None:
            watch.close()
