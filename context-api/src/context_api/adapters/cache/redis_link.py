"""The way to Redis: a bounded time for each call, and none at all while it does not answer."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from typing import Any, Protocol, TypeVar, cast
from urllib.parse import urlsplit, urlunsplit

import structlog
from redis.asyncio import Redis
from redis.asyncio.cluster import RedisCluster
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import OutOfMemoryError, RedisError

from context_api.adapters.cache.breaker import Breaker

BUDGET_S = 0.05
TRIAL_S = 2.0
CONNECTIONS = 32
COMMANDS = ("get", "set", "incrby", "decrby", "expire", "select", "ping")
"""What an ACL user needs; on a cluster ``cluster|slots`` and ``command`` too."""

_CLUSTER = "+cluster"

T = TypeVar("T")

log = structlog.get_logger(__name__)


class Pipeline(Protocol):
    """Commands that go out together."""

    def incrby(self, name: str, amount: int) -> object:
        """Adds to a counter."""
        ...

    def expire(self, name: str, time: int) -> object:
        """Ends a key's life after so many seconds."""
        ...

    def get(self, name: str) -> object:
        """Reads a key."""
        ...

    def set(self, name: str, value: bytes, *, px: int) -> object:
        """Sets a key for so many milliseconds."""
        ...

    def execute(self) -> Awaitable[list[bytes | int | None]]:
        """Sends the commands and returns their answers."""
        ...


class Client(Protocol):
    """What is used of a client, of one server or of a cluster."""

    def get(self, name: str) -> Awaitable[bytes | None]:
        """Returns the value of a key."""
        ...

    def set(self, name: str, value: bytes, *, px: int) -> Awaitable[object]:
        """Sets a key for so many milliseconds."""
        ...

    def decrby(self, name: str, amount: int) -> Awaitable[int]:
        """Takes from a counter."""
        ...

    def ping(self) -> Awaitable[object]:
        """Asks for a sign of life."""
        ...

    def pipeline(self, *, transaction: bool) -> Pipeline:
        """Begins commands that go out together."""
        ...

    def aclose(self) -> Awaitable[None]:
        """Closes the connections."""
        ...


class Unreachable(Exception):
    """Redis did not answer, not in time, or was not asked because it had not."""


class RedisLink:
    """A client of Redis that never makes anybody wait.

    Cache and rate limits share one, so that what one learns the other need not. While Redis does
    not answer no call is tried; whether it answers again is found out beside the requests. A
    call that is cut off closes its connection, so no answer can reach another call.
    """

    def __init__(self, url: str, *, budget_s: float = BUDGET_S) -> None:
        """Connects with the first call.

        Args:
            url: ``redis://user:password@host:6379/0``; ``rediss`` for TLS; ``redis+cluster``
                or ``rediss+cluster`` for a cluster, of which it names one node.
            budget_s: seconds that a call may take, connecting included.

        Raises:
            ValueError: the URL is not one of these.
        """
        self._client = _client(url)
        self._budget_s = budget_s
        self._breaker = Breaker()
        # More calls than connections wait for each other, as a part of their time.
        self._places = asyncio.Semaphore(CONNECTIONS)
        self._trial: asyncio.Task[None] | None = None
        self._ending: set[asyncio.Task[Any]] = set()

    @property
    def is_down(self) -> bool:
        """Whether Redis has failed and not answered since."""
        return self._breaker.is_open

    async def run(self, ask: Callable[[Client], Awaitable[T]]) -> T:
        """Returns what ``ask`` gives, which is called with the client.

        Raises:
            Unreachable: it did not answer within its time, or refused.
        """
        if self._breaker.is_open:
            self._try_again()
            raise Unreachable
        try:
            return await self._in_time(ask)
        except OutOfMemoryError as error:
            # It answers, and what it holds can be read.
            raise Unreachable from error
        except (RedisError, OSError, TimeoutError) as error:
            if not self._breaker.is_open:
                # What the client's exceptions say may hold the address; their kind does not.
                log.warning("Redis does not answer", error=type(error).__name__)
            self._breaker.failed()
            raise Unreachable from error

    async def answers(self) -> bool:
        """Says if Redis answers, in the time of a call; while it does not it is tried again."""
        try:
            await self.run(lambda client: client.ping())
        except Unreachable:
            return False
        return True

    async def _in_time(self, ask: Callable[[Client], Awaitable[T]]) -> T:
        """Returns what ``ask`` gives, or stops waiting for it.

        The client closes a connection that is cut off with patience, of which a caller has none:
        so what is cut off ends by itself.

        Raises:
            TimeoutError: it was not there in time.
        """
        call = asyncio.create_task(self._placed(ask))
        try:
            done, _ = await asyncio.wait({call}, timeout=self._budget_s)
            if not done:
                raise TimeoutError
        finally:
            if not call.done():
                self._ending.add(call)
                call.add_done_callback(self._ended)
                call.cancel()
        return call.result()

    async def _placed(self, ask: Callable[[Client], Awaitable[T]]) -> T:
        async with self._places:
            return await ask(self._client)

    def _ended(self, call: asyncio.Task[Any]) -> None:
        self._ending.discard(call)
        if not call.cancelled():
            # Read, so that nobody is told of an error that was never looked at.
            call.exception()

    async def close(self) -> None:
        """Closes the connections."""
        if self._trial is not None:
            self._trial.cancel()
            self._ending.add(self._trial)
        await asyncio.gather(*self._ending, return_exceptions=True)
        await self._client.aclose()

    def _try_again(self) -> None:
        if self._breaker.is_due and (self._trial is None or self._trial.done()):
            self._trial = asyncio.create_task(self._ping())

    async def _ping(self) -> None:
        """Closes the breaker if Redis answers; it may take longer than a request would wait."""
        try:
            async with asyncio.timeout(TRIAL_S):
                await self._client.ping()
        except (RedisError, OSError, TimeoutError):
            self._breaker.failed()
        else:
            log.info("Redis answers again")
            self._breaker.succeeded()


def _client(url: str) -> Client:
    parts = urlsplit(url)
    options: dict[str, Any] = {
        # The second form of the protocol needs no commands to begin, which an ACL may forbid.
        "protocol": 2,
        "driver_info": None,
        "socket_connect_timeout": TRIAL_S,
        # One more than the calls at a time, for the trial.
        "max_connections": CONNECTIONS + 1,
        # A connection that the server closed while it was idle is replaced at once.
        "retry": Retry(NoBackoff(), 1),
    }
    if parts.scheme.startswith("rediss"):
        options |= {"ssl_min_version": ssl.TLSVersion.TLSv1_2}
    if parts.scheme.endswith(_CLUSTER):
        plain = urlunsplit(parts._replace(scheme=parts.scheme.removesuffix(_CLUSTER)))
        return cast("Client", RedisCluster.from_url(plain, **options))
    if parts.scheme not in {"redis", "rediss", "unix"}:
        raise ValueError("a Redis URL begins with redis://, rediss://, redis+cluster:// or unix://")
    return cast("Client", Redis.from_url(url, **options))
