"""The figures of a worker, on an address of their own: it answers no other requests."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from contextlib import suppress

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from context_api.application.authenticate import authenticate
from context_api.application.embedding_counts import EmbeddingCounts
from context_api.application.indexes import IndexerState
from context_api.application.services import Services
from context_api.domain.caller import METRICS
from context_api.http.auth import token_of
from context_api.http.edge import Edge
from context_api.http.limits import BodyLimits
from context_api.http.metrics import Metrics
from context_api.http.options import HttpOptions
from context_api.http.problem import problem_response
from memory_core.clock import now, to_datetime
from memory_core.errors import ContextError, MethodNotAllowed, NotFound

PATH = "/metrics"
READ_S = 2.0
MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
LOOPBACK = ("127.0.0.1", "localhost", "[::1]")


def worker_figures(
    services: Callable[[], Services], metrics: Metrics, counts: EmbeddingCounts
) -> ASGIApp:
    """Returns the application that answers `GET /metrics`, and nothing else.

    Where the settings name a metrics key it is needed. Without one only this machine can reach
    the port, and requests must name it as such: a web page cannot ask under a name of its own.
    """
    needs_key = services().metrics_key is not None
    options = HttpOptions(max_body_bytes=0, allowed_hosts=() if needs_key else LOOPBACK)
    return Edge(BodyLimits(_Figures(services, metrics, counts), options), options, metrics)


class _Figures:
    def __init__(
        self, services: Callable[[], Services], metrics: Metrics, counts: EmbeddingCounts
    ) -> None:
        self._services = services
        self._metrics = metrics
        self._counts = counts
        self._process = CollectorRegistry()
        ProcessCollector(registry=self._process)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._check(scope)
        except ContextError as error:
            await problem_response(error, scope)(scope, receive, send)
            return
        scope["state"]["route"] = PATH
        await Response(await self._text(), media_type=MEDIA_TYPE)(scope, receive, send)

    async def _check(self, scope: Scope) -> None:
        """Raises unless these figures are asked for, by who may have them."""
        services = self._services()
        if services.metrics_key is not None:
            scope["state"]["caller"] = caller = await authenticate(services, token_of(scope))
            caller.require(METRICS)
        if scope["path"] != PATH:
            raise NotFound("there is nothing at this path")
        if scope["method"] not in {"GET", "HEAD"}:
            raise MethodNotAllowed

    async def _text(self) -> bytes:
        services = self._services()
        reading = None
        with suppress(ContextError, TimeoutError):
            async with asyncio.timeout(READ_S):
                reading = await services.measures.read(services.uow, services.indexes)
        own = CollectorRegistry(auto_describe=False)
        own.register(_Worker(services.indexes.state, self._counts))
        return b"".join(
            [
                self._metrics.text(services.measures, reading),
                generate_latest(own),
                generate_latest(self._process),
            ]
        )


class _Worker(Collector):
    """What this worker did itself."""

    def __init__(self, state: IndexerState, counts: EmbeddingCounts) -> None:
        self._state = state
        self._counts = counts

    def collect(self) -> Iterable[Metric]:
        """Yields the figures."""
        counts, state = self._counts, self._state
        yield CounterMetricFamily(
            "memctx_worker_embedded_texts", "Texts that this worker embedded.", counts.texts
        )
        yield CounterMetricFamily(
            "memctx_worker_embedding_seconds", "Time that it took to embed them.", counts.seconds
        )
        yield CounterMetricFamily(
            "memctx_worker_embedding_failures", "Batches that were not embedded.", counts.failures
        )
        yield GaugeMetricFamily(
            "memctx_worker_failing", "Projects that this worker fails on.", state.failures
        )
        if state.last_success_at is not None:
            age = to_datetime(now()) - to_datetime(state.last_success_at)
            yield GaugeMetricFamily(
                "memctx_worker_last_success_age_seconds",
                "Time since this worker last did something, or found nothing to do.",
                max(0.0, age.total_seconds()),
            )
