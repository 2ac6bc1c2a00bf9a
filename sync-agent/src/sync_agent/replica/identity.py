"""Which file on which machine this is: how a copied replica is told from the one it came from."""

from __future__ import annotations

import platform
from pathlib import Path

_MACHINE_IDS = (Path("/etc/machine-id"), Path("/var/lib/dbus/machine-id"))


def fingerprint(path: Path) -> str:
    """Returns where a file lies: machine, device, inode."""
    found = path.stat()
    return f"{_machine()} {found.st_dev} {found.st_ino}"


def is_copy(known: str, here: str) -> bool:
    """Says whether a file whose fingerprint was ``known`` is another one than lies ``here``.

    A copy on this machine has another inode, one on another machine another machine and device.
    The same file in a container has another machine id, and after a reboot maybe another device:
    neither alone says that it is a copy. A copy that looks the same is told by the hub, which
    knows the last operation of every replica.
    """
    machine, device, inode = _parts(known)
    now_machine, now_device, now_inode = _parts(here)
    return inode != now_inode or (machine != now_machine and device != now_device)


def _parts(fingerprint: str) -> tuple[str, str, str]:
    machine, device, inode = ["", "", *fingerprint.rsplit(" ", 2)][-3:]
    return machine, device, inode


def _machine() -> str:
    for place in _MACHINE_IDS:
        try:
            text = place.read_text(encoding="utf-8").strip()
        except (OSError, ValueError):
            continue
        if text:
            return text
    return platform.node()
