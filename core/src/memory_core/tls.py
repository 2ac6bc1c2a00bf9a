"""How every client of ours begins TLS: certificates and names are checked, there is no way around.

Whoever needs an authority of their own names its file; nothing switches checking off.
"""

from __future__ import annotations

import ssl
from pathlib import Path


def client_context(ca_file: Path | str | None = None) -> ssl.SSLContext:
    """Returns a context that trusts the system's authorities, and those in ``ca_file``.

    TLS 1.2 is the least, whatever the interpreter was built with (RFC 8996).

    Raises:
        OSError: the file cannot be read or holds no certificate.
    """
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if ca_file is not None:
        context.load_verify_locations(ca_file)
    return context
