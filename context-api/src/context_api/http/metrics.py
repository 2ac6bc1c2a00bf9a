"""Figures for Prometheus. Labels come from this program only, never from a request or a record."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from context_api.application.measuring import Measures, Reading
from memory_core.clock import now, to_datetime

_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_CACHE_RESULTS = ("hits", "misses", "stores", "errors", "foreign")
MAX_LABELS = 32


class Metrics:
    """The figures of one hub: a registry of its own, so that two in one process are apart."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "memctx_http_requests",
            "Requests answered, by route and status.",
            ("method", "route", "status"),
            registry=self.registry,
        )
        self._seconds = Histogram(
            "memctx_http_request_seconds",
            "Time from the request's head to the end of its answer, streams left out.",
            ("route",),
            buckets=_BUCKETS,
            registry=self.registry,
        )
        self.in_flight = Gauge(
            "memctx_http_requests_in_flight",
            "Requests that are being answered, open streams included.",
            registry=self.registry,
        )

    def observe(self, method: str, route: str, status: int, seconds: float) -> None:
        """Counts an answered request; without a route its method says nothing either."""
        self._requests.labels(method if route else "", route, str(status)).inc()
        if not route.endswith("/stream"):
            self._seconds.labels(route).observe(seconds)

    def text(self, measures: Measures | None = None, reading: Reading | None = None) -> bytes:
        """Returns the figures in Prometheus' text format, with those of the work if given.

        Without ``reading``, which needs the database, only what this process counted itself.
        """
        own = generate_latest(self.registry)
        if measures is None:
            return own
        work = CollectorRegistry(auto_describe=False)
        work.register(_Work(measures, reading))
        return own + generate_latest(work)


class _Work(Collector):
    """What was written, how far the indexes are behind, what was missing for how long."""

    def __init__(self, measures: Measures, reading: Reading | None) -> None:
        self._measures = measures
        self._reading = reading

    def collect(self) -> Iterable[Metric]:
        """Yields the figures."""
        yield from _counted(self._measures)
        yield GaugeMetricFamily(
            "memctx_database_up",
            "1 if the database answered when these figures were read.",
            0 if self._reading is None else 1,
        )
        if self._reading is not None:
            yield from _read(self._reading)


def _counted(measures: Measures) -> Iterator[Metric]:
    yield CounterMetricFamily(
        "memctx_log_appends", "Operations that this process appended.", measures.appends
    )
    yield CounterMetricFamily(
        "memctx_log_appended_events", "Events that this process appended.", measures.appended_events
    )
    yield CounterMetricFamily(
        "memctx_writes_begun_again",
        "Transactions begun again because another write was in the way.",
        measures.begun_again,
    )
    lookups = CounterMetricFamily(
        "memctx_cache_lookups",
        "What became of questions to each cache.",
        labels=("cache", "result"),
    )
    for name, counts in sorted(measures.caches.items())[:MAX_LABELS]:
        for result in _CACHE_RESULTS:
            lookups.add_metric((name, result), getattr(counts, result))
    yield lookups
    degraded = CounterMetricFamily(
        "memctx_degraded_seconds", "Seconds for which a part did not work.", labels=("part",)
    )
    for part, seconds in sorted(measures.degraded_s.items())[:MAX_LABELS]:
        degraded.add_metric((part,), seconds)
    yield degraded


def _read(reading: Reading) -> Iterator[Metric]:
    gauge = GaugeMetricFamily
    yield gauge("memctx_tenants", "Tenants of the hub.", reading.tenants)
    yield gauge("memctx_projects", "Projects of all tenants.", reading.projects)
    yield gauge("memctx_log_events", "Events in all logs.", reading.events)
    yield gauge("memctx_index_queue", "Chunks that wait for their vector.", reading.pending)
    yield gauge("memctx_index_dead", "Chunks that cannot be indexed.", reading.dead)
    events = gauge("memctx_index_lag_events", "Events not in the index yet.", labels=("index",))
    oldest = gauge(
        "memctx_index_oldest_unprocessed_seconds",
        "Age of the oldest change that is not in the index, 0 if there is none.",
        labels=("index",),
    )
    stalled = gauge("memctx_index_stalled", "1 if work waits and none is done.", labels=("index",))
    success = gauge(
        "memctx_index_last_success_age_seconds",
        "Time since the index last processed something or had nothing to do.",
        labels=("index",),
    )
    for name, lag in reading.lag.items():
        events.add_metric((name,), lag.events)
        oldest.add_metric((name,), lag.oldest_s)
        stalled.add_metric((name,), lag.stalled)
        age = to_datetime(now()) - to_datetime(lag.last_success_at)
        success.add_metric((name,), max(0.0, age.total_seconds()))
    yield from (events, oldest, stalled, success)
    yield gauge(
        "memctx_measure_age_seconds",
        "How long ago the figures of the work were read.",
        time.monotonic() - reading.at,
    )
