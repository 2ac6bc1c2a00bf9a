"""The version of the protocol and the sizes that both ends keep to."""

from __future__ import annotations

from memory_core.errors import UpgradeRequired

PROTOCOL = 1
OLDEST = 1
"""The oldest version of the protocol that this code still speaks."""

MAX_OPERATIONS = 500
MAX_PUSH_BYTES = 1 << 20
"""Bytes of the operations of one push; a single larger operation goes alone."""

MAX_PULL = 1_000
MAX_WAIT_S = 30
MAX_HASHES = 1_000
MAX_SEQS = 1_000
MAX_RANGES = 256


def check_protocol(spoken: int, *, side: str, oldest: int = OLDEST, newest: int = PROTOCOL) -> None:
    """Refuses a version that is not spoken here; ``side`` names who speaks ``spoken``.

    Raises:
        UpgradeRequired: the versions do not meet; the detail says which side is the older.
    """
    if spoken > newest:
        raise UpgradeRequired(
            f"the {side} speaks protocol {spoken}, this side up to {newest}: upgrade this side"
        )
    if spoken < oldest:
        raise UpgradeRequired(
            f"the {side} speaks protocol {spoken}, this side {oldest} and newer: upgrade the {side}"
        )
