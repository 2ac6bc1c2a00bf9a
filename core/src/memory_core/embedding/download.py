"""Fetching a published file over HTTP so that nothing is lost when the line is cut.

Bytes go to a ``.part`` file; a new attempt, also by a later process, asks for the rest with
``Range`` (RFC 9110, section 14). The file appears under its name only once its size and
SHA-256 are those published.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from memory_core.embedding.manifest import file_sha256
from memory_core.embedding.published import PublishedFile
from memory_core.errors import InvalidInput, ModelBroken, Unavailable

if TYPE_CHECKING:
    import httpx

Progress = Callable[[str, int, int | None], None]
"""Told what is being done, how many bytes of it are done, and of how many (when known)."""

_CONNECT_SECONDS: Final = 10.0
_READ_SECONDS: Final = 30.0
_FRUITLESS_ATTEMPTS: Final = 5
_FRUITFUL_BYTES: Final = 1 << 16
_LONGEST_PAUSE_SECONDS: Final = 8.0


class _Interrupted(Exception):
    """The transfer stopped early; another attempt may go on from there."""


def fetch(
    url: str,
    file: PublishedFile,
    part: Path,
    progress: Progress,
    *,
    pause: Callable[[float], None] = time.sleep,
) -> None:
    """Leaves the verified content of ``url`` in ``part``, resuming what is already there.

    A cut line is tried again as long as attempts bring something, 64 KiB at least; five in a
    row that do not end it. A server that cannot be reached at all ends it at once.

    Raises:
        InvalidInput: the URL is not http or https.
        Unavailable: the server cannot be reached, refuses, or keeps cutting the line. What came
            so far stays in ``part``.
        ModelBroken: the content is not the one published; ``part`` is removed.
        OSError: the file cannot be written.
    """
    import httpx  # noqa: PLC0415 - heavy, and only needed here

    if not url.startswith(("https://", "http://")):
        raise InvalidInput(f"not an http or https URL: {url!r}")
    timeout = httpx.Timeout(_READ_SECONDS, connect=_CONNECT_SECONDS)
    with httpx.Client(timeout=timeout, follow_redirects=True) as client:
        transfer = _Transfer(client, url, file, part, progress)
        # A damaged beginning, kept from an earlier run, must not spoil a good source: then
        # the second round starts anew.
        for _ in range(2 if _size(part) else 1):
            transfer.run(pause)
            if file_sha256(part) == file.sha256:
                return
            part.unlink()
    raise ModelBroken(f"{url} is not the published {file.path}: its digest differs")


@dataclass
class _Transfer:
    """The transfer of one file, in as many attempts as it needs."""

    client: httpx.Client
    url: str
    file: PublishedFile
    part: Path
    progress: Progress

    def run(self, pause: Callable[[float], None]) -> None:
        """Goes on until the file has its published size."""
        fruitless = 0
        while (before := _size(self.part)) != self.file.size:
            try:
                self._attempt()
            except _Interrupted as error:
                gained = _size(self.part) - before
                fruitless = 0 if gained >= _FRUITFUL_BYTES else fruitless + 1
                if fruitless >= _FRUITLESS_ATTEMPTS:
                    raise Unavailable(f"{self.url}: {error}") from error
                pause(min(0.5 * 2**fruitless, _LONGEST_PAUSE_SECONDS))

    def _attempt(self) -> None:
        import httpx  # noqa: PLC0415 - heavy, and only needed here

        have = _size(self.part)
        if have > self.file.size:
            self.part.unlink()
            have = 0
        headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
        try:
            with self.client.stream("GET", self.url, headers=headers) as response:
                self._append(response, have if self._continues(response, have) else 0)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.ProxyError) as error:
            if have:
                raise _Interrupted(_reason(error)) from error
            raise Unavailable(f"{self.url} cannot be reached: {_reason(error)}") from error
        except httpx.TransportError as error:
            raise _Interrupted(_reason(error)) from error
        except (httpx.InvalidURL, httpx.TooManyRedirects) as error:
            raise Unavailable(f"{self.url}: {_reason(error)}") from error
        if _size(self.part) < self.file.size:
            raise _Interrupted("the connection closed early")

    def _continues(self, response: httpx.Response, have: int) -> bool:
        """Returns whether the answer goes on at byte ``have``; false if it starts anew."""
        status = response.status_code
        whole = str(self.file.size)
        span = response.headers.get("content-range", "")
        if status == 206 and span == f"bytes {have}-{self.file.size - 1}/{whole}":
            return True
        if status == 200:
            if response.headers.get("content-length", whole) != whole:
                raise ModelBroken(f"{self.url} is not the published file: its size differs")
            return False
        if status in (206, 416):
            self.part.unlink(missing_ok=True)
            raise _Interrupted("the server could not resume")
        if status == 429 or status >= 500:
            raise _Interrupted(f"the server answered {status}")
        raise Unavailable(f"{self.url}: the server answered {status}")

    def _append(self, response: httpx.Response, start: int) -> None:
        done = start
        with self.part.open("r+b" if start else "wb") as out:
            out.seek(start)
            self.progress(self.file.name, done, self.file.size)
            for block in response.iter_raw():
                done += len(block)
                if done > self.file.size:
                    out.truncate(0)
                    raise ModelBroken(
                        f"{self.url} is larger than the published {self.file.size} bytes"
                    )
                out.write(block)
                self.progress(self.file.name, done, self.file.size)
            out.flush()
            os.fsync(out.fileno())


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__
