"""What the HTTP layer needs to know, apart from where the settings come from."""

from __future__ import annotations

from dataclasses import dataclass

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpOptions:
    """Limits and names of the HTTP layer. Sizes are bytes, times are seconds.

    An empty ``allowed_hosts`` accepts every Host header.
    """

    max_body_bytes: int = 16 * MIB
    body_idle_timeout: float = 15.0
    body_timeout: float = 60.0
    head_timeout: float = 10.0
    idle_timeout: float = 15.0
    write_timeout: float = 60.0
    max_connections: int = 1000
    allowed_hosts: tuple[str, ...] = ()
    ping_interval: float = 15.0
    key_check_interval: float = 3.0
    search_default_limit: int = 10
    audit_reads: bool = False
