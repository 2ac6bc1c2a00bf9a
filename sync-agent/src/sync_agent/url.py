"""The hub's address: checked once, then only its parts are used."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from urllib.parse import urlsplit

from sync_agent.errors import InsecureUrl, InvalidConfig

_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class HubUrl:
    """An ``http`` or ``https`` address, with the path under which a proxy serves the hub."""

    scheme: str
    host: str
    port: int
    prefix: str = ""

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port == _PORTS[self.scheme] else f":{self.port}"
        return f"{self.scheme}://{host}{port}{self.prefix}"

    @property
    def loopback(self) -> bool:
        """Says whether the address is this machine."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def plain(self) -> bool:
        """Says whether what is sent can be read on the way."""
        return self.scheme == "http" and not self.loopback


def parse_url(text: str) -> HubUrl:
    """Returns the parts of a hub's address.

    Raises:
        InvalidConfig: not ``http(s)://host[:port][/path]``, or with user, query or fragment.
    """
    try:
        parts = urlsplit(text.strip())
        port = parts.port
        host = (parts.hostname or "").rstrip(".")
        host.encode("idna" if host and ":" not in host else "ascii")
    except (ValueError, UnicodeError) as error:
        raise InvalidConfig("the hub's address is not like https://host[:port]") from error
    if parts.scheme not in _PORTS or not host or any(c.isspace() for c in text.strip()):
        raise InvalidConfig("the hub's address is not like https://host[:port]")
    if parts.username is not None or parts.query or parts.fragment:
        raise InvalidConfig("the hub's address holds a user, a query or a fragment")
    default = _PORTS[parts.scheme]
    return HubUrl(
        scheme=parts.scheme,
        host=host,
        port=default if port is None else port,
        prefix=parts.path.rstrip("/"),
    )


def check_plain(url: HubUrl, *, allowed: bool) -> None:
    """Refuses plain ``http`` to another machine unless it is allowed.

    Raises:
        InsecureUrl: the key and everything remembered would cross the network in the clear.
    """
    if url.plain and not allowed:
        raise InsecureUrl(
            f"{url} is plain http to another machine: the key could be read on the way."
            " Use https, or allow it with --allow-http or MEMCTX_ALLOW_HTTP=1"
        )
