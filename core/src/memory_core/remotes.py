"""Git remotes in one form, however they were written."""

from __future__ import annotations

import re
from urllib.parse import unquote

_URL = re.compile(
    r"(?:git\+)?(https?|ssh|git|ftps?)(?:\+git)?://([^/?#]*)/([^?#]*)(?:[?#].*)?", re.IGNORECASE
)
_SCP = re.compile(r"(?:[^@/\\:]+@)?(\[[0-9A-Fa-f:.]+\]|[^@/\\:\[\]]{2,}):(?!//)(.+)", re.DOTALL)
_HOST = re.compile(r"[a-z0-9_](?:[a-z0-9._-]{0,251}[a-z0-9_])?|\[[0-9a-f:.]+\]")
_MAX_URL = 500

# Other doors of the same house: SSH over the HTTPS port, or a host for SSH alone.
_SAME_HOST = {
    "ssh.github.com": "github.com",
    "altssh.gitlab.com": "gitlab.com",
    "altssh.bitbucket.org": "bitbucket.org",
    "ssh.dev.azure.com": "dev.azure.com",
}


def normalise_remote(url: str) -> str | None:
    """Returns ``host/path`` of a git remote, or None if it names no host.

    The same for the https, ssh, git and scp-like forms: without user, password, port and
    ``.git``, in lower case. ``git@github.com:Acme/API.git`` and ``https://github.com/acme/api``
    are ``github.com/acme/api``. Ports are dropped because one server has another for each
    protocol. A path of this machine (``/srv/git/api``, ``file://``, ``C:\\git``) names no host.
    """
    text = url.strip()
    if not text or len(text) > _MAX_URL or not text.isprintable():
        return None
    parts = _split(text)
    if parts is None:
        return None
    host, path = parts
    host = host.lower().rstrip(".").removeprefix("www.")
    host = _SAME_HOST.get(host, host)
    names = _path_names(host, path)
    if not _HOST.fullmatch(host) or not names:
        return None
    return f"{host}/{'/'.join(names)}"


def _split(text: str) -> tuple[str, str] | None:
    if found := _URL.fullmatch(text):
        authority = found[2].rpartition("@")[2]
        host = re.sub(r":\d*$", "", authority)
        return host, unquote(found[3], errors="replace")
    if "://" in text or text.startswith(("/", ".", "~", "\\")):
        return None
    if found := _SCP.fullmatch(text):
        return found[1], unquote(found[2], errors="replace")
    return None


def _path_names(host: str, path: str) -> list[str]:
    """Returns the path's parts in lower case, without what only one protocol's form has."""
    lowered = path.lower().strip("/").removesuffix(".git").rstrip("/")
    names = [name for name in lowered.split("/") if name]
    if any(name in {".", ".."} or not name.isprintable() for name in names):
        return []
    if host == "dev.azure.com":
        names = [name for name in names if name not in {"v3", "_git"}]
    elif names[:1] == ["scm"] and len(names) > 2:
        # Bitbucket Server has /scm/ in its https form only.
        names = names[1:]
    return names
